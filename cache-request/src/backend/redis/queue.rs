//! Commands on their way to a server, and the calls that wait for its answers, which come in the order of the commands.
//!
//! A call appends its command and waits. The connection's driver writes what has gathered, and hands each answer to its call.

use std::{
    collections::VecDeque,
    mem,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use redis::{RedisError, RedisResult, Value};

use crate::base::{
    panic::catch_panic,
    sync::{Mutex, lock},
};

/// Short commands are gathered into portions of about this length. A longer one is a portion of its own, so that it is not copied.
const PORTION_BYTES: usize = 64 << 10;

/// The commands and the calls of one connection.
#[derive(Default)]
pub(super) struct Queue(Mutex<State>);

#[derive(Default)]
struct State {
    commands: Commands,
    calls: Vec<Call>,
    /// The places in `calls` that are free.
    free: Vec<usize>,
    /// The calls whose answers are to come, in the order of their commands.
    unanswered: VecDeque<Unanswered>,
    /// Wakes the driver, which has found no command.
    driver: Option<Waker>,
    /// Why no answer comes any more.
    closed: Option<RedisError>,
}

enum Call {
    Free,
    Waits(Waker),
    GivenUp,
    Answered(RedisResult<Value>),
}

struct Unanswered {
    call: usize,
    /// How many answers are to come.
    left: usize,
    /// Those that have come, if there are several.
    answers: Vec<Value>,
}

/// Commands that are to be written.
#[derive(Default)]
pub(super) struct Commands {
    portions: VecDeque<Vec<u8>>,
    /// The memory of a portion that was written.
    spare: Vec<u8>,
}

impl Commands {
    /// Where to append a short command.
    pub(super) fn end(&mut self) -> &mut Vec<u8> {
        if self.portions.back().is_none_or(|last| last.len() >= PORTION_BYTES) {
            self.portions.push_back(mem::take(&mut self.spare));
        }
        self.portions.back_mut().expect("a portion was added if there was none")
    }

    /// Appends commands of any length.
    pub(super) fn append(&mut self, commands: Vec<u8>) {
        if commands.len() < PORTION_BYTES {
            self.end().extend_from_slice(&commands);
        } else {
            self.portions.push_back(commands);
        }
    }
}

impl Queue {
    /// Appends the commands that `write` writes, and waits for their `answers`. Several answers are an array.
    pub(super) fn ask<W: FnOnce(&mut Commands) + Unpin>(&self, answers: usize, write: W) -> Asked<'_, W> {
        Asked { queue: self, answers, write: Some(write), call: None }
    }

    /// Takes the next portion of commands, and takes back the memory of the last one. If there is none, it is empty, and `driver` is woken
    /// for the next command.
    pub(super) fn next_portion(&self, mut written: Vec<u8>, driver: &Waker) -> Vec<u8> {
        written.clear();
        let driver = driver.clone();
        let mut state = lock(&self.0);
        if (1..=2 * PORTION_BYTES).contains(&written.capacity()) {
            state.commands.spare = written;
        }
        state.commands.portions.pop_front().unwrap_or_else(|| {
            state.driver = Some(driver);
            Vec::new()
        })
    }

    /// Hands out answers. Returns whether each of them was waited for: if not, which answer belongs to which command is not known.
    pub(super) fn answer(&self, answers: &mut Vec<Value>, woken: &mut Vec<Waker>) -> bool {
        let mut state = lock(&self.0);
        for answer in answers.drain(..) {
            let Some(first) = state.unanswered.front_mut() else { return false };
            first.left -= 1;
            let answer = if first.left == 0 && first.answers.is_empty() {
                answer
            } else {
                first.answers.push(answer);
                if first.left > 0 {
                    continue;
                }
                Value::Array(mem::take(&mut first.answers))
            };
            let call = first.call;
            state.unanswered.pop_front();
            woken.extend(state.end(call, Ok(answer)));
        }
        true
    }

    /// Ends all calls with this error, also those that begin later.
    pub(super) fn close(&self, why: RedisError) {
        let mut woken = Vec::new();
        let mut state = lock(&self.0);
        while let Some(Unanswered { call, .. }) = state.unanswered.pop_front() {
            woken.extend(state.end(call, Err(why.clone())));
        }
        state.commands = Commands::default();
        state.closed.get_or_insert(why);
        drop(state);
        wake(&mut woken);
    }
}

impl State {
    fn begin(&mut self, call: Call, answers: usize) -> usize {
        let place = self.free.pop().unwrap_or(self.calls.len());
        match self.calls.get_mut(place) {
            Some(free) => *free = call,
            None => self.calls.push(call),
        }
        self.unanswered.push_back(Unanswered { call: place, left: answers, answers: Vec::new() });
        place
    }

    /// Ends a call, and returns the waker of its caller.
    fn end(&mut self, place: usize, outcome: RedisResult<Value>) -> Option<Waker> {
        match mem::replace(&mut self.calls[place], Call::Answered(outcome)) {
            Call::Waits(waker) => Some(waker),
            _ => {
                self.take(place);
                None
            }
        }
    }

    fn take(&mut self, place: usize) -> Call {
        self.free.push(place);
        mem::replace(&mut self.calls[place], Call::Free)
    }
}

/// Wakes callers, whose wakers may panic.
pub(super) fn wake(woken: &mut Vec<Waker>) {
    for waker in woken.drain(..) {
        catch_panic(|| waker.wake());
    }
}

/// A call. To drop it is to give up its answer. Its command is sent all the same.
pub(super) struct Asked<'a, W> {
    queue: &'a Queue,
    answers: usize,
    write: Option<W>,
    /// Its place, from the first poll to the answer.
    call: Option<usize>,
}

impl<W: FnOnce(&mut Commands) + Unpin> Future for Asked<'_, W> {
    type Output = RedisResult<Value>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<RedisResult<Value>> {
        if let Some(write) = self.write.take() {
            return self.begin(write, context.waker().clone());
        }
        let place = self.call.expect("polled after it was answered");
        let mut waker = None;
        loop {
            let mut state = lock(&self.queue.0);
            if let Call::Waits(known) = &mut state.calls[place] {
                if known.will_wake(context.waker()) {
                    return Poll::Pending;
                }
                if let Some(waker) = waker.take() {
                    let earlier = mem::replace(known, waker);
                    // Not under the lock, as it may be the caller's code.
                    drop(state);
                    drop(earlier);
                    return Poll::Pending;
                }
            } else if let Call::Answered(outcome) = state.take(place) {
                self.call = None;
                return Poll::Ready(outcome);
            }
            drop(state);
            waker = Some(context.waker().clone());
        }
    }
}

impl<W: FnOnce(&mut Commands) + Unpin> Asked<'_, W> {
    fn begin(&mut self, write: W, waker: Waker) -> Poll<RedisResult<Value>> {
        let mut state = lock(&self.queue.0);
        if let Some(why) = &state.closed {
            return Poll::Ready(Err(why.clone()));
        }
        write(&mut state.commands);
        self.call = Some(state.begin(Call::Waits(waker), self.answers));
        let driver = state.driver.take();
        drop(state);
        if let Some(driver) = driver {
            driver.wake();
        }
        Poll::Pending
    }
}

impl<W> Drop for Asked<'_, W> {
    fn drop(&mut self) {
        let Some(place) = self.call else { return };
        let mut state = lock(&self.queue.0);
        let call = match &state.calls[place] {
            Call::Waits(_) => mem::replace(&mut state.calls[place], Call::GivenUp),
            _ => state.take(place),
        };
        drop(state);
        drop(call);
    }
}

#[cfg(test)]
mod tests {
    use std::{io, pin::pin};

    use proptest::{prelude::*, sample::Index};

    use super::*;

    fn context() -> Context<'static> {
        Context::from_waker(Waker::noop())
    }

    fn ask<'q>(
        queue: &'q Queue,
        answers: usize,
        command: &'static str,
    ) -> Asked<'q, impl FnOnce(&mut Commands) + Unpin + use<'q>> {
        let mut asked = queue.ask(answers, |commands: &mut Commands| commands.append(command.into()));
        assert!(Pin::new(&mut asked).poll(&mut context()).is_pending());
        asked
    }

    fn written(queue: &Queue) -> String {
        String::from_utf8(queue.next_portion(Vec::new(), Waker::noop())).unwrap()
    }

    fn answer<const N: usize>(queue: &Queue, answers: [i64; N]) -> bool {
        let mut woken = Vec::new();
        queue.answer(&mut answers.map(Value::Int).into(), &mut woken)
    }

    fn outcome(asked: Asked<'_, impl FnOnce(&mut Commands) + Unpin>) -> Option<Value> {
        match pin!(asked).poll(&mut context()) {
            Poll::Ready(outcome) => Some(outcome.unwrap()),
            Poll::Pending => None,
        }
    }

    #[test]
    fn a_call_got_the_answer_of_one_that_was_given_up() {
        let queue = Queue::default();
        let [first, second] = ["a", "b"].map(|command| ask(&queue, 1, command));
        drop(first);
        let third = ask(&queue, 2, "cd");
        assert_eq!(written(&queue), "abcd", "what was given up is sent all the same");
        assert!(answer(&queue, [1, 2, 3]));
        // The place of the first one is free by now, and its answer gone.
        let fourth = ask(&queue, 1, "e");
        assert!(answer(&queue, [4, 5]));
        assert_eq!(outcome(second), Some(Value::Int(2)));
        assert_eq!(outcome(third), Some(Value::Array(vec![Value::Int(3), Value::Int(4)])));
        assert_eq!(outcome(fourth), Some(Value::Int(5)));
        let state = lock(&queue.0);
        assert_eq!((state.calls.len(), state.free.len()), (3, 3));
    }

    #[test]
    fn an_answer_that_is_given_up_unread_leaves_its_place() {
        let queue = Queue::default();
        let asked = ask(&queue, 1, "a");
        assert!(answer(&queue, [1]));
        drop(asked);
        assert_eq!(lock(&queue.0).free.len(), 1);
    }

    #[test]
    fn an_answer_without_a_command_is_noticed() {
        let queue = Queue::default();
        let _asked = ask(&queue, 1, "a");
        assert!(!answer(&queue, [1, 2]));
    }

    #[test]
    fn nothing_waits_for_a_connection_that_is_closed() {
        let queue = Queue::default();
        let mut asked = pin!(ask(&queue, 1, "a"));
        queue.close(io::Error::from(io::ErrorKind::BrokenPipe).into());
        assert!(matches!(asked.as_mut().poll(&mut context()), Poll::Ready(Err(_))));
        let mut later = pin!(queue.ask(1, |_: &mut Commands| panic!("it writes nothing")));
        assert!(matches!(later.as_mut().poll(&mut context()), Poll::Ready(Err(_))));
        assert_eq!(written(&queue), "");
    }

    #[test]
    fn long_commands_are_portions_of_their_own_and_stay_in_order() {
        let queue = Queue::default();
        let long = "l".repeat(PORTION_BYTES);
        let _short = ["a", "b"].map(|command| ask(&queue, 1, command));
        let mut asked = queue.ask(1, |commands: &mut Commands| commands.append(long.clone().into()));
        assert!(Pin::new(&mut asked).poll(&mut context()).is_pending());
        let _last = ask(&queue, 1, "c");
        assert_eq!([written(&queue), written(&queue), written(&queue), written(&queue)], ["ab", &long, "c", ""]);
    }

    /// What a caller or the server does.
    #[derive(Debug, Clone)]
    enum Step {
        Asks(usize),
        GivesUp(Index),
        Looks(Index),
        Answers(i64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (1_usize..4).prop_map(Step::Asks),
            any::<Index>().prop_map(Step::GivesUp),
            any::<Index>().prop_map(Step::Looks),
            (1_i64..5).prop_map(Step::Answers),
        ]
    }

    /// The numbers from `start` to before `end`, as a server answers them.
    fn numbers(start: i64, end: i64) -> Vec<Value> {
        (start..end).map(Value::Int).collect()
    }

    proptest! {
        #[test]
        fn each_call_gets_its_own_answers(steps in proptest::collection::vec(step(), 0..80)) {
            let queue = Queue::default();
            // Each answer is the number of its command.
            let (mut asked, mut answered, mut calls) = (0, 0, Vec::new());
            for step in steps {
                match step {
                    Step::Asks(answers) => {
                        let start = asked;
                        asked += answers as i64;
                        calls.push((numbers(start, asked), asked, ask(&queue, answers, "a")));
                    }
                    Step::GivesUp(at) if !calls.is_empty() => drop(calls.swap_remove(at.index(calls.len()))),
                    Step::Looks(at) if !calls.is_empty() => {
                        let at = at.index(calls.len());
                        let (own, end, call) = &mut calls[at];
                        match Pin::new(call).poll(&mut context()) {
                            Poll::Pending => prop_assert!(answered < *end),
                            Poll::Ready(Ok(Value::Array(answers))) => prop_assert_eq!(&answers, own),
                            Poll::Ready(answer) => prop_assert_eq!(&[answer.unwrap()][..], &own[..]),
                        }
                        if answered >= *end {
                            drop(calls.swap_remove(at));
                        }
                    }
                    Step::GivesUp(_) | Step::Looks(_) => {}
                    Step::Answers(count) => {
                        let end = asked.min(answered + count);
                        prop_assert!(queue.answer(&mut numbers(answered, end), &mut Vec::new()));
                        answered = end;
                    }
                }
            }
            drop(calls);
            prop_assert!(queue.answer(&mut numbers(answered, asked), &mut Vec::new()));
            let state = lock(&queue.0);
            prop_assert_eq!((state.free.len(), state.unanswered.len()), (state.calls.len(), 0));
        }
    }
}
