//! Annotated handlers of axum, called through a router.

mod answers;
mod extractors;
mod fields;
mod own_responses;

use axum::{Router, body::Body, response::Response};
use cache_request::{Cache, scoped};
use futures_lite::future::block_on;
use http::Request;
use http_body_util::BodyExt;
use tower_service::Service;

/// A site and its cache.
pub(crate) struct Site {
    router: Router,
    pub(crate) cache: Cache,
}

impl Site {
    pub(crate) fn of(router: Router) -> Self {
        Self { router, cache: Cache::memory() }
    }

    pub(crate) fn ask(&self, request: Request<Body>) -> Response {
        let mut router = self.router.clone();
        block_on(scoped(&self.cache, async { router.call(request).await.unwrap() }))
    }

    /// The text at `uri`.
    pub(crate) fn get(&self, uri: &str) -> String {
        text(self.ask(get(uri).body(Body::empty()).unwrap()))
    }

    /// The text at `uri`, with a header field.
    pub(crate) fn get_with(&self, uri: &str, name: &str, value: &str) -> String {
        text(self.ask(get(uri).header(name, value).body(Body::empty()).unwrap()))
    }
}

pub(crate) fn get(uri: &str) -> http::request::Builder {
    Request::builder().uri(uri)
}

pub(crate) fn text(response: Response) -> String {
    let bytes = block_on(response.into_body().collect()).unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}
