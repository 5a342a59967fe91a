//! Answers from a stored response: whole, a part, without a body, or 304.

use std::time::SystemTime;

use ::http::{
    HeaderMap, HeaderValue, Method, Response, StatusCode,
    header::{AGE, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE},
};
use bytes::Bytes;

use super::{
    super::rules::{
        conditions::{Condition, evaluate, not_modified},
        ranges::{Wanted, wanted},
    },
    body::PageBody,
    entry::Page,
    status::Handling,
};

/// The answer to a request from a stored response.
pub(super) fn page_response(page: &Page, method: &Method, request: &HeaderMap, now: SystemTime) -> Response<PageBody> {
    let received = page.freshness.received();
    if evaluate(request, page.status, &page.headers, received) == Condition::NotModified {
        return with_head(StatusCode::NOT_MODIFIED, not_modified(&page.headers), page, now, PageBody::empty());
    }
    if method == Method::HEAD {
        return with_head(page.status, page.headers.clone(), page, now, PageBody::empty());
    }
    let length = page.body.len() as u64;
    match wanted(method, request, page.status, &page.headers, length) {
        Wanted::Whole => with_head(page.status, page.headers.clone(), page, now, PageBody::of(page.body.clone())),
        Wanted::Unsatisfiable => {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_RANGE, value(&format!("bytes */{length}")));
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
            with_head(StatusCode::RANGE_NOT_SATISFIABLE, headers, page, now, PageBody::empty())
        }
        Wanted::Parts(parts) => {
            let mut headers = page.headers.clone();
            let slice = |part: &std::ops::Range<u64>| page.body.slice(part.start as usize..part.end as usize);
            let range = |part: &std::ops::Range<u64>| format!("bytes {}-{}/{length}", part.start, part.end - 1);
            let body = match &parts[..] {
                [part] => {
                    headers.insert(CONTENT_RANGE, value(&range(part)));
                    vec![slice(part)]
                }
                parts => {
                    let boundary = boundary(&page.body);
                    let kind = page.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
                    let kind = kind.map(|kind| format!("Content-Type: {kind}\r\n")).unwrap_or_default();
                    let mut pieces = Vec::with_capacity(parts.len() * 2 + 1);
                    for part in parts {
                        let head = format!("\r\n--{boundary}\r\n{kind}Content-Range: {}\r\n\r\n", range(part));
                        pieces.extend([Bytes::from(head), slice(part)]);
                    }
                    pieces.push(Bytes::from(format!("\r\n--{boundary}--\r\n")));
                    headers.insert(CONTENT_TYPE, value(&format!("multipart/byteranges; boundary={boundary}")));
                    pieces
                }
            };
            let length: usize = body.iter().map(Bytes::len).sum();
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
            let body = PageBody::of_parts(body);
            with_head(StatusCode::PARTIAL_CONTENT, headers, page, now, body)
        }
    }
}

fn with_head(
    status: StatusCode,
    mut headers: HeaderMap,
    page: &Page,
    now: SystemTime,
    body: PageBody,
) -> Response<PageBody> {
    headers.insert(AGE, HeaderValue::from(page.freshness.age(now).as_secs()));
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// A boundary that the body does not contain, but with a probability of 2^-128.
fn boundary(body: &[u8]) -> String {
    let hash = blake3::hash(body);
    hash.to_hex()[..32].to_owned()
}

/// A field value of visible ASCII.
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// 504, as nothing is stored that the request accepts, and it forbids to ask the origin (RFC 9111, section 5.2.1.7).
pub(super) fn only_if_cached() -> Response<PageBody> {
    let mut response = Response::new(PageBody::empty());
    *response.status_mut() = StatusCode::GATEWAY_TIMEOUT;
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    Handling::default().because("only-if-cached").append_to(response.headers_mut());
    response
}
