//! Drives a future on the calling thread: how plain functions use the asynchronous parts.

pub(crate) use self::imp::*;

#[cfg(not(shuttle))]
mod imp {
    use std::{
        cell::Cell,
        pin::pin,
        task::{Context, Poll, Waker},
    };

    /// Drives `future` on this thread until it is ready.
    ///
    /// Most futures are ready at the first poll, which needs no waker. A parker is made only for the others, so that nested
    /// bodies do not each make one.
    pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
        let _blocking = Blocking { outer: BLOCKING.replace(true) };
        // The thread may run a tokio task, whose cooperative budget would end here and never be renewed.
        #[cfg(feature = "_connections")]
        let future = tokio::task::coop::unconstrained(future);
        let mut future = pin!(future);
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => output,
            Poll::Pending => futures_lite::future::block_on(future),
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
