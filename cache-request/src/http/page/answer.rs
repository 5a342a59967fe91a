//! One request to a [`CachePage`](super::CachePage), from its arrival to its answer.
//!
//! [`answer`] sorts requests: some pass, some change pages, and some ask for one. A page that memory has is answered at once.
//! [`make`] asks the backend and then, for all that wait for the same page, the wrapped service. [`Filling`] follows the response.

use std::{panic::resume_unwind, sync::Arc};

use ::http::{
    HeaderMap, Method, Request, Response, StatusCode,
    header::{CONTENT_LENGTH, IF_MATCH, IF_UNMODIFIED_SINCE, RANGE, TRANSFER_ENCODING, UPGRADE},
    request::Parts,
};
use bytes::Bytes;
use http_body::Body;
use tokio::{runtime::Handle, sync::oneshot, task::JoinError};
use tower_service::Service;
use tracing::Instrument as _;

use super::{
    super::rules::{
        conditions::{Told, told_by_head},
        invalidation::{further_targets, invalidates, is_safe},
    },
    ask::{Ask, Miss},
    body::{BodyError, PageBody},
    changes::Changes,
    exchange::{Exchange, add_date},
    failure::call,
    fill::{FillKey, Inside, Join, Verdict},
    filling::Filling,
    future::PageFuture,
    key::Target,
    respond::only_if_cached,
    settings::Settings,
    shelf::{Shelf, Stored},
    status::{Forward, Handling},
};
use crate::base::{context, panic::PanicSafe};

/// What the cache does with a request.
enum Plan<'a> {
    /// It passes, and the cache does nothing but say why.
    Pass(Handling, Option<Target<'a>>),
    /// It passes, and may change what is stored for its target.
    Change(Target<'a>),
    /// It asks for a page.
    Ask(Target<'a>),
}

impl<'a> Plan<'a> {
    fn of(settings: &Settings, parts: &'a Parts, body: &impl Body) -> Self {
        let bypass = |target, detail| Self::Pass(Handling::forwarded(Forward::Bypass).because(detail), target);
        let Some(target) = Target::of(parts, &settings.addressing) else { return bypass(None, "target") };
        if !is_safe(&parts.method) {
            return Self::Change(target);
        }
        if parts.method != Method::GET && parts.method != Method::HEAD {
            return Self::Pass(Handling::forwarded(Forward::Method), Some(target));
        }
        if parts.headers.contains_key(UPGRADE) {
            return bypass(Some(target), "upgrade");
        }
        if declares_body(&parts.headers) || !is_empty(body) {
            return bypass(Some(target), "body");
        }
        if let Some(site) = settings.site() {
            if site.is_of_a_user(&parts.headers) {
                return bypass(Some(target), "user");
            }
            if site.is_never(target.path()) {
                return bypass(Some(target), "route");
            }
        }
        Self::Ask(target)
    }
}

/// Whether a request declares a body. A service may read it although it means nothing in GET, and the key does not have it.
fn declares_body(headers: &HeaderMap) -> bool {
    headers.contains_key(TRANSFER_ENCODING) || headers.get_all(CONTENT_LENGTH).iter().any(|length| length != "0")
}

/// Whether a body is known to be empty. In HTTP/2 no field need declare it.
fn is_empty(body: &impl Body) -> bool {
    body.is_end_stream() || body.size_hint().exact() == Some(0)
}

/// Answers a request from the cache, or by the service that `service` returns, which is ready.
pub(super) fn answer<S, B, R>(
    settings: &Arc<Settings>,
    service: impl FnOnce() -> S,
    request: Request<B>,
) -> PageFuture<S::Error>
where
    S: Service<Request<B>, Response = Response<R>> + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    B: Body + Send + 'static,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BodyError>,
{
    let (mut parts, body) = request.into_parts();
    settings.offers.reduce(&mut parts.headers);
    let shelf = settings.shelf();
    match Plan::of(settings, &parts, &body) {
        Plan::Pass(handling, target) => {
            let path = target.as_ref().map_or(parts.uri.path(), Target::path).to_owned();
            let passing = Passing { settings: Arc::clone(settings), shelf, handling, path };
            PageFuture::later(passing.pass(service(), Request::from_parts(parts, body)))
        }
        Plan::Change(target) => {
            let target = target.into_owned();
            PageFuture::later(change(Arc::clone(settings), shelf, service(), Request::from_parts(parts, body), target))
        }
        Plan::Ask(target) => {
            let ask = Ask::new(settings, shelf, target, &parts);
            match ask.find_in_memory(&parts.headers) {
                Ok(found) => {
                    let response = ask.answer(&found, &parts.headers);
                    if found.is_replaced {
                        ask.into_owned().replace(found, service, parts, body);
                    }
                    PageFuture::now(response)
                }
                Err(_) => PageFuture::later(make(ask.into_owned(), service(), parts, body)),
            }
        }
    }
}

/// A request that the cache has nothing to do with.
struct Passing {
    settings: Arc<Settings>,
    shelf: Shelf,
    handling: Handling,
    path: String,
}

impl Passing {
    async fn pass<S, B, R>(self, mut service: S, request: Request<B>) -> Result<Response<PageBody>, S::Error>
    where
        S: Service<Request<B>, Response = Response<R>>,
        R: Body<Data = Bytes> + Send + 'static,
        R::Error: Into<BodyError>,
    {
        let is_cacheable = [Method::GET, Method::HEAD].contains(request.method());
        let site = self.settings.site().filter(|_| is_cacheable);
        let is_of_a_user = site.is_some_and(|site| site.is_of_a_user(request.headers()));
        let (mut head, body) = service.call(request).await?.into_parts();
        if let Some(site) = site {
            site.complete(&self.path, is_of_a_user, &mut head, self.shelf.now());
        }
        self.shelf.record(&self.handling);
        self.handling.append_to(&mut head.headers);
        Ok(Response::from_parts(head, PageBody::inner(body)))
    }
}

/// Forwards an unsafe request, and invalidates what it has changed (RFC 9111, section 4.4).
async fn change<S, B, R>(
    settings: Arc<Settings>,
    shelf: Shelf,
    mut service: S,
    request: Request<B>,
    target: Target<'static>,
) -> Result<Response<PageBody>, S::Error>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BodyError>,
{
    let method = request.method().clone();
    let mut changes = Changes::of(Arc::clone(&settings), shelf, &target);
    let response = match service.call(request).await {
        Ok(response) => response,
        Err(error) => {
            // A layer around the service may have given up on it, and it may have made the change.
            changes.invalidate().await;
            return Err(error);
        }
    };
    let mut response = response.map(PageBody::inner);
    if invalidates(&method, response.status()) {
        let authority = target.authority.parse();
        let further = authority.map(|own| further_targets(&own, &target.path_and_query, response.headers()));
        for path in further.into_iter().flatten() {
            changes.add(&target.with_path(&path, &settings.addressing));
        }
        changes.invalidate().await;
    } else {
        changes.forget();
    }
    Handling::forwarded(Forward::Method).append_to(response.headers_mut());
    Ok(response)
}

/// Whether the response to a request is for no other one, so that it is asked for as it is and not stored.
fn is_for_itself(ask: &Ask<'_>, headers: &HeaderMap) -> bool {
    ask.directives.no_store || [RANGE, IF_MATCH, IF_UNMODIFIED_SINCE].iter().any(|name| headers.contains_key(name))
}

/// Updates or removes a stored page by the response to a HEAD (RFC 9111, section 4.3.5).
async fn learn_from_head(stale: &Stored, mut head: HeaderMap, mut exchange: Exchange<'_>) {
    exchange.received();
    // What was stored meanwhile is newer, and the response may be about that.
    let page = &stale.page;
    if !exchange.is_stored(page).await {
        return;
    }
    let told = match page.status {
        StatusCode::OK => told_by_head(&head, &page.headers, page.body.len()),
        _ => Told::Changed,
    };
    match told {
        Told::Changed => exchange.remove().await,
        Told::Unchanged => {
            add_date(&mut head, exchange.received);
            let page = Arc::new(exchange.renewed(page, &head));
            // It tells why the page is not stored, which is no reason for the response to the HEAD.
            _ = exchange.replace(stale, &page).await;
        }
        Told::Nothing => {}
    }
}

/// Answers a request whose response is not stored. That to a HEAD may tell of what is.
async fn ask_for_itself<S, B, R>(
    ask: Ask<'static>,
    miss: Miss,
    mut service: S,
    request: Request<B>,
    is_for_itself: bool,
) -> Result<Response<PageBody>, S::Error>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BodyError>,
{
    let headers = request.headers().clone();
    // Only the response to a HEAD tells of a stored page, and only of one that there is.
    let exchange = match &miss.stale {
        Some(_) if !is_for_itself => Some(Exchange::begin(&ask, &headers, ask.begin_tags()).await),
        _ => None,
    };
    let called = call(&mut service, request, miss.stale.is_some());
    let called = match &exchange {
        Some(exchange) => {
            let called = exchange.around(called).await;
            exchange.pass_on();
            called
        }
        None => called.await,
    };
    if let Some((failure, stale)) = ask.failure_of(&called).zip(miss.stale.as_ref())
        && let Some(answer) = ask.stand_in(stale, &headers, failure)
    {
        drop(PanicSafe::new(called));
        return Ok(answer);
    }
    let (mut head, body) = called.unwrap_or_else(|panic| resume_unwind(panic))?.into_parts();
    if let Some(site) = ask.settings.site() {
        site.complete(ask.target.path(), false, &mut head, ask.shelf.now());
    }
    if let Some((exchange, stale)) = exchange.zip(miss.stale.as_ref()).filter(|_| head.status == StatusCode::OK) {
        learn_from_head(stale, head.headers.clone(), exchange).await;
    }
    let response = Response::from_parts(head, PageBody::inner(body));
    Ok(ask.finish(response, Handling::forwarded(miss.forward)))
}

/// Answers a request for a page that memory does not have.
async fn make<S, B, R>(ask: Ask<'static>, service: S, mut parts: Parts, body: B) -> Result<Response<PageBody>, S::Error>
where
    S: Service<Request<B>, Response = Response<R>> + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    B: Send + 'static,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BodyError>,
{
    let miss = match ask.find(&parts.headers).await {
        Ok(found) => {
            let response = ask.answer(&found, &parts.headers);
            ask.replace(found, || service, parts, body);
            return Ok(response);
        }
        Err(miss) => miss,
    };
    if ask.directives.only_if_cached {
        return Ok(only_if_cached());
    }
    let is_for_itself = is_for_itself(&ask, &parts.headers);
    if is_for_itself || ask.method == Method::HEAD {
        return ask_for_itself(ask, miss, service, Request::from_parts(parts, body), is_for_itself).await;
    }
    let fill_key = FillKey::of(ask.shelf.engine(), &ask.key);
    let limit = ask.shelf.engine().wait_limit;
    // Inside the fill itself, none is joined: it would be one that no response ends.
    let joined = (!ask.is_inside).then(|| ask.settings.fills.join(fill_key.clone(), limit));
    let fill = match joined {
        None => None,
        Some(Join::Leader(fill)) => Some(fill),
        Some(Join::Waiter(waiting)) => {
            let answer = match waiting.verdict().await {
                Verdict::Shared(shared)
                    if shared.is_for(&parts.headers, &ask.directives, ask.shelf.now()) && ask.has_left(&shared) =>
                {
                    if let Some(tags) = &shared.tags {
                        tags.said.pass_on();
                    }
                    ask.share(&shared, &parts.headers, miss.forward)
                }
                Verdict::Stored => match ask.find(&parts.headers).await {
                    Ok(found) => Some(ask.answer(&found, &parts.headers)),
                    Err(_) => None,
                },
                Verdict::Failed(failure) => {
                    miss.stale.as_ref().and_then(|stale| ask.stand_in(stale, &parts.headers, failure))
                }
                Verdict::Shared(_) | Verdict::Apart => None,
            };
            if let Some(answer) = answer {
                return Ok(answer);
            }
            None
        }
    };
    parts.extensions.insert(Inside(fill_key.clone()));
    let (reply, answer) = oneshot::channel();
    let filling = Filling::new(ask, parts.headers.clone(), miss, fill.map(|fill| (fill_key, fill)));
    let said = filling.said.clone();
    let run = filling.run(service, parts, body, Some(reply));
    // The fill goes on if this client leaves: other requests or the store may wait for it.
    let task = match Handle::try_current() {
        Ok(runtime) => Some(runtime.spawn(context::carry(run).in_current_span())),
        Err(_) => {
            run.await;
            None
        }
    };
    let answer = answer.await;
    if let Some(said) = said {
        // The service has run in a task of its own.
        said.pass_on();
    }
    match (answer, task) {
        (Ok(answer), _) => answer,
        // Without an answer the service has panicked in the task, and so does its caller, as without a cache.
        (Err(_), Some(task)) => match task.await.map_err(JoinError::try_into_panic) {
            Err(Ok(panic)) => resume_unwind(panic),
            _ => panic!("the runtime has dropped the request to the wrapped service"),
        },
        (Err(_), None) => unreachable!("it has run to its end"),
    }
}
