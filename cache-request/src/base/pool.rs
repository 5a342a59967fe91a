//! A few threads for what has no caller: plain bodies in the background, and async ones of a program without tokio.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex},
    thread,
    time::Duration,
};

use super::{panic::catch_panic, process::PerProcess, sync::unpoisoned};

/// What a thread of the pool runs.
pub(crate) type Task = Box<dyn FnOnce() + Send>;

/// At most so many threads. They begin when they are needed.
const MOST_THREADS: usize = 8;

/// A thread that has nothing to do for so long ends.
const IDLE: Duration = Duration::from_secs(10);

#[derive(Default)]
struct Pool {
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Task>,
    threads: usize,
    idle: usize,
}

/// Runs `task` on a thread of this process's pool, after those that wait already. Returns whether there is a thread for it.
pub(crate) fn run(task: Task) -> bool {
    static POOL: PerProcess<Pool> = PerProcess::new();
    POOL.get(Pool::default).run(task)
}

impl Pool {
    fn run(&'static self, task: Task) -> bool {
        let mut state = unpoisoned(self.state.lock());
        state.queue.push_back(task);
        if state.queue.len() > state.idle && state.threads < MOST_THREADS {
            let thread = thread::Builder::new().name("cache-request-background".to_owned());
            if thread.spawn(|| self.work()).is_ok() {
                state.threads += 1;
            }
        }
        self.work.notify_one();
        // Without any thread, nothing would ever take it.
        let dropped = if state.threads == 0 { state.queue.pop_back() } else { None };
        drop(state);
        dropped.is_none()
    }

    fn work(&self) {
        while let Some(task) = self.next() {
            catch_panic(task);
        }
    }

    fn next(&self) -> Option<Task> {
        let mut state = unpoisoned(self.state.lock());
        state.idle += 1;
        let waited = self.work.wait_timeout_while(state, IDLE, |state| state.queue.is_empty());
        state = unpoisoned(waited).0;
        state.idle -= 1;
        let task = state.queue.pop_front();
        if task.is_none() {
            state.threads -= 1;
        }
        task
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_task_that_panics_takes_no_thread_with_it() {
        let (sender, receiver) = mpsc::channel();
        for number in 0..100 {
            let sender = sender.clone();
            assert!(run(Box::new(move || {
                sender.send(number).unwrap();
                panic!("{number}");
            })));
        }
        let mut ran: Vec<_> = receiver.iter().take(100).collect();
        ran.sort_unstable();
        assert!(ran.into_iter().eq(0..100));
    }
}
