//! The layer among those of `tower-http`, on a real server, by HTTP/1.1 and by HTTP/2.

use std::{
    io::Read as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use axum::{Router, body::Body, routing::get};
use bytes::Bytes;
use cache_request::{Cache, http::CachePage};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    service::TowerToHyperService,
};
use tower_http::{
    compression::CompressionLayer, limit::RequestBodyLimitLayer, timeout::TimeoutLayer, trace::TraceLayer,
};

use super::support::{FRESH, settle};

#[derive(Debug, Clone, Copy)]
enum Protocol {
    Http1,
    Http2,
}

const PROTOCOLS: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn is_hit(&self) -> bool {
        self.headers["cache-status"].to_str().unwrap().contains("; hit")
    }

    fn text(&self) -> String {
        let Some(coding) = self.headers.get("content-encoding") else {
            return String::from_utf8(self.body.to_vec()).unwrap();
        };
        assert_eq!(coding, "gzip");
        let mut text = String::new();
        flate2::read::GzDecoder::new(&*self.body).read_to_string(&mut text).unwrap();
        text
    }
}

/// Serves a request over a connection of its own.
async fn ask(site: &Router, protocol: Protocol, path: &str, fields: &[(&str, &str)]) -> Answer {
    let (client, server) = tokio::io::duplex(1 << 16);
    let (client, server) = (TokioIo::new(client), TokioIo::new(server));
    let service = TowerToHyperService::new(site.clone());
    let mut request = Request::builder().uri(format!("http://example.com{path}")).header("host", "example.com");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::empty()).unwrap();
    let response = match protocol {
        Protocol::Http1 => {
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(server, service));
            let (mut sender, connection) = hyper::client::conn::http1::handshake(client).await.unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await
        }
        Protocol::Http2 => {
            tokio::spawn(
                hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(server, service),
            );
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), client).await.unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await
        }
    };
    let (head, body) = response.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    settle().await;
    Answer { status: head.status, headers: head.headers, body }
}

/// A site whose pages are numbered, and the count of those that it has made.
fn numbered(cache: &Cache, compresses_inside: bool) -> (Router, Arc<AtomicUsize>) {
    let made = Arc::new(AtomicUsize::new(0));
    let page = {
        let made = Arc::clone(&made);
        move || async move {
            let number = made.fetch_add(1, SeqCst);
            ([FRESH, ("content-type", "text/html"), ("etag", "\"a\"")], format!("{number} {}", "text ".repeat(1000)))
        }
    };
    let router = Router::new().route("/", get(page));
    let compression = CompressionLayer::new();
    let router = if compresses_inside { router.layer(compression.clone()) } else { router };
    let router = router.layer(CachePage::new().cache(cache));
    let router = if compresses_inside { router } else { router.layer(compression) };
    let router = router
        .layer(RequestBodyLimitLayer::new(1 << 10))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, Duration::from_secs(600)))
        .layer(TraceLayer::new_for_http());
    (router, made)
}

#[tokio::test]
async fn a_page_was_compressed_for_a_client_that_cannot_read_it() {
    for protocol in PROTOCOLS {
        for compresses_inside in [false, true] {
            let (site, made) = numbered(&Cache::memory(), compresses_inside);
            for accepts in [&[("accept-encoding", "gzip")][..], &[]] {
                let first = ask(&site, protocol, "/", accepts).await;
                let hit = ask(&site, protocol, "/", accepts).await;
                let case = format!("{protocol:?} {compresses_inside} {accepts:?}");
                assert!(hit.is_hit() && hit.status == 200 && hit.text() == first.text(), "{case}");
                assert_eq!(hit.headers.contains_key("content-encoding"), !accepts.is_empty(), "{case}");
                assert!(hit.text().ends_with("text ") && hit.text().len() > 5000, "{case}");
            }
            assert_eq!(made.load(SeqCst), if compresses_inside { 2 } else { 1 }, "{protocol:?}");
        }
    }
}

#[tokio::test]
async fn a_reload_got_the_whole_page_by_one_protocol() {
    for protocol in PROTOCOLS {
        let (site, _) = numbered(&Cache::memory(), false);
        ask(&site, protocol, "/", &[]).await;
        let known = ask(&site, protocol, "/", &[("if-none-match", "\"a\"")]).await;
        assert_eq!((known.status, known.body.len()), (StatusCode::NOT_MODIFIED, 0), "{protocol:?}");
        assert_eq!(known.headers.get("content-length"), None, "{protocol:?}");
        let part = ask(&site, protocol, "/", &[("range", "bytes=0-0")]).await;
        assert_eq!((part.status, &*part.body), (StatusCode::PARTIAL_CONTENT, &b"0"[..]), "{protocol:?}");
    }
}

/// The first request never ends.
#[tokio::test]
async fn a_timeout_around_the_layer_lost_a_page_for_good() {
    for protocol in PROTOCOLS {
        let made = Arc::new(AtomicUsize::new(0));
        let page = {
            let made = Arc::clone(&made);
            move || async move {
                if made.fetch_add(1, SeqCst) == 0 {
                    std::future::pending::<()>().await;
                }
                ([FRESH], "page")
            }
        };
        let cache = Cache::builder().wait_limit(Duration::from_millis(300)).build().unwrap();
        let site = Router::new().route("/", get(page)).layer(CachePage::new().cache(&cache));
        let patience = Duration::from_millis(50);
        let impatient = site.clone().layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, patience));
        assert_eq!(ask(&impatient, protocol, "/", &[]).await.status, StatusCode::REQUEST_TIMEOUT, "{protocol:?}");
        // Each of them leaves before it has waited for as long as the layer lets it.
        let mut tries = 0;
        while ask(&impatient, protocol, "/", &[]).await.status != StatusCode::OK {
            tries += 1;
            assert!(tries < 100, "{protocol:?}");
        }
        assert!(ask(&site, protocol, "/", &[]).await.is_hit(), "{protocol:?}");
    }
}
