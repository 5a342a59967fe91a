//! Stale pages that are replaced in the background (RFC 5861, section 3).

use ::http::{Method, Request, Response, request::Parts};
use bytes::Bytes;
use http_body::Body;
use tower_service::Service;

use super::{
    super::rules::directives::Directives,
    ask::{Ask, Miss, Reusable},
    body::BodyError,
    fill::{FillKey, Inside, Join},
    filling::Filling,
    shelf::Stored,
    status::Forward,
};
use crate::stats::Count;

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
        // What is made for a client that wants nothing of it stored is no page for others (RFC 9111, section 5.2.1.5).
        let is_refused = self.directives.no_store || self.directives.is_malformed;
        if is_refused || !found.is_replaced || !self.shelf.takes_replacement(&self.place(&parts.headers), &found.stored)
        {
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
    parts.extensions.insert(Inside(fill_key.clone()));
    let miss = Miss { forward: Forward::Stale, stale: Some(stale) };
    Filling::new(ask, parts.headers.clone(), miss, Some((fill_key, fill))).run(service, parts, body, None).await;
}
