//! Those who wait to be served together: in rounds, each of which takes all who wait. Whoever is alone is served at once.
//!
//! A gatherer lets others come before it begins a round. There is one whenever somebody waits and another round may begin; and
//! whenever that becomes so, one caller is told to send one.

use std::{collections::VecDeque, mem};

use crate::base::sync::{Mutex, MutexGuard, lock};

pub(crate) struct Batcher<W> {
    /// How many rounds may be under way at a time.
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

    /// Begins a round for the caller by itself, if there is nobody else. [`end`](Self::end) ends it.
    pub(crate) fn begin_alone(&self) -> bool {
        let mut state = lock(&self.state);
        let is_alone = state.rounds == 0 && !state.gathers;
        state.rounds += usize::from(is_alone);
        is_alone
    }

    /// Waits for a round. Returns whether a gatherer is to be sent.
    pub(crate) fn join(&self, who: W) -> bool {
        let mut state = lock(&self.state);
        state.waiting.push_back(who);
        self.is_to_gather(state)
    }

    /// Those of a gatherer's round, at most so many; and whether another gatherer is to be sent, for those who are left.
    pub(crate) fn begin(&self, most: usize) -> (Vec<W>, bool) {
        let mut state = lock(&self.state);
        state.gathers = false;
        state.rounds += 1;
        let most = state.waiting.len().min(most);
        let round = state.waiting.drain(..most).collect();
        (round, self.is_to_gather(state))
    }

    /// A round is over. Returns whether a gatherer is to be sent, or to go on.
    pub(crate) fn end(&self) -> bool {
        let mut state = lock(&self.state);
        state.rounds -= 1;
        self.is_to_gather(state)
    }

    /// A gatherer is gone before it began its round, and so would be another one. Those who wait are not to wait any longer.
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

    /// Serves as long as there is somebody. Of so many rounds the last one comes to nothing, and so does whoever gathers after that.
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

    /// Callers who ask twice each. Returns how many were told that nobody serves them.
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
                    // A schedule in which somebody waits for ever is a deadlock.
                    match answered.recv() {
                        Ok(served) => assert_eq!(served, number),
                        Err(_) => left += 1,
                    }
                }
                left
            })
        });
        let left = asking.collect::<VecDeque<_>>().into_iter().map(|caller| caller.join().unwrap()).sum();
        // Every round comes to its end.
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
            check_random(move || drop(callers(4, 1, rounds)), 2000);
            check_random(move || drop(callers(4, 2, rounds)), 2000);
        }
    }
}
