//! Whether the running thread may use a cache. A thread that ends loses the thread-locals that a cache needs, and destructors
//! of other thread-locals may still call annotated functions after that.

use std::cell::Cell;

use super::sync::thread_local;

thread_local! {
    /// Whether a look-up may go straight to its settled target: the thread is alive, and no cache stands in for the installed one.
    static FAST_PATH: Cell<bool> = const { Cell::new(false) };
}

/// Whether look-ups may go straight to their settled targets.
#[inline]
pub(super) fn fast_path() -> bool {
    FAST_PATH.with(Cell::get)
}

/// Opens the fast path if `wanted` and the thread is alive. Returns whether it is alive.
pub(super) fn set_fast_path(wanted: bool) -> bool {
    let alive = is_alive();
    FAST_PATH.with(|cell| cell.set(alive && wanted));
    alive
}

#[cfg(not(shuttle))]
fn is_alive() -> bool {
    use std::thread_local;

    thread_local! {
        static ALIVE: Cell<Option<bool>> = const { Cell::new(None) };
        static END: End = End::after_what_caches_need();
    }

    struct End;

    impl End {
        /// Thread-locals are destroyed in the reverse order of their creation, so this one is destroyed first.
        fn after_what_caches_need() -> Self {
            drop(seize::Collector::new().enter());
            Self
        }
    }

    impl Drop for End {
        fn drop(&mut self) {
            ALIVE.set(Some(false));
            FAST_PATH.with(|cell| cell.set(false));
        }
    }

    ALIVE.get().unwrap_or_else(|| {
        let alive = END.try_with(|_| ()).is_ok();
        ALIVE.set(Some(alive));
        alive
    })
}

/// A model's threads are not the machine's: they always have their thread-locals.
#[cfg(shuttle)]
fn is_alive() -> bool {
    true
}
