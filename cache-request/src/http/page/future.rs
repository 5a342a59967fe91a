//! The future of a [`CachedPages`](super::CachedPages).

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use ::http::Response;

use super::body::PageBody;

/// The answer of a [`CachedPages`](super::CachedPages). It is ready at once if memory has the page.
#[must_use = "futures do nothing unless polled"]
pub struct PageFuture<E>(State<E>);

enum State<E> {
    Now(Option<Response<PageBody>>),
    Later(Pin<Box<dyn Future<Output = Result<Response<PageBody>, E>> + Send>>),
}

impl<E> PageFuture<E> {
    pub(super) fn now(response: Response<PageBody>) -> Self {
        Self(State::Now(Some(response)))
    }

    pub(super) fn later(future: impl Future<Output = Result<Response<PageBody>, E>> + Send + 'static) -> Self {
        Self(State::Later(Box::pin(future)))
    }
}

impl<E> Future for PageFuture<E> {
    type Output = Result<Response<PageBody>, E>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Now(response) => Poll::Ready(Ok(response.take().expect("polled after it has returned"))),
            State::Later(future) => future.as_mut().poll(context),
        }
    }
}

impl<E> fmt::Debug for PageFuture<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageFuture").finish_non_exhaustive()
    }
}
