//! Pages: whatever the fields of requests and responses are, the layer answers, and reuses nothing that a strict reading forbids.

#![no_main]

#[path = "http/make.rs"]
mod make;
#[path = "http/strict.rs"]
mod strict;

use std::time::Duration;

use arbitrary::Arbitrary;
use cache_request::{Clock, http::CachePage};
use cache_request_fuzz::pages::{Answer, BODY, Bench};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use libfuzzer_sys::fuzz_target;

use crate::{
    make::{Line, fields, rewritten},
    strict::Stored,
};

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    first: Vec<Line<'a>>,
    status: u8,
    response: Vec<Line<'a>>,
    later: u16,
    second: Vec<Line<'a>>,
    is_head: bool,
}

/// Those that rules tell apart.
const STATUSES: [u16; 16] = [200, 200, 200, 200, 203, 204, 206, 301, 302, 304, 404, 418, 500, 103, 599, 999];

fuzz_target!(|input: Input<'_>| run(&input));

fn run(input: &Input<'_>) {
    let now = Clock::from(Clock::mock()).wall();
    let [first, response, second] = [&input.first, &input.response, &input.second].map(|lines| fields(lines, now));
    let status = StatusCode::from_u16(STATUSES[usize::from(input.status) % STATUSES.len()]).expect("a status");
    let later = Duration::from_secs(input.later.into());
    let exchange = |response: &HeaderMap| {
        let bench = Bench::new(CachePage::new(), status, response);
        let before = bench.send(request(Method::GET, &first));
        bench.clock.advance(later);
        (before, bench.send(request(if input.is_head { Method::HEAD } else { Method::GET }, &second)))
    };

    let (before, after) = exchange(&response);
    check_first(&before, &first, status, &response);
    let stored = Stored { request: &first, status, response: &response, received: now };
    if after.is_hit() {
        assert_eq!(stored.forbids(&second, later), None, "{after:?}");
        check_hit(&after, &second, status, &response, input.is_head);
    }

    let (_, same) = exchange(&rewritten(&response));
    assert_eq!(after.outcome(), same.outcome(), "the lines of lists say the same together and apart");

    for restriction in ["private", "no-store; x", "\""] {
        let mut response = response.clone();
        response.append("cache-control", HeaderValue::from_static(restriction));
        let (_, restricted) = exchange(&response);
        // A targeted field replaces it.
        assert!(!restricted.is_hit() || response.contains_key("cdn-cache-control"), "{restriction}: {restricted:?}");
    }
}

fn request(method: Method, fields: &HeaderMap) -> Request<String> {
    let mut request = Request::new(String::new());
    *request.method_mut() = method;
    request.headers_mut().clone_from(fields);
    request.headers_mut().insert("host", HeaderValue::from_static("example.com"));
    request
}

/// What the service says reaches the client, unless that has it already.
fn check_first(answer: &Answer, request: &HeaderMap, status: StatusCode, response: &HeaderMap) {
    assert!(!answer.is_hit());
    if answer.asked == 0 {
        return assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT);
    }
    if answer.status == StatusCode::NOT_MODIFIED && status != StatusCode::NOT_MODIFIED {
        return assert!(knows(request, response), "{answer:?}");
    }
    assert_eq!((answer.asked, answer.status, &*answer.body), (1, status, BODY.as_bytes()));
    for name in response.keys().filter(|name| *name != "cache-status") {
        assert!(response.get_all(name).iter().eq(answer.headers.get_all(name)), "{name}: {answer:?}");
    }
}

/// Whether a request has a condition that a response may not fulfil.
fn knows(request: &HeaderMap, response: &HeaderMap) -> bool {
    let mut tags = request.get_all("if-none-match").iter().map(HeaderValue::as_bytes).peekable();
    if tags.peek().is_none() {
        return request.get_all("if-modified-since").iter().count() == 1;
    }
    let own = response.get("etag").map(|tag| tag.as_bytes().trim_ascii());
    let own = own.map(|tag| tag.strip_prefix(b"W/").unwrap_or(tag));
    tags.any(|line| {
        line.contains(&b'*')
            || own.is_some_and(|own| !own.is_empty() && line.windows(own.len()).any(|part| part == own))
    })
}

/// What is sent of a stored page.
fn check_hit(answer: &Answer, request: &HeaderMap, status: StatusCode, response: &HeaderMap, is_head: bool) {
    assert_eq!(answer.asked, 1);
    for forbidden in ["set-cookie", "connection", "trailer"] {
        assert!(!answer.headers.contains_key(forbidden), "{answer:?}");
    }
    assert!(answer.headers.contains_key("age"), "{answer:?}");
    match answer.status.as_u16() {
        304 => assert!(answer.body.is_empty() && status == StatusCode::OK && knows(request, response), "{answer:?}"),
        206 if status == StatusCode::OK => {
            assert!(request.contains_key("range") && !is_head, "{answer:?}");
            let part = answer.headers.get("content-range").filter(|_| !response.contains_key("content-range"));
            if let Some(part) = part.map(|part| part.to_str().expect("text")) {
                let bounds =
                    part.strip_prefix("bytes ").and_then(|part| part.strip_suffix("/10")).expect("bytes of ten");
                let (first, last) = bounds.split_once('-').expect("two numbers");
                let (first, last): (usize, usize) = (first.parse().expect("one"), last.parse().expect("another"));
                assert_eq!(answer.body, &BODY.as_bytes()[first..=last]);
            }
        }
        416 => assert!(answer.body.is_empty() && request.contains_key("range"), "{answer:?}"),
        _ => {
            assert_eq!(answer.status, status);
            assert_eq!(&*answer.body, if is_head { &b""[..] } else { BODY.as_bytes() });
        }
    }
}
