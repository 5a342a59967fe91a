//! `vary(header("…"))` and `vary(cookie("…"))`.

use axum::{
    Router,
    body::Body,
    extract::Request,
    routing::{any, get},
};
use cache_request::cache_request;
use http::{HeaderMap, HeaderValue, request::Parts};

use super::{super::support::Count, Site, text};

static BODIES: Count = Count::new();

#[cache_request(vary(header("Accept-Language"), cookie("theme")))]
async fn by_fields(headers: HeaderMap) -> String {
    format!("{:?} {}", headers.get("accept-language"), BODIES.next())
}

#[cache_request(vary(header("accept")))]
async fn by_parts(parts: Parts) -> String {
    format!("{} {} {:?} {}", parts.method, parts.uri, parts.headers.get("accept"), BODIES.next())
}

#[test]
fn all_targets_had_one_answer_beside_a_field() {
    let site = Site::of(Router::new().route("/{*path}", any(by_parts)));
    let ask = |method: &str, uri: &str| text(site.ask(super::get(uri).method(method).body(Body::empty()).unwrap()));
    let first = ask("GET", "/a?x=1");
    assert_eq!(ask("GET", "/a?x=1"), first);
    for other in [ask("GET", "/b?x=1"), ask("GET", "/a?x=2"), ask("PUT", "/a?x=1")] {
        assert_ne!(other, first);
    }
}

#[cache_request(skip(request), vary(header("accept")))]
async fn by_request(request: Request) -> String {
    format!("{:?} {}", request.headers().get("accept"), BODIES.next())
}

#[cache_request(skip(_headers))]
async fn skipped(_headers: HeaderMap) -> String {
    BODIES.next().to_string()
}

#[cache_request(vary(header("accept")))]
async fn beside_a_long_array(headers: HeaderMap, pair: (u32, [u8; 40])) -> u32 {
    pair.0 + u32::from(pair.1[0]) + headers.len() as u32
}

#[test]
fn an_array_in_a_tuple_was_no_key_beside_a_field() {
    let key = |last| beside_a_long_array_cache(HeaderMap::new(), (1, [last; 40])).key().unwrap();
    assert_ne!(key(1), key(2));
}

fn header(name: &str) -> String {
    name.to_uppercase()
}

#[cache_request(vary(own = header("accept")))]
async fn own_function(id: u32) -> u32 {
    id
}

#[test]
fn a_header_field_is_part_of_the_key() {
    let site = Site::of(Router::new().route("/", get(by_fields)));
    let ask = |value: &str| site.get_with("/", "accept-language", value);
    let english = ask("en");
    assert_eq!(ask("en"), english);
    assert_ne!(ask("de"), english);
    assert_eq!(site.get_with("/", "x-other", "1"), site.get("/"));
    assert_ne!(ask(""), site.get("/"), "a blank field was taken for none");
}

#[test]
fn only_the_last_line_of_a_field_counted() {
    let site = Site::of(Router::new().route("/", get(by_fields)));
    let ask = |lines: &[&'static [u8]]| {
        let mut request = super::get("/").body(Body::empty()).unwrap();
        for line in lines {
            request.headers_mut().append("accept-language", HeaderValue::from_bytes(line).unwrap());
        }
        text(site.ask(request))
    };
    assert_ne!(ask(&[b"en", b"de"]), ask(&[b"fr", b"de"]));
    assert_ne!(ask(&[b"en", b"de"]), ask(&[b"en", b"fr"]));
    assert_ne!(ask(&[b"\xff"]), ask(&[b"\xfe"]));
    assert_eq!(ask(&[b"en, de"]), ask(&[b"en", b"de"]));
}

#[test]
fn a_cookie_is_part_of_the_key() {
    let site = Site::of(Router::new().route("/", get(by_fields)));
    let ask = |value: &str| site.get_with("/", "cookie", value);
    let dark = ask("id=1; theme=dark");
    assert_eq!(ask("theme=dark; id=2"), dark);
    assert_eq!(ask("theme=dark"), dark);
    assert_ne!(ask("theme=light"), dark);
    assert_ne!(ask("mytheme=dark"), dark);
    assert_ne!(ask("theme=dark; theme=light"), dark, "which one the handler takes is not known");
    assert_ne!(ask("theme="), site.get("/"));
}

#[test]
fn the_name_of_a_field_is_in_the_key() {
    let mut headers = HeaderMap::new();
    headers.insert("accept-language", HeaderValue::from_static("en, de"));
    let key = by_fields_cache(headers).key().unwrap();
    assert!(key.ends_with("by_fields?header.accept-language=en%2C%20de&cookie.theme=!"), "{key}");
}

#[test]
fn the_fields_of_parts_and_of_a_request() {
    let site = Site::of(
        Router::new().route("/parts", get(by_parts)).route("/request", get(by_request)).route("/skipped", get(skipped)),
    );
    for uri in ["/parts", "/request"] {
        let ask = |value: &str| site.get_with(uri, "accept", value);
        assert_eq!(ask("text/html"), ask("text/html"));
        assert_ne!(ask("text/html"), ask("text/plain"));
    }
    assert_ne!(site.get("/parts?a"), site.get("/parts?b"));
    assert_eq!(site.get_with("/skipped", "a", "1"), site.get_with("/skipped", "a", "2"));
}

#[test]
fn a_program_s_own_function_of_this_name_is_called() {
    let key = futures_lite::future::block_on(async { own_function_cache(1).key().unwrap() });
    assert!(key.ends_with("own_function?id=1&own=ACCEPT"), "{key}");
}
