//! Faults of released caches, one test for each. Its name says what went wrong.

use std::time::Duration;

use bytes::Bytes;
use cache_request::{Cache, Clock, http::CachePage};
use http::{Method, header::SET_COOKIE};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt as _;
use tower_layer::Layer as _;

use super::support::{
    Answer, Bench, FRESH, Failed, Gate, Origin, Script, data, numbered, ok, request, response, settle,
};

#[tokio::test]
async fn a_hit_replaces_the_date() {
    const DATE: &str = "Thu, 01 Jan 1970 00:00:00 GMT";
    let bench = Bench::new(numbered(&[("date", DATE), ("cache-control", "s-maxage=4000000000")]));
    let first = bench.get("/").await;
    bench.advance(10);
    let hit = bench.get("/").await;
    assert!(hit.is_hit(), "{hit:?}");
    assert_eq!((first.field("date"), hit.field("date")), (Some(DATE), Some(DATE)));

    // One that the cache had to add stays as well.
    let bench = Bench::new(numbered(&[]));
    bench.get("/").await;
    bench.advance(10);
    let early = bench.get("/").await;
    bench.advance(10);
    assert_eq!(early.field("date"), bench.get("/").await.field("date"));
}

#[tokio::test]
async fn the_age_of_hits_stays_0() {
    let bench = Bench::new(numbered(&[("age", "5")]));
    bench.get("/").await;
    for age in ["12", "19", "26"] {
        bench.advance(7);
        assert_eq!(bench.get("/").await.field("age"), Some(age));
    }
}

#[tokio::test]
async fn a_response_shared_late_has_no_age() {
    let (sender, script) = Script::sent();
    let script = std::sync::Mutex::new(Some(script));
    let bench = Bench::new(Origin::new(move |_, _| response(200, &[FRESH], script.lock().unwrap().take().unwrap())));
    let first = bench.begin(request(Method::GET, "/", &[]));
    settle().await;
    bench.advance(20);
    let second = bench.begin(request(Method::GET, "/", &[]));
    settle().await;
    sender.send(data("whole")).unwrap();
    drop(sender);
    assert_eq!(first.await.unwrap().unwrap().text(), "whole");
    let second = second.await.unwrap().unwrap();
    assert_eq!((second.text(), second.field("age")), ("whole", Some("20")));
}

#[tokio::test]
async fn a_304_to_the_caches_own_condition_reaches_a_client_that_asked_unconditionally() {
    let bench = Bench::new(Origin::new(|parts, _| match parts.headers.get("if-none-match") {
        Some(_) => response(304, &[("etag", "\"a\""), FRESH], Script::text("")),
        None => ok(&[("etag", "\"a\""), FRESH], "whole"),
    }));
    bench.get("/").await;
    bench.advance(61);
    let validated = bench.get("/").await;
    assert_eq!((validated.status, validated.text(), bench.origin.count()), (200, "whole", 2));
    assert!(bench.origin.last().headers.contains_key("if-none-match"));
    assert!(bench.get("/").await.is_hit());
}

#[tokio::test]
async fn a_page_that_a_304_makes_private_is_shared() {
    for forbidden in ["private, max-age=60", "no-store, max-age=60"] {
        let bench = Bench::new(Origin::new(move |parts, _| match parts.headers.get("if-none-match") {
            Some(_) => response(304, &[("etag", "\"a\""), ("cache-control", forbidden)], Script::text("")),
            None => ok(&[("etag", "\"a\""), FRESH], "whole"),
        }));
        bench.get("/").await;
        bench.advance(61);
        assert_eq!(bench.get("/").await.text(), "whole");
        let next = bench.get("/").await;
        assert!(!next.is_hit(), "{forbidden}: {next:?}");
        assert_eq!(bench.origin.count(), 3);
    }
}

#[tokio::test]
async fn the_cookie_of_a_304_is_lost_or_shared() {
    let bench = Bench::new(Origin::new(|parts, _| match parts.headers.get("if-none-match") {
        Some(_) => response(304, &[("set-cookie", "id=1"), FRESH], Script::text("")),
        None => ok(&[("etag", "\"a\""), FRESH], "whole"),
    }));
    bench.get("/").await;
    bench.advance(61);
    assert_eq!(bench.get("/").await.field("set-cookie"), Some("id=1"));
    let hit = bench.get("/").await;
    assert!(hit.is_hit() && !hit.headers.contains_key(SET_COOKIE), "{hit:?}");
}

#[tokio::test]
async fn a_stored_set_cookie_is_replayed() {
    let bench = Bench::new(numbered(&[("set-cookie", "id=1"), ("set-cookie", "b=2"), ("set-cookie2", "c")]));
    let first = bench.get("/").await;
    assert_eq!(first.headers.get_all(SET_COOKIE).iter().count(), 2, "its own client gets them");
    let hit = bench.get("/").await;
    assert!(hit.is_hit());
    assert!(!hit.headers.contains_key(SET_COOKIE) && !hit.headers.contains_key("set-cookie2"), "{hit:?}");
}

#[tokio::test]
async fn a_response_to_credentials_is_shared_without_leave() {
    let bench = Bench::new(numbered(&[]));
    let credentials = [("authorization", "Bearer of alice")];
    bench.get_with("/", &credentials).await;
    assert!(!bench.get("/").await.is_hit());
    for (path, leave) in [("/public", "public"), ("/s", "s-maxage=60"), ("/m", "max-age=60, must-revalidate")] {
        let bench = Bench::new(Origin::new(move |_, number| ok(&[("cache-control", leave)], number.to_string())));
        bench.get_with(path, &credentials).await;
        let next = bench.get(path).await;
        assert_eq!(next.is_hit(), leave != "public", "{leave} allows it, but says nothing of freshness: {next:?}");
    }
}

#[tokio::test]
async fn vary_is_ignored() {
    let bench = Bench::new(Origin::new(|parts, _| {
        let language = parts.headers.get("accept-language").map_or("none", |value| value.to_str().unwrap());
        ok(&[("vary", "Accept-Language"), FRESH], language.to_owned())
    }));
    for hit in [false, true] {
        for language in ["de", "fr"] {
            let answer = bench.get_with("/", &[("accept-language", language)]).await;
            assert_eq!((answer.text(), answer.is_hit()), (language, hit));
        }
        let answer = bench.get("/").await;
        assert_eq!((answer.text(), answer.is_hit()), ("none", hit));
    }
    let empty = bench.get_with("/", &[("accept-language", "")]).await;
    assert!(!empty.is_hit(), "an empty field is no missing one");

    let bench = Bench::new(numbered(&[("vary", "*")]));
    bench.get("/").await;
    assert!(!bench.get("/").await.is_hit());
}

#[tokio::test]
async fn a_crafted_value_reads_the_variant_of_another_client() {
    let bench = Bench::new(numbered(&[("vary", "a, b")]));
    let crafted: [&[(&str, &str)]; 8] = [
        &[("a", "1"), ("b", "2")],
        &[("a", "1b2")],
        &[("a", "1\u{9}b: 2")],
        &[("a", "12")],
        &[("a", "1"), ("a", "2")],
        &[("b", "1"), ("a", "2")],
        &[("a", "\"1,2\"")],
        &[("b", "1,2")],
    ];
    for fields in crafted {
        assert!(!bench.get_with("/", fields).await.is_hit(), "{fields:?}");
    }
    assert!(bench.get_with("/", crafted[0]).await.is_hit());
}

#[tokio::test]
async fn the_host_is_not_in_the_key() {
    let bench = Bench::new(numbered(&[]));
    for (target, host) in [("/", "a.example"), ("/", "b.example"), ("/", "a.example:8080")] {
        assert!(!bench.get_with(target, &[("host", host)]).await.is_hit(), "{host}");
    }
    assert!(bench.get_with("/", &[("host", "A.example")]).await.is_hit(), "hosts have no case");
    let secure = bench.get_with("https://a.example/", &[("host", "a.example")]).await;
    assert!(!secure.is_hit(), "the scheme is part of the target");
}

#[tokio::test]
async fn an_entry_made_by_head_answers_get_with_an_empty_body() {
    let bench =
        Bench::new(Origin::new(|parts, _| ok(&[FRESH], if parts.method == Method::HEAD { "" } else { "whole" })));
    bench.send(request(Method::HEAD, "/", &[])).await;
    let get = bench.get("/").await;
    assert_eq!((get.text(), get.is_hit()), ("whole", false));
    let head = bench.send(request(Method::HEAD, "/", &[])).await;
    assert_eq!((head.text(), head.is_hit()), ("", true));
}

#[tokio::test]
async fn a_post_is_replayed_for_another_body() {
    let bench = Bench::new(numbered(&[]));
    for expected in ["response 0", "response 1"] {
        assert_eq!(bench.post("/").await.text(), expected);
    }
    assert_eq!(bench.get("/").await.text(), "response 2");
}

#[tokio::test]
async fn a_get_with_a_body_makes_the_page_of_those_without() {
    let bench = Bench::new(numbered(&[]));
    for fields in [("content-length", "7"), ("transfer-encoding", "chunked")] {
        let answer = bench.get_with("/", &[fields]).await;
        assert!(!answer.cache_status().contains("stored"), "{answer:?}");
    }
    assert!(!bench.get("/").await.is_hit());
    assert!(bench.get_with("/", &[("content-length", "0")]).await.is_hit());
    assert!(!bench.get_with("/", &[("content-length", "7")]).await.is_hit());
}

#[tokio::test]
async fn a_part_is_stored_as_if_whole() {
    let bench = Bench::new(Origin::new(|parts, _| match parts.headers.contains_key("range") {
        true => response(206, &[("content-range", "bytes 0-1/5"), FRESH], Script::text("wh")),
        false => ok(&[FRESH], "whole"),
    }));
    let part = bench.get_with("/", &[("range", "bytes=0-1")]).await;
    assert_eq!((part.status, part.text()), (206, "wh"));
    assert_eq!(bench.get("/").await.text(), "whole");

    // Nor one that was not asked for.
    let bench =
        Bench::new(Origin::new(|_, _| response(206, &[("content-range", "bytes 0-1/5"), FRESH], Script::text("wh"))));
    bench.get("/").await;
    assert!(!bench.get("/").await.is_hit());
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_a_cut_body() {
    let (sender, script) = Script::sent();
    let script = std::sync::Mutex::new(Some(script));
    let bench = Bench::new(Origin::new(move |_, _| response(200, &[FRESH], script.lock().unwrap().take().unwrap())));
    let mut open = bench.open(request(Method::GET, "/", &[])).await.unwrap().into_body();
    sender.send(data("first ")).unwrap();
    assert_eq!(open.frame().await.unwrap().unwrap().into_data().unwrap(), "first ");
    drop(open);
    settle().await;
    sender.send(data("last")).unwrap();
    drop(sender);
    settle().await;
    let hit = bench.get("/").await;
    assert_eq!((hit.text(), hit.is_hit()), ("first last", true));
}

#[tokio::test]
async fn a_client_that_goes_away_before_the_head_leaves_an_empty_body() {
    let gate = Gate::closed();
    let bench = Bench::new(Origin::gated(&gate, |_| true, |_, _| Ok(ok(&[FRESH], "whole"))));
    let client = bench.begin(request(Method::GET, "/", &[]));
    settle().await;
    client.abort();
    settle().await;
    gate.open(1);
    settle().await;
    let hit = bench.get("/").await;
    assert_eq!((hit.text(), hit.is_hit(), bench.origin.count()), ("whole", true, 1));
}

#[tokio::test]
async fn a_body_that_fails_is_stored() {
    let bench = Bench::new(Origin::new(|_, number| match number {
        0 => response(200, &[FRESH], Script::frames([data("half"), Err(Box::new(Failed))])),
        _ => ok(&[FRESH], "whole"),
    }));
    let failed = bench.get("/").await;
    assert_eq!(failed.body, Err(Failed.to_string()), "the client sees the failure");
    assert_eq!(bench.get("/").await.text(), "whole");
}

#[tokio::test]
async fn a_body_shorter_or_longer_than_its_content_length_is_stored() {
    for length in ["9", "3", "x"] {
        let bench = Bench::new(Origin::new(move |_, _| {
            response(200, &[("content-length", length), FRESH], Script::frames([data("wh"), data("ole")]))
        }));
        bench.get("/").await;
        assert!(!bench.get("/").await.is_hit(), "{length}");
    }
}

#[tokio::test]
async fn trailers_are_dropped() {
    let bench = Bench::new(Origin::new(|_, _| {
        let trailers = Frame::trailers(super::support::fields_of(&[("checksum", "1")]));
        response(200, &[FRESH], Script::frames([data("whole"), Ok(trailers)]))
    }));
    for _ in 0..2 {
        let answer = bench.get("/").await;
        assert_eq!(answer.trailers.expect("the service sends them")["checksum"], "1");
    }
    assert_eq!(bench.origin.count(), 2, "a stored page would have none");
}

#[tokio::test]
async fn an_event_stream_is_buffered_or_shared() {
    for layer in [CachePage::new(), CachePage::new().timeout(Duration::from_secs(60))] {
        let streams = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let bench = Bench::with(layer, {
            let streams = std::sync::Arc::clone(&streams);
            Origin::new(move |_, _| {
                let (sender, script) = Script::sent();
                streams.lock().unwrap().push(sender);
                response(200, &[("content-type", "text/event-stream; charset=utf-8")], script)
            })
        });
        let mut first = bench.open(request(Method::GET, "/", &[])).await.unwrap().into_body();
        streams.lock().unwrap()[0].send(data("event")).unwrap();
        assert_eq!(first.frame().await.unwrap().unwrap().into_data().unwrap(), "event");
        let _second = bench.open(request(Method::GET, "/", &[])).await.unwrap();
        assert_eq!(bench.origin.count(), 2, "each client has its own stream");
        drop(first);
        settle().await;
        assert!(streams.lock().unwrap()[0].is_closed(), "no stream goes on without its client");
    }
}

#[tokio::test]
async fn an_upgrade_is_answered_from_the_cache() {
    let bench = Bench::new(Origin::new(|parts, _| match parts.headers.contains_key("upgrade") {
        true => response(101, &[("upgrade", "websocket"), FRESH], Script::text("")),
        false => ok(&[FRESH], "page"),
    }));
    bench.get("/").await;
    for _ in 0..2 {
        let upgrade = bench.get_with("/", &[("connection", "upgrade"), ("upgrade", "websocket")]).await;
        assert_eq!((upgrade.status, upgrade.field("upgrade")), (101, Some("websocket")));
    }
    assert!(bench.get("/").await.is_hit());
}

#[tokio::test]
async fn errors_are_cached_by_default() {
    for layer in [CachePage::new(), CachePage::new().timeout(Duration::from_secs(60))] {
        let is_site = format!("{layer:?}");
        for status in [400, 401, 403, 429, 500, 502, 503, 504] {
            let bench =
                Bench::with(layer.clone(), Origin::new(move |_, _| response(status, &[], Script::text("error"))));
            bench.get("/").await;
            assert!(!bench.get("/").await.is_hit(), "{status} {is_site}");
        }
    }
}

#[tokio::test]
async fn random_queries_fill_memory() {
    const MOST: u64 = 1 << 20;
    let clock = Clock::mock();
    let cache = Cache::builder().clock(&clock).max_bytes(MOST).build().unwrap();
    let origin = Origin::new(|_, _| ok(&[FRESH], vec![b'x'; 10_000]));
    let bench = Bench {
        clock,
        cache: cache.clone(),
        origin: origin.clone(),
        pages: CachePage::new().cache(&cache).layer(origin),
    };
    for number in 0..1000 {
        bench.get(&format!("/?cb={number}")).await;
    }
    let stats = cache.stats();
    assert!(stats.held_bytes <= MOST, "{} bytes", stats.held_bytes);
    assert!(stats.entries > 0);
}

#[tokio::test]
async fn variants_of_one_page_without_end() {
    let bench = Bench::with(CachePage::new().max_variants(3), numbered(&[("vary", "a")]));
    for number in 0..10_000 {
        let number = number.to_string();
        let answer = bench.open(request(Method::GET, "/", &[("a", &number)])).await.unwrap();
        answer.into_body().collect().await.unwrap();
        tokio::task::yield_now().await;
    }
    settle().await;
    assert!(bench.cache.stats().entries <= 4, "the list and three variants: {}", bench.cache.stats().entries);
    for (value, hit) in [("9999", true), ("9998", true), ("9997", true), ("9996", false)] {
        assert_eq!(bench.get_with("/", &[("a", value)]).await.is_hit(), hit, "{value}");
    }
}

#[tokio::test]
async fn an_unsafe_method_leaves_its_page_or_empties_others() {
    let bench = Bench::new(Origin::new(|parts, _| match parts.method {
        Method::POST => response(
            201,
            &[("location", "/made?b=1"), ("content-location", "http://example.com/a/../list")],
            Script::text(""),
        ),
        Method::PUT => response(500, &[], Script::text("")),
        Method::DELETE => ok(&[("location", "http://other.example/other")], ""),
        _ => ok(&[FRESH, ("vary", "a")], "page"),
    }));
    let paths = ["/list", "/made?b=1", "/made", "/form", "/other", "/form/below"];
    for path in paths {
        bench.get(path).await;
    }
    bench.send(request(Method::PUT, "/form", &[])).await;
    bench.send(request(Method::DELETE, "/none", &[])).await;
    for path in paths {
        assert!(bench.get(path).await.is_hit(), "{path}: an error, or another host, changes nothing");
    }
    bench.post("/form").await;
    let hits: Vec<_> = [bench.get("/list").await, bench.get("/made?b=1").await, bench.get("/form").await]
        .iter()
        .map(Answer::is_hit)
        .collect();
    assert_eq!(hits, [false; 3]);
    for path in ["/made", "/other", "/form/below"] {
        assert!(bench.get(path).await.is_hit(), "{path}");
    }
}

/// An origin whose responses have a revision, that `POST` raises. The first response to GET waits at a gate after it was made.
fn revisions(gate: &Gate, fields: &'static [(&'static str, &'static str)]) -> Origin {
    let revision = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let gate = gate.clone();
    Origin::later(move |parts, number| {
        use std::sync::atomic::Ordering::Relaxed;
        let is_change = parts.method == Method::POST;
        let now = if is_change { revision.fetch_add(1, Relaxed) } else { revision.load(Relaxed) };
        let gate = gate.clone();
        async move {
            if number == 0 {
                gate.pass().await;
            }
            let fields: Vec<_> = fields.iter().copied().chain([FRESH]).collect();
            Ok(ok(&fields, format!("revision {now}")))
        }
    })
}

#[tokio::test]
async fn a_fill_that_an_invalidation_overtakes_stores_the_old_page() {
    for fields in [&[][..], &[("vary", "a")][..]] {
        for between in [false, true] {
            let gate = Gate::closed();
            let bench = Bench::new(revisions(&gate, fields));
            let slow = bench.begin(request(Method::GET, "/", &[]));
            settle().await;
            bench.post("/").await;
            if between {
                assert_eq!(bench.get("/").await.text(), "revision 1", "it shares nothing that began before the change");
            }
            gate.open(1);
            assert_eq!(slow.await.unwrap().unwrap().text(), "revision 0");
            settle().await;
            assert_eq!(bench.get("/").await.text(), "revision 1", "{fields:?} {between}");
        }
    }
}

#[tokio::test]
async fn one_of_two_hosts_is_believed() {
    let bench = Bench::new(numbered(&[]));
    let fields = [("host", "a.example"), ("host", "evil.example")];
    for _ in 0..2 {
        let answer = bench.get_with("/", &fields).await;
        assert!(!answer.is_hit() && answer.cache_status().contains("fwd=bypass"), "{answer:?}");
    }
    assert!(!bench.get_with("/", &[("host", "a.example")]).await.is_hit());
    assert!(!bench.get_with("/", &[("host", "evil.example")]).await.is_hit());
}

#[tokio::test]
async fn an_absolute_target_and_another_host_make_one_page() {
    let bench = Bench::new(numbered(&[]));
    let answer = bench.get_with("http://a.example/", &[("host", "evil.example")]).await;
    assert!(answer.cache_status().contains("fwd=bypass"), "{answer:?}");
    assert!(!bench.get_with("/", &[("host", "a.example")]).await.is_hit());
    assert!(!bench.get_with("/", &[("host", "evil.example")]).await.is_hit());
    assert!(bench.get_with("http://a.example/", &[("host", "a.example")]).await.is_hit());
}

#[tokio::test]
async fn a_field_that_overrides_the_target_poisons_the_page() {
    for field in [
        "x-forwarded-host",
        "x-original-url",
        "x-rewrite-url",
        "x-http-method-override",
        "x-method-override",
        "x-forwarded-proto",
        "forwarded",
    ] {
        let bench = Bench::new(numbered(&[]));
        bench.get_with("/", &[(field, "host=evil")]).await;
        assert!(!bench.get("/").await.is_hit(), "{field}");
        assert!(!bench.get_with("/", &[(field, "host=other")]).await.is_hit(), "{field}");
    }
}

#[tokio::test]
async fn a_change_by_an_overridden_method_leaves_the_page() {
    for field in ["x-http-method-override", "x-method-override"] {
        let bench = Bench::new(numbered(&[]));
        bench.get("/").await;
        bench.send(request(Method::POST, "/", &[(field, "DELETE")])).await;
        assert!(!bench.get("/").await.is_hit(), "{field}");
    }
}

#[tokio::test]
async fn a_users_page_under_the_name_of_a_file_is_shared() {
    let bench = Bench::new(Origin::new(|_, _| ok(&[("cache-control", "private, max-age=60")], "secret")));
    bench.get("/account/x.css").await;
    assert!(!bench.get("/account/x.css").await.is_hit());

    let site = CachePage::new().timeout(Duration::from_secs(60));
    let bench = Bench::with(site, Origin::new(|_, _| ok(&[], "secret")));
    let own = bench.get_with("/account/x.css", &[("cookie", "session=1")]).await;
    assert_eq!(own.field("cache-control"), Some("private"));
    assert!(!bench.get("/account/x.css").await.is_hit());
    assert!(!bench.get_with("/account/x.css", &[("cookie", "session=1")]).await.is_hit());
}

#[tokio::test]
async fn bytes_of_a_path_are_confused() {
    let bench = Bench::new(numbered(&[]));
    for path in
        ["/%00", "/", "/%2500", "/%FF", "/%C3%BF", "/%ff%fe", "/%", "/%4", "/a%2Fb", "/a/b", "/%zz", "/a%20b", "/a+b"]
    {
        assert!(!bench.get(path).await.is_hit(), "{path}");
    }
    for path in ["/%00", "/%FF", "/%C3%BF", "/a%2Fb", "/a/b", "/a%20b"] {
        assert!(bench.get(path).await.is_hit(), "{path}");
    }
    // A router may tell them from the normal form.
    for path in ["/%ff", "/%c3%bf", "/%FF%fe", "/a%2fb", "/%61/b"] {
        assert!(bench.get(path).await.cache_status().ends_with("detail=target"), "{path}");
    }
}

#[tokio::test]
async fn a_long_query_is_not_weighed() {
    let bench = Bench::new(numbered(&[]));
    let target = format!("/?{}", "a=1&".repeat(15_000));
    bench.get(&target).await;
    assert!(bench.get(&target).await.is_hit());
    assert!(!bench.get(&target[..target.len() - 1]).await.is_hit());
    let held = bench.cache.stats().held_bytes;
    assert!(held > 2 * 60_000, "two keys are counted against the limit: {held}");
}

/// Pieces of 1000 bytes, of which the test learns how many were taken.
struct Endless(std::sync::Arc<std::sync::atomic::AtomicUsize>);

impl Iterator for Endless {
    type Item = Result<Frame<Bytes>, cache_request::http::BodyError>;

    fn next(&mut self) -> Option<Self::Item> {
        let taken = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        (taken < 1000).then(|| Ok(Frame::data(Bytes::from(vec![b'x'; 1000]))))
    }
}

#[tokio::test]
async fn a_body_larger_than_the_limit_is_held_whole() {
    let taken = std::sync::Arc::<std::sync::atomic::AtomicUsize>::default();
    let bench = Bench::with(CachePage::new().max_body(10_000), {
        let taken = std::sync::Arc::clone(&taken);
        Origin::new(move |_, _| response(200, &[FRESH], Script::Made(Box::new(Endless(std::sync::Arc::clone(&taken))))))
    });
    let mut body = bench.open(request(Method::GET, "/", &[])).await.unwrap().into_body();
    let load = || taken.load(std::sync::atomic::Ordering::Relaxed);
    settle().await;
    assert!(load() <= 12, "a reader that does not read stops the writer: {}", load());
    for read in 1..=100 {
        body.frame().await.unwrap().unwrap();
        settle().await;
        assert!(load() <= read + 12, "{} taken, {read} read", load());
    }
    assert!(!body.is_end_stream());
    assert_eq!(body.collect().await.unwrap().to_bytes().len(), 900 * 1000);
    settle().await;
    assert_eq!(bench.cache.stats().entries, 0);

    // A declared length is not even begun to be held.
    let bench = Bench::with(CachePage::new().max_body(10), numbered(&[]));
    bench.get("/").await;
    let bench = Bench::with(CachePage::new().max_body(9), numbered(&[]));
    let large = bench.get("/").await;
    assert_eq!((large.text(), large.cache_status()), ("response 0", "cache-request; fwd=uri-miss; detail=too-large"));
    assert!(!bench.get("/").await.is_hit());
}

/// As HTTP/2 sends it, where `Content-Length` is optional and `Transfer-Encoding` is forbidden.
#[tokio::test]
async fn a_get_with_a_body_of_no_declared_length_made_the_page_of_those_without() {
    let bench = Bench::new(numbered(&[]));
    let attack = request(Method::GET, "/", &[]).map(|_| "what the page is made of".to_owned());
    assert!(bench.send(attack).await.cache_status().ends_with("detail=body"));
    assert!(!bench.get("/").await.is_hit());
}

#[tokio::test]
async fn a_request_kept_a_page_from_the_store_although_clients_are_not_obeyed() {
    let bench = Bench::with(CachePage::new().obey_clients(false), numbered(&[]));
    bench.get_with("/", &[("cache-control", "no-store")]).await;
    assert!(bench.get("/").await.is_hit());
}

/// Drops the runtime while a service makes a change.
fn shut_down_during_a_change(runtime: &mut tokio::runtime::Builder) {
    let runtime = runtime.enable_all().build().unwrap();
    runtime.block_on(async {
        let bench = Bench::new(Origin::later(|_, _| std::future::pending()));
        drop(bench.begin(request(Method::POST, "/", &[])));
        while bench.origin.count() == 0 {
            tokio::task::yield_now().await;
        }
    });
    drop(runtime);
}

/// What is left to invalidate is given to a task, which a runtime that ends drops at once, which gives it to a task.
#[test]
fn a_runtime_that_ended_during_a_change_aborted_the_process() {
    const NAME: &str = "faults::a_runtime_that_ended_during_a_change_aborted_the_process";
    const IS_CHILD: &str = "CACHE_REQUEST_TESTS_SHUTS_DOWN";
    if std::env::var_os(IS_CHILD).is_some() {
        shut_down_during_a_change(&mut tokio::runtime::Builder::new_multi_thread());
        return shut_down_during_a_change(&mut tokio::runtime::Builder::new_current_thread());
    }
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    let output = child.args(["--exact", NAME]).env(IS_CHILD, "1").output().unwrap();
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
}

/// A layer that is nearer to the service gives up, such as one for timeouts. The service may have made the change.
#[tokio::test]
async fn a_change_that_ended_with_an_error_of_the_service_left_the_page() {
    let bench = Bench::new(Origin::later(|parts, number| async move {
        match parts.method {
            Method::POST => Err(Failed),
            _ => Ok(ok(&[FRESH], number.to_string())),
        }
    }));
    bench.get("/").await;
    assert!(bench.get("/").await.is_hit());
    bench.open(request(Method::POST, "/", &[])).await.unwrap_err();
    settle().await;
    assert!(!bench.get("/").await.is_hit());
}

/// A client reloads the page, and the new response is larger than the cache.
#[tokio::test]
async fn an_older_variant_stayed_in_place_of_one_that_could_not_be_kept() {
    for fields in [&[FRESH][..], &[FRESH, ("vary", "a")]] {
        let origin = Origin::new(move |_, number| match number {
            0 => ok(fields, "old"),
            _ => ok(fields, "new".repeat(1 << 17)),
        });
        let clock = Clock::mock();
        let cache = Cache::builder().clock(&clock).max_bytes(1 << 17).build().unwrap();
        let pages = CachePage::new().cache(&cache).layer(origin.clone());
        let bench = Bench { clock, cache, origin, pages };
        bench.get("/").await;
        assert!(bench.get("/").await.is_hit());
        assert!(bench.get_with("/", &[("cache-control", "no-cache")]).await.text().starts_with("new"));
        let answer = bench.get("/").await;
        assert!(answer.text().starts_with("new"), "{fields:?}: {}", answer.cache_status());
    }
}
