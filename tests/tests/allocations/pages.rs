//! A page that memory has allocates its header map and no more.

use std::{
    convert::Infallible,
    future::Ready,
    task::{Context, Poll},
};

use std::time::Duration;

use allocation_counter::measure;
use bytes::Bytes;
use cache_request::{
    Cache, Clock,
    http::{CachePage, CachedPages, PageBody},
};
use futures_lite::future::block_on;
use http::{HeaderMap, Request, Response, header};
use http_body_util::Full;
use tower_layer::Layer as _;
use tower_service::Service;

#[derive(Clone)]
struct Site(HeaderMap);

impl Service<Request<String>> for Site {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<String>) -> Self::Future {
        let mut response = Response::new(Full::from("page".repeat(100)));
        *response.headers_mut() = self.0.clone();
        std::future::ready(Ok(response))
    }
}

fn request() -> Request<String> {
    let fields = [("host", "example.com"), ("accept", "*/*"), ("user-agent", "a browser"), ("accept-encoding", "gzip")];
    let mut request = Request::get("/departures/today?page=2");
    for (name, value) in fields {
        request = request.header(name, value);
    }
    request.body(String::new()).unwrap()
}

fn get(pages: &mut CachedPages<Site>, request: Request<String>) -> Response<PageBody> {
    block_on(pages.call(request)).unwrap()
}

/// How often a hit allocates more than cloning its header map does.
fn excess(layer: CachePage, fields: &[(header::HeaderName, &str)]) -> i64 {
    let mut headers = HeaderMap::new();
    fields.iter().for_each(|(name, value)| _ = headers.append(name, value.parse().unwrap()));
    // On a real clock the header is made once a second.
    let clock = Clock::mock();
    let cache = Cache::builder().clock(&clock).build().unwrap();
    let mut pages = layer.cache(&cache).layer(Site(headers));
    let mut last = get(&mut pages, request());
    for _ in 0..3 {
        last = get(&mut pages, request());
    }
    assert!(last.headers()["cache-status"].to_str().unwrap().contains("; hit"), "{last:?}");
    let request = request();
    let hit = measure(|| drop(get(&mut pages, request))).count_total;
    let own = measure(|| drop(last.headers().clone())).count_total;
    hit.cast_signed() - own.cast_signed()
}

#[test]
fn a_hit_allocates_more_than_its_header_map() {
    let fields = [
        (header::CACHE_CONTROL, "max-age=3600"),
        (header::CONTENT_TYPE, "text/html"),
        (header::LAST_MODIFIED, "Thu, 01 Jan 2026 00:00:00 GMT"),
        (header::ETAG, "\"a\""),
    ];
    assert_eq!(excess(CachePage::new(), &fields), 0);
    let site = || CachePage::new().timeout(Duration::from_secs(3600)).session_cookies(["session"]);
    assert_eq!(excess(site(), &fields), 0);
    assert_eq!(excess(site(), &fields[1..]), 0);
    // The request has one of them, and a variant is chosen by both.
    let varying = [&fields[..], &[(header::VARY, "accept-encoding, accept-language")]].concat();
    assert_eq!(excess(CachePage::new(), &varying), 0);
}
