//! What the concurrent parts stand on: the standard library, or, under `--cfg shuttle`, the model checker that runs them
//! through many schedules.

#[cfg(not(shuttle))]
mod imp {
    use std::{
        cell::Cell,
        pin::pin,
        task::{Context, Poll, Waker},
        time::{Duration, Instant},
    };

    pub(crate) use once_cell::sync::Lazy;
    pub(crate) use std::{
        sync::{Mutex, MutexGuard},
        thread_local,
    };

    /// Drives `future` on this thread. Most are ready at once and need nobody to wake them: a body within a body would
    /// else take a parker of its own.
    pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
        let _blocking = Blocking { outer: BLOCKING.replace(true) };
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
    #[cfg(feature = "redis")]
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

    /// Ready after `duration`, on any executor or none.
    pub(crate) async fn sleep(duration: Duration) {
        // The timer counts from now, and has no notion of an end that no clock shows.
        match Instant::now().checked_add(duration) {
            Some(_) => futures_timer::Delay::new(duration).await,
            None => std::future::pending().await,
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

pub(crate) use imp::*;

/// Locks, whoever panicked before: what these locks guard is never left half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
