//! The sites of this program: one page, and how often it was made.

use std::{net::SocketAddr, sync::OnceLock, time::Duration};

use axum::{
    Router,
    body::Bytes,
    extract::Path,
    http::header,
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};
use cache_request::{cache_request, http::CachePage};
use cache_request_benches::bodies;
use tokio::{net::TcpListener, runtime};

use crate::load;

pub(crate) const PAGE: &str = "/pages/1";
const MADE: &str = "/made";

/// How long the page is fresh: for longer than any load lasts.
pub(crate) const FRESH: Duration = Duration::from_secs(3600);

static BODY: OnceLock<Bytes> = OnceLock::new();

/// Serves a site until the process is ended.
pub(crate) fn serve(site: fn() -> Router, size: usize, port: u16) {
    BODY.get_or_init(|| vec![b'x'; size].into());
    let site = site().route(MADE, get(async || bodies::take().to_string()));
    let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        // Where another process was faster, another port is tried.
        let Ok(listener) = TcpListener::bind(("127.0.0.1", port)).await else { return };
        axum::serve(listener, site).await.expect("it serves until the process is ended");
    });
}

/// How often the page was made since the last time of asking.
pub(crate) fn made(address: SocketAddr) -> usize {
    String::from_utf8_lossy(&load::get(address, MADE)).parse().expect("a number")
}

/// The page as it comes from its handler each time. That is not counted.
pub(crate) fn bare() -> Router {
    pages(get(async || page()))
}

/// The same, counted.
pub(crate) fn origin() -> Router {
    pages(get(made_page))
}

pub(crate) fn cache_page() -> Router {
    origin().layer(CachePage::new().timeout(FRESH))
}

pub(crate) fn annotated_response() -> Router {
    pages(get(cached_response))
}

pub(crate) fn annotated_bytes() -> Router {
    pages(get(cached_bytes))
}

fn pages(handler: MethodRouter) -> Router {
    Router::new().route("/pages/{id}", handler)
}

fn page() -> Response {
    ([(header::CACHE_CONTROL, "max-age=3600"), (header::CONTENT_TYPE, "text/html")], body()).into_response()
}

fn body() -> Bytes {
    BODY.get().expect("it is made first").clone()
}

async fn made_page() -> Response {
    bodies::ran();
    page()
}

#[cache_request(timeout = 3600)]
async fn cached_response(Path(_id): Path<u32>) -> Response {
    bodies::ran();
    page()
}

#[cache_request(timeout = 3600)]
async fn cached_bytes(Path(_id): Path<u32>) -> Bytes {
    bodies::ran();
    body()
}
