//! Validation, and what is answered when it fails: RFC 9111, sections 4.2.4 and 4.3.

use http::{Method, StatusCode};

use super::support::{Bench, FRESH, Failed, Gate, Origin, Script, ok, request, response, settle};

/// A service whose page has this tag, and is fresh for a minute. It answers its own condition with 304.
fn tagged(tag: &'static str) -> Origin {
    Origin::new(move |parts, number| match parts.headers.get("if-none-match") {
        Some(known) if known == tag => response(304, &[("etag", tag), FRESH], Script::text("")),
        _ => ok(&[("etag", tag), FRESH], format!("response {number}")),
    })
}

#[tokio::test]
async fn a_full_answer_to_a_validation_was_ignored() {
    let bench = Bench::new(Origin::new(|_, number| {
        let tag = format!("\"{number}\"");
        ok(&[("etag", &tag), FRESH], format!("response {number}"))
    }));
    bench.get("/").await;
    bench.advance(61);
    let new = bench.get("/").await;
    assert_eq!(bench.origin.last().headers["if-none-match"], "\"0\"");
    assert_eq!((new.text(), new.field("etag")), ("response 1", Some("\"1\"")));
    let hit = bench.get("/").await;
    assert_eq!((hit.text(), hit.is_hit()), ("response 1", true));
}

#[tokio::test]
async fn a_validator_of_the_page_was_not_sent() {
    let fields = [("etag", "W/\"a\\\""), ("last-modified", "Sun, 09 Sep 2001 01:46:40 GMT"), FRESH];
    let bench = Bench::new(Origin::new(move |_, number| ok(&fields, number.to_string())));
    bench.get("/").await;
    bench.advance(61);
    bench.get_with("/", &[("if-none-match", "\"of the client\"")]).await;
    let sent = bench.origin.last().headers;
    assert_eq!(sent["if-none-match"], fields[0].1);
    assert_eq!(sent["if-modified-since"], fields[1].1);
}

/// Sections 4.2.4 and 5.2.2.2.
#[tokio::test]
async fn an_error_of_the_service_was_hidden_by_a_stale_page() {
    for (control, is_hidden) in [
        ("max-age=60", true),
        ("max-age=60, must-revalidate", false),
        ("max-age=60, proxy-revalidate", false),
        ("s-maxage=60", false),
        ("no-cache", false),
    ] {
        let bench = Bench::new(Origin::later(move |_, number| async move {
            match number {
                0 => Ok(ok(&[("cache-control", control), ("etag", "\"a\"")], "page")),
                1 => Ok(response(503, &[], Script::text("error"))),
                _ => Err(Failed),
            }
        }));
        bench.get("/").await;
        bench.advance(61);
        let error = bench.get("/").await;
        assert_eq!((error.status, error.text()), (503, "error"), "{control}");
        let failed = bench.open(request(Method::GET, "/", &[])).await;
        assert_eq!(failed.is_ok(), is_hidden, "without a response, and without a word against it: {control}");
    }
}

/// Section 5.2.2.4.
#[tokio::test]
async fn a_page_with_no_cache_was_reused_as_it_is() {
    let bench = Bench::new(Origin::new(|parts, _| match parts.headers.contains_key("if-none-match") {
        true => response(304, &[("etag", "\"a\"")], Script::text("")),
        false => ok(&[("etag", "\"a\""), ("cache-control", "max-age=60, no-cache")], "page"),
    }));
    for asked in 1..=3 {
        let answer = bench.get_with("/", &[("cache-control", "max-stale")]).await;
        assert_eq!((answer.text(), answer.is_hit(), bench.origin.count()), ("page", false, asked));
    }
}

/// Section 4.3.4. The clock of the origin is an hour fast, so its `Date` does not tell how old the page is.
#[tokio::test]
async fn a_304_about_another_response_made_the_page_fresh() {
    for (tag, is_about) in [("\"a\"", true), ("\"b\"", false)] {
        let clock = std::sync::Arc::new(std::sync::Mutex::new(None::<cache_request::MockClock>));
        let bench = Bench::new(Origin::new({
            let clock = std::sync::Arc::clone(&clock);
            move |parts, _| {
                let now = cache_request::Clock::from(clock.lock().unwrap().as_ref().unwrap()).wall();
                let date = httpdate::fmt_http_date(now + std::time::Duration::from_secs(3600));
                match parts.headers.contains_key("if-none-match") {
                    true => response(304, &[("etag", tag), ("x-new", "1"), FRESH, ("date", &date)], Script::text("")),
                    false => ok(&[("etag", "\"a\""), FRESH, ("date", &date)], "page"),
                }
            }
        }));
        *clock.lock().unwrap() = Some(bench.clock.clone());
        bench.get("/").await;
        bench.advance(61);
        let answer = bench.get("/").await;
        assert_eq!((answer.text(), answer.headers.contains_key("x-new")), ("page", is_about), "{tag}");
        assert_eq!(answer.field("age"), Some(if is_about { "0" } else { "61" }), "{tag}");
        assert_eq!(bench.get("/").await.is_hit(), is_about, "{tag}");
    }
}

/// Section 4.3.5.
#[tokio::test]
async fn a_head_that_tells_of_a_change_left_the_page() {
    for (told, is_kept) in [(("etag", "\"a\""), true), (("etag", "\"b\""), false), (("content-length", "9"), false)] {
        let bench = Bench::new(Origin::new(move |parts, _| match parts.method == Method::HEAD {
            true => response(200, &[told], Script::text("")),
            false => ok(&[("etag", "\"a\""), FRESH], "page"),
        }));
        bench.get("/").await;
        bench.advance(61);
        bench.send(request(Method::HEAD, "/", &[])).await;
        let answer = bench.get("/").await;
        assert_eq!((answer.is_hit(), bench.origin.count()), (is_kept, if is_kept { 2 } else { 3 }), "{told:?}");
        assert!(!bench.origin.last().headers.contains_key("if-none-match"), "{told:?}");
    }
}

/// Section 4.3.5. Its fields are those of the page from now on, which is fresh again. Without a validator it tells nothing.
#[tokio::test]
async fn a_head_that_tells_of_no_change_left_the_page_as_it_was() {
    for (told, is_updated) in [(("etag", "\"a\""), true), (("content-length", "4"), false)] {
        let bench = Bench::new(Origin::new(move |parts, _| match parts.method == Method::HEAD {
            true => response(200, &[told, FRESH, ("x-new", "1")], Script::text("")),
            false => ok(&[("etag", "\"a\""), FRESH, ("x-old", "1")], "page"),
        }));
        bench.get("/").await;
        bench.advance(61);
        bench.send(request(Method::HEAD, "/", &[])).await;
        let answer = bench.get("/").await;
        assert_eq!((answer.is_hit(), answer.text()), (is_updated, "page"), "{told:?}");
        assert_eq!((answer.field("x-new"), answer.field("x-old")), (is_updated.then_some("1"), Some("1")), "{told:?}");
        assert_eq!(answer.field("age").unwrap_or("0"), "0", "{told:?}");
    }
}

/// Section 4.3.5.
#[tokio::test]
async fn a_head_that_forbids_to_store_left_the_page() {
    let bench = Bench::new(Origin::new(|parts, _| match parts.method == Method::HEAD {
        true => response(200, &[("etag", "\"a\""), ("cache-control", "no-store")], Script::text("")),
        false => ok(&[("etag", "\"a\""), FRESH], "page"),
    }));
    bench.get("/").await;
    bench.advance(61);
    bench.send(request(Method::HEAD, "/", &[])).await;
    bench.get("/").await;
    assert!(!bench.origin.last().headers.contains_key("if-none-match"), "nothing is left to validate");
}

/// RFC 9111, section 4.3.5. A response to a HEAD is about the page that was stored when the request was sent. It comes when there is a newer
/// one, and tells of that or of the older one.
#[tokio::test]
async fn a_head_removed_a_newer_page_or_put_an_older_one_over_it() {
    for told in ["\"0\"", "\"2\""] {
        let gate = Gate::closed();
        let bench = Bench::new(Origin::later({
            let gate = gate.clone();
            move |parts, number| {
                let gate = gate.clone();
                async move {
                    if parts.method == Method::HEAD {
                        gate.pass().await;
                        return Ok(response(200, &[("etag", told), FRESH], Script::text("")));
                    }
                    Ok(ok(&[("etag", &format!("\"{number}\"")), FRESH], format!("response {number}")))
                }
            }
        }));
        bench.get("/").await;
        bench.advance(61);
        let head = bench.begin(request(Method::HEAD, "/", &[]));
        settle().await;
        assert_eq!(bench.get("/").await.text(), "response 2");
        gate.open(1);
        head.await.unwrap().unwrap();
        settle().await;
        let answer = bench.get("/").await;
        assert_eq!((answer.text(), answer.is_hit()), ("response 2", true), "{told}");
    }
}

/// Section 4.3.2.
#[tokio::test]
async fn a_client_that_has_the_page_got_it_again() {
    let bench = Bench::new(tagged("\"a\""));
    // The request goes without its condition, so that its answer can be kept.
    let first = bench.get_with("/", &[("if-none-match", "\"a\"")]).await;
    assert_eq!((first.status, first.field("etag")), (304, Some("\"a\"")));
    assert!(!bench.origin.last().headers.contains_key("if-none-match"));
    for (known, status) in [("\"a\"", 304), ("W/\"a\"", 304), ("\"x\", \"a\"", 304), ("\"b\"", 200)] {
        let answer = bench.get_with("/", &[("if-none-match", known)]).await;
        assert_eq!((answer.status, answer.is_hit()), (status, true), "{known}");
    }
    // Stale, it is validated with its own tag, and the client's condition is evaluated on what comes of that.
    bench.advance(61);
    let other = bench.get_with("/", &[("if-none-match", "\"b\"")]).await;
    assert_eq!((other.status, other.text(), bench.origin.count()), (200, "response 0", 2));
    bench.advance(61);
    assert_eq!(bench.get_with("/", &[("if-none-match", "\"a\"")]).await.status, 304);
}

/// Section 4.3.2.
#[tokio::test]
async fn a_condition_for_the_origin_was_answered_from_the_cache() {
    let bench = Bench::new(Origin::new(|parts, _| match parts.headers.contains_key("if-match") {
        true => response(412, &[], Script::text("")),
        false => ok(&[("etag", "\"a\""), FRESH], "page"),
    }));
    bench.get("/").await;
    assert_eq!(bench.get_with("/", &[("if-match", "\"b\"")]).await.status, 412);
    assert_eq!(bench.origin.last().headers["if-match"], "\"b\"");
    assert!(bench.get("/").await.is_hit());
}

/// Section 5.2.1.7.
#[tokio::test]
async fn a_request_for_what_is_stored_reached_the_service() {
    let bench = Bench::new(tagged("\"a\""));
    let only = [("cache-control", "only-if-cached")];
    assert_eq!(bench.get_with("/", &only).await.status, 504);
    bench.get("/").await;
    assert_eq!(bench.get_with("/", &only).await.status, 200);
    bench.advance(61);
    assert_eq!(bench.get_with("/", &only).await.status, 504, "it is stale");
    assert_eq!(bench.get_with("/", &[("cache-control", "only-if-cached, max-stale")]).await.status, 200);
    assert_eq!(bench.origin.count(), 1);
}

/// Section 5.2.1.5.
#[tokio::test]
async fn a_request_that_forbids_storing_left_something() {
    let bench = Bench::new(tagged("\"a\""));
    let answer = bench.get_with("/", &[("cache-control", "no-store")]).await;
    assert_eq!((answer.status, answer.text()), (StatusCode::OK.as_u16(), "response 0"));
    assert_eq!(bench.cache.stats().entries, 0);
}

/// Only the origin knows this page, and it answers conditions.
#[tokio::test]
async fn a_client_that_has_a_private_page_got_it_again() {
    let bench = Bench::new(Origin::new(|parts, _| {
        let fields = [("cache-control", "private"), ("etag", "\"a\"")];
        match parts.headers.get("if-none-match").is_some_and(|tag| tag == "\"a\"") {
            true => response(304, &fields, Script::text("")),
            false => ok(&fields, "a private page"),
        }
    }));
    let again = bench.get_with("/", &[("if-none-match", "\"a\"")]).await;
    assert_eq!((again.status, again.text()), (304, ""));
}
