//! The length of a page through a router of axum, which writes that of the body that it sees.

use axum::{Router, body::Body as AxumBody, http::header, routing};
use cache_request::{Cache, http::CachePage};
use http::{Method, Request};
use http_body_util::BodyExt as _;
use tower_service::Service as _;

use super::support::{FRESH, settle};

/// The length that a page of ten bytes has, by the answer to a HEAD through a router of axum.
#[tokio::test]
async fn a_head_of_a_stored_page_told_a_length_of_0() {
    let page = || async { ([FRESH], "0123456789") };
    let layer = CachePage::new().cache(&Cache::memory());
    let app = Router::new().route("/", routing::get(page)).layer(layer);
    let ask = async |method: Method| {
        let request = Request::builder().method(method).uri("/").header("host", "example.org");
        let answer = app.clone().call(request.body(AxumBody::empty()).unwrap()).await.unwrap();
        let told = answer.headers().get(header::CONTENT_LENGTH).map(|length| length.to_str().unwrap().to_owned());
        _ = answer.into_body().collect().await.unwrap();
        settle().await;
        told
    };
    let ten = Some("10".to_owned());
    assert_eq!(ask(Method::HEAD).await, ten, "a miss");
    assert_eq!(ask(Method::GET).await, ten, "a miss");
    assert_eq!(ask(Method::GET).await, ten, "a hit");
    assert_eq!(ask(Method::HEAD).await, ten, "a hit");
}

/// RFC 9110, section 8.6: in a 304 it is that of the page, or not there.
#[tokio::test]
async fn a_304_of_a_stored_page_told_a_length_of_0() {
    let page = || async { ([FRESH, ("etag", "\"a\"")], "0123456789") };
    let layer = CachePage::new().cache(&Cache::memory());
    let app = Router::new().route("/", routing::get(page)).layer(layer);
    for _ in 0..2 {
        let request = Request::builder().uri("/").header("host", "example.org").header("if-none-match", "\"a\"");
        let answer = app.clone().call(request.body(AxumBody::empty()).unwrap()).await.unwrap();
        settle().await;
        assert_eq!(answer.status(), 304);
        assert_eq!(answer.headers().get(header::CONTENT_LENGTH), None);
    }
}
