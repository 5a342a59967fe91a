//! Drives a future on the calling thread: how plain functions use the asynchronous parts.

pub(crate) use self::imp::*;

#[cfg(not(shuttle))]
mod imp {
    use std::{
        cell::Cell,
        pin::{Pin, pin},
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
        task::{Context, Poll, Wake, Waker},
        thread::{self, Thread},
    };

    /// Drives `future` on this thread until it is ready.
    ///
    /// Most futures are ready at the first poll, which needs no waker. One is made only for the others.
    pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
        let _blocking = Blocking { outer: BLOCKING.replace(true) };
        // The thread may run a tokio task, whose cooperative budget would end here and never be renewed.
        #[cfg(feature = "_connections")]
        let future = tokio::task::coop::unconstrained(future);
        let mut future = pin!(future);
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => output,
            Poll::Pending => wait(future),
        }
    }

    /// Polls `future` when it is woken, and parks the thread meanwhile.
    fn wait<F: Future>(mut future: Pin<&mut F>) -> F::Output {
        let parked = Arc::new(Parked { thread: thread::current(), woken: AtomicBool::new(false) });
        let waker = Waker::from(Arc::clone(&parked));
        let mut context = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return output;
            }
            while !parked.woken.swap(false, Ordering::Acquire) {
                thread::park();
            }
        }
    }

    /// A thread that waits for one future.
    struct Parked {
        thread: Thread,
        /// The thread's own token says too little: a wait inside the future's poll may take it, and other code may leave it.
        woken: AtomicBool,
    }

    impl Wake for Parked {
        fn wake(self: Arc<Self>) {
            self.wake_by_ref();
        }

        fn wake_by_ref(self: &Arc<Self>) {
            if !self.woken.swap(true, Ordering::Release) {
                self.thread.unpark();
            }
        }
    }

    thread_local! {
        static BLOCKING: Cell<bool> = const { Cell::new(false) };
    }

    /// Whether this thread is inside [`block_on`]. It then polls no other task, so no connection may depend on it.
    #[cfg(feature = "_connections")]
    pub(crate) fn is_blocking() -> bool {
        BLOCKING.get()
    }

    struct Blocking {
        outer: bool,
    }

    impl Drop for Blocking {
        fn drop(&mut self) {
            BLOCKING.set(self.outer);
        }
    }
}

#[cfg(shuttle)]
mod imp {
    pub(crate) use shuttle::future::block_on;
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use std::{
        future::poll_fn,
        sync::mpsc,
        task::{Poll, Waker},
        thread,
        time::Duration,
    };

    use super::block_on;

    /// Ready at the poll of that number. At each poll before, another thread is asked to wake the task.
    fn ready_at(poll: u32, wakers: mpsc::Sender<Waker>) -> impl Future<Output = u32> {
        let mut polls = 0;
        poll_fn(move |context| {
            polls += 1;
            if polls == poll {
                return Poll::Ready(polls);
            }
            wakers.send(context.waker().clone()).unwrap();
            Poll::Pending
        })
    }

    /// A thread that wakes the tasks whose wakers it is sent.
    fn waking() -> mpsc::Sender<Waker> {
        let (sender, wakers) = mpsc::channel::<Waker>();
        thread::spawn(move || wakers.into_iter().for_each(Waker::wake));
        sender
    }

    /// What `wait` returns on a thread of its own. A wait that never ends fails.
    fn ends<T: Send + 'static>(wait: impl FnOnce() -> T + Send + 'static) -> T {
        let (sender, output) = mpsc::channel();
        thread::spawn(move || sender.send(wait()));
        output.recv_timeout(Duration::from_secs(60)).expect("the wait ends")
    }

    #[test]
    fn each_wake_is_one_more_poll() {
        let wakers = waking();
        for polls in 1..100 {
            let wakers = wakers.clone();
            assert_eq!(ends(move || block_on(ready_at(polls, wakers))), polls);
        }
    }

    #[test]
    fn a_wait_within_a_poll_takes_no_wake_of_the_outer_one() {
        let wakers = waking();
        let polls = ends(move || {
            let mut polls = 0;
            block_on(poll_fn(|context| {
                polls += 1;
                if polls == 4 {
                    return Poll::Ready(polls);
                }
                // The outer task is woken already when the inner wait parks the thread.
                context.waker().wake_by_ref();
                assert_eq!(block_on(ready_at(3, wakers.clone())), 3);
                Poll::Pending
            }))
        });
        assert_eq!(polls, 4);
    }
}
