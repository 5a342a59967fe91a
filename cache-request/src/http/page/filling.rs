//! One request to the wrapped service for a page, and what becomes of its response: does it validate what is stored; may others have
//! it; may it be stored.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use ::http::{
    HeaderMap, Request, Response, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE, DATE, SET_COOKIE},
    request, response,
};
use bytes::Bytes;
use http_body::Body;
use http_body_util::BodyExt as _;
use tokio::{runtime::Handle, sync::oneshot};
use tower_service::Service;

use super::{
    super::rules::{
        conditions::{is_about, make_conditional, update, validators},
        fields::remove_unstored,
        freshness::{Control, Freshness, date_value},
        storable::{Refusal, storable},
        vary::Vary,
    },
    ask::{Ask, Miss},
    body::{BodyError, PageBody, Spool},
    entry::Page,
    fill::{Fill, FillKey, Shared, SharedBody, Verdict},
    head::LastHead,
    status::Handling,
};
use crate::{engine::flight::Leader, stats::Count};

/// A request to the wrapped service whose response may be stored.
pub(super) struct Filling {
    ask: Ask<'static>,
    /// The fields of the client's request.
    request: HeaderMap,
    miss: Miss,
    /// What it leads, unless another request has asked before it.
    leads: Option<(FillKey, Arc<Fill>)>,
}

/// Where the answer to the client goes. It may be gone.
type Reply<E> = oneshot::Sender<Result<Response<PageBody>, E>>;

/// How a response came.
struct Arrival<'a> {
    requested: SystemTime,
    received: SystemTime,
    begun: Instant,
    /// `None` if the cache is disabled.
    leader: Option<Leader<'a>>,
}

impl Filling {
    pub(super) fn new(ask: Ask<'static>, request: HeaderMap, miss: Miss, leads: Option<(FillKey, Arc<Fill>)>) -> Self {
        Self { ask, request, miss, leads }
    }

    /// Asks the wrapped service, replies, and stores the response.
    pub(super) async fn run<S, B, R>(
        mut self,
        mut service: S,
        mut parts: request::Parts,
        body: B,
        reply: Reply<S::Error>,
    ) where
        S: Service<Request<B>, Response = Response<R>>,
        R: Body<Data = Bytes> + Send + 'static,
        R::Error: Into<BodyError>,
    {
        if self.leads.is_some() {
            // Another fill may have ended between the look-up and now.
            match self.ask.look_up(&self.request).await {
                Ok(response) => {
                    _ = reply.send(Ok(response));
                    return;
                }
                Err(miss) => self.miss = miss,
            }
        }
        let begun = Instant::now();
        let shelf = &self.ask.shelf;
        // What is invalidated from here on is not stored.
        let leader = shelf.lead(&self.ask.key);
        let stale = self.miss.stale.take().filter(|page| !validators(&page.headers).is_empty());
        make_conditional(&mut parts.headers, stale.as_ref().map(|page| &page.headers));
        let requested = shelf.now();
        let response = match service.call(Request::from_parts(parts, body)).await {
            Ok(response) => response,
            Err(error) => {
                _ = reply.send(Err(error));
                return;
            }
        };
        shelf.count(Count::Bodies);
        let arrival = Arrival { requested, received: shelf.now(), begun, leader };
        let (mut head, body) = response.into_parts();
        match stale {
            Some(page) if head.status == StatusCode::NOT_MODIFIED => {
                self.validated(&page, &mut head.headers, arrival, reply).await;
            }
            _ => self.made(head, body, arrival, reply).await,
        }
    }

    /// The stored response is valid (RFC 9111, section 4.3.4).
    async fn validated<E>(&self, page: &Page, new: &mut HeaderMap, mut arrival: Arrival<'_>, reply: Reply<E>) {
        let settings = &self.ask.settings;
        add_date(new, arrival.received);
        let mut headers = page.headers.clone();
        let is_about = is_about(new, &page.headers);
        if is_about {
            update(&mut headers, new, &Control::of(new, &settings.targets).directives);
        }
        let control = Control::of(&headers, &settings.targets);
        let renewed = || Freshness::of(&control, page.status, &headers, arrival.requested, arrival.received);
        // A 304 about another response makes this one no fresher.
        let freshness = if is_about { renewed() } else { page.freshness };
        let kept_for = settings.kept_for(&freshness, &headers, arrival.received);
        let varies_as_before = Vary::of(&headers) == Vary::of(&page.headers);
        let (status, body) = (page.status, page.body.clone());
        let page = Arc::new(Page { status, headers, body, freshness, kept_for, head: LastHead::default() });
        let forward_status = Some(StatusCode::NOT_MODIFIED);
        let mut handling = Handling { forward_status, ..Handling::forwarded(self.miss.forward) };
        match storable(&self.ask.method, &self.request, page.status, &page.headers, &control) {
            // It is found by other fields now, and must not be by those of before.
            Ok(()) if !varies_as_before => {
                self.end();
                handling.detail = Some("vary");
                settings.try_invalidate(&self.ask.shelf, &self.ask.key).await;
            }
            Ok(()) => {
                handling.stored = true;
                self.store(&mut arrival, Arc::clone(&page)).await;
                self.share(Shared {
                    request: self.request.clone(),
                    status: page.status,
                    headers: page.headers.clone(),
                    freshness,
                    body: SharedBody::Page(Arc::clone(&page)),
                });
            }
            Err(refusal) => {
                self.end();
                handling.detail = Some(refusal.detail());
                // What the response itself now forbids is not kept for others. What concerns this request only says nothing of it.
                if ![Refusal::Authorization, Refusal::RequestNoStore].contains(&refusal) {
                    settings.try_invalidate(&self.ask.shelf, &self.ask.key).await;
                }
            }
        }
        let mut response = self.ask.stored(&page, &self.request, handling);
        // They are for this client, as all that a 304 sets.
        for cookie in new.get_all(SET_COOKIE) {
            response.headers_mut().append(SET_COOKIE, cookie.clone());
        }
        _ = reply.send(Ok(response));
    }

    /// There is a new response.
    async fn made<R, E>(&self, mut head: response::Parts, body: R, mut arrival: Arrival<'_>, reply: Reply<E>)
    where
        R: Body<Data = Bytes> + Send + 'static,
        R::Error: Into<BodyError>,
    {
        let settings = &self.ask.settings;
        let sets_cookie = head.headers.contains_key(SET_COOKIE);
        if let Some(site) = &settings.site {
            site.complete(self.ask.target.path(), false, &mut head, arrival.received);
        }
        let control = Control::of(&head.headers, &settings.targets);
        let mut stored = head.headers.clone();
        remove_unstored(&mut stored, &control.directives);
        add_date(&mut stored, arrival.received);
        let freshness = Freshness::of(&control, head.status, &stored, arrival.requested, arrival.received);
        let kept_for = settings.kept_for(&freshness, &stored, arrival.received);
        let hint = body.size_hint();
        let refusal = match storable(&self.ask.method, &self.request, head.status, &head.headers, &control) {
            Err(refusal) => Some(refusal.detail()),
            Ok(()) if sets_cookie && settings.site.is_some() => Some("set-cookie"),
            Ok(()) if is_event_stream(&head.headers) => Some("event-stream"),
            // Without a runtime no task fills the body while the client reads it, so all of it must fit.
            Ok(()) if Handle::try_current().is_err() && hint.upper().is_none_or(|most| most > settings.max_body) => {
                Some("too-large")
            }
            Ok(()) if hint.lower() > settings.max_body => Some("too-large"),
            Ok(()) if kept_for.is_zero() => Some(Refusal::NotCacheable.detail()),
            Ok(()) => None,
        };
        if let Some(detail) = refusal {
            self.end();
            let handling = Handling::forwarded(self.miss.forward).because(detail);
            let response = Response::from_parts(head, PageBody::inner(body));
            _ = reply.send(Ok(self.ask.finish(response, handling)));
            return;
        }

        let spool = Spool::new(hint, settings.max_body);
        let handling = Handling { stored: true, ..Handling::forwarded(self.miss.forward) };
        let own = self.ask.arriving(&self.request, head.status, &head.headers, freshness, &spool, handling);
        self.share(Shared {
            request: self.request.clone(),
            status: head.status,
            headers: stored.clone(),
            freshness,
            body: SharedBody::Arriving(Arc::clone(&spool)),
        });
        let status = head.status;
        if let Some(mut own) = own {
            // They are for layers around this one.
            *own.extensions_mut() = head.extensions;
            _ = reply.send(Ok(own));
        }
        if let Some(body) = collect(body, &spool, &stored).await {
            let page = Page { status, headers: stored, body, freshness, kept_for, head: LastHead::default() };
            self.store(&mut arrival, Arc::new(page)).await;
        }
    }

    async fn store(&self, arrival: &mut Arrival<'_>, page: Arc<Page>) {
        let Some(leader) = &mut arrival.leader else { return };
        let most_variants = self.ask.settings.most_variants;
        self.ask
            .shelf
            .store(&self.ask.place(&self.request), leader, page, arrival.begun.elapsed(), most_variants)
            .await;
    }

    /// Lets others have the response.
    fn share(&self, shared: Shared) {
        if let Some((_, fill)) = &self.leads {
            fill.decide(Verdict::Shared(Arc::new(shared)));
        }
    }

    /// Lets the requests that still wait ask for themselves.
    fn end(&self) {
        if let Some((key, fill)) = &self.leads {
            fill.decide(Verdict::Apart);
            self.ask.settings.fills.leave(key, fill);
        }
    }
}

impl Drop for Filling {
    /// However it ends, also by a panic of the service, no request waits for it any more.
    fn drop(&mut self) {
        self.end();
    }
}

/// Adds when a response came, if it does not say when it was made (RFC 9110, section 6.6.1).
fn add_date(headers: &mut HeaderMap, received: SystemTime) {
    if !headers.contains_key(DATE)
        && let Some(date) = date_value(received)
    {
        headers.insert(DATE, date);
    }
}

/// Whether the body has no end, and is for its own client.
fn is_event_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()?.split(';').next());
    kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/event-stream"))
}

/// Passes a body on as it arrives. Returns it if it is complete, has no trailers, and is not too large.
async fn collect<R>(body: R, spool: &Spool, headers: &HeaderMap) -> Option<Bytes>
where
    R: Body<Data = Bytes>,
    R::Error: Into<BodyError>,
{
    let mut body = std::pin::pin!(body);
    while spool.has_room().await {
        match body.frame().await {
            None => {
                spool.end(Ok(()));
                let whole = spool.whole()?;
                let declared = headers.get(CONTENT_LENGTH).map(|length| length.to_str().ok()?.parse().ok());
                return declared.is_none_or(|length| length == Some(whole.len())).then_some(whole);
            }
            Some(Err(error)) => {
                spool.end(Err(error.into().to_string().into()));
                return None;
            }
            Some(Ok(frame)) => spool.push(frame),
        }
    }
    None
}
