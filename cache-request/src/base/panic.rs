//! The user's own code, where it runs for the cache and not for a call: what it panics with goes no further.

use std::{
    any::Any,
    mem::{self, needs_drop},
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Runs the user's code. `None` if it panics.
#[inline]
pub(crate) fn catch_panic<T>(code: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(code)).map_err(discard_payload).ok()
}

/// Drops what a panic carried, unless that might panic once more.
#[cold]
fn discard_payload(panic: Box<dyn Any + Send>) {
    if !panic.is::<&str>() && !panic.is::<String>() {
        mem::forget(panic);
    }
}

/// A value whose destructor may panic, and is heard of in the log alone: whoever happens to drop it has done nothing wrong.
pub(crate) struct PanicSafe<V>(Option<V>);

impl<V> PanicSafe<V> {
    #[inline]
    pub(crate) fn new(value: V) -> Self {
        Self(Some(value))
    }

    /// The value, which is there until this is dropped.
    #[inline]
    pub(crate) fn get(&self) -> Option<&V> {
        self.0.as_ref()
    }
}

impl<V> Drop for PanicSafe<V> {
    fn drop(&mut self) {
        if needs_drop::<V>() && catch_panic(|| self.0 = None).is_none() {
            tracing::error!("cache fault: a value panicked while it was dropped");
        }
    }
}
