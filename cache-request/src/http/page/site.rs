//! Site mode: pages that say nothing about caching are kept for a time, and users who are logged in share nothing.

use std::time::{Duration, SystemTime};

use ::http::{
    Extensions, HeaderMap, HeaderValue, StatusCode,
    header::{AUTHORIZATION, CACHE_CONTROL, COOKIE, DATE, EXPIRES, SET_COOKIE, VARY},
    response::Parts,
};

use urlencoding::decode_binary;

use super::super::rules::{
    fields::cookies,
    freshness::{Control, date_value, is_heuristically_cacheable},
    lists::members,
};

/// The settings of site mode.
#[derive(Debug, Clone, Default)]
pub(super) struct Site {
    /// How long a page is kept. Without it, site mode is off.
    pub(super) timeout: Option<Duration>,
    /// The timeouts of paths that begin with a text; the longest counts. Zero is never.
    pub(super) routes: Vec<(String, Duration)>,
    /// The cookies that tell users apart. `None` for all cookies.
    pub(super) session_cookies: Option<Vec<String>>,
}

/// How long the page of one response is kept, in a [`CachePage`](super::CachePage) with a timeout: an extension that a handler puts
/// into its response. Zero keeps it out of the cache.
///
/// It counts for responses that have no `Cache-Control`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageTimeout(pub Duration);

impl Site {
    /// Whether a request may be a user's own: it has credentials, or a cookie that tells users apart.
    pub(super) fn is_of_a_user(&self, request: &HeaderMap) -> bool {
        if request.contains_key(AUTHORIZATION) {
            return true;
        }
        let Some(names) = &self.session_cookies else { return request.contains_key(COOKIE) };
        // Frameworks decode names: `sess%69on` is `session`.
        cookies(request).any(|(found, _)| {
            let decoded = decode_binary(found);
            names.iter().any(|name| name.as_bytes() == found || *name.as_bytes() == *decoded)
        })
    }

    fn timeout_of(&self, path: &str, extensions: &Extensions) -> Duration {
        let own = extensions.get::<PageTimeout>().map(|timeout| timeout.0);
        own.or_else(|| self.route(path)).or(self.timeout).unwrap_or_default()
    }

    fn route(&self, path: &str) -> Option<Duration> {
        let routes = self.routes.iter().filter(|(start, _)| is_below(path, start));
        // A segment that is named comes before any segment.
        let rank = |start: &str| (start.split('/').count(), start.split('/').filter(|wanted| !is_any(wanted)).count());
        routes.max_by_key(|(start, _)| rank(start.trim_end_matches('/'))).map(|(_, timeout)| *timeout)
    }

    /// Whether no page of a path is kept.
    pub(super) fn is_never(&self, path: &str) -> bool {
        self.route(path) == Some(Duration::ZERO)
    }

    /// Writes what the site decides into the fields of a response, for this cache and for those of clients.
    pub(super) fn complete(&self, path: &str, is_of_a_user: bool, head: &mut Parts, now: SystemTime) {
        let Parts { status, headers, extensions, .. } = head;
        let says_something = headers.contains_key(CACHE_CONTROL) || headers.contains_key(EXPIRES);
        let timeout = self.timeout_of(path, extensions);
        if !says_something {
            if is_of_a_user || headers.contains_key(SET_COOKIE) {
                headers.insert(CACHE_CONTROL, HeaderValue::from_static("private"));
            } else if timeout.is_zero() {
                headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            } else if is_kept(*status) {
                let max_age = format!("max-age={}", timeout.as_secs().max(1));
                headers.insert(
                    CACHE_CONTROL,
                    HeaderValue::try_from(max_age).unwrap_or(HeaderValue::from_static("no-store")),
                );
                if let Some(expires) = now.checked_add(timeout).and_then(date_value) {
                    headers.insert(EXPIRES, expires);
                }
                if let Some(now) = date_value(now).filter(|_| !headers.contains_key(DATE)) {
                    headers.insert(DATE, now);
                }
            } else {
                headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            }
        }
    }

    /// Makes an answer private, as it sets a cookie that its stored page does not.
    pub(super) fn make_private(&self, headers: &mut HeaderMap) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("private"));
        headers.remove(EXPIRES);
    }

    /// Tells the caches of clients that users with cookies get other pages. This cache tells users apart by itself.
    pub(super) fn complete_vary(headers: &mut HeaderMap, control: &Control) {
        let is_told = members(headers, &VARY).any(|name| name == b"*" || name.eq_ignore_ascii_case(b"cookie"));
        if control.directives.private.is_none() && !control.directives.no_store && !is_told {
            headers.append(VARY, HeaderValue::from_static("cookie"));
        }
    }
}

/// Whether a site keeps responses with this status. A 304 tells how long the client keeps the page that it has.
fn is_kept(status: StatusCode) -> bool {
    status.is_success()
        || status == StatusCode::NOT_MODIFIED
        || status.is_redirection() && is_heuristically_cacheable(status)
}

/// Whether a path is `start` or below it. `{name}` in `start` is any segment.
fn is_below(path: &str, start: &str) -> bool {
    let mut segments = path.split('/');
    start
        .trim_end_matches('/')
        .split('/')
        .all(|wanted| segments.next().is_some_and(|segment| segment == wanted || is_any(wanted)))
}

fn is_any(segment: &str) -> bool {
    segment.starts_with('{') && segment.ends_with('}')
}
