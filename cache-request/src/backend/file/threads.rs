//! The threads that read and write files, so that a slow disk blocks no executor.
//!
//! A thread starts when there is more to do than idle threads, and ends when it has been idle for a while. All backends of a
//! process share them. A fork copies no threads, so a child process starts its own.

use std::{
    collections::VecDeque,
    io,
    sync::{Condvar, Mutex},
    thread,
    time::Duration,
};

use async_task::{Runnable, Task};

use crate::{
    Error,
    base::{panic::catch_panic, process::PerProcess, sync::unpoisoned},
};

/// How many threads there may be. Each may wait for a disk that does not answer.
const MAX_THREADS: usize = 500;

/// How long an idle thread waits for work before it ends.
const IDLE_LIMIT: Duration = Duration::from_secs(1);

static THREADS: PerProcess<Threads> = PerProcess::new();

#[derive(Default)]
struct Threads {
    state: Mutex<State>,
    /// Wakes one idle thread.
    work_added: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Runnable>,
    threads: usize,
    idle: usize,
}

/// Runs `work` on one of the threads, and waits for it. If the future is dropped before the work has begun, it never begins.
///
/// # Errors
///
/// If there is no thread, and the system starts none.
///
/// # Panics
///
/// If `work` panics.
pub(super) async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    let outcome = spawn(work).fallible().await;
    outcome.ok_or_else(|| Error::backend("the system starts no thread that could read and write files"))
}

/// Runs `work` on one of the threads, and does not wait for it.
pub(super) fn run_in_background(work: impl FnOnce() + Send + 'static) {
    spawn(work).detach();
}

fn spawn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Task<T> {
    let builder = async_task::Builder::new().propagate_panic(true);
    let (runnable, task) = builder.spawn(move |()| async move { work() }, add);
    runnable.schedule();
    task
}

/// Adds work to the queue of this process, and starts a thread if all are busy.
fn add(runnable: Runnable) {
    let threads = THREADS.get(Threads::default);
    let mut state = unpoisoned(threads.state.lock());
    state.queue.push_back(runnable);
    if state.queue.len() <= state.idle || state.threads == MAX_THREADS {
        threads.work_added.notify_one();
        return;
    }
    state.threads += 1;
    if start(threads).is_err() {
        state.threads -= 1;
        if state.threads == 0 {
            // Dropping the work tells the caller. Not under the lock: it wakes the caller.
            let unstarted = std::mem::take(&mut state.queue);
            drop(state);
            drop(unstarted);
        }
    }
}

fn start(threads: &'static Threads) -> io::Result<()> {
    thread::Builder::new().name("cache-request-file".to_owned()).spawn(|| threads.work()).map(drop)
}

impl Threads {
    fn work(&self) {
        let mut state = unpoisoned(self.state.lock());
        loop {
            while let Some(runnable) = state.queue.pop_front() {
                drop(state);
                // The work's own panic goes to its caller. Only a waker can panic here.
                let _ = catch_panic(|| runnable.run());
                state = unpoisoned(self.state.lock());
            }
            state.idle += 1;
            let (woken, waited) = unpoisoned(self.work_added.wait_timeout(state, IDLE_LIMIT));
            state = woken;
            state.idle -= 1;
            if waited.timed_out() && state.queue.is_empty() {
                state.threads -= 1;
                return;
            }
        }
    }
}
