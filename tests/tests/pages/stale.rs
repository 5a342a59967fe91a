//! Stale pages as answers (RFC 5861): while they are replaced in the background, and in place of errors.

use std::time::Duration;

use cache_request::{FunctionStats, http::CachePage};
use http::{Method, Response};

use super::support::{Bench, Failed, Gate, Origin, Script, numbered, ok, request, response, settle};

const SECONDS: fn(u64) -> Duration = Duration::from_secs;

const WINDOW: (&str, &str) = ("cache-control", "max-age=10, stale-while-revalidate=20, stale-if-error=40");

fn stats(bench: &Bench) -> FunctionStats {
    bench.cache.stats().function("page").cloned().unwrap_or_default()
}

/// Numbers its responses, all of which have these fields.
fn saying(fields: &'static [(&'static str, &'static str)]) -> Origin {
    Origin::new(move |_, number| ok(fields, format!("response {number}")))
}

type Error = fn() -> Result<Response<Script>, Failed>;

/// A page, and then only errors of one kind.
fn failing(control: &'static str, error: Error) -> Origin {
    Origin::later(move |_, number| async move {
        match number {
            0 => Ok(ok(&[("cache-control", control), ("etag", "\"a\"")], "page")),
            _ => error(),
        }
    })
}

fn get(fields: &[(&str, &str)]) -> http::Request<String> {
    request(Method::GET, "/", fields)
}

#[tokio::test]
async fn a_client_waited_although_a_stale_page_may_be_used() {
    let gate = Gate::closed();
    let origin = Origin::gated(&gate, |number| number > 0, |_, number| Ok(ok(&[WINDOW], format!("response {number}"))));
    let bench = Bench::new(origin);
    bench.get("/").await;
    bench.advance(15);
    for _ in 0..5 {
        let answer = bench.get("/").await;
        assert_eq!((answer.text(), answer.field("age")), ("response 0", Some("15")));
        assert!(answer.cache_status().ends_with("; hit; ttl=-5"), "{}", answer.cache_status());
    }
    assert_eq!(bench.origin.count(), 2, "one request replaces it");
    gate.open(1);
    settle().await;
    let answer = bench.get("/").await;
    assert_eq!((answer.text(), answer.field("age")), ("response 1", Some("0")));
    let stats = stats(&bench);
    assert_eq!((stats.hits, stats.stale, stats.misses.total(), stats.refreshes, stats.bodies), (6, 5, 1, 1, 2));
}

#[tokio::test]
async fn a_stale_page_was_used_beyond_its_window() {
    let bench = Bench::new(saying(&[WINDOW, ("etag", "\"a\"")]));
    bench.get("/").await;
    bench.advance(31);
    let answer = bench.get("/").await;
    assert_eq!((answer.text(), answer.is_hit()), ("response 1", false));
}

/// Only a page that says nothing else gets the windows of the layer.
#[tokio::test]
async fn a_page_that_says_nothing_was_not_used_within_the_windows_of_the_layer() {
    let of = async |control: &'static str, layer: CachePage| {
        let bench = Bench::with(
            layer,
            Origin::new(move |_, number| match number {
                0 => ok(&[("cache-control", control), ("etag", "\"a\"")], "page"),
                _ => response(503, &[], Script::text("error")),
            }),
        );
        bench.get("/").await;
        bench.advance(15);
        (bench.get("/").await.text() == "page", bench.origin.count())
    };
    let stale = || CachePage::new().stale(SECONDS(20));
    let on_error = || CachePage::new().stale_if_error(SECONDS(20));
    assert_eq!(of("max-age=10", CachePage::new()).await, (false, 2));
    assert_eq!(of("max-age=10", stale()).await, (true, 2));
    assert_eq!(of("max-age=10", on_error()).await, (true, 2));
    for strict in ["must-revalidate", "proxy-revalidate", "no-cache", "s-maxage=10"] {
        let control = format!("max-age=10, {strict}").leak();
        assert_eq!(of(control, stale()).await, (false, 2), "{strict}");
        assert_eq!(of(control, on_error()).await, (false, 2), "{strict}");
    }
    assert_eq!(of("max-age=10, stale-while-revalidate=1", stale()).await, (false, 2));
    assert_eq!(of("max-age=10, stale-if-error=1", on_error()).await, (false, 2));
}

/// RFC 9111, sections 4.2.4 and 5.2.2.2.
#[tokio::test]
async fn an_error_reached_a_client_in_place_of_a_stale_page() {
    let errors: [Error; 4] = [
        || Ok(response(500, &[], Script::text("error"))),
        || Ok(response(504, &[], Script::text("error"))),
        || Err(Failed),
        || panic!("the service panics"),
    ];
    for (kind, error) in errors.into_iter().enumerate() {
        let layer = CachePage::new().stale_if_disconnected(Duration::ZERO);
        let bench = Bench::with(layer, failing("max-age=10, stale-if-error=40", error));
        bench.get("/").await;
        bench.advance(50);
        let answer = bench.get("/").await;
        assert_eq!((answer.status, answer.text(), answer.field("age")), (200, "page", Some("50")), "{kind}");
        let status = answer.cache_status().to_owned();
        let told = ["; fwd=stale; fwd-status=500", "; fwd=stale; fwd-status=504", "; fwd=stale", "; fwd=stale"][kind];
        assert_eq!(status, format!("cache-request{told}; ttl=-40; detail=stale-if-error"));
        let own = stats(&bench);
        assert_eq!((own.stale_on_error, own.misses.expired, own.hits), (1, 1, 0), "{kind}");
        for (method, fields) in [(Method::HEAD, vec![]), (Method::GET, vec![("range", "bytes=0-1")])] {
            let answer = bench.send(request(method, "/", &fields)).await;
            assert!([200, 206].contains(&answer.status), "{kind}: {answer:?}");
        }
        bench.advance(1);
        let over = bench.begin(get(&[])).await;
        assert!(!matches!(over, Ok(Ok(answer)) if answer.status == 200), "{kind}: beyond its window");
    }
}

/// A service that is down is not asked by each client.
#[tokio::test]
async fn each_client_asked_a_service_that_had_just_failed() {
    let bench = Bench::new(failing("max-age=10, stale-if-error=40", || Ok(response(503, &[], Script::text("error")))));
    bench.get("/").await;
    bench.advance(15);
    for _ in 0..3 {
        assert_eq!(bench.get("/").await.text(), "page");
    }
    assert_eq!(bench.origin.count(), 2);
    bench.advance(1);
    assert_eq!((bench.get("/").await.text(), bench.origin.count()), ("page", 3), "a second later it is asked again");
    let stats = stats(&bench);
    assert_eq!((stats.stale_on_error, stats.stale, stats.hits), (2, 2, 2));
}

#[tokio::test]
async fn an_error_that_is_no_failure_was_hidden_by_a_stale_page() {
    for status in [400, 404, 410, 501, 505] {
        let bench = Bench::new(Origin::new(move |_, number| match number {
            0 => ok(&[("cache-control", "max-age=10, stale-if-error=40")], "page"),
            _ => response(status, &[], Script::text("error")),
        }));
        bench.get("/").await;
        bench.advance(15);
        assert_eq!(bench.get("/").await.status, status);
    }
}

/// RFC 9111, section 4.2.4: a cache without a connection may answer with what it has, unless that is forbidden.
#[tokio::test]
async fn an_error_of_the_service_was_not_hidden_by_a_stale_page_for_a_minute() {
    let after = async |control: &'static str, seconds: u64, layer: CachePage| {
        let bench = Bench::with(layer, failing(control, || Err(Failed)));
        bench.get("/").await;
        bench.advance(seconds);
        bench.open(get(&[])).await.map(|answer| answer.status().as_u16())
    };
    assert_eq!(after("max-age=10", 69, CachePage::new()).await, Ok(200));
    assert_eq!(after("max-age=10", 71, CachePage::new()).await, Err(Failed));
    assert_eq!(after("max-age=10, stale-if-error=0", 69, CachePage::new()).await, Ok(200));
    assert_eq!(after("max-age=10", 11, CachePage::new().stale_if_disconnected(Duration::ZERO)).await, Err(Failed));
    for strict in ["must-revalidate", "proxy-revalidate", "no-cache", "s-maxage=10"] {
        let control = format!("max-age=10, {strict}").leak();
        assert_eq!(after(control, 11, CachePage::new()).await, Err(Failed), "{strict}");
    }
}

/// A page whose `stale-if-error` was over was used like one whose service is gone.
#[tokio::test]
async fn an_error_of_the_service_counted_as_a_lost_connection() {
    let second: [Error; 3] =
        [|| Ok(response(503, &[], Script::text("error"))), || Err(Failed), || panic!("the service panics")];
    let control = "max-age=10, stale-while-revalidate=5, stale-if-error=5";
    for (kind, error) in second.into_iter().enumerate() {
        let bench = Bench::new(failing(control, error));
        bench.get("/").await;
        bench.clock.advance(Duration::from_millis(14_500));
        assert_eq!(bench.get("/").await.text(), "page", "{kind}");
        assert_eq!(bench.origin.count(), 2, "{kind}: it could not be replaced");
        // The windows of the page end before the service is asked again.
        bench.clock.advance(Duration::from_millis(900));
        let answer = bench.begin(get(&[])).await;
        let is_page = matches!(&answer, Ok(Ok(answer)) if answer.status == 200);
        assert_eq!(is_page, kind == 1, "{kind}: {answer:?}");
    }
}

/// Nothing says that it is for others, or they would have to validate it.
#[tokio::test]
async fn a_page_that_was_never_fresh_was_kept_for_errors() {
    for fields in [&[][..], &[("cache-control", "max-age=0")], &[("etag", "\"a\"")], &[("expires", "0")]] {
        let layer = CachePage::new().stale(SECONDS(60)).stale_if_error(SECONDS(60));
        let bench = Bench::with(
            layer,
            Origin::later(move |_, number| async move {
                match number {
                    0 => Ok(ok(fields, "page")),
                    _ => Err(Failed),
                }
            }),
        );
        let answer = bench.get("/").await;
        let is_kept = answer.cache_status().contains("stored");
        assert_eq!(is_kept, fields.iter().any(|(name, _)| *name == "etag"), "{fields:?}: only to be validated");
        assert_eq!(bench.open(get(&[])).await.err(), Some(Failed), "{fields:?}");
    }
}

/// The page that an error would be hidden by is one itself.
#[tokio::test]
async fn a_stored_error_stood_in_for_another() {
    let bench = Bench::new(Origin::later(|_, number| async move {
        match number {
            0 => Ok(response(503, &[("cache-control", "max-age=10, stale-if-error=40")], Script::text("old"))),
            _ => Err(Failed),
        }
    }));
    bench.get("/").await;
    bench.advance(15);
    assert_eq!(bench.open(get(&[])).await.err(), Some(Failed));
}

#[tokio::test]
async fn a_client_that_wants_no_stale_page_got_one() {
    for wish in ["no-cache", "max-age=14", "min-fresh=1", "max-stale=4"] {
        let bench = Bench::new(saying(&[WINDOW]));
        bench.get("/").await;
        bench.advance(15);
        let answer = bench.get_with("/", &[("cache-control", wish)]).await;
        assert_eq!(answer.text(), "response 1", "{wish}");

        let bench = Bench::new(failing("max-age=10, stale-if-error=40", || Err(Failed)));
        bench.get("/").await;
        bench.advance(15);
        assert_eq!(bench.open(get(&[("cache-control", wish)])).await.err(), Some(Failed), "{wish}");
    }
    // A condition for the state of the origin is not for the cache.
    let bench = Bench::new(failing("max-age=10, stale-if-error=40", || Err(Failed)));
    bench.get("/").await;
    bench.advance(15);
    assert_eq!(bench.open(get(&[("if-match", "\"a\"")])).await.err(), Some(Failed));
}

#[tokio::test]
async fn a_client_without_leave_to_ask_had_the_service_asked() {
    let bench = Bench::new(saying(&[WINDOW]));
    bench.get("/").await;
    bench.advance(15);
    let answer = bench.get_with("/", &[("cache-control", "only-if-cached")]).await;
    assert_eq!((answer.text(), bench.origin.count()), ("response 0", 1));
}

/// The one that replaces the page asks for all of it, and for all clients.
#[tokio::test]
async fn a_client_that_wants_a_part_or_has_the_page_had_that_stored() {
    let own = [
        (Method::HEAD, vec![]),
        (Method::GET, vec![("range", "bytes=0-1"), ("if-range", "\"a\"")]),
        (Method::GET, vec![("if-none-match", "\"other\"")]),
        (Method::GET, vec![("cache-control", "max-stale")]),
    ];
    for (method, fields) in own {
        let bench = Bench::new(saying(&[WINDOW, ("etag", "\"a\"")]));
        bench.get("/").await;
        bench.advance(15);
        bench.send(request(method.clone(), "/", &fields)).await;
        let asked = bench.origin.last();
        assert_eq!((bench.origin.count(), &asked.method), (2, &Method::GET), "{method} {fields:?}");
        assert_eq!(asked.headers["if-none-match"], "\"a\"");
        assert!(!asked.headers.contains_key("range") && !asked.headers.contains_key("if-range"));
        let answer = bench.get("/").await;
        assert_eq!((answer.text(), answer.is_hit()), ("response 1", true), "{method} {fields:?}");
    }
}

/// A 304 makes the page fresh again, and a failure leaves it for the rest of its window.
#[tokio::test]
async fn what_the_service_says_in_the_background_was_not_heard() {
    let bench = Bench::new(Origin::new(|_, number| match number {
        0 => ok(&[WINDOW, ("etag", "\"a\"")], "page"),
        1 => response(503, &[("cache-control", "max-age=60")], Script::text("error")),
        _ => response(304, &[WINDOW, ("etag", "\"a\"")], Script::text("")),
    }));
    bench.get("/").await;
    bench.advance(15);
    for asked in [2, 2] {
        assert_eq!((bench.get("/").await.text(), bench.origin.count()), ("page", asked));
    }
    bench.advance(1);
    let stale = bench.get("/").await;
    assert_eq!((stale.field("age"), bench.origin.count()), (Some("16"), 3), "a second later it is asked again");
    let fresh = bench.get("/").await;
    assert_eq!((fresh.text(), fresh.field("age"), bench.origin.count()), ("page", Some("0"), 3));
    let stats = stats(&bench);
    assert_eq!((stats.refreshes, stats.refreshes_failed, stats.stale, stats.stale_on_error), (2, 1, 3, 0));
}

/// It is stale, and the service has another answer, which no cache may keep.
#[tokio::test]
async fn a_page_that_is_gone_was_used_for_the_rest_of_its_window() {
    for (status, control) in [(404, "no-store"), (410, "private"), (200, "no-store")] {
        let bench = Bench::new(Origin::new(move |_, number| match number {
            0 => ok(&[WINDOW, ("etag", "\"a\"")], "page"),
            _ => response(status, &[("cache-control", control)], Script::text("other")),
        }));
        bench.get("/").await;
        bench.advance(15);
        assert_eq!(bench.get("/").await.text(), "page");
        assert_eq!(bench.get("/").await.text(), "other", "{status} {control}");

        let bench = Bench::new(Origin::later(move |_, number| async move {
            match number {
                0 => Ok(ok(&[("cache-control", "max-age=10, stale-if-error=40"), ("etag", "\"a\"")], "page")),
                1 => Ok(response(status, &[("cache-control", control)], Script::text("other"))),
                _ => Err(Failed),
            }
        }));
        bench.get("/").await;
        bench.advance(15);
        assert_eq!(bench.get("/").await.text(), "other");
        assert_eq!(bench.open(get(&[])).await.err(), Some(Failed), "{status} {control}");
    }
}

/// Each of the variants is stale by itself.
#[tokio::test]
async fn a_variant_that_was_replaced_kept_the_others_stale() {
    let bench = Bench::new(saying(&[WINDOW, ("vary", "x")]));
    bench.get_with("/", &[("x", "1")]).await;
    bench.get_with("/", &[("x", "2")]).await;
    bench.advance(15);
    for (variant, before, after) in [("1", "response 0", "response 2"), ("2", "response 1", "response 3")] {
        assert_eq!(bench.get_with("/", &[("x", variant)]).await.text(), before);
        assert_eq!(bench.get_with("/", &[("x", variant)]).await.text(), after);
    }
}

#[tokio::test]
async fn a_page_from_before_a_change_replaced_the_stale_one() {
    let gate = Gate::closed();
    let origin = Origin::gated(
        &gate,
        |number| number == 1,
        |parts, number| {
            let fields = if parts.method == Method::GET { &[WINDOW][..] } else { &[] };
            Ok(ok(fields, format!("response {number}")))
        },
    );
    let bench = Bench::new(origin);
    bench.get("/").await;
    bench.advance(15);
    bench.get("/").await;
    bench.post("/").await;
    gate.open(1);
    settle().await;
    assert_eq!(bench.get("/").await.text(), "response 3", "neither the stale one nor that of before the change");
}

/// Those that wait for a response get the stale page as well, and none of them asks again.
#[tokio::test]
async fn those_that_wait_got_the_error_or_asked_again() {
    let gate = Gate::closed();
    let origin = Origin::gated(
        &gate,
        |number| number > 0,
        |_, number| match number {
            0 => Ok(ok(&[("cache-control", "max-age=10, stale-if-error=40")], "page")),
            _ => Err(Failed),
        },
    );
    let bench = Bench::new(origin);
    bench.get("/").await;
    bench.advance(15);
    let clients: Vec<_> = (0..5).map(|_| bench.begin(get(&[]))).collect();
    settle().await;
    gate.open(1);
    for client in clients {
        assert_eq!(client.await.unwrap().unwrap().text(), "page");
    }
    assert_eq!(bench.origin.count(), 2);
}

#[tokio::test]
async fn a_shutdown_left_a_page_that_is_being_replaced() {
    let gate = Gate::closed();
    let origin =
        Origin::gated(&gate, |number| number == 1, |_, number| Ok(ok(&[WINDOW], format!("response {number}"))));
    let bench = Bench::new(origin);
    bench.get("/").await;
    bench.advance(15);
    bench.get("/").await;
    let cache = bench.cache.clone();
    let shutdown = tokio::spawn(async move { cache.shutdown().await });
    settle().await;
    assert!(!shutdown.is_finished(), "the service is being asked");
    gate.open(1);
    shutdown.await.unwrap();
    assert_eq!(bench.get("/").await.text(), "response 1");
    bench.advance(15);
    bench.get("/").await;
    assert_eq!((bench.origin.count(), stats(&bench).refreshes_refused), (2, 1), "no more of them begin");
}

/// The inner layer is the same one: it has the same stale pages.
#[tokio::test]
async fn a_layer_inside_itself_replaced_a_stale_page_by_itself() {
    use tower_layer::Layer as _;
    let layer = CachePage::new();
    let bench = Bench::new(saying(&[WINDOW]));
    let layer = layer.cache(&bench.cache);
    let pages = layer.layer(layer.layer(bench.origin.clone()));
    let get = async || {
        let mut pages = pages.clone();
        let answer = tower_service::Service::call(&mut pages, request(Method::GET, "/", &[])).await.unwrap();
        let answer = super::support::Answer::of(answer).await;
        settle().await;
        answer
    };
    get().await;
    bench.advance(15);
    assert_eq!(get().await.text(), "response 0");
    let answer = get().await;
    assert_eq!((answer.text(), bench.origin.count()), ("response 1", 2));
}

/// Site mode writes the lifetime of pages that say nothing, and the layer's window counts for them.
#[tokio::test]
async fn a_page_of_a_site_was_not_used_when_it_is_stale() {
    let layer = CachePage::new().timeout(SECONDS(60)).stale(SECONDS(60));
    let bench = Bench::with(layer, Origin::new(|_, number| ok(&[], format!("response {number}"))));
    bench.get("/").await;
    bench.advance(100);
    let answer = bench.get("/").await;
    assert_eq!((answer.text(), answer.field("age")), ("response 0", Some("100")));
    assert_eq!(bench.get("/").await.text(), "response 1");
    let bench = Bench::new(numbered(&[]));
    bench.get("/").await;
    bench.advance(100);
    assert_eq!(bench.get("/").await.text(), "response 1", "by default a stale page is no answer");
}
