//! Stale pages as answers (RFC 5861): while they are replaced in the background, and in place of errors of the wrapped service.

use std::{thread, time::Duration};

use ::http::{
    HeaderMap, Method, Request, Response, StatusCode,
    header::{IF_RANGE, RANGE},
    request::Parts,
};
use bytes::Bytes;
use http_body::Body;
use tower_service::Service;

use super::{
    super::rules::{conditions::is_for_origin, directives::Directives},
    ask::{Ask, Miss, Reusable},
    body::{BodyError, PageBody},
    fill::{FillKey, Inside, Join},
    filling::Filling,
    shelf::{Place, Stored},
    status::{Forward, Handling},
};
use crate::{base::panic::catch_unwind, stats::Count};

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

impl Ask<'_> {
    /// Whether a stored response may stand in for one that the service fails to give.
    fn may_stand_in(&self, stored: &Stored, failure: Failure) -> bool {
        let window = match failure {
            Failure::Disconnected => self.settings.stale_if_disconnected,
            Failure::Status(_) | Failure::Panicked => Duration::ZERO,
        };
        let page = &stored.page;
        !page.status.is_server_error() && page.freshness.may_stand_in(&self.directives, window, self.shelf.now())
    }

    /// Whether a stored response stands in for one that the service has failed to give lately.
    pub(super) fn is_stood_in_for(&self, stored: &Stored, place: &Place<'_>) -> bool {
        !self.is_inside
            && self.shelf.has_failed_lately(place, stored)
            && self.may_stand_in(stored, Failure::Disconnected)
    }

    /// The answer from a stale response, if it may stand in for one that the service has failed to give.
    pub(super) fn stand_in(&self, stale: &Stored, request: &HeaderMap, failure: Failure) -> Option<Response<PageBody>> {
        if self.is_inside || is_for_origin(request) || !self.may_stand_in(stale, failure) {
            return None;
        }
        self.shelf.has_failed(&self.place(request), stale);
        let forward_status = if let Failure::Status(status) = failure { Some(status) } else { None };
        let handling = Handling { forward_status, stands_in: true, ..Handling::forwarded(Forward::Stale) };
        Some(self.stored(&stale.page, request, handling.because("stale-if-error")))
    }

    /// Notes that a stale response could not be replaced in the background.
    pub(super) fn could_not_replace(&self, stale: &Stored, request: &HeaderMap) {
        self.shelf.has_failed(&self.place(request), stale);
        self.shelf.count(Count::RefreshesFailed);
        tracing::debug!(target = %self.target, "a page could not be replaced: the service has failed");
    }
}

impl Ask<'static> {
    /// Has a stale response replaced in the background, if it is for this request to do that.
    pub(super) fn replace<S, B, R>(self, found: Reusable, service: impl FnOnce() -> S, parts: Parts, body: B)
    where
        S: Service<Request<B>, Response = Response<R>> + Send + 'static,
        S::Future: Send,
        S::Error: Send,
        B: Send + 'static,
        R: Body<Data = Bytes> + Send + 'static,
        R::Error: Into<BodyError>,
    {
        if !found.is_replaced || !self.shelf.takes_replacement(&self.place(&parts.headers), &found.stored) {
            return;
        }
        let shelf = self.shelf.clone();
        // It is for all clients, whatever this one wants of the page.
        let ask = Ask { method: Method::GET, directives: Directives::default(), ..self };
        if !shelf.engine().background.spawn(replacement(ask, found.stored, service(), parts, body)) {
            shelf.count(Count::RefreshesRefused);
        }
    }
}

/// Asks the wrapped service for a response in place of a stale one, unless that is under way. No request waits for it in particular.
async fn replacement<S, B, R>(ask: Ask<'static>, stale: Stored, service: S, mut parts: Parts, body: B)
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BodyError>,
{
    let fill_key = FillKey::of(ask.shelf.engine(), &ask.key);
    let Join::Leader(fill) = ask.settings.fills.join(fill_key.clone(), ask.shelf.engine().wait_limit) else { return };
    parts.method = Method::GET;
    for name in [RANGE, IF_RANGE] {
        parts.headers.remove(name);
    }
    parts.extensions.insert(Inside(fill_key.clone()));
    let miss = Miss { forward: Forward::Stale, stale: Some(stale) };
    Filling::new(ask, parts.headers.clone(), miss, Some((fill_key, fill))).run(service, parts, body, None).await;
}
