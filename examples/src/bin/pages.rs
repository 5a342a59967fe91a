//! Whole pages: a cache by RFC 9111 around a web site, and pages that say nothing about caching kept for a minute, and for five more while
//! they are made anew.
//!
//! ```text
//! cargo run -p cache-request-examples --bin pages
//! ```

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Method, Request, header},
    response::IntoResponse,
    routing::get,
};
use cache_request::{Cache, Clock, http::CachePage};
use tower::ServiceExt as _;

static PRICE: AtomicU32 = AtomicU32::new(100);

/// It says nothing about caching, so the site's timeout counts.
async fn offers() -> String {
    println!("  rendering /offers");
    format!("Oranges {}", PRICE.load(Ordering::Relaxed))
}

/// The new price shows at once: a successful `POST` invalidates the page of its address.
async fn raise() -> &'static str {
    PRICE.fetch_add(10, Ordering::Relaxed);
    "raised"
}

/// It says itself how it is to be cached, and that it is not to be used when it is stale. Then its `ETag` saves the body.
async fn logo(request: Request<Body>) -> impl IntoResponse {
    println!("  asked for /logo");
    let fields = [(header::CACHE_CONTROL, "max-age=10, must-revalidate"), (header::ETAG, "\"v1\"")];
    let is_known = request.headers().get(header::IF_NONE_MATCH).is_some_and(|tag| tag == "\"v1\"");
    if is_known {
        (axum::http::StatusCode::NOT_MODIFIED, fields, "")
    } else {
        (axum::http::StatusCode::OK, fields, "<svg/>")
    }
}

async fn account() -> &'static str {
    println!("  rendering /account");
    "yours"
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let clock = Clock::mock();
    let cache = Cache::builder().clock(&clock).build()?;
    let pages = CachePage::new()
        .cache(&cache)
        .timeout(Duration::from_secs(60))
        .stale(Duration::from_secs(300))
        .session_cookies(["session"])
        .purge_by_prefix(true);
    let site = Router::new()
        .route("/offers", get(offers).post(raise))
        .route("/logo", get(logo))
        .route("/account", get(account))
        .layer(pages.clone());

    ask(&site, Method::GET, "/offers", None).await?;
    ask(&site, Method::GET, "/offers", None).await?;
    ask(&site, Method::POST, "/offers", None).await?;
    ask(&site, Method::GET, "/offers", None).await?;

    ask(&site, Method::GET, "/logo", None).await?;
    clock.advance(Duration::from_secs(11));
    ask(&site, Method::GET, "/logo", None).await?;
    ask(&site, Method::GET, "/logo", None).await?;

    // The page is stale, so it is returned at once, and made anew in the background.
    clock.advance(Duration::from_secs(61));
    ask(&site, Method::GET, "/offers", None).await?;
    ask(&site, Method::GET, "/offers", None).await?;
    pages.purge_prefix(&"http://shop.example/off".parse()?).await?;
    ask(&site, Method::GET, "/offers", None).await?;

    ask(&site, Method::GET, "/account", Some("session=ann")).await?;
    ask(&site, Method::GET, "/account", Some("session=bob")).await?;
    Ok(())
}

/// Sends a request to the site, and prints the answer and how it came about.
async fn ask(
    site: &Router,
    method: Method,
    path: &str,
    cookie: Option<&str>,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut request = Request::builder().method(&method).uri(path).header(header::HOST, "shop.example");
    if let Some(cookie) = cookie {
        request = request.header(header::COOKIE, cookie);
    }
    let response = site.clone().oneshot(request.body(Body::empty())?).await?;
    let status = response.headers().get("cache-status").map(|status| status.to_str().unwrap_or_default().to_owned());
    let body = to_bytes(response.into_body(), 1 << 20).await?;
    // What is stored is stored in a task of its own.
    tokio::task::yield_now().await;
    println!("{method} {path}: {} ({})", String::from_utf8_lossy(&body), status.unwrap_or_default());
    Ok(())
}
