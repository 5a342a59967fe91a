//! What released caches got wrong, by the pure functions alone. The public suite and the model of `tests/tests/pages` test the whole.

use std::time::{Duration, SystemTime};

use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use proptest::prelude::*;

use super::{
    conditions::{Condition, evaluate, update},
    directives::{About, Directives},
    freshness::{Control, Freshness, Reuse, age, http_date},
    ranges::{Wanted, wanted},
    storable::{Refusal, storable},
    vary::{Vary, selecting},
};

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    lines.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())).collect()
}

/// When all responses here are received: `Sun, 09 Sep 2001 01:46:40 GMT`.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000)
}

fn after(seconds: u64) -> SystemTime {
    now() + Duration::from_secs(seconds)
}

fn freshness(lines: &[(&'static str, &str)]) -> Freshness {
    let headers = headers(lines);
    Freshness::of(&Control::of(&headers, &[]), StatusCode::OK, &headers, now(), now())
}

fn reuse(lines: &[(&'static str, &str)], request: &[(&'static str, &str)], seconds: u64) -> Reuse {
    freshness(lines).reuse(&Directives::of_request(&headers(request)), after(seconds))
}

fn stores(request: &[(&'static str, &str)], response: &[(&'static str, &str)]) -> Result<(), Refusal> {
    let response = headers(response);
    storable(&Method::GET, &headers(request), StatusCode::OK, &response, &Control::of(&response, &[]))
}

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

/// RFC 9110, section 5.6.7.
#[test]
fn a_date_without_a_day_was_a_date() {
    for value in ["Foo, 06 Nov 2094 08:49:37 GMT", ", 06 Nov 2094 08:49:37 GMT", "06 Nov 2094 08:49:37 GMT"] {
        assert!(freshness(&[("expires", value)]).left(now()).is_err(), "{value}");
    }
    let dates = headers(&[("date", "Sun, 09 Sep 2001 01:46:40 GMT"), ("date", "Sun, 09 Sep 2001 00:46:40 GMT")]);
    assert_eq!(super::freshness::date(&dates), Some(now() - Duration::from_secs(3600)));
}

/// Section 4.2.1.
#[test]
fn a_lifetime_that_cannot_be_read_was_taken_for_a_long_one() {
    for value in
        ["s-maxage", "s-maxage=", "max-age=-1", "max-age=1.5", "max-age='60'", "max-age=6e1", "max-age=5, max-age=6"]
    {
        let later = format!("{value}, max-age=3600");
        let first = freshness(&[("cache-control", value)]);
        assert!(first.left(now()).is_err(), "{value}");
        assert!(freshness(&[("cache-control", &later)]).left(now()).is_err(), "{later}");
    }
}

#[test]
fn an_expires_in_another_zone_was_a_date() {
    for value in ["Sun, 09 Sep 2001 02:46:40 +0100", "Sun, 09 Sep 2001 02:46:40 EST", "0", "tomorrow"] {
        assert!(freshness(&[("expires", value)]).left(now()).is_err(), "{value}");
    }
    assert!(freshness(&[("expires", "sun, 09 SEP 2001 02:46:40 gmt")]).left(now()).is_ok());
}

/// Sections 4.2.4 and 5.2.2.
#[test]
fn a_client_got_stale_what_the_response_forbids() {
    let stale = [("cache-control", "max-stale=3600")];
    assert_eq!(reuse(&[("cache-control", "max-age=10")], &stale, 60), Reuse::Stale);
    for forbids in ["must-revalidate", "proxy-revalidate", "s-maxage=10", "no-cache"] {
        let value = format!("max-age=10, {forbids}");
        let lines = [("cache-control", &*value)];
        assert!(matches!(reuse(&lines, &stale, 60), Reuse::Validate(_)), "{forbids}");
        let with_windows = format!("{value}, stale-while-revalidate=600, stale-if-error=600");
        let freshness = freshness(&[("cache-control", &with_windows)]);
        assert!(!freshness.may_be_stale_while_revalidating(after(60)), "{forbids}");
        assert!(!freshness.may_be_stale_on_error(after(60)), "{forbids}");
    }
}

/// RFC 5861, sections 3 and 4.
#[test]
fn a_stale_window_ends() {
    let freshness = freshness(&[("cache-control", "max-age=10, stale-while-revalidate=5, stale-if-error=20")]);
    assert!(
        freshness.may_be_stale_while_revalidating(after(15)) && !freshness.may_be_stale_while_revalidating(after(16))
    );
    assert!(freshness.may_be_stale_on_error(after(30)) && !freshness.may_be_stale_on_error(after(31)));
}

/// Sections 1.2.2 and 5.1.
#[test]
fn a_huge_age_wrapped_to_a_fresh_one() {
    let fresh_for_an_hour = ("cache-control", "max-age=3600");
    for value in ["18446744073709551615", "99999999999999999999999999", "2147483648"] {
        assert!(freshness(&[fresh_for_an_hour, ("age", value)]).left(now()).is_err(), "{value}");
    }
    assert_eq!(age(&headers(&[("age", "200, 0")])), Some(Duration::from_secs(200)));
    assert_eq!(age(&headers(&[("age", "old"), ("age", "0")])), None);
}

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

/// Section 3.2.
#[test]
fn a_304_left_an_age_and_dropped_new_fields() {
    let mut stored = headers(&[("age", "500"), ("link", "a"), ("link", "b"), ("content-length", "10")]);
    let new = headers(&[("link", "c"), ("cache-control", "max-age=5"), ("set-cookie", "a=b"), ("content-length", "0")]);
    update(&mut stored, &new, &Directives::of_response(&new));
    assert_eq!(stored, headers(&[("content-length", "10"), ("link", "c"), ("cache-control", "max-age=5")]));
    let new = headers(&[("cache-control", "private=\"link\"")]);
    update(&mut stored, &new, &Directives::of_response(&new));
    assert_eq!(stored, headers(&[("content-length", "10"), ("cache-control", "private=\"link\"")]));
}

/// Section 3.5.
#[test]
fn an_authorized_response_was_shared_without_leave() {
    let authorized = [("authorization", "Basic x")];
    assert_eq!(stores(&authorized, &[("cache-control", "max-age=60")]), Err(Refusal::Authorization));
    for leave in ["public", "must-revalidate", "s-maxage=60"] {
        let value = format!("max-age=60, {leave}");
        assert_eq!(stores(&authorized, &[("cache-control", &value)]), Ok(()), "{leave}");
        let value = format!("{value}, private");
        assert_eq!(stores(&authorized, &[("cache-control", &value)]), Err(Refusal::Private), "{leave}");
    }
}

/// RFC 9110, sections 8.8.3.2 and 13.1.
#[test]
fn tags_match_weakly_in_if_none_match() {
    let response = headers(&[("etag", "W/\"a\"")]);
    let condition = |value| evaluate(&headers(&[("if-none-match", value)]), StatusCode::OK, &response, now());
    for matching in ["\"a\"", "W/\"a\"", "\"x\", \"a\"", "*"] {
        assert_eq!(condition(matching), Condition::NotModified, "{matching}");
    }
    for other in ["\"A\"", "a", "\"a", "W/\"b\"", "", "\"x\", *"] {
        assert_eq!(condition(other), Condition::Passed, "{other}");
    }
}

fn any_field() -> impl Strategy<Value = HeaderMap> {
    const NAMES: [&str; 12] = [
        "cache-control",
        "cdn-cache-control",
        "pragma",
        "age",
        "date",
        "expires",
        "last-modified",
        "etag",
        "vary",
        "range",
        "if-none-match",
        "if-range",
    ];
    let value = prop_oneof![
        proptest::collection::vec(
            prop_oneof![Just(b','), Just(b'"'), Just(b'='), Just(b'\\'), Just(b'-'), 32..=126_u8, 128..=255_u8],
            0..40
        ),
        "(no-cache|private|max-age=[0-9]{1,22}|s-maxage|\"[a-z, ]{0,5}\"?|bytes=[0-9]{0,3}-[0-9]{0,21}|, ?){0,5}"
            .prop_map(String::into_bytes),
    ];
    let line = (proptest::sample::select(&NAMES[..]), value).prop_filter_map("no value", |(name, value)| {
        Some((HeaderName::from_static(name), HeaderValue::from_bytes(&value).ok()?))
    });
    proptest::collection::vec(line, 0..8).prop_map(|lines| lines.into_iter().collect())
}

proptest! {
    /// No field makes a rule panic, and what may be reused late may be reused earlier.
    #[test]
    fn fields_of_any_kind_are_read(request in any_field(), response in any_field(), early in 0_u64..1 << 33, later in 0_u64..1 << 33) {
        let targets = [HeaderName::from_static("cdn-cache-control")];
        let control = Control::of(&response, &targets);
        let _ = storable(&Method::GET, &request, StatusCode::OK, &response, &control);
        let _ = evaluate(&request, StatusCode::OK, &response, now());
        let freshness = Freshness::of(&control, StatusCode::OK, &response, now(), now());
        let directives = Directives::of_request(&request);
        let reused = |seconds| !matches!(freshness.reuse(&directives, after(seconds)), Reuse::Validate(_));
        prop_assert!(!reused(early + later) || reused(early));
        if let Wanted::Parts(parts) = wanted(&Method::GET, &request, StatusCode::OK, &response, 100) {
            prop_assert!(parts.iter().all(|part| part.start < part.end && part.end <= 100));
        }
        let (mut once, mut twice) = (headers(&[("etag", "\"a\""), ("age", "5")]), HeaderMap::new());
        update(&mut once, &response, &control.directives);
        twice.clone_from(&once);
        update(&mut twice, &response, &control.directives);
        // A second 304 without an `Age` says that there is none.
        prop_assert_eq!(once, twice);
    }

    /// A restrictive directive never makes anything storable or reusable.
    #[test]
    fn a_restriction_restricts(response in any_field(), restriction in proptest::sample::select(&["no-store", "private", "no-cache", "max-age=0"][..])) {
        let mut restricted = response.clone();
        restricted.append("cache-control", HeaderValue::from_static(restriction));
        let stores = |response: &HeaderMap| storable(&Method::GET, &HeaderMap::new(), StatusCode::OK, response, &Control::of(response, &[])).is_ok();
        let reuses = |response: &HeaderMap| {
            let freshness = Freshness::of(&Control::of(response, &[]), StatusCode::OK, response, now(), now());
            freshness.reuse(&Directives::default(), now()) == Reuse::Fresh
        };
        // Only `max-age` says something of storing: that the response may be.
        prop_assert!(stores(&response) || !stores(&restricted) || restriction == "max-age=0");
        prop_assert!(reuses(&response) || !reuses(&restricted));
        if restriction == "no-cache" {
            prop_assert!(About::is_all(Directives::of_response(&restricted).no_cache.as_ref()));
        }
    }

    /// A valid date is the one that the library reads.
    #[test]
    fn valid_dates_are_read(seconds in 0_u64..253_402_300_799) {
        let date = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        prop_assert_eq!(http_date(httpdate::fmt_http_date(date).as_bytes()), Some(date));
    }
}
