//! Answers of handlers: what of a response is cached.

use super::site::Site;
use crate::engine::{description::Instance, policy::Policy, value::ValueOf};
#[cfg(feature = "axum")]
use crate::{engine::value::Value, stats::Count};

/// An answer that becomes an HTTP response.
#[diagnostic::on_unimplemented(
    message = "`status` needs a function that returns a response, and this one returns `{Self}`",
    label = "not known to be a response",
    note = "remove `status`, or return `Response`, `impl IntoResponse` or `(StatusCode, …)`",
    note = "responses of axum need the feature `axum` of cache-request"
)]
pub trait Answer: Sized {
    /// What is cached of it.
    type Value: ValueOf<Self>;

    /// Whether a value may be cached, if responses with one of these status codes may. Without any, those below 400 may.
    fn may_be_kept(value: &Self::Value, statuses: &'static [u16]) -> bool;

    /// Whether a value may answer other calls with its key, which has these header fields of the request. Not if its own header fields say
    /// that it is for its own client, or that it varies by others.
    fn may_be_shared(value: &Self::Value, fields: &'static [&'static str]) -> bool;

    /// Whether it says that the handler has failed: with a status of 500 or more.
    fn has_failed(answer: &Self) -> bool;

    /// Runs `body`, and reads the response's own body to its end if it is to be cached.
    fn complete(body: impl Future<Output = Self>, _call: Completing) -> impl Future<Output = Self> {
        body
    }
}

/// Only the `Ok` of a `Result` is cached.
impl<A: Answer, E> Answer for Result<A, E>
where
    A::Value: ValueOf<Self>,
{
    type Value = A::Value;

    fn may_be_kept(value: &A::Value, statuses: &'static [u16]) -> bool {
        A::may_be_kept(value, statuses)
    }

    fn may_be_shared(value: &A::Value, fields: &'static [&'static str]) -> bool {
        A::may_be_shared(value, fields)
    }

    fn has_failed(answer: &Self) -> bool {
        answer.as_ref().is_ok_and(A::has_failed)
    }

    async fn complete(body: impl Future<Output = Self>, call: Completing) -> Self {
        match body.await {
            Ok(answer) => Ok(A::complete(std::future::ready(answer), call).await),
            Err(error) => Err(error),
        }
    }
}

/// An answer of which only its body knows the type: `impl IntoResponse`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be cached as a response",
    label = "no response of axum",
    note = "responses of axum need the feature `axum` of cache-request"
)]
pub trait IntoAnswer {
    /// Makes the response.
    fn into_answer(self) -> Response;
}

/// The response that is cached where a function returns `impl IntoResponse`.
#[cfg(feature = "axum")]
pub type Response = ::axum::response::Response;

/// The same without the feature: there is none.
#[cfg(not(feature = "axum"))]
#[derive(Debug, Clone)]
pub enum Response {}

/// Runs the body of a function that returns `impl IntoResponse`.
pub async fn respond<R: IntoAnswer>(body: impl Future<Output = R>) -> Response {
    body.await.into_answer()
}

/// Runs the body of a function that returns a `Result` of `impl IntoResponse`.
pub async fn respond_if_ok<R: IntoAnswer, E>(body: impl Future<Output = Result<R, E>>) -> Result<Response, E> {
    body.await.map(R::into_answer)
}

/// The call whose answer is read to its end.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(feature = "axum"), expect(dead_code, reason = "only responses of axum are read to their end"))]
pub struct Completing {
    site: &'static Site,
    instance: Instance,
}

impl Completing {
    /// A call of the function at `site`.
    #[must_use]
    pub const fn of(site: &'static Site, instance: Instance) -> Self {
        Self { site, instance }
    }

    /// The largest value that its cache takes, in bytes. `None` if it has no cache.
    #[cfg(feature = "axum")]
    pub(crate) fn max_value_bytes<V: Value>(self) -> Option<usize> {
        Some(self.site.target::<V>(self.instance)?.cache.engine().envelope.max_value_bytes)
    }

    /// Counts a response that passes through.
    #[cfg(feature = "axum")]
    pub(crate) fn count_uncached<V: Value>(self) {
        let target = self.site.target::<V>(self.instance);
        if let Some(function) = target.as_ref().and_then(|target| target.function::<V>()) {
            function.counters.increment(Count::Uncached);
        }
    }
}

impl<R, V> Policy<R, V> {
    /// `status(…)`.
    #[must_use]
    pub const fn status(self, statuses: &'static [u16]) -> Self
    where
        R: Answer<Value = V>,
    {
        self.of_statuses(statuses)
    }
}
