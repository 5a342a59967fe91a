//! Catches panics of user code that the cache runs for itself: clones, conditions, destructors, wakers.

use std::{
    any::Any,
    future::poll_fn,
    mem::{self, needs_drop},
    panic::{self, AssertUnwindSafe},
    pin::pin,
    task::Poll,
    thread,
};

/// Runs user code. Returns `None` if it panics.
#[inline]
pub(crate) fn catch_panic<T>(code: impl FnOnce() -> T) -> Option<T> {
    panic::catch_unwind(AssertUnwindSafe(code)).map_err(discard_payload).ok()
}

/// Polls `future` until it is ready or panics. After a panic it is dropped.
pub(crate) async fn catch_unwind<F: Future>(future: F) -> thread::Result<F::Output> {
    let mut future = pin!(Some(future));
    poll_fn(|context| {
        let polled = future.as_mut().as_pin_mut().expect("polled after it has returned");
        match panic::catch_unwind(AssertUnwindSafe(|| polled.poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(panic) => {
                future.set(None);
                Poll::Ready(Err(panic))
            }
        }
    })
    .await
}

/// Drops a panic's payload, unless dropping it might panic again.
#[cold]
fn discard_payload(panic: Box<dyn Any + Send>) {
    if !panic.is::<&str>() && !panic.is::<String>() {
        mem::forget(panic);
    }
}

/// A value whose destructor may panic. The panic is logged and goes no further, as the thread that drops the value did
/// nothing wrong.
pub(crate) struct PanicSafe<V>(Option<V>);

impl<V> PanicSafe<V> {
    #[inline]
    pub(crate) fn new(value: V) -> Self {
        Self(Some(value))
    }

    /// The value, for code that drops it itself.
    pub(crate) fn take(mut self) -> Option<V> {
        self.0.take()
    }

    /// The value. It is there until this is dropped.
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
