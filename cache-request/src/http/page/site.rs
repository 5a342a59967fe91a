//! Site mode: pages that say nothing about caching are kept for a time, and users who are logged in share nothing.

use std::time::{Duration, SystemTime};

use ::http::{
    Extensions, HeaderMap, HeaderValue, StatusCode,
    header::{AUTHORIZATION, CACHE_CONTROL, COOKIE, DATE, EXPIRES, SET_COOKIE, VARY},
    response::Parts,
};

use super::super::rules::{
    fields::cookies,
    freshness::{Control, date_value, is_heuristically_cacheable},
    lists::members,
};

/// The settings of site mode.
#[derive(Debug, Clone)]
pub(super) struct Site {
    pub(super) timeout: Duration,
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
        cookies(request).any(|(found, _)| names.iter().any(|name| name.as_bytes() == found))
    }

    fn timeout_of(&self, path: &str, extensions: &Extensions) -> Duration {
        let own = extensions.get::<PageTimeout>().map(|timeout| timeout.0);
        let routes = self.routes.iter().filter(|(start, _)| is_below(path, start));
        let route = routes.max_by_key(|(start, _)| start.len()).map(|(_, timeout)| *timeout);
        own.or(route).unwrap_or(self.timeout)
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
                let max_age = format!("max-age={}", timeout.as_secs());
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

/// Whether a path is `start` or below it.
fn is_below(path: &str, start: &str) -> bool {
    path.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || start.ends_with('/'))
}
