//! What the tests of flights and fences share: nothing here depends on how fast the machine is.
#![allow(dead_code, reason = "each test uses its share")]

use std::{
    future::poll_fn,
    panic,
    pin::Pin,
    sync::{
        Condvar, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
        mpsc,
    },
    task::{Poll, Waker},
    thread,
    time::Duration,
};

use cache_request::{Cache, FunctionStats};
use futures_lite::future::{block_on, poll_once};

/// A cache in which a wait that nothing ends never ends: a hang is seen as one.
pub(crate) fn cache() -> Cache {
    Cache::builder().wait_limit(Duration::MAX).build().unwrap()
}

/// Runs `test`, which must end.
pub(crate) fn ends(test: impl FnOnce() + Send + 'static) {
    let (ended, end) = mpsc::channel();
    let test = thread::spawn(move || {
        // Sent when it is dropped, by a panic too.
        let _ended: mpsc::Sender<()> = ended;
        test();
    });
    if end.recv_timeout(Duration::from_secs(300)) == Err(mpsc::RecvTimeoutError::Timeout) {
        panic!("it hangs");
    }
    if let Err(panic) = test.join() {
        panic::resume_unwind(panic);
    }
}

/// Polls once.
pub(crate) fn poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    block_on(poll_once(future))
}

/// A future to be polled by hand.
pub(crate) type Held<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What one function did, of which so many calls have come to an end: each in one way.
pub(crate) fn stats(cache: &Cache, calls: u64) -> FunctionStats {
    let stats = cache.stats();
    let [function] = &stats.functions[..] else { panic!("not one function: {stats}") };
    assert_eq!(function.calls(), calls, "{stats}");
    function.clone()
}

/// Counts.
pub(crate) struct Count(AtomicU32);

impl Count {
    pub(crate) const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Adds one, and returns the sum.
    pub(crate) fn next(&self) -> u32 {
        self.0.fetch_add(1, SeqCst) + 1
    }

    pub(crate) fn get(&self) -> u32 {
        self.0.load(SeqCst)
    }

    /// Waits for the sum to be so large.
    pub(crate) fn reaches(&self, sum: u32) {
        while self.get() < sum {
            thread::yield_now();
        }
    }
}

/// Closed, until it is opened for good.
pub(crate) struct Gate {
    state: Mutex<(bool, Vec<Waker>)>,
    opened: Condvar,
}

impl Gate {
    pub(crate) const fn new() -> Self {
        Self { state: Mutex::new((false, Vec::new())), opened: Condvar::new() }
    }

    pub(crate) fn open(&self) {
        let mut state = self.state.lock().unwrap();
        state.0 = true;
        self.opened.notify_all();
        state.1.drain(..).for_each(Waker::wake);
    }

    /// Blocks the thread until it is open.
    pub(crate) fn wait(&self) {
        drop(self.opened.wait_while(self.state.lock().unwrap(), |state| !state.0).unwrap());
    }

    pub(crate) async fn passed(&self) {
        poll_fn(|context| {
            let mut state = self.state.lock().unwrap();
            if state.0 {
                return Poll::Ready(());
            }
            state.1.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}
