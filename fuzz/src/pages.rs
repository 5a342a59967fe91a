//! A layer around a service that has one answer, without a runtime.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use cache_request::{Cache, Clock, MockClock, http::CachePage};
use futures_lite::future::block_on;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use tower_layer::Layer;
use tower_service::Service;

/// What the service answers.
pub const BODY: &str = "0123456789";

/// The layer on a mock clock, with a cache of its own.
pub struct Bench {
    pub clock: MockClock,
    layer: CachePage,
    service: Scripted,
}

#[derive(Clone)]
pub struct Scripted {
    status: StatusCode,
    fields: Arc<HeaderMap>,
    asked: Arc<AtomicUsize>,
}

impl Service<Request<String>> for Scripted {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<String>) -> Self::Future {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mut response = Response::new(Full::from(BODY));
        *response.status_mut() = self.status;
        response.headers_mut().clone_from(&self.fields);
        ready(Ok(response))
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// How often the service was asked until then.
    pub asked: usize,
}

impl Answer {
    /// Whether the layer has not asked the service.
    pub fn is_hit(&self) -> bool {
        let own = self.headers.get_all("cache-status").iter().next_back().and_then(|line| line.to_str().ok());
        own.expect("the layer says what it did").contains("; hit")
    }

    /// What a client can see of it, in short.
    pub fn outcome(&self) -> (StatusCode, bool, &[u8], Option<&HeaderValue>) {
        (self.status, self.is_hit(), &self.body, self.headers.get("age"))
    }
}

impl Bench {
    pub fn new(layer: CachePage, status: StatusCode, fields: &HeaderMap) -> Self {
        let clock = Clock::mock();
        let cache = Cache::builder().clock(&clock).build().expect("no option is wrong");
        let service = Scripted { status, fields: Arc::new(fields.clone()), asked: Arc::default() };
        Self { clock, layer: layer.cache(&cache), service }
    }

    pub fn send(&self, request: Request<String>) -> Answer {
        let Ok(response) = block_on(self.layer.layer(self.service.clone()).call(request));
        let (head, body) = response.into_parts();
        let body = block_on(body.collect()).expect("the body is complete").to_bytes();
        Answer { status: head.status, headers: head.headers, body, asked: self.service.asked.load(Ordering::Relaxed) }
    }
}
