//! `Cache-Control`, targeted fields and `Pragma`.

use std::time::Duration;

use ::http::{HeaderMap, HeaderName, Method, StatusCode};

use super::{
    super::{
        directives::{About, Directives},
        freshness::{Control, Freshness, Reuse},
        storable::{Refusal, storable},
    },
    after, freshness, headers, now, reuse, stores,
};

/// RFC 9111, section 5.2.
#[test]
fn directives_were_known_in_lower_case_only() {
    assert_eq!(stores(&[], &[("cache-control", "No-Store")]), Err(Refusal::NoStore));
    assert_eq!(stores(&[], &[("cache-control", "PRIVATE, MAX-AGE=60")]), Err(Refusal::Private));
}

#[test]
fn directives_were_found_inside_a_quoted_string() {
    assert_eq!(stores(&[], &[("cache-control", "extension=\"a, no-store, \\\", private\", max-age=60")]), Ok(()));
    let quoted = [("cache-control", "extension=\"max-age=60\"")];
    assert_eq!(freshness(&quoted).left(now()), Err(Duration::ZERO));
    // What follows a string without an end may be part of it, so nothing of the line is believed.
    assert_eq!(stores(&[], &[("cache-control", "max-age=60, extension=\"")]), Err(Refusal::NoStore));
}

#[test]
fn a_directive_hid_in_what_could_not_be_read() {
    for value in ["private; max-age=60", "private =\"x\", max-age=60", "must-understand, max-age=60, x=\"…, private"]
    {
        let value = value.replace('…', "a");
        assert_eq!(stores(&[], &[("cache-control", &value)]), Err(Refusal::NoStore), "{value}");
    }
}

/// RFC 9213, section 2.1.
#[test]
fn a_targeted_directive_of_another_type_was_none() {
    let targets = [HeaderName::from_static("cdn-cache-control")];
    let control =
        |value| Control::of(&headers(&[("cdn-cache-control", value), ("cache-control", "max-age=60")]), &targets);
    for value in ["no-store, x=1.5", "no-store=1", "no-store=(a b), max-age=60"] {
        assert!(control(value).directives.no_store, "{value}");
    }
    for value in ["max-age=\"60\"", "max-age=1.5", "max-age"] {
        let headers = headers(&[("cdn-cache-control", value)]);
        assert_eq!(control(value).explicit_lifetime(&headers, now()), Some(Duration::ZERO), "{value}");
    }
    assert!(!control("public=1").directives.public);
    assert_eq!(control("&&&").directives.max_age, Some(Ok(Duration::from_secs(60))), "it is no dictionary");
}

/// Sections 5.2 and 5.2.3.
#[test]
fn an_argument_in_the_other_form_was_not_read() {
    for value in ["max-age=60", "max-age=\"60\"", "max-age=\"6\\0\"", "ext, max-age=60", "ext=1, , max-age=60"] {
        assert_eq!(freshness(&[("cache-control", value)]).left(now()), Ok(Duration::from_secs(60)), "{value}");
    }
    for value in ["private=\"a, b\"", "private=a, private=b", "private=\"a\", private=\"b\""] {
        let directives = Directives::of_response(&headers(&[("cache-control", value)]));
        assert_eq!(About::fields(directives.private.as_ref()), ["a", "b"], "{value}");
    }
    // One that names nothing, or what cannot be a field, is about all.
    for value in ["private=\"\"", "private=\"a b\"", "private=", "private=a, private"] {
        assert_eq!(stores(&[], &[("cache-control", value)]), Err(Refusal::Private), "{value}");
    }
}

/// Section 5.2.3.
#[test]
fn a_directive_that_is_not_known_counted() {
    for unknown in
        ["community=\"x\"", "immutable", "immutable=0", "no-transform", "x-no-store", "no-storer", "min-fresh=1"]
    {
        let value = format!("max-age=60, {unknown}");
        let lines = [("cache-control", &*value)];
        assert_eq!((stores(&[], &lines), reuse(&lines, &[], 59)), (Ok(()), Reuse::Fresh), "{unknown}");
    }
}

/// Section 5.4, and 5.2.1.4.
#[test]
fn pragma_counted_beside_cache_control() {
    let fresh = [("cache-control", "max-age=60")];
    let asks = |request: &[(&'static str, &str)]| matches!(reuse(&fresh, request, 0), Reuse::Validate(_));
    assert!(asks(&[("pragma", "x, No-Cache")]));
    assert!(!asks(&[("pragma", "no-cache"), ("cache-control", "max-age=60")]));
    assert!(matches!(
        reuse(&[("pragma", "no-cache"), ("expires", "Sun, 09 Sep 2001 02:46:40 GMT")], &[], 0),
        Reuse::Validate(_)
    ));
}

/// Section 5.2.1.
#[test]
fn a_request_that_cannot_be_read_got_a_stored_response() {
    let fresh = [("cache-control", "max-age=60")];
    for value in ["no-cache; x", "max-age=x", "max-age=1, max-age=2", "min-fresh", "x=\", no-cache"] {
        let request = [("cache-control", value)];
        assert!(matches!(reuse(&fresh, &request, 0), Reuse::Validate(_)), "{value}");
    }
    assert_eq!(stores(&[("cache-control", "no-store; x")], &fresh), Err(Refusal::RequestNoStore));
    // What allows more is believed only as it should be.
    assert!(matches!(reuse(&fresh, &[("cache-control", "max-stale=x")], 61), Reuse::Validate(_)));
}

/// RFC 9213, section 2.
#[test]
fn a_targeted_field_and_others_counted_together() {
    let targets = ["own-cache-control", "cdn-cache-control"].map(HeaderName::from_static);
    let lifetime = |lines: &[(&'static str, &str)]| {
        let headers = headers(lines);
        Control::of(&headers, &targets).explicit_lifetime(&headers, now()).map(|lifetime| lifetime.as_secs())
    };
    let others = [("cache-control", "max-age=1"), ("expires", "Sun, 09 Sep 2001 01:46:42 GMT")];
    let with = |own: &'static str, cdn: &'static str| {
        lifetime(&[&others[..], &[("own-cache-control", own), ("cdn-cache-control", cdn)]].concat())
    };
    assert_eq!(with("max-age=10", "max-age=20"), Some(10), "the first target counts");
    assert_eq!(with("", "max-age=20"), Some(20), "an empty one is none");
    assert_eq!(with("max-age=10,", "max-age=20"), Some(20), "nor is one that cannot be parsed");
    assert_eq!(with("no-store", "max-age=20"), None, "it says nothing of freshness, and no other field does for it");
    assert_eq!(with("max-age=10;x=1, y", ""), Some(10), "parameters and what is not known are ignored");
    assert_eq!(with("", "&"), Some(1), "without a valid target the usual fields count");
    assert_eq!(lifetime(&[("surrogate-cache-control", "max-age=5")]), None, "it is no target of this cache");
    let lines = [("own-cache-control", "max-age=10"), ("own-cache-control", "x"), ("own-cache-control", "max-age=5")];
    assert_eq!(lifetime(&lines), Some(5), "lines are one dictionary, in which the last of a name counts");
    let response = headers(&[("own-cache-control", "x"), ("expires", "0"), ("cache-control", "public")]);
    let control = Control::of(&response, &targets);
    let stored =
        storable(&Method::GET, &HeaderMap::new(), &Directives::default(), StatusCode::FOUND, &response, &control);
    assert_eq!(stored, Err(Refusal::NotCacheable), "nor do they allow storing");
}

/// RFC 9213, section 2.2.
#[test]
fn a_targeted_field_allowed_what_it_forbids() {
    let targets = [HeaderName::from_static("cdn-cache-control")];
    let response = |value: &str| headers(&[("cdn-cache-control", value), ("cache-control", "max-age=600, public")]);
    let decide = |value: &str, wish: &str| {
        let response = response(value);
        let control = Control::of(&response, &targets);
        let stored = storable(
            &Method::GET,
            &headers(&[("authorization", "Basic x")]),
            &Directives::default(),
            StatusCode::OK,
            &response,
            &control,
        );
        let freshness = Freshness::of(&control, StatusCode::OK, &response, now(), now());
        (stored, freshness.reuse(&Directives::of_request(&headers(&[("cache-control", wish)])), after(60)))
    };
    assert_eq!(decide("max-age=61, public", "ext"), (Ok(()), Reuse::Fresh));
    assert_eq!(decide("max-age=60, public", "max-stale"), (Ok(()), Reuse::Stale));
    assert_eq!(decide("max-age=61", "ext").0, Err(Refusal::Authorization), "the usual field does not count");
    for (value, refusal) in
        [("no-store", Refusal::NoStore), ("private", Refusal::Private), ("private=\"\"", Refusal::Private)]
    {
        assert_eq!(decide(&format!("max-age=61, public, {value}"), "ext").0, Err(refusal), "{value}");
    }
    for value in
        ["must-revalidate", "proxy-revalidate", "s-maxage=60", "no-cache", "no-cache=\"\"", "must-revalidate=1"]
    {
        let value = format!("max-age=60, public, {value}");
        assert!(matches!(decide(&value, "max-stale").1, Reuse::Validate(_)), "{value}");
    }
    let named = Control::of(&response("private=\"a, b\", no-cache=c"), &targets).directives;
    assert_eq!(About::fields(named.private.as_ref()), ["a", "b"]);
    assert_eq!(About::fields(named.no_cache.as_ref()), ["c"]);
}
