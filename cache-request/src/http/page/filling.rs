//! One request to the wrapped service for a page, and what becomes of its response: does it validate what is stored; may others have
//! it; may it be stored.

use std::{
    future::{pending, poll_fn},
    panic::resume_unwind,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use ::http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE, ETAG, SET_COOKIE},
    request, response,
};
use bytes::Bytes;
use http_body::Body;
use http_body_util::BodyExt as _;
use tokio::{runtime::Handle, sync::oneshot};
use tower_service::Service;

use super::{
    super::client::OfClient,
    super::rules::{
        conditions::{Condition, evaluate, is_about, make_conditional, validators},
        fields::remove_unstored,
        freshness::Control,
        storable::{Refusal, storable},
    },
    ask::{Ask, Miss},
    body::{BodyError, PageBody, Spool},
    entry::Page,
    exchange::{Exchange, add_date},
    failure::call,
    fill::{Fill, FillKey, Shared, SharedBody, Verdict},
    head::LastHead,
    respond::not_modified,
    shelf::Stored,
    status::{Forward, Handling},
};
use crate::{
    base::{
        panic::PanicSafe,
        timer::{before, with_limit},
    },
    engine::this_call::Said,
    stats::Count,
};

/// A request to the wrapped service whose response may be stored.
pub(super) struct Filling {
    ask: Ask<'static>,
    /// The fields of the client's request.
    request: HeaderMap,
    miss: Miss,
    /// What it leads, unless another request has asked before it.
    leads: Option<(FillKey, Arc<Fill>)>,
    /// What notes the tags of the response.
    pub(super) said: Option<Arc<Said>>,
}

/// Why a page is not stored that is larger than the layer allows.
const TOO_LARGE: &str = "too-large";

/// Where the answer to the client goes. It may be gone.
type Reply<E> = oneshot::Sender<Result<Response<PageBody>, E>>;

impl Filling {
    pub(super) fn new(ask: Ask<'static>, request: HeaderMap, miss: Miss, leads: Option<(FillKey, Arc<Fill>)>) -> Self {
        let said = ask.begin_tags();
        Self { ask, request, miss, leads, said }
    }

    /// Asks the wrapped service, replies if a client waits, and stores the response. Without one, it replaces a stale response.
    pub(super) async fn run<S, B, R>(
        mut self,
        mut service: S,
        mut parts: request::Parts,
        body: B,
        reply: Option<Reply<S::Error>>,
    ) where
        S: Service<Request<B>, Response = Response<R>>,
        R: Body<Data = Bytes> + Send + 'static,
        R::Error: Into<BodyError>,
    {
        if self.leads.is_some() {
            // Another fill may have ended between the look-up and now.
            match self.ask.find(&self.request).await {
                Ok(found) if reply.is_none() && found.is_replaced => self.miss.stale = Some(found.stored),
                Ok(found) => {
                    self.inherit(&found.stored);
                    self.decide(Verdict::Stored);
                    respond(reply, || Ok(self.ask.answer(&found, &self.request)));
                    return;
                }
                Err(miss) => self.miss = miss,
            }
        }
        let mut exchange = Exchange::begin(&self.ask, &self.request, self.said.clone()).await;
        if reply.is_none() {
            if exchange.is_made_in_another_process() {
                return;
            }
            self.ask.shelf.count(Count::Refreshes);
        }
        let stale = self.miss.stale.as_ref();
        let validators = stale.map(|stale| validators(&stale.page.received_headers())).unwrap_or_default();
        let is_conditional = !validators.is_empty();
        make_conditional(&mut parts.headers, validators);
        let called = exchange.around(call(&mut service, Request::from_parts(parts, body), stale.is_some())).await;
        exchange.received();
        if matches!(called, Ok(Ok(_))) {
            self.ask.shelf.count(Count::Bodies);
        }
        let reply = match (self.ask.failure_of(&called).zip(stale), reply) {
            (Some((failure, stale)), None) => {
                self.ask.could_not_replace(stale, &self.request);
                self.decide(Verdict::Failed(failure));
                drop(PanicSafe::new(called));
                return;
            }
            (Some((failure, stale)), Some(reply)) => match self.ask.stand_in(stale, &self.request, failure) {
                Some(answer) => {
                    self.inherit(stale);
                    self.decide(Verdict::Failed(failure));
                    _ = reply.send(Ok(answer));
                    drop(PanicSafe::new(called));
                    return;
                }
                None => Some(reply),
            },
            (None, reply) => reply,
        };
        let (mut head, body) = match called {
            Ok(Ok(response)) => response.into_parts(),
            Ok(Err(error)) => {
                respond(reply, || Err(error));
                return;
            }
            Err(panic) => resume_unwind(panic),
        };
        match stale {
            Some(stale) if is_conditional && head.status == StatusCode::NOT_MODIFIED => {
                self.validated(stale, &mut head.headers, exchange, reply).await;
            }
            _ => self.made(head, body, exchange, reply).await,
        }
    }

    /// The stored response is valid (RFC 9111, section 4.3.4).
    async fn validated<E>(
        &self,
        stale: &Stored,
        new: &mut HeaderMap,
        mut exchange: Exchange<'_>,
        reply: Option<Reply<E>>,
    ) {
        add_date(new, exchange.received);
        // A 304 about another response makes this one no fresher.
        let old = &stale.page;
        let is_about = is_about(new, &old.headers);
        let page = Arc::new(if is_about { exchange.renewed(old, new) } else { exchange.unchanged(old) });
        let forward_status = Some(StatusCode::NOT_MODIFIED);
        let mut handling = Handling { forward_status, ..Handling::forwarded(self.miss.forward) };
        match exchange.replace(stale, &page).await {
            Ok(()) => {
                handling.stored = true;
                self.share(Shared {
                    request: self.request.clone(),
                    status: page.status,
                    headers: page.headers.clone(),
                    freshness: page.freshness,
                    body: SharedBody::Page(Arc::clone(&page)),
                    last_purge: exchange.last_purge,
                    tags: exchange.tags(),
                    fence: exchange.fence_check(),
                });
            }
            Err(detail) => {
                self.end();
                handling.detail = Some(detail);
            }
        }
        respond(reply, || {
            let mut response = self.ask.stored(&page, &self.request, handling);
            if let Some(site) = self.ask.settings.site().filter(|_| new.contains_key(SET_COOKIE)) {
                site.make_private(response.headers_mut());
            }
            // They are for this client, as all that a 304 sets.
            for cookie in new.get_all(SET_COOKIE) {
                response.headers_mut().append(SET_COOKIE, cookie.clone());
            }
            Ok(response)
        });
    }

    /// There is a new response.
    async fn made<R, E>(&self, mut head: response::Parts, body: R, mut exchange: Exchange<'_>, reply: Option<Reply<E>>)
    where
        R: Body<Data = Bytes> + Send + 'static,
        R::Error: Into<BodyError>,
    {
        exchange.take_tags(&head.headers);
        let settings = &self.ask.settings;
        let sets_cookie = head.headers.contains_key(SET_COOKIE);
        if let Some(site) = settings.site() {
            site.complete(self.ask.target.path(), false, &mut head, exchange.received);
        }
        let control = Control::of(&head.headers, &settings.targets);
        let mut stored = head.headers.clone();
        remove_unstored(&mut stored, &control.directives);
        add_date(&mut stored, exchange.received);
        let freshness = settings.freshness(&control, head.status, &stored, exchange.times());
        let kept_for = settings.kept_for(&freshness, &stored, exchange.received);
        let (received, hint) = (exchange.received, body.size_hint());
        let allowed =
            storable(&self.ask.method, &self.request, &self.ask.directives, head.status, &head.headers, &control);
        let refusal = match allowed {
            Err(refusal) => Some(refusal.detail()),
            Ok(()) if sets_cookie && settings.site().is_some() => Some("set-cookie"),
            Ok(()) if is_event_stream(&head.headers) => Some("event-stream"),
            Ok(()) if head.extensions.get::<OfClient>().is_some() => Some("client"),
            // Without a runtime no task fills the body while the client reads it, so all of it must fit.
            Ok(()) if Handle::try_current().is_err() && hint.upper().is_none_or(|most| most > settings.max_body) => {
                Some(TOO_LARGE)
            }
            Ok(()) if hint.lower() > settings.max_body => Some(TOO_LARGE),
            Ok(()) if kept_for.is_zero() => Some(Refusal::NotCacheable.detail()),
            Ok(()) => None,
        };
        if let Some(detail) = refusal {
            self.end();
            let ends_older = !head.status.is_server_error() && !allowed.is_err_and(Refusal::is_of_request);
            respond(reply, || {
                let handling = Handling::forwarded(self.miss.forward).because(detail);
                // The service was asked without the client's condition, as its response might have been stored.
                let condition = evaluate(&self.request, head.status, &head.headers, exchange.received);
                let response = if condition == Condition::NotModified {
                    not_modified(head.headers)
                } else {
                    Response::from_parts(head, PageBody::inner(body))
                };
                Ok(self.ask.finish(response, handling))
            });
            if detail == TOO_LARGE {
                self.remove_older(&exchange).await;
            } else if ends_older && self.miss.forward == Forward::Stale {
                // The older one is no answer any more, while it is validated or in place of an error.
                exchange.remove().await;
            }
            return;
        }

        let gets_etag = settings.generates_etags && head.status == StatusCode::OK && !stored.contains_key(ETAG);
        let spool = Spool::new(hint, settings.max_body);
        let reader = PageBody::reader(&spool);
        let declared = stored.get(CONTENT_LENGTH).cloned();
        let useful = || kept_for.saturating_sub(self.ask.shelf.now().duration_since(received).unwrap_or_default());
        let mut body = pin!(collect(body, &spool, declared.as_ref(), useful));
        // A body that is there already can be sent with its tag, without letting the client wait.
        let arrived = if gets_etag { exchange.around(now_or_never(body.as_mut())).await } else { None };
        let tag = arrived.as_ref().and_then(|body| body.as_deref()).map(|body| generated_tag(&stored, body));
        if let Some(tag) = &tag {
            head.headers.insert(ETAG, tag.clone());
        }
        let mut shared = stored.clone();
        shared.extend(tag.clone().map(|tag| (ETAG, tag)));
        self.share(Shared {
            request: self.request.clone(),
            status: head.status,
            headers: shared,
            freshness,
            body: SharedBody::Arriving(Arc::clone(&spool)),
            last_purge: exchange.last_purge,
            tags: exchange.tags(),
            fence: exchange.fence_check(),
        });
        let status = head.status;
        if let Some((reply, reader)) = reply.zip(reader) {
            let handling = Handling { stored: true, ..Handling::forwarded(self.miss.forward) };
            let mut own = self.ask.arriving(&self.request, status, &head.headers, freshness, reader, handling);
            // They are for layers around this one.
            *own.extensions_mut() = head.extensions;
            _ = reply.send(Ok(own));
        }
        let body = match arrived {
            Some(body) => body,
            None => exchange.around(body).await,
        };
        if let Some(body) = body {
            let tag = gets_etag.then(|| tag.unwrap_or_else(|| generated_tag(&stored, &body)));
            let head = LastHead::default();
            let (headers, has_generated_etag, last_purge) = (stored, false, exchange.last_purge);
            let page = Page { status, headers, body, freshness, kept_for, has_generated_etag, last_purge, head };
            let page = tag.into_iter().fold(page, Page::with_etag);
            exchange.store(Arc::new(page)).await;
        } else if spool.has_overflown() {
            self.remove_older(&exchange).await;
        }
    }

    /// Removes an older page, if there is one, as the newer one is too large to take its place.
    async fn remove_older(&self, exchange: &Exchange<'_>) {
        if self.miss.forward != Forward::UriMiss {
            exchange.remove().await;
        }
    }

    /// The answer is a stored page, and has its tags.
    fn inherit(&self, stored: &Stored) {
        if let Some(said) = &self.said {
            self.ask.shelf.inherit(said, stored);
        }
    }

    /// Lets others have the response.
    fn share(&self, shared: Shared) {
        self.decide(Verdict::Shared(Arc::new(shared)));
    }

    fn decide(&self, verdict: Verdict) {
        if let Some((_, fill)) = &self.leads {
            fill.decide(verdict);
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

/// Makes the answer for the client, if one waits for it.
fn respond<E>(reply: Option<Reply<E>>, answer: impl FnOnce() -> Result<Response<PageBody>, E>) {
    if let Some(reply) = reply {
        _ = reply.send(answer());
    }
}

/// The output of a future, if it is ready at its first poll.
async fn now_or_never<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// A tag of a body and of what its bytes mean. It is weak, as a layer around this one may compress the body and leave the tag (RFC 9110,
/// section 8.8.1).
fn generated_tag(headers: &HeaderMap, body: &[u8]) -> HeaderValue {
    let mut hasher = blake3::Hasher::new();
    for name in [CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LANGUAGE] {
        for line in headers.get_all(name) {
            hasher.update(line.as_bytes()).update(b"\n");
        }
        hasher.update(b"\n");
    }
    let hash = hasher.update(body).finalize().to_hex();
    HeaderValue::try_from(format!("W/\"{}\"", &hash[..32])).expect("hexadecimal digits are visible")
}

/// Whether the body has no end, and is for its own client.
fn is_event_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()?.split(';').next());
    kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/event-stream"))
}

/// Passes a body on as it arrives. Returns it if it is complete, has no trailers, and is not too large.
///
/// `useful` tells for how long it is of use to the store. After that it goes on for its readers only.
async fn collect<R>(
    body: R,
    spool: &Spool,
    declared: Option<&HeaderValue>,
    useful: impl Fn() -> Duration,
) -> Option<Bytes>
where
    R: Body<Data = Bytes>,
    R::Error: Into<BodyError>,
{
    let _ends = EndsWithError(spool);
    let mut body = pin!(body);
    while spool.has_room().await {
        let unread = async {
            _ = with_limit(useful(), pending::<()>()).await;
            spool.until_unread().await;
        };
        match before(unread, body.frame()).await? {
            None => {
                spool.end(Ok(()));
                let whole = spool.whole()?;
                let declared = declared.map(|length| length.to_str().ok()?.parse().ok());
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

/// Ends a spool that has no end yet: the body has panicked, or is not read any more.
struct EndsWithError<'a>(&'a Spool);

impl Drop for EndsWithError<'_> {
    fn drop(&mut self) {
        self.0.end(Err("the body has no end".into()));
    }
}
