//! A handler's response that memory has allocates its header map, and the box that axum puts every body in.

use std::hint::black_box;

use allocation_counter::measure;
use axum::{
    body::{Body, to_bytes},
    extract::Path,
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use cache_request::cache_request;
use futures_lite::future::block_on;

const FIELDS: [(HeaderName, &str); 4] = [
    (header::CACHE_CONTROL, "max-age=3600"),
    (header::CONTENT_TYPE, "text/html"),
    (header::LAST_MODIFIED, "Thu, 01 Jan 2026 00:00:00 GMT"),
    (header::ETAG, "\"a\""),
];

#[cache_request]
async fn whole(Path(id): Path<u32>) -> Response {
    (FIELDS, format!("{id:0>400}")).into_response()
}

#[cache_request]
async fn opaque(Path((id, city)): Path<(u32, String)>) -> impl IntoResponse {
    (StatusCode::ACCEPTED, FIELDS, format!("{city}{id:0>400}"))
}

#[cache_request]
async fn fallible(Path(id): Path<u32>) -> Result<Response, StatusCode> {
    Ok((FIELDS, format!("{id:0>400}")).into_response())
}

#[cache_request]
async fn bytes(Path(id): Path<u32>) -> Bytes {
    format!("{id:0>400}").into()
}

/// How often a hit allocates more than cloning its header map does.
fn excess<F: Future<Output = R>, R: IntoResponse>(hit: impl Fn() -> F) -> i64 {
    let get = || block_on(hit()).into_response();
    // The first ones fill what outlives them.
    for _ in 0..3 {
        get();
    }
    let (head, body) = get().into_parts();
    assert!(block_on(to_bytes(body, usize::MAX)).unwrap().len() >= 400);
    let call = measure(|| drop(black_box(get()))).count_total;
    call.cast_signed() - own(&head.headers)
}

fn own(headers: &HeaderMap) -> i64 {
    measure(|| drop(black_box(headers.clone()))).count_total.cast_signed()
}

#[test]
fn a_response_that_was_cached_allocates_more_than_its_header_map_and_body() {
    let bytes = Bytes::from_static(b"page");
    let body = measure(|| drop(black_box(Body::from(bytes.clone())))).count_total.cast_signed();
    assert_eq!(body, 1, "axum's box");
    assert_eq!(excess(|| whole(Path(1))), body);
    assert_eq!(excess(|| fallible(Path(1))), body);
    // One to make the argument.
    assert_eq!(excess(|| opaque(Path((1, "Graz".to_owned())))), body + 1);
}

#[test]
fn bytes_that_were_cached_allocate_more_than_those_at_hand() {
    let at_hand = Bytes::from_static(b"page");
    let own = measure(|| drop(black_box(at_hand.clone().into_response()))).count_total;
    for _ in 0..3 {
        block_on(bytes(Path(1)));
    }
    assert_eq!(measure(|| drop(black_box(block_on(bytes(Path(1))).into_response()))).count_total, own);
}
