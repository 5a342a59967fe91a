//! Locks and statics: of the standard library, or of the model checker under `--cfg shuttle`, which runs the concurrent
//! parts through many schedules.

use std::sync::{LockResult, PoisonError};

pub(crate) use self::imp::*;

#[cfg(not(shuttle))]
mod imp {
    pub(crate) use std::{
        sync::{Mutex, MutexGuard},
        thread_local,
    };

    pub(crate) use once_cell::sync::Lazy;

    /// A point at which the model checker may run another thread. Does nothing outside a model.
    #[inline]
    pub(crate) fn interleave() {}
}

#[cfg(shuttle)]
mod imp {
    pub(crate) use shuttle::{
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

    /// A point at which another thread may run, before a step that the model checker does not see, such as one of a
    /// concurrent map. Never call it while a guard of such a map is held: the other thread might wait for that guard for ever.
    pub(crate) fn interleave() {
        use shuttle::sync::atomic::{AtomicBool, Ordering};
        AtomicBool::new(false).load(Ordering::SeqCst);
    }
}

/// Locks `mutex`, poisoned or not: see [`unpoisoned`].
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    unpoisoned(mutex.lock())
}

/// The guard, even if a thread panicked while it held the lock. This crate's locks never guard half-changed data.
pub(crate) fn unpoisoned<Guard>(locked: LockResult<Guard>) -> Guard {
    #[cfg(all(test, not(shuttle)))]
    TAKEN.with(|taken| taken.set(taken.get() + 1));
    locked.unwrap_or_else(PoisonError::into_inner)
}

#[cfg(all(test, not(shuttle)))]
std::thread_local! {
    static TAKEN: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// How many locks `code` takes on this thread, other than those of concurrent maps.
#[cfg(all(test, not(shuttle)))]
pub(crate) fn locks_taken(code: impl FnOnce()) -> usize {
    let before = TAKEN.get();
    code();
    TAKEN.get() - before
}
