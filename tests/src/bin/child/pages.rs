//! Serves pages through a cache that other processes share: `pages <url>`.
//!
//! It reads commands, one a line, and answers each with one line:
//!
//! - `get <path> <a>`: asks for a page with the request field `a`. Prints `hit` or `made`, its length, and the words that it begins with: the
//!   process that made it, how many that one had made, and the field.
//! - `purge <path>`: prints whether there was anything.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    io::{self, BufRead as _},
    process,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use cache_request::{
    Cache,
    http::{CachePage, CachedPages},
};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tokio::runtime::Runtime;
use tower_layer::Layer as _;
use tower_service::Service;

/// The length of a page under `/large`.
const LARGE: usize = 2 << 20;

/// Makes a new page for each request.
#[derive(Clone, Default)]
struct Site {
    made: Arc<AtomicU32>,
}

impl<B> Service<Request<B>> for Site {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let field = request.headers().get("a").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut text = format!("{} {} {field}\n", process::id(), self.made.fetch_add(1, SeqCst));
        if request.uri().path().starts_with("/large") {
            text.extend(std::iter::repeat_n('x', LARGE - text.len()));
        }
        let response = Response::builder().header("cache-control", "max-age=600").header("vary", "a");
        ready(Ok(response.body(Full::from(text)).expect("a response")))
    }
}

pub(crate) fn main(arguments: &[&str]) {
    let &[url] = arguments else { panic!("one address: {arguments:?}") };
    let cache = Cache::from_url(url).unwrap_or_else(|error| panic!("{error:#}"));
    let layer = CachePage::new().name("processes").cache(&cache);
    let pages = layer.layer(Site::default());
    let runtime = Runtime::new().expect("a runtime");
    for line in io::stdin().lock().lines() {
        let line = line.expect("a line");
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["get", path, field] => println!("{}", runtime.block_on(get(pages.clone(), path, field))),
            ["purge", path] => {
                let uri = format!("http://example.com{path}").parse().expect("an address");
                println!("{}", runtime.block_on(layer.purge(&uri)).unwrap_or_else(|error| panic!("{error:#}")));
            }
            _ => panic!("no such command: {line}"),
        }
    }
}

async fn get(mut pages: CachedPages<Site>, path: &str, field: &str) -> String {
    let request = Request::get(path).header("host", "example.com").header("a", field);
    let response = pages.call(request.body(String::new()).expect("a request")).await.expect("the site never fails");
    let (head, body) = response.into_parts();
    let status = head.headers["cache-status"].to_str().expect("text");
    let how = if status.contains("; hit") { "hit" } else { "made" };
    let body = body.collect().await.expect("a whole body").to_bytes();
    let line = body.split(|byte| *byte == b'\n').next().unwrap_or_default();
    format!("{how} {} {}", body.len(), String::from_utf8_lossy(line))
}
