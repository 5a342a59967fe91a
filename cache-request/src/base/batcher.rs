//! Batches requests: callers that wait at the same time are served together, in rounds. A lone caller is served at
//! once.
//!
//! A gatherer is a task that lets further callers join before it begins a round. There is one whenever callers wait and
//! another round may begin. The caller whose action makes that so is told to start it.

use std::{collections::VecDeque, mem};

use crate::base::sync::{Mutex, MutexGuard, lock};

pub(crate) struct Batcher<W> {
    /// How many rounds may run at a time.
    most_rounds: usize,
    state: Mutex<State<W>>,
}

struct State<W> {
    waiting: VecDeque<W>,
    gathers: bool,
    rounds: usize,
}

impl<W> Batcher<W> {
    pub(crate) fn new(most_rounds: usize) -> Self {
        Self { most_rounds, state: Mutex::new(State { waiting: VecDeque::new(), gathers: false, rounds: 0 }) }
    }

    /// Begins a round for the caller alone, if no other round and no gatherer is active. [`end`](Self::end) ends it.
    pub(crate) fn begin_alone(&self) -> bool {
        let mut state = lock(&self.state);
        let is_alone = state.rounds == 0 && !state.gathers;
        state.rounds += usize::from(is_alone);
        is_alone
    }

    /// Waits for a round. Returns whether the caller must start a gatherer.
    pub(crate) fn join(&self, who: W) -> bool {
        let mut state = lock(&self.state);
        state.waiting.push_back(who);
        self.is_to_gather(state)
    }

    /// Begins a gatherer's round. Returns at most `most` waiting callers, and whether the gatherer must start another
    /// one for the rest.
    pub(crate) fn begin(&self, most: usize) -> (Vec<W>, bool) {
        let mut state = lock(&self.state);
        state.gathers = false;
        state.rounds += 1;
        let most = state.waiting.len().min(most);
        let round = state.waiting.drain(..most).collect();
        (round, self.is_to_gather(state))
    }

    /// Ends a round. Returns whether a gatherer must be started, or go on.
    pub(crate) fn end(&self) -> bool {
        let mut state = lock(&self.state);
        state.rounds -= 1;
        self.is_to_gather(state)
    }

    /// Takes all waiting callers when a gatherer has ended before its round began and no other can be started.
    pub(crate) fn give_up(&self) -> VecDeque<W> {
        let mut state = lock(&self.state);
        state.gathers = false;
        mem::take(&mut state.waiting)
    }

    fn is_to_gather(&self, mut state: MutexGuard<'_, State<W>>) -> bool {
        let is_to_gather = !state.gathers && state.rounds < self.most_rounds && !state.waiting.is_empty();
        state.gathers |= is_to_gather;
        is_to_gather
    }
}

#[cfg(all(test, shuttle))]
mod model {
    use std::{collections::VecDeque, sync::Arc};

    use shuttle::{
        check_random,
        sync::mpsc::{Sender, channel},
        thread,
    };

    use super::Batcher;

    type Waiting = Sender<u32>;

    /// Serves as long as callers wait. The last of `rounds` rounds fails, and so does each gatherer after it.
    fn gather(batcher: &Arc<Batcher<(u32, Waiting)>>, rounds: u32) {
        let batcher = Arc::clone(batcher);
        thread::spawn(move || {
            for round in 0.. {
                thread::yield_now();
                if round == rounds {
                    return drop(batcher.give_up());
                }
                let (served, more) = batcher.begin(2);
                if more {
                    gather(&batcher, rounds);
                }
                thread::yield_now();
                if round + 1 == rounds {
                    drop(served);
                    if batcher.end() {
                        gather(&batcher, 0);
                    }
                    return;
                }
                for (number, waiting) in served {
                    waiting.send(number).unwrap();
                }
                if !batcher.end() {
                    return;
                }
            }
        });
    }

    /// Callers that ask twice each. Returns how many requests were given up.
    fn callers(callers: u32, most_rounds: usize, rounds: u32) -> u32 {
        let batcher = Arc::new(Batcher::new(most_rounds));
        let asking = (0..callers).map(|caller| {
            let batcher = Arc::clone(&batcher);
            thread::spawn(move || {
                let mut left = 0;
                for number in [caller, caller + 100] {
                    if batcher.begin_alone() {
                        thread::yield_now();
                        if batcher.end() {
                            gather(&batcher, rounds);
                        }
                        continue;
                    }
                    let (answer, answered) = channel();
                    if batcher.join((number, answer)) {
                        gather(&batcher, rounds);
                    }
                    // In a schedule where a caller waits for ever, the checker reports a deadlock.
                    match answered.recv() {
                        Ok(served) => assert_eq!(served, number),
                        Err(_) => left += 1,
                    }
                }
                left
            })
        });
        let left = asking.collect::<VecDeque<_>>().into_iter().map(|caller| caller.join().unwrap()).sum();
        // Every round ends.
        while !batcher.begin_alone() {
            thread::yield_now();
        }
        left
    }

    #[test]
    fn everybody_is_served() {
        check_random(|| assert_eq!(callers(4, 1, u32::MAX), 0), 4000);
        check_random(|| assert_eq!(callers(4, 2, u32::MAX), 0), 4000);
    }

    #[test]
    fn nobody_waits_for_a_gatherer_that_is_gone() {
        for rounds in 0..3 {
            check_random(move || _ = callers(4, 1, rounds), 2000);
            check_random(move || _ = callers(4, 2, rounds), 2000);
        }
    }
}
