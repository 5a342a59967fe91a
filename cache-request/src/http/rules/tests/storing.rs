//! What is stored, of it which fields, and for which requests.

use ::http::{HeaderMap, HeaderName, Method, StatusCode};

use super::{
    super::{
        directives::Directives,
        fields::remove_unstored,
        freshness::Control,
        storable::{Refusal, storable},
        vary::{Vary, selecting},
    },
    headers, stores,
};

/// RFC 9110, section 5.3.
#[test]
fn only_the_first_line_of_a_selecting_field_counted() {
    let field = HeaderName::from_static("accept");
    let [one, two] = [headers(&[("accept", "a")]), headers(&[("accept", "a"), ("accept", "b")])];
    assert_ne!(selecting(&one, &field), selecting(&two, &field));
    assert_eq!(selecting(&two, &field), selecting(&headers(&[("accept", "a ,b")]), &field));
    assert_ne!(selecting(&headers(&[]), &field), selecting(&headers(&[("accept", "")]), &field));
    assert_eq!(Vary::of(&headers(&[("vary", "accept"), ("vary", ", *")])), Vary::Any);
}

/// Section 3.5.
#[test]
fn an_authorized_response_was_shared_without_leave() {
    let authorized = [("authorization", "Basic x")];
    assert_eq!(stores(&authorized, &[("cache-control", "max-age=60")]), Err(Refusal::Authorization));
    assert_eq!(stores(&authorized, &[("cache-control", "s-maxage")]), Err(Refusal::Authorization), "it allows nothing");
    for leave in ["public", "must-revalidate", "s-maxage=60"] {
        let value = format!("max-age=60, {leave}");
        assert_eq!(stores(&authorized, &[("cache-control", &value)]), Ok(()), "{leave}");
        let value = format!("{value}, private");
        assert_eq!(stores(&authorized, &[("cache-control", &value)]), Err(Refusal::Private), "{leave}");
    }
}

/// Whether a response to a plain `GET` is stored.
fn stored_with(status: StatusCode, response: &HeaderMap) -> Result<(), Refusal> {
    let control = Control::of(response, &[]);
    storable(&Method::GET, &HeaderMap::new(), &Directives::default(), status, response, &control)
}

/// Section 3.
#[test]
fn a_response_that_says_nothing_was_stored() {
    let stored = |status: u16, lines: &[(&'static str, &str)]| {
        let response = headers(lines);
        let status = StatusCode::from_u16(status).unwrap();
        stored_with(status, &response)
    };
    for silent in [201, 202, 302, 303, 307, 400, 403, 418, 500, 503, 599, 999] {
        assert_eq!(stored(silent, &[("etag", "\"a\"")]), Err(Refusal::NotCacheable), "{silent}");
        for says in [
            ("cache-control", "public"),
            ("cache-control", "max-age=0"),
            ("cache-control", "s-maxage"),
            ("expires", "0"),
        ] {
            assert_eq!(stored(silent, &[says]), Ok(()), "{silent} {says:?}");
        }
    }
    for guessable in [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501] {
        assert_eq!(stored(guessable, &[]), Ok(()), "{guessable}");
    }
    let fresh = [("cache-control", "max-age=60, public")];
    for (other, why) in
        [(100, Refusal::Status), (103, Refusal::Status), (206, Refusal::Partial), (304, Refusal::Status)]
    {
        assert_eq!(stored(other, &fresh), Err(why), "{other}");
    }
}

/// Section 3, and RFC 9110, section 9.2.3.
#[test]
fn a_response_to_another_method_was_stored() {
    let response = headers(&[("cache-control", "max-age=60, public")]);
    let control = Control::of(&response, &[]);
    for method in ["HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY", "get"] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let stored = storable(&method, &HeaderMap::new(), &Directives::default(), StatusCode::OK, &response, &control);
        assert_eq!(stored, Err(Refusal::Method), "{method}");
    }
}

/// Section 5.2.2.3.
#[test]
fn must_understand_lifted_no_store_for_a_status_without_rules() {
    let response = headers(&[("cache-control", "must-understand, no-store, max-age=60")]);
    let stored = |status: u16| {
        let status = StatusCode::from_u16(status).unwrap();
        stored_with(status, &response)
    };
    assert_eq!((stored(200), stored(404)), (Ok(()), Ok(())));
    for status in [206, 226, 299, 306, 418, 429, 511, 599] {
        assert!(stored(status).is_err(), "{status}");
    }
}

/// Section 5.2.1.5.
#[test]
fn a_request_that_forbids_it_was_answered_into_the_store() {
    let fresh = [("cache-control", "max-age=60, public")];
    for value in ["no-store", "max-age=0, No-Store=1", "x, no-store"] {
        assert_eq!(stores(&[("cache-control", value)], &fresh), Err(Refusal::RequestNoStore), "{value}");
    }
}

/// Section 3.1, and RFC 9110, section 7.6.1.
#[test]
fn a_field_of_one_connection_was_stored() {
    let mut stored = headers(&[
        ("connection", "close, X-Hop"),
        ("connection", ",, keep-alive"),
        ("keep-alive", "timeout=5"),
        ("x-hop", "1"),
        ("x-hop", "2"),
        ("proxy-connection", "close"),
        ("proxy-authenticate", "Basic"),
        ("proxy-authentication-info", "x"),
        ("proxy-authorization", "Basic x"),
        ("te", "trailers"),
        ("trailer", "x"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("x-kept", "1"),
        ("set-cookie", "a=b"),
    ]);
    remove_unstored(&mut stored, &Directives::default());
    assert_eq!(stored, headers(&[("x-kept", "1")]));
}

/// Sections 5.2.2.4 and 5.2.2.7.
#[test]
fn a_field_for_one_user_was_stored() {
    for value in ["private=\"x-user, X-More\"", "no-cache=\"x-user\", private=x-more", "no-cache=\"x-user,x-more\""] {
        let response = headers(&[("cache-control", value), ("x-user", "alice"), ("x-more", "1"), ("x-kept", "1")]);
        assert_eq!(stores(&[], &[("cache-control", value)]), Ok(()), "{value}");
        let mut stored = response.clone();
        remove_unstored(&mut stored, &Directives::of_response(&response));
        assert_eq!(stored, headers(&[("cache-control", value), ("x-kept", "1")]), "{value}");
    }
}

/// Section 4.1.
#[test]
fn what_a_comma_separates_was_taken_for_a_list() {
    let same = |name: &'static str, one: &[&str], other: &[&str]| {
        let request = |values: &[&str]| headers(&values.iter().map(|value| (name, *value)).collect::<Vec<_>>());
        let name = HeaderName::from_static(name);
        selecting(&request(one), &name) == selecting(&request(other), &name)
    };
    for name in ["cookie", "authorization", "user-agent", "referer", "origin"] {
        assert!(!same(name, &["id=1, 2"], &["id=1,2"]), "{name}");
        assert!(!same(name, &["id=1", "2"], &["id=1,2"]), "{name}");
        assert!(same(name, &["id=1, 2"], &["id=1, 2"]), "{name}");
    }
    assert!(same("accept", &["a, b"], &["a", "b"]));
    for (one, other) in [("a,,b", "a,b"), ("a b", "ab"), ("\"a, b\"", "\"a,b\""), ("a", "A"), (",", "")] {
        assert!(!same("accept", &[one], &[other]), "{one} {other}");
    }
}

/// RFC 9111, section 4.1; RFC 9110, section 12.5.4.
#[test]
fn equal_preferences_of_languages_had_variants_of_their_own_or_different_ones_shared_one() {
    let name = HeaderName::from_static("accept-language");
    let selecting = |value| selecting(&headers(&[("accept-language", value)]), &name);
    for (one, other, is_equal) in [
        ("en, de", "eN, De", true),
        ("en, de", "de, en", true),
        ("de, en;q=0.5", "en;q=0.50,DE;q=1", true),
        ("de, en;q=0.5", "en, de;q=0.5", false),
        ("de", "de-AT", false),
        ("de, en;q=0", "de", false),
        ("de", "de, de;q=0.5", false),
        // What cannot be read is compared as it is.
        ("en, de;x", "de;x, en", false),
        ("en, de;x", "EN, de;x", false),
        ("en, de;x", "en ,de;x", true),
    ] {
        assert_eq!(selecting(one) == selecting(other), is_equal, "{one} and {other}");
    }
    assert_ne!(selecting(""), super::super::vary::selecting(&headers(&[]), &name), "none is not an empty one");
}

/// RFC 9110, sections 5.6.1 and 12.5.5.
#[test]
fn a_vary_that_cannot_be_read_was_none() {
    for value in ["*", "accept, *", "accept encoding", "\"accept\"", "a;b", "é"] {
        assert_eq!(stores(&[], &[("vary", value)]), Err(Refusal::VaryAny), "{value}");
    }
    let names = Vary::of(&headers(&[("vary", " , B,,"), ("vary", "a, b")]));
    assert_eq!(names, Vary::Names(["a", "b"].map(HeaderName::from_static).into()));
}
