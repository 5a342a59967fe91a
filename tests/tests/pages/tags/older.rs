//! Older pages: those that stand in, and those that are validated.

use std::time::Duration;

use cache_request::{http::CachePage, tag};
use http::{Method, Response, request::Parts};

use super::{benches, invalidate, layer, tagged};
use crate::support::{Answer, FRESH, Failed, Gate, Origin, Script, numbered, ok, request, response, settle};

#[tokio::test]
async fn an_invalidated_page_stood_in_for_an_error_or_was_returned_stale() {
    type Error = fn() -> Result<Response<Script>, Failed>;
    const FAILS: Error = || Err(Failed);
    const ANSWERS_503: Error = || Ok(response(503, &[], Script::text("error")));
    const MINUTE: Duration = Duration::from_secs(60);
    type Case = (fn() -> CachePage, &'static str, &'static [Error]);
    let cases: [Case; 5] = [
        (layer, "max-age=10", &[FAILS]),
        (layer, "max-age=10, stale-if-error=60", &[FAILS, ANSWERS_503]),
        (|| layer().stale_if_error(MINUTE), "max-age=10", &[FAILS, ANSWERS_503]),
        (layer, "max-age=10, stale-while-revalidate=60", &[FAILS, ANSWERS_503]),
        (|| layer().stale(MINUTE), "max-age=10", &[FAILS, ANSWERS_503]),
    ];
    for (layer, control, errors) in cases {
        for (error, (of_page, is_gone)) in
            errors.iter().flat_map(|error| [("a", true), ("b", false)].map(|tag| (error, tag)))
        {
            for (name, bench) in benches(layer, || {
                Origin::later(move |_, number| async move {
                    if number == 0 {
                        Ok(ok(&[("cache-control", control), ("surrogate-key", "a")], "page"))
                    } else {
                        error()
                    }
                })
            }) {
                bench.get("/").await;
                bench.advance(15);
                invalidate(&bench, of_page).await;
                let answer = match bench.open(request(Method::GET, "/", &[])).await {
                    Ok(response) => Answer::of(response).await.body.unwrap(),
                    Err(Failed) => "error".to_owned(),
                };
                assert_eq!(answer, if is_gone { "error" } else { "page" }, "{name} {control}");
            }
        }
    }
}

#[tokio::test]
async fn an_invalidated_page_was_validated() {
    for (name, bench) in benches(layer, || numbered(&[("etag", "\"a\""), ("surrogate-key", "a")])) {
        for is_stale in [false, true] {
            bench.get("/").await;
            assert!(bench.get("/").await.is_hit(), "{name}");
            if is_stale {
                bench.advance(61);
            }
            let no_cache = [("cache-control", "no-cache")];
            invalidate(&bench, "a").await;
            bench.get_with("/", if is_stale { &[] } else { &no_cache }).await;
            assert_eq!(bench.origin.last().headers.get("if-none-match"), None, "{name}, stale: {is_stale}");
            // A page that is there is validated.
            bench.get_with("/", &no_cache).await;
            assert_eq!(bench.origin.last().headers["if-none-match"], "\"a\"", "{name}");
        }
    }
}

/// Its tags are those of its first response, and those of the 304. A 304 that has the field as well takes its place.
#[tokio::test]
async fn a_validated_page_lost_its_tags() {
    for vary in ["", "x"] {
        for (name, bench) in benches(layer, || {
            Origin::later(move |parts, number| async move {
                if parts.headers.contains_key("if-none-match") {
                    tag("of-the-second-call");
                    return Ok(response(304, &[FRESH, ("surrogate-key", "new both")], Script::text("")));
                }
                tag("of-the-first-call");
                let fields =
                    [FRESH, ("etag", "\"a\""), ("surrogate-key", "old both"), ("cache-tag", "c"), ("vary", vary)];
                Ok(ok(&fields, format!("response {number}")))
            })
        }) {
            for tag in ["old", "new", "both", "c", "of-the-first-call", "of-the-second-call"] {
                let made = bench.get("/").await.text().to_owned();
                bench.advance(61);
                let validated = bench.get("/").await;
                let status = validated.cache_status();
                assert!(status.contains("fwd-status=304") && status.contains("stored"), "{name} {tag}: {status}");
                let hit = bench.get("/").await;
                assert_eq!((hit.text(), hit.is_hit()), (&*made, true), "{name} {tag}");
                invalidate(&bench, tag).await;
                assert_ne!(bench.get("/").await.text(), made, "{name}, vary: {vary:?}: {tag}");
                bench.cache.clear().await.unwrap();
            }
        }
    }
}

/// The response to a HEAD tells of a page that it is as it was.
#[tokio::test]
async fn a_page_that_a_head_renewed_lost_its_tags() {
    for (name, bench) in benches(layer, || {
        Origin::later(|parts, number| async move {
            let fields = [FRESH, ("etag", "\"a\""), ("content-length", "10")];
            if parts.method == Method::HEAD {
                return Ok(ok(&fields, ""));
            }
            tag("a");
            Ok(ok(&fields, format!("response {number}")))
        })
    }) {
        bench.get("/").await;
        bench.advance(61);
        bench.send(request(Method::HEAD, "/", &[])).await;
        let hit = bench.get("/").await;
        assert_eq!((hit.text(), hit.is_hit()), ("response 0", true), "{name}: it is fresh again");
        invalidate(&bench, "a").await;
        assert!(!bench.get("/").await.is_hit(), "{name}");
    }
}

#[tokio::test]
async fn a_page_was_kept_whose_tag_was_invalidated_while_it_was_validated() {
    let gate = Gate::closed();
    for (name, bench) in benches(layer, || {
        let respond = |parts: &Parts, number| {
            Ok(match parts.headers.contains_key("if-none-match") {
                true => response(304, &[FRESH], Script::text("")),
                false => ok(&[FRESH, ("etag", "\"a\""), ("surrogate-key", "a")], format!("response {number}")),
            })
        };
        Origin::gated(&gate, |number| number == 1, respond)
    }) {
        bench.get("/").await;
        bench.advance(61);
        let validating = bench.begin(request(Method::GET, "/", &[]));
        settle().await;
        assert_eq!(bench.origin.count(), 2, "{name}");
        invalidate(&bench, "a").await;
        gate.open(1);
        assert_eq!(validating.await.unwrap().unwrap().text(), "response 0", "{name}: its client gets it");
        settle().await;
        assert_eq!(bench.get("/").await.text(), "response 2", "{name}");
    }
}

/// A page has no time between valid and gone but its own.
#[tokio::test]
async fn a_softly_invalidated_tag_left_pages() {
    for (name, bench) in benches(layer, || tagged(|path, _| vec![("surrogate-key", path.replace('/', ""))])) {
        for path in ["/a", "/b"] {
            bench.get(path).await;
            assert!(bench.get(path).await.is_hit(), "{name} {path}");
        }
        bench.cache.invalidate_tag_soft("a").await.unwrap();
        assert!(!bench.get("/a").await.is_hit() && bench.get("/b").await.is_hit(), "{name}");
    }
}
