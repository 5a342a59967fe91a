//! Cancellation: tells the thread that works for a call that the call's future was dropped.
//!
//! A future that is dropped cannot stop the thread that works for it. Without a sign to that thread, this could happen: a `set`
//! is dropped midway, a later `delete` of the same key finds no file and returns, and then the thread of the `set` puts the
//! deleted answer in place.
//!
//! The thread therefore checks its [`CancelToken`] while it holds the lock of the key's sub-directory. If the call is not
//! cancelled by then, a `delete` that begins after the drop waits for the lock, and removes the answer. If it is cancelled, the
//! thread changes nothing.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Held by the future of a call. Dropping it cancels the call.
#[derive(Default)]
pub(super) struct CancelOnDrop {
    cancelled: Arc<AtomicBool>,
}

/// Held by the thread that works for the call.
pub(super) struct CancelToken {
    cancelled: Arc<AtomicBool>,
}

impl CancelOnDrop {
    pub(super) fn token(&self) -> CancelToken {
        CancelToken { cancelled: Arc::clone(&self.cancelled) }
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.cancelled.store(true, Ordering::Release);
    }
}

impl CancelToken {
    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }
}
