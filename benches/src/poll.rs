//! An executor that costs next to nothing, for futures that are ready when polled.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
    thread,
};

/// Polls until `future` is ready. Yields the thread between two polls, so it is for hits, not for waiting.
#[inline]
pub fn poll_now<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::yield_now(),
        }
    }
}

/// Drives all of them at once on this thread, as an executor with one thread would.
pub fn together<F: Future>(futures: impl IntoIterator<Item = F>) {
    let mut running: Vec<_> = futures.into_iter().map(Box::pin).collect();
    futures_lite::future::block_on(std::future::poll_fn(|context| {
        running.retain_mut(|future| future.as_mut().poll(context).is_pending());
        if running.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    }));
}
