//! What an unsafe request invalidates.

use ::http::{HeaderMap, Method, StatusCode};

use super::{
    super::invalidation::{further_targets, invalidates},
    headers,
};

/// RFC 9111, section 4.4.
#[test]
fn a_method_that_is_not_known_changed_nothing() {
    let changes = |method: &str, status: u16| {
        invalidates(&Method::from_bytes(method.as_bytes()).unwrap(), StatusCode::from_u16(status).unwrap())
    };
    for method in ["POST", "PUT", "DELETE", "PATCH", "PURGE", "get"] {
        assert!([200, 204, 299, 301, 304, 399].iter().all(|status| changes(method, *status)), "{method}");
        assert!([100, 199, 400, 404, 500, 599, 999].iter().all(|status| !changes(method, *status)), "{method}");
    }
    for safe in ["GET", "HEAD", "OPTIONS", "TRACE"] {
        assert!(!changes(safe, 200), "{safe}");
    }
}

/// Section 4.4.
#[test]
fn a_response_invalidated_pages_of_another_origin() {
    let targets = |response: &HeaderMap| further_targets(&"Example.com:8080".parse().unwrap(), "/a/b?c", response);
    for other in [
        "http://example.com/x",
        "http://example.com:80/x",
        "//example.com/x",
        "http://evil.example:8080/x",
        "http://user@example.com:8080/x",
        "//example.com:8080@evil.example/x",
        "mailto:x",
        "http:x",
        "x:/y",
        "http://[/x",
    ] {
        for name in ["location", "content-location"] {
            assert_eq!(targets(&headers(&[(name, other)])), [""; 0], "{other}");
        }
    }
    for (own, path) in [
        ("http://EXAMPLE.com:8080/x", "/x"),
        ("https://example.com:8080/x", "/x"),
        ("//example.com:8080/x?y#z", "/x?y"),
        ("/x/../y", "/y"),
        ("d", "/a/d"),
        ("./../d", "/d"),
        ("../../..", "/"),
        ("?d", "/a/b?d"),
        ("", "/a/b?c"),
        ("#d", "/a/b?c"),
        ("d?e:f/../g", "/a/d?e:f/../g"),
    ] {
        assert_eq!(targets(&headers(&[("location", own)])), [path], "{own}");
    }
    for own in ["a.example", "a.example:80", "A.example:443"] {
        for other in ["http://a.example/x", "https://a.example:443/x", "https://a.example:80/x", "//a.example/x"] {
            let found = further_targets(&own.parse().unwrap(), "/", &headers(&[("location", other)]));
            assert_eq!(found, ["/x"], "{own} {other}");
        }
    }
    let both = headers(&[("location", "/x"), ("location", "/y"), ("content-location", "/z")]);
    assert_eq!(targets(&both), ["/x", "/y", "/z"]);
}
