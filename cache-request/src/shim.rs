//! What the concurrent parts stand on: the standard library, or, under `--cfg shuttle`, the model checker that runs them
//! through many schedules.

#[cfg(not(shuttle))]
mod imp {
    use std::{
        cell::Cell,
        pin::pin,
        task::{Context, Poll, Waker},
    };

    pub(crate) use once_cell::sync::Lazy;
    pub(crate) use std::{
        sync::{Mutex, MutexGuard},
        thread_local,
    };

    pub(crate) use crate::timer::sleep;

    /// Drives `future` on this thread. Most are ready at once and need nobody to wake them: a body within a body would
    /// else take a parker of its own.
    pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
        let _blocking = Blocking { outer: BLOCKING.replace(true) };
        // This thread may be in a task of tokio's, which lets one poll of it only do so much, and cannot be given way to here.
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

    /// Whether this thread does nothing else until a future of ours is ready, so that nothing it needs may be driven here.
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

    thread_local! {
        static LIVES: Cell<Option<bool>> = const { Cell::new(None) };
        static END: End = End::after_what_caches_need();
    }

    /// Whether the running thread still has the thread-locals that a cache needs. It loses them when it ends; the destructors
    /// of others come before and after that.
    pub(crate) fn thread_lives() -> bool {
        LIVES.get().unwrap_or_else(|| {
            let lives = END.try_with(|_| ()).is_ok();
            LIVES.set(Some(lives));
            lives
        })
    }

    struct End;

    impl End {
        /// Thread-locals are destroyed in the reverse of the order in which they were made, so this one goes first.
        fn after_what_caches_need() -> Self {
            drop(seize::Collector::new().enter());
            Self
        }
    }

    impl Drop for End {
        fn drop(&mut self) {
            LIVES.set(Some(false));
            crate::scope::end();
        }
    }

    /// A point at which another thread may come between: the machine needs no telling.
    #[inline]
    pub(crate) fn interleave() {}
}

#[cfg(shuttle)]
mod imp {
    use std::time::Duration;

    pub(crate) use shuttle::{
        future::block_on,
        sync::{Mutex, MutexGuard},
        thread_local,
    };

    /// A static that is made anew for each schedule.
    pub(crate) struct Lazy<T: Sync + 'static>(shuttle::lazy_static::Lazy<T>);

    impl<T: Sync + 'static> Lazy<T> {
        pub(crate) const fn new(init: fn() -> T) -> Self {
            Self(shuttle::lazy_static::Lazy::new(init))
        }

        pub(crate) fn force(this: &'static Self) -> &'static T {
            this.0.get()
        }
    }

    /// What runs in the model is no thread of the machine's.
    pub(crate) fn thread_lives() -> bool {
        true
    }

    /// There is no time in the model: nothing ever takes too long.
    pub(crate) async fn sleep(_: Duration) {
        std::future::pending::<()>().await;
    }

    /// A point at which another thread may come between, before a step that the model does not see, such as one of a
    /// concurrent map. Never while a guard of such a map is held: whoever came between might wait for it for ever.
    pub(crate) fn interleave() {
        use shuttle::sync::atomic::{AtomicBool, Ordering};
        AtomicBool::new(false).load(Ordering::SeqCst);
    }
}

use std::{
    future::poll_fn,
    pin::pin,
    sync::{LockResult, PoisonError},
    task::Poll,
    time::Duration,
};

pub(crate) use imp::*;

/// What `future` returns, or `None` if that takes longer than `limit`.
pub(crate) async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    let (mut future, mut sleep) = (pin!(future), pin!(sleep(limit)));
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => sleep.as_mut().poll(context).map(|()| None),
    })
    .await
}

/// Locks, see [`unpoisoned`].
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    unpoisoned(mutex.lock())
}

/// The guard, whoever panicked before: what this crate's locks guard is never left half changed.
pub(crate) fn unpoisoned<Guard>(locked: LockResult<Guard>) -> Guard {
    locked.unwrap_or_else(PoisonError::into_inner)
}
