//! How many bodies ran, which tells the hits from the misses of whatever remembers.

use std::{
    cell::Cell,
    sync::atomic::{AtomicUsize, Ordering},
};

thread_local! {
    static HERE: Cell<u64> = const { Cell::new(0) };
}

static EVERYWHERE: AtomicUsize = AtomicUsize::new(0);

/// Counts a body of this thread; costs nothing that threads share.
#[inline]
pub fn ran_here() {
    HERE.set(HERE.get() + 1);
}

/// The bodies of this thread since the last time of asking.
#[must_use]
pub fn take_here() -> u64 {
    HERE.replace(0)
}

/// Counts a body of any thread.
pub fn ran() {
    EVERYWHERE.fetch_add(1, Ordering::SeqCst);
}

/// The bodies of all threads since the last time of asking.
pub fn take() -> usize {
    EVERYWHERE.swap(0, Ordering::SeqCst)
}
