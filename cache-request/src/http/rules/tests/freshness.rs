//! Age, lifetime, and what may be reused.

use std::time::Duration;

use ::http::StatusCode;

use super::{
    super::{
        directives::Directives,
        freshness::{Control, Freshness, Reuse, Windows, age, date, http_date},
    },
    after, freshness, headers, now, reuse,
};

/// RFC 9110, section 5.6.7.
#[test]
fn a_date_without_a_day_was_a_date() {
    for value in ["Foo, 06 Nov 2094 08:49:37 GMT", ", 06 Nov 2094 08:49:37 GMT", "06 Nov 2094 08:49:37 GMT"] {
        assert!(freshness(&[("expires", value)]).left(now()).is_err(), "{value}");
    }
    let dates = headers(&[("date", "Sun, 09 Sep 2001 01:46:40 GMT"), ("date", "Sun, 09 Sep 2001 00:46:40 GMT")]);
    assert_eq!(date(&dates), Some(now() - Duration::from_secs(3600)));
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
        let lines = [("cache-control", &*with_windows)];
        assert!(matches!(reuse(&lines, &[], 60), Reuse::Validate(_)), "{forbids}");
        let hour = Duration::from_secs(3600);
        assert!(!freshness(&lines).may_stand_in(&Directives::default(), hour, after(60)), "{forbids}");
        assert!(freshness(&lines).useful_for(now(), hour) <= Duration::from_secs(10), "{forbids}");
    }
}

/// RFC 5861, sections 3 and 4.
#[test]
fn a_stale_window_ends() {
    let lines = [("cache-control", "max-age=10, stale-while-revalidate=5, stale-if-error=20")];
    assert_eq!(reuse(&lines, &[], 15), Reuse::WhileRevalidating);
    assert!(matches!(reuse(&lines, &[], 16), Reuse::Validate(_)));
    let stands_in = |window, seconds| {
        freshness(&lines).may_stand_in(&Directives::default(), Duration::from_secs(window), after(seconds))
    };
    assert!(stands_in(0, 30) && !stands_in(0, 31));
    assert!(stands_in(60, 70) && !stands_in(60, 71), "what the cache allows");
}

/// RFC 5861. No window is no leave, also in the second in which the response becomes stale.
#[test]
fn a_response_without_a_window_was_reused_in_its_first_stale_second() {
    for value in
        ["max-age=10", "max-age=10, stale-while-revalidate=0, stale-if-error=0", "max-age=10, stale-if-error=x"]
    {
        let lines = [("cache-control", value)];
        assert!(matches!(reuse(&lines, &[], 10), Reuse::Validate(_)), "{value}");
        assert!(!freshness(&lines).may_stand_in(&Directives::default(), Duration::ZERO, after(10)), "{value}");
    }
}

/// RFC 9111, section 5.2.1: what a request asks for counts for stale responses as well.
#[test]
fn a_client_got_a_staler_response_than_it_accepts() {
    let lines = [("cache-control", "max-age=10, stale-while-revalidate=60, stale-if-error=60")];
    for (wish, accepts) in [
        ("ext", true),
        ("max-stale", true),
        ("max-stale=20", true),
        ("max-stale=19", false),
        ("max-age=30", true),
        ("max-age=29", false),
        ("min-fresh=1", false),
        ("no-cache", false),
        ("max-age", false),
        ("ext=\"", false),
    ] {
        let request = [("cache-control", wish)];
        assert_eq!(reuse(&lines, &request, 30) == Reuse::WhileRevalidating, accepts, "{wish}");
        let directives = Directives::of_request(&headers(&request));
        assert_eq!(freshness(&lines).may_stand_in(&directives, Duration::ZERO, after(30)), accepts, "{wish}");
    }
    let directives = Directives::of_request(&headers(&[("cache-control", "max-age=0, stale-if-error=30")]));
    let stands_in = |seconds| freshness(&lines).may_stand_in(&directives, Duration::ZERO, after(seconds));
    assert!(stands_in(40) && !stands_in(41), "it says itself how old a response may be if there is no other");
}

#[test]
fn the_windows_of_a_cache_replaced_those_of_a_response() {
    let seconds = Duration::from_secs;
    let windows = Windows { while_revalidating: seconds(60), if_error: seconds(60) };
    let useful = |value| {
        let headers = headers(&[("cache-control", value)]);
        let control = Control::of(&headers, &[]);
        let own = Freshness::of(&control, StatusCode::OK, &headers, now(), now()).with_windows(&control, windows);
        let stale = own.reuse(&Directives::default(), after(15)) == Reuse::WhileRevalidating;
        (stale, own.may_stand_in(&Directives::default(), Duration::ZERO, after(15)))
    };
    assert_eq!(useful("max-age=10"), (true, true));
    assert_eq!(useful("max-age=10, stale-while-revalidate=1"), (false, true));
    assert_eq!(useful("max-age=10, stale-if-error=1"), (true, false));
    assert_eq!(useful("max-age=10, stale-while-revalidate=x, stale-if-error=x"), (false, false));
    assert_eq!(useful("max-age=10, must-revalidate"), (false, false));
    assert_eq!(useful("max-age=0"), (false, false), "it is to be validated each time");
    assert_eq!(useful("public"), (false, false), "it is never fresh");
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

/// Section 1.2.2.
#[test]
fn a_huge_lifetime_wrapped_to_a_short_one() {
    for seconds in ["2147483648", "18446744073709551616", "99999999999999999999999999"] {
        let value = format!("max-age={seconds}");
        let lines = [("cache-control", &*value), ("age", "2147483647")];
        assert_eq!(freshness(&lines).left(now()), Ok(Duration::from_secs(1)), "{seconds}");
        assert!(freshness(&lines).left(after(u64::from(u32::MAX))).is_err(), "{seconds}");
    }
}

/// Sections 4.2.1 and 5.3.
#[test]
fn expires_counted_beside_a_lifetime() {
    let in_an_hour = ("expires", "Sun, 09 Sep 2001 02:46:40 GMT");
    for value in ["max-age=5", "s-maxage=5", "max-age=50, s-maxage=5", "s-maxage=5, max-age=50"] {
        let lines = [("cache-control", value), in_an_hour];
        assert_eq!(freshness(&lines).left(now()), Ok(Duration::from_secs(5)), "{value}");
    }
    // It counts from the time that the response was made.
    let lines = [in_an_hour, ("date", "Sun, 09 Sep 2001 00:46:40 GMT")];
    assert_eq!(freshness(&lines).left(now()), Ok(Duration::from_secs(3600)), "two hours, of which one is over");
    let several = [in_an_hour, ("expires", "Sun, 09 Sep 2001 03:46:40 GMT")];
    assert!(freshness(&several).left(now()).is_err(), "two that differ are none");
}

/// Section 4.2.2.
#[test]
fn a_guess_replaced_what_the_response_says() {
    let changed = ("last-modified", "Sun, 09 Sep 2001 00:06:40 GMT");
    assert_eq!(freshness(&[changed]).left(now()), Ok(Duration::from_secs(600)), "a tenth of 6000 seconds");
    for says in [("cache-control", "max-age=0"), ("expires", "0"), ("cache-control", "s-maxage=x")] {
        assert!(freshness(&[changed, says]).left(now()).is_err(), "{says:?}");
    }
    let guessed = |status: u16, control| {
        let headers = headers(&[changed, ("cache-control", control)]);
        let status = StatusCode::from_u16(status).unwrap();
        Freshness::of(&Control::of(&headers, &[]), status, &headers, now(), now()).left(now()).is_ok()
    };
    assert!(guessed(404, "ext") && guessed(302, "public"));
    assert!(!guessed(302, "ext") && !guessed(500, "ext"), "it is not for this status to be guessed");
}

/// Section 4.2.3.
#[test]
fn the_time_that_a_response_took_made_it_no_older() {
    let age = |lines| {
        let headers = headers(lines);
        Freshness::of(&Control::of(&headers, &[]), StatusCode::OK, &headers, now(), after(5)).age(after(6)).as_secs()
    };
    assert_eq!(age(&[]), 6);
    assert_eq!(age(&[("age", "10")]), 16, "it was ten seconds old when it was asked for");
    assert_eq!(age(&[("age", "10"), ("date", "Sun, 09 Sep 2001 01:46:00 GMT")]), 46, "the older of both");
    assert_eq!(age(&[("date", "Sun, 09 Sep 2001 09:46:40 GMT")]), 6, "a clock that is fast makes nothing younger");
}

/// Section 4.2.4.
#[test]
fn a_stale_response_was_reused_without_leave() {
    let lines = [("cache-control", "max-age=10")];
    assert_eq!(reuse(&lines, &[], 9), Reuse::Fresh);
    assert!(matches!(reuse(&lines, &[], 10), Reuse::Validate(_)), "it is fresh for ten seconds, not in the tenth");
    for (allowed, seconds) in [("max-stale", 1_000_000), ("max-stale=5", 15), ("max-stale=\"5\", ext", 15)] {
        assert_eq!(reuse(&lines, &[("cache-control", allowed)], seconds), Reuse::Stale, "{allowed}");
    }
    for (asked, seconds) in [("max-stale=5", 16), ("max-stale=5, max-stale", 16), ("max-stale, min-fresh=1", 10)] {
        assert!(matches!(reuse(&lines, &[("cache-control", asked)], seconds), Reuse::Validate(_)), "{asked}");
    }
}

/// Sections 5.2.1.1 and 5.2.1.3.
#[test]
fn a_client_got_an_older_response_than_it_wants() {
    let lines = [("cache-control", "max-age=60")];
    for (wish, last) in [("max-age=5", 5), ("min-fresh=20", 40), ("max-age=50, min-fresh=20", 40)] {
        let request = [("cache-control", wish)];
        assert_eq!(reuse(&lines, &request, last), Reuse::Fresh, "{wish}");
        assert!(matches!(reuse(&lines, &request, last + 1), Reuse::Validate(_)), "{wish}");
    }
}

/// RFC 5861, section 4.
#[test]
fn the_window_of_a_request_made_the_one_of_the_response_smaller() {
    let windows = |response, request| {
        let freshness = freshness(&[("cache-control", response)]);
        let request = Directives::of_request(&headers(&[("cache-control", request)]));
        [15, 30, 31].map(|seconds| freshness.may_stand_in(&request, Duration::ZERO, after(seconds)))
    };
    assert_eq!(windows("max-age=10, stale-if-error=5", "ext"), [true, false, false]);
    assert_eq!(windows("max-age=10, stale-if-error=20", "stale-if-error=1"), [true, true, false]);
    assert_eq!(windows("max-age=10", "stale-if-error=20"), [true, true, false]);
    assert_eq!(windows("max-age=10", "stale-if-error=x"), [false; 3]);
    assert_eq!(windows("max-age=10, must-revalidate", "stale-if-error=20"), [false; 3]);
}

/// RFC 9110, section 5.6.7.
#[test]
fn a_date_in_an_older_form_was_none() {
    for value in ["Sunday, 09-Sep-01 01:46:40 GMT", "Sun Sep  9 01:46:40 2001", "Sun, 09 Sep 2001 01:46:40 GMT"] {
        assert_eq!(http_date(value.as_bytes()), Some(now()), "{value}");
    }
    // Two digits are a year of the past if they would be one of a far future.
    let year = |digits: &str| http_date(format!("Sunday, 06-Nov-{digits} 08:49:37 GMT").as_bytes());
    assert!(year("94") < year("01") && year("70") < year("69"));
}
