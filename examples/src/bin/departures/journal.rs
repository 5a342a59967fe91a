//! What became of the last requests, and why. The cache says it in `Cache-Status` (RFC 9211); here are the words for people.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue},
    middleware::Next,
    response::Response,
};
use serde::Serialize;

/// How many requests are remembered.
const KEPT: usize = 30;

/// What `Cache-Status` may have, and what it means. The first one counts.
const REASONS: [(&str, &str); 8] = [
    ("hit", "from the cache"),
    ("collapsed", "made for another request at the same time"),
    ("fwd=uri-miss", "made, as nothing was stored"),
    ("fwd=vary-miss", "made, as what was stored is for other requests"),
    ("fwd=stale", "made, as what was stored had expired"),
    ("fwd=request", "made, as the request asked for that"),
    ("fwd=method", "passed on, as it may change something"),
    ("fwd=bypass", "passed on, as it is not for the cache"),
];

/// The last requests, the newest first.
#[derive(Clone, Default)]
pub(crate) struct Journal(Arc<Mutex<VecDeque<Entry>>>);

/// One request, and how it was answered.
#[derive(Clone, Serialize)]
pub(crate) struct Entry {
    pub(crate) method: String,
    pub(crate) address: String,
    pub(crate) status: u16,
    pub(crate) milliseconds: f64,
    pub(crate) why: &'static str,
    pub(crate) cache_status: String,
}

impl Journal {
    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn push(&self, entry: Entry) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.push_front(entry);
        entries.truncate(KEPT);
    }
}

/// Notes a request. It stands around the cache, as that answers most requests by itself.
///
/// The browser is told as well, in `Server-Timing`: a cached page cannot know how it came to this one.
pub(crate) async fn note(State(journal): State<Journal>, request: Request, next: Next) -> Response {
    let (method, address) = (request.method().to_string(), request.uri().to_string());
    let start = Instant::now();
    let mut response = next.run(request).await;
    let milliseconds = start.elapsed().as_secs_f64() * 1000.0;

    let cache_status = cache_status(response.headers());
    let why = why(&cache_status);
    let timing = format!("page;desc=\"{why}\";dur={milliseconds:.3}");
    if let Ok(timing) = HeaderValue::try_from(timing) {
        response.headers_mut().insert("server-timing", timing);
    }
    journal.push(Entry { method, address, status: response.status().as_u16(), milliseconds, why, cache_status });
    response
}

fn cache_status(headers: &HeaderMap) -> String {
    headers.get("cache-status").and_then(|status| status.to_str().ok()).unwrap_or_default().to_owned()
}

fn why(cache_status: &str) -> &'static str {
    let says = |part: &str| cache_status.split("; ").any(|found| found == part);
    REASONS.iter().find(|(part, _)| says(part)).map_or("", |(_, words)| words)
}
