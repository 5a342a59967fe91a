//! Failures of the wrapped service, in whose place a stale page may be the answer.

use std::thread;

use ::http::{Request, Response, StatusCode};
use tower_service::Service;

use crate::base::panic::catch_unwind;

/// How the wrapped service has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    Status(StatusCode),
    /// An error that is no response.
    Disconnected,
    Panicked,
}

impl Failure {
    fn of_status(status: StatusCode) -> Option<Self> {
        let is_failure = [
            StatusCode::INTERNAL_SERVER_ERROR,
            StatusCode::BAD_GATEWAY,
            StatusCode::SERVICE_UNAVAILABLE,
            StatusCode::GATEWAY_TIMEOUT,
        ];
        is_failure.contains(&status).then_some(Self::Status(status))
    }

    /// How a call of the service has failed, if it has.
    pub(super) fn of<R, E>(called: &Called<R, E>) -> Option<Self> {
        match called {
            Ok(Ok(response)) => Self::of_status(response.status()),
            Ok(Err(_)) => Some(Self::Disconnected),
            Err(_) => Some(Self::Panicked),
        }
    }
}

/// What came of a call of the wrapped service.
pub(super) type Called<R, E> = thread::Result<Result<Response<R>, E>>;

/// Calls the wrapped service. Its panic is caught if a stale page may stand in for it.
pub(super) async fn call<S, B, R>(service: &mut S, request: Request<B>, has_stale: bool) -> Called<R, S::Error>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    let called = async { service.call(request).await };
    if has_stale { catch_unwind(called).await } else { Ok(called.await) }
}
