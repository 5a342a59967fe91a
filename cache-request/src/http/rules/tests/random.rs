//! Fields of any kind.

use std::time::{Duration, SystemTime};

use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use proptest::prelude::*;

use super::{
    super::{
        conditions::{evaluate, update},
        directives::{About, Directives},
        freshness::{Control, Freshness, Reuse, http_date},
        ranges::{Wanted, wanted},
        storable::storable,
    },
    after, headers, now,
};

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
        "(no-cache|private|max-age=[0-9]{1,22}|stale-while-revalidate=[0-9]{1,9}|stale-if-error=[0-9]{1,9}|max-stale|s-maxage|\"[a-z, ]{0,5}\"?|bytes=[0-9]{0,3}-[0-9]{0,21}|, ?){0,5}"
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
        let _ = storable(&Method::GET, &request, &Directives::of_request(&request), StatusCode::OK, &response, &control);
        let _ = evaluate(&request, StatusCode::OK, &response, now());
        let freshness = Freshness::of(&control, StatusCode::OK, &response, now(), now());
        let directives = Directives::of_request(&request);
        let reused = |seconds| !matches!(freshness.reuse(&directives, after(seconds)), Reuse::Validate(_));
        prop_assert!(!reused(early + later) || reused(early));
        let stands_in = |seconds| freshness.may_stand_in(&directives, Duration::from_secs(later), after(seconds));
        prop_assert!(!stands_in(early + later) || stands_in(early));
        let most = freshness.useful_for(now(), Duration::from_secs(later));
        let is_useful = freshness.reuse(&Directives::default(), after(early)) == Reuse::WhileRevalidating
            || freshness.may_stand_in(&Directives::default(), Duration::from_secs(later), after(early));
        prop_assert!(!is_useful || most >= Duration::from_secs(early), "it is kept for as long as it is of use");
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
    fn a_restriction_restricts(response in any_field(), restriction in proptest::sample::select(&["no-store", "private", "no-cache", "max-age=0", "must-revalidate"][..]), seconds in 0_u64..1 << 20) {
        let mut restricted = response.clone();
        restricted.append("cache-control", HeaderValue::from_static(restriction));
        let stores = |response: &HeaderMap| storable(&Method::GET, &HeaderMap::new(), &Directives::default(), StatusCode::OK, response, &Control::of(response, &[])).is_ok();
        let reuses = |response: &HeaderMap| {
            let freshness = Freshness::of(&Control::of(response, &[]), StatusCode::OK, response, now(), now());
            freshness.reuse(&Directives::default(), now()) == Reuse::Fresh
        };
        // The others do not forbid to store, but `max-age` says that the response may be stored, and `must-revalidate` that it may be shared.
        prop_assert!(stores(&response) || !stores(&restricted) || ["max-age=0", "must-revalidate"].contains(&restriction));
        prop_assert!(reuses(&response) || !reuses(&restricted));
        if ["no-cache", "must-revalidate"].contains(&restriction) {
            let freshness = Freshness::of(&Control::of(&restricted, &[]), StatusCode::OK, &restricted, now(), now());
            let reused = freshness.reuse(&Directives::default(), after(seconds));
            prop_assert!(matches!(reused, Reuse::Fresh | Reuse::Validate(_)));
            prop_assert!(!freshness.may_stand_in(&Directives::default(), Duration::MAX, after(seconds)));
        }
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
