//! A request for a page, and its answers from what is stored.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use ::http::{
    HeaderMap, HeaderValue, Method, Response, StatusCode,
    header::{AGE, CONTENT_LENGTH},
    request::Parts,
};

use super::{
    super::rules::{
        conditions::{Condition, evaluate, is_for_origin},
        directives::Directives,
        freshness::{Control, Freshness, Reason, Reuse},
    },
    body::PageBody,
    entry::Page,
    failure::{Called, Failure},
    fill::{FillKey, Inside, Shared, SharedBody},
    head::Moment,
    key::{Target, key_of_purges},
    respond::{not_modified, page_response, response},
    settings::Settings,
    shelf::{Found, Place, Shelf, Stored},
    site::Site,
    status::{Forward, Handling},
};
use crate::{engine::this_call::Said, key::Key, stats::Count};

/// A request with GET or HEAD that the cache may answer.
pub(super) struct Ask<'a> {
    pub(super) settings: Arc<Settings>,
    pub(super) shelf: Shelf,
    pub(super) target: Target<'a>,
    pub(super) key: Key,
    /// The key of the layer's purges by prefix, if it has those.
    pub(super) purges: Option<Key>,
    pub(super) method: Method,
    pub(super) directives: Directives,
    /// A layer around this one asks, which shares its pages: it has the stale ones as well.
    pub(super) is_inside: bool,
}

/// Why no stored response answers a request.
pub(super) struct Miss {
    pub(super) forward: Forward,
    /// A stored response that may be validated.
    pub(super) stale: Option<Stored>,
}

/// A stored response that answers a request.
pub(super) struct Reusable {
    pub(super) stored: Stored,
    /// It is stale, and is to be replaced in the background.
    pub(super) is_replaced: bool,
}

impl<'a> Ask<'a> {
    pub(super) fn new(settings: &Arc<Settings>, shelf: Shelf, target: Target<'a>, parts: &Parts) -> Self {
        let obeys = settings.obeys_clients;
        let directives = if obeys { Directives::of_request(&parts.headers) } else { Directives::default() };
        let key = target.key(&settings.name);
        let is_inside = Inside::is_in(parts, || FillKey::of(shelf.engine(), &key));
        let purges = settings.purges_by_prefix.then(|| key_of_purges(&settings.name));
        let method = parts.method.clone();
        Self { settings: Arc::clone(settings), shelf, target, key, purges, method, directives, is_inside }
    }

    pub(super) fn into_owned(self) -> Ask<'static> {
        let Self { settings, shelf, target, key, purges, method, directives, is_inside } = self;
        Ask { settings, shelf, target: target.into_owned(), key, purges, method, directives, is_inside }
    }

    /// What notes the tags of a response, if the layer looks at them.
    pub(super) fn begin_tags(&self) -> Option<Arc<Said>> {
        self.settings.purges_by_tag.then(Said::begin)
    }

    /// Where the page is, for a request with these fields.
    pub(super) fn place<'b>(&'b self, request: &'b HeaderMap) -> Place<'b> {
        let purges = self.purges.as_ref();
        Place { layer: &self.settings.name, target: &self.target, key: &self.key, purges, request }
    }

    /// What memory has that may be reused.
    pub(super) fn find_in_memory(&self, request: &HeaderMap) -> Result<Reusable, Miss> {
        let place = self.place(request);
        self.reuse(self.shelf.find_in_memory(&place), &place)
    }

    /// What is stored that may be reused.
    pub(super) async fn find(&self, request: &HeaderMap) -> Result<Reusable, Miss> {
        let place = self.place(request);
        self.reuse(self.shelf.find(&place).await, &place)
    }

    fn reuse(&self, found: Found, place: &Place<'_>) -> Result<Reusable, Miss> {
        let stored = match found {
            Found::Page(stored) => stored,
            Found::NoVariant => return Err(Miss { forward: Forward::VaryMiss, stale: None }),
            Found::Nothing => return Err(Miss { forward: Forward::UriMiss, stale: None }),
        };
        let reuse = stored.page.freshness.reuse(&self.directives, self.shelf.now());
        let forward = match reuse {
            Reuse::Validate(Reason::Request) => Forward::Request,
            Reuse::WhileRevalidating if self.is_inside => Forward::Stale,
            Reuse::Validate(Reason::Stale) if !self.is_stood_in_for(&stored, place) => Forward::Stale,
            _ if is_for_origin(place.request) => Forward::Request,
            _ => {
                let is_replaced = reuse == Reuse::WhileRevalidating && !self.directives.only_if_cached;
                return Ok(Reusable { stored, is_replaced });
            }
        };
        Err(Miss { forward, stale: Some(stored) })
    }

    /// The answer from a stored response that may be reused.
    pub(super) fn answer(&self, found: &Reusable, request: &HeaderMap) -> Response<PageBody> {
        self.stored(&found.stored.page, request, Handling { hit: true, ..Handling::default() })
    }

    /// The answer from a stored response.
    pub(super) fn stored(&self, page: &Page, request: &HeaderMap, handling: Handling) -> Response<PageBody> {
        let now = self.shelf.now();
        let handling = self.record(handling.with_ttl(page.freshness.left(now)));
        let moment = Moment {
            age: page.freshness.age(now).as_secs(),
            ttl: handling.ttl,
            of_site: self.settings.site().is_some(),
        };
        let make = || {
            let mut head = page.headers.clone();
            head.insert(AGE, HeaderValue::from(moment.age));
            if page.status != StatusCode::NO_CONTENT {
                // The answer to HEAD tells it as well (RFC 9110, section 8.6). Without it, a layer around this one may tell that of the
                // empty body.
                head.entry(CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(page.body.len()));
            }
            self.complete(&mut head, &handling);
            head
        };
        let head = if handling.is_plain_hit() { page.head.at(moment, make) } else { make() };
        page_response(page, &self.method, request, head)
    }

    /// Whether no purge that this process knows of, by prefix or by tag, has taken a response since it was asked for.
    pub(super) fn has_left(&self, shared: &Shared) -> bool {
        if shared.tags.as_ref().is_some_and(|tags| self.shelf.were_invalidated(&self.key, tags)) {
            return false;
        }
        let Some(key) = &self.purges else { return true };
        self.shelf.purges_in_memory(key).is_none_or(|purges| purges.spare(shared.last_purge, &self.target))
    }

    /// The answer to a request that shares the response to another one.
    ///
    /// `None` if that is too large to be read from its beginning now.
    pub(super) fn share(&self, shared: &Shared, request: &HeaderMap, forward: Forward) -> Option<Response<PageBody>> {
        let handling = Handling { collapsed: true, ..Handling::forwarded(forward) };
        match &shared.body {
            SharedBody::Page(page) => Some(self.stored(page, request, handling)),
            SharedBody::Arriving(spool) => {
                let age = shared.freshness.age(self.shelf.now()).as_secs();
                let mut headers = shared.headers.clone();
                headers.insert(AGE, HeaderValue::from(age));
                let body = PageBody::reader(spool)?;
                Some(self.arriving(request, shared.status, &headers, shared.freshness, body, handling))
            }
        }
    }

    /// An answer whose body arrives. The whole of it is sent, or nothing if the client has it.
    pub(super) fn arriving(
        &self,
        request: &HeaderMap,
        status: StatusCode,
        headers: &HeaderMap,
        freshness: Freshness,
        body: PageBody,
        handling: Handling,
    ) -> Response<PageBody> {
        let now = self.shelf.now();
        let answer = if evaluate(request, status, headers, freshness.received()) == Condition::NotModified {
            not_modified(headers.clone())
        } else {
            response(status, headers.clone(), body)
        };
        self.finish(answer, handling.with_ttl(freshness.left(now)))
    }

    /// Adds to an answer what the cache says of it.
    pub(super) fn finish(&self, mut response: Response<PageBody>, handling: Handling) -> Response<PageBody> {
        let handling = self.record(handling);
        self.complete(response.headers_mut(), &handling);
        response
    }

    /// Counts and traces how the request was handled.
    fn record(&self, mut handling: Handling) -> Handling {
        handling.key = self.settings.shows_key.then(|| self.target.to_string());
        self.shelf.record(&handling);
        handling
    }

    fn complete(&self, headers: &mut HeaderMap, handling: &Handling) {
        handling.append_to(headers);
        if self.settings.site().is_some() {
            let control = Control::of(headers, &[]);
            Site::complete_vary(headers, &control);
        }
    }
}

/// Stale responses in place of errors of the wrapped service (RFC 5861, section 4).
impl Ask<'_> {
    /// How a call of the service has failed, if it has, which is noted for the requests that come next.
    pub(super) fn failure_of<R, E>(&self, called: &Called<R, E>) -> Option<Failure> {
        let failure = Failure::of(called);
        self.settings.is_disconnected.store(failure == Some(Failure::Disconnected), Relaxed);
        failure
    }

    /// Whether a stored response may stand in for one that the service fails to give.
    fn may_stand_in(&self, stored: &Stored, is_disconnected: bool) -> bool {
        let window = if is_disconnected { self.settings.stale_if_disconnected } else { Duration::ZERO };
        let page = &stored.page;
        !page.status.is_server_error() && page.freshness.may_stand_in(&self.directives, window, self.shelf.now())
    }

    /// Whether a stored response stands in for one that the service has failed to give lately.
    pub(super) fn is_stood_in_for(&self, stored: &Stored, place: &Place<'_>) -> bool {
        !self.is_inside
            && self.shelf.has_failed_lately(place, stored)
            && self.may_stand_in(stored, self.settings.is_disconnected.load(Relaxed))
    }

    /// The answer from a stale response, if it may stand in for one that the service has failed to give.
    pub(super) fn stand_in(&self, stale: &Stored, request: &HeaderMap, failure: Failure) -> Option<Response<PageBody>> {
        let may_stand_in = || self.may_stand_in(stale, failure == Failure::Disconnected);
        if self.is_inside || is_for_origin(request) || !may_stand_in() {
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
