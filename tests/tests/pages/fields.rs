//! The fields that pass, and those of stored pages: RFC 9111, sections 3.1 and 5.2; RFC 9110, section 5.3.

use std::time::Duration;

use cache_request::http::CachePage;
use http::HeaderMap;

use super::support::{Bench, FRESH, Origin, Script, ok, response};

fn lines<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a [u8]> {
    headers.get_all(name).iter().map(http::HeaderValue::as_bytes).collect()
}

#[tokio::test]
async fn a_field_that_is_not_known_was_dropped_or_its_lines_came_in_another_order() {
    let bench = Bench::new(Origin::new(|_, _| {
        let fields = [
            ("x-new", "c"),
            ("link", "<b>"),
            ("x-new", "a, b"),
            ("link", "<a>"),
            ("x-new", "\u{e9}"),
            ("x-new", ""),
            ("allow", "GET, X"),
            ("content-md5", "x"),
            ("retry-after", "5"),
            ("surrogate-control", "no-store"),
            FRESH,
        ];
        ok(&fields, "page")
    }));
    for is_hit in [false, true, true] {
        let answer = bench.get("/").await;
        assert_eq!(answer.is_hit(), is_hit);
        assert_eq!(lines(&answer.headers, "x-new"), [&b"c"[..], b"a, b", "\u{e9}".as_bytes(), b""]);
        assert_eq!(lines(&answer.headers, "link"), [b"<b>", b"<a>"]);
        for (name, value) in [("allow", "GET, X"), ("content-md5", "x"), ("retry-after", "5")] {
            assert_eq!(lines(&answer.headers, name), [value.as_bytes()]);
        }
        assert_eq!(answer.field("surrogate-control"), Some("no-store"), "it is for another cache");
    }
}

/// Section 5.2.
#[tokio::test]
async fn a_directive_was_not_passed_on() {
    const CONTROL: &str = "max-age=60, no-transform, community=\"a, b\", stale-if-error=5";
    let bench = Bench::new(Origin::new(|_, _| {
        ok(&[("cache-control", CONTROL), ("cdn-cache-control", "max-age=90, x"), ("expires", "0")], "page")
    }));
    let request = [("cache-control", "max-age=0, no-transform, x=\"y\""), ("pragma", "no-cache")];
    for _ in 0..2 {
        let answer = bench.get_with("/", &request).await;
        assert_eq!(answer.field("cache-control"), Some(CONTROL));
        assert_eq!(answer.field("cdn-cache-control"), Some("max-age=90, x"));
        assert_eq!(answer.field("expires"), Some("0"));
        let sent = bench.origin.last().headers;
        assert_eq!(
            (&sent["cache-control"], &sent["pragma"]),
            (&request[0].1.parse().unwrap(), &"no-cache".parse().unwrap())
        );
        bench.advance(1);
    }
    bench.advance(80);
    assert!(bench.get("/").await.is_hit(), "the targeted field counts");
}

/// RFC 9110, section 11.6.
#[tokio::test]
async fn credentials_or_their_challenge_were_changed() {
    let challenges = [("www-authenticate", "Basic realm=\"a, b\""), ("www-authenticate", "Bearer"), FRESH];
    let bench = Bench::new(Origin::new(move |_, _| response(401, &challenges, Script::text("no"))));
    for _ in 0..2 {
        let answer = bench.get("/").await;
        assert_eq!(lines(&answer.headers, "www-authenticate"), [challenges[0].1.as_bytes(), b"Bearer"]);
    }
    bench.get_with("/own", &[("authorization", "Bearer  x,y")]).await;
    assert_eq!(bench.origin.last().headers["authorization"], "Bearer  x,y");
}

/// Section 4.2.4.
#[tokio::test]
async fn a_stale_page_looked_fresh() {
    let bench = Bench::new(Origin::new(|_, _| ok(&[FRESH, ("etag", "\"a\"")], "page")));
    bench.get("/").await;
    bench.advance(100);
    let stale = bench.get_with("/", &[("cache-control", "max-stale")]).await;
    assert_eq!((stale.field("age"), stale.cache_status()), (Some("100"), "cache-request; hit; ttl=-40"));
}

/// Section 4.1. The newest page that answers a request is used, with a `Vary` or not.
#[tokio::test]
async fn an_older_variant_answered() {
    let bench = Bench::new(Origin::new(|_, number| match number {
        0 | 1 => ok(&[FRESH, ("vary", "a")], format!("response {number}")),
        _ => ok(&[FRESH], format!("response {number}")),
    }));
    for (value, expected) in [("1", "response 0"), ("2", "response 1"), ("1", "response 0"), ("3", "response 2")] {
        assert_eq!(bench.get_with("/", &[("a", value)]).await.text(), expected, "{value}");
    }
    assert_eq!(bench.get_with("/", &[("a", "1")]).await.text(), "response 2");
}

/// Section 4.1.
#[tokio::test]
async fn a_cookie_with_a_comma_got_the_page_of_another() {
    let bench = Bench::new(Origin::new(|parts, _| {
        let cookie = parts.headers["cookie"].to_str().unwrap().to_owned();
        ok(&[FRESH, ("vary", "cookie")], cookie)
    }));
    for cookie in ["id=1,2", "id=1, 2", "id=1,,2", "id=1 ,2", "id=1,2"] {
        assert_eq!(bench.get_with("/", &[("cookie", cookie)]).await.text(), cookie);
    }
    assert_eq!(bench.origin.count(), 4);
}

/// RFC 9110, section 5.6.7: there is no date after the year 9999.
#[tokio::test]
async fn a_date_beyond_all_dates_broke_the_call() {
    for seconds in [1 << 37, 1 << 38, 1 << 40, 1 << 62, u64::MAX] {
        let layer = CachePage::new().timeout(Duration::from_secs(seconds));
        let bench = Bench::with(layer, Origin::new(|_, _| ok(&[], "page")));
        for is_hit in [false, true] {
            let answer = bench.get("/").await;
            assert_eq!((answer.text(), answer.is_hit()), ("page", is_hit), "{seconds}");
            assert_eq!(answer.headers.contains_key("expires"), seconds == 1 << 37, "{seconds}");
        }
    }
}
