//! Time limits for futures, on any executor or none.

#[cfg(not(shuttle))]
mod notes;

use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

use super::process::Process;

#[cfg(not(shuttle))]
pub(crate) use self::notes::{sleep, sleep_in};

/// Waits for `duration`, before what is looked at again and again.
#[cfg(not(shuttle))]
pub(crate) async fn pause(duration: Duration) {
    sleep(duration).await;
}

/// In a model, others go on meanwhile.
#[cfg(shuttle)]
pub(crate) async fn pause(_: Duration) {
    shuttle::future::yield_now().await;
}

/// A model has no time: nothing in it takes too long.
#[cfg(shuttle)]
pub(crate) async fn sleep(_: Duration) {
    std::future::pending::<()>().await;
}

#[cfg(shuttle)]
async fn sleep_in(_: Process, limit: Duration) {
    sleep(limit).await;
}

/// As [`with_limit`], for a caller that knows the process it is first polled in.
pub(crate) async fn with_limit_in<T>(process: Process, limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    before(sleep_in(process, limit), future).await
}

/// The output of `future`, or `None` if that takes longer than `limit`.
pub(crate) async fn with_limit<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    before(sleep(limit), future).await
}

/// The output of `future`, or `None` if `end` comes first.
pub(crate) async fn before<T>(end: impl Future<Output = ()>, future: impl Future<Output = T>) -> Option<T> {
    let (mut future, mut end) = (pin!(future), pin!(end));
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => end.as_mut().poll(context).map(|()| None),
    })
    .await
}
