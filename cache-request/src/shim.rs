//! What the concurrent parts stand on: the standard library, or, under `--cfg shuttle`, the model checker that runs them
//! through many schedules.

#[cfg(not(shuttle))]
mod imp {
    use std::time::Duration;

    pub(crate) use futures_lite::future::block_on;
    pub(crate) use std::sync::{Mutex, MutexGuard};

    /// Ready after `duration`, on any executor or none.
    pub(crate) async fn sleep(duration: Duration) {
        futures_timer::Delay::new(duration).await;
    }
}

#[cfg(shuttle)]
mod imp {
    use std::time::Duration;

    pub(crate) use shuttle::{
        future::block_on,
        sync::{Mutex, MutexGuard},
    };

    /// There is no time in the model: nothing ever takes too long.
    pub(crate) async fn sleep(_: Duration) {
        std::future::pending::<()>().await;
    }
}

pub(crate) use imp::*;

/// Locks, whoever panicked before: what these locks guard is never left half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
