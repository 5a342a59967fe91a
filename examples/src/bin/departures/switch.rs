//! The cache is turned off and on while the site runs, to compare.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use cache_request::{Cache, scoped};

#[derive(Clone)]
pub(crate) struct Switch(Arc<Inner>);

struct Inner {
    on: AtomicBool,
    /// It keeps nothing. While the cache is off, this one is in its place.
    null: Cache,
}

impl Switch {
    pub(crate) fn turn(&self, on: bool) {
        self.0.on.store(on, Ordering::Relaxed);
    }

    pub(crate) fn is_on(&self) -> bool {
        self.0.on.load(Ordering::Relaxed)
    }
}

impl Default for Switch {
    fn default() -> Self {
        Self(Arc::new(Inner { on: AtomicBool::new(true), null: Cache::null() }))
    }
}

/// While the cache is off, answers as a site without a cache does: pages, functions and counters are those of `null`.
///
/// A form is as ever: what it makes the cache forget must not come back when the cache is on again.
pub(crate) async fn obey(State(switch): State<Switch>, request: Request, next: Next) -> Response {
    let reads = request.method().is_safe() || request.uri().path() == "/rpc";
    if reads && !switch.is_on() { scoped(&switch.0.null, next.run(request)).await } else { next.run(request).await }
}
