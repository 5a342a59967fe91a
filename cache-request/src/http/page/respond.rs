//! Answers from a stored response: whole, a part, without a body, or 304.

use std::ops::Range;

use ::http::{
    HeaderMap, HeaderValue, Method, Response, StatusCode,
    header::{AGE, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE},
};
use bytes::Bytes;

use super::{
    super::rules::{
        conditions::{Condition, OF_THE_CONTENT, evaluate, make_not_modified},
        ranges::{Wanted, wanted},
    },
    body::PageBody,
    entry::Page,
    status::{CACHE_STATUS, Handling},
};

/// The answer to a request from a stored response. `head` is the header of one with the whole page.
pub(super) fn page_response(page: &Page, method: &Method, request: &HeaderMap, head: HeaderMap) -> Response<PageBody> {
    if evaluate(request, page.status, &page.headers, page.freshness.received()) == Condition::NotModified {
        return not_modified(head);
    }
    let length = page.body.len() as u64;
    if method == Method::HEAD {
        return response(page.status, head, PageBody::empty());
    }
    match wanted(method, request, page.status, &page.headers, length) {
        Wanted::Whole => response(page.status, head, PageBody::of(page.body.clone())),
        Wanted::Unsatisfiable => unsatisfiable(&head, length),
        Wanted::Parts(parts) => partial(page, head, &parts),
    }
}

/// 304, from the header of a whole answer.
pub(super) fn not_modified(mut head: HeaderMap) -> Response<PageBody> {
    make_not_modified(&mut head);
    response(StatusCode::NOT_MODIFIED, head, PageBody::of_not_modified())
}

/// 416, which tells the length and nothing of the page (RFC 9110, section 15.5.17).
fn unsatisfiable(head: &HeaderMap, length: u64) -> Response<PageBody> {
    let mut headers = HeaderMap::new();
    for name in [AGE, CACHE_STATUS] {
        head.get_all(&name).iter().for_each(|line| _ = headers.append(&name, line.clone()));
    }
    headers.insert(CONTENT_RANGE, value(&format!("bytes */{length}")));
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    response(StatusCode::RANGE_NOT_SATISFIABLE, headers, PageBody::empty())
}

/// 206, with one part, or with several as `multipart/byteranges` (RFC 9110, section 15.3.7).
fn partial(page: &Page, mut headers: HeaderMap, parts: &[Range<u64>]) -> Response<PageBody> {
    let whole = page.body.len();
    let slice = |part: &Range<u64>| page.body.slice(part.start as usize..part.end as usize);
    let range = |part: &Range<u64>| format!("bytes {}-{}/{whole}", part.start, part.end - 1);
    let body = match parts {
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
    for name in OF_THE_CONTENT {
        headers.remove(name);
    }
    let length: usize = body.iter().map(Bytes::len).sum();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    response(StatusCode::PARTIAL_CONTENT, headers, PageBody::of_parts(body))
}

pub(super) fn response(status: StatusCode, headers: HeaderMap, body: PageBody) -> Response<PageBody> {
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
