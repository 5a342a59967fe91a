//! Site mode, queries, names, clients, and `Cache-Status`.

use std::time::Duration;

use cache_request::{
    Cache, client_scope,
    http::{CachePage, PageTimeout},
    scoped,
};
use http::Method;
use sfv::{BareItem, List, ListEntry, Parser};
use tower_layer::Layer as _;

use super::support::{Answer, Bench, FRESH, Gate, Origin, Script, numbered, ok, request, response, settle};

const MINUTE: Duration = Duration::from_secs(60);

/// Pages that say nothing of caching.
fn silent(fields: &'static [(&'static str, &'static str)]) -> Origin {
    Origin::new(move |_, number| ok(fields, number.to_string()))
}

#[tokio::test]
async fn a_site_keeps_pages_that_say_nothing() {
    let bench = Bench::with(CachePage::new().timeout(MINUTE), silent(&[]));
    let first = bench.get("/").await;
    assert_eq!((first.field("cache-control"), first.field("vary")), (Some("max-age=60"), Some("cookie")));
    bench.advance(59);
    assert!(bench.get("/").await.is_hit());
    bench.advance(1);
    assert!(!bench.get("/").await.is_hit());

    let bench = Bench::new(silent(&[]));
    bench.get("/").await;
    assert!(!bench.get("/").await.is_hit(), "without site mode nothing is guessed");
}

#[tokio::test]
async fn a_site_keeps_to_what_responses_say() {
    for (name, value) in
        [("cache-control", "private"), ("cache-control", "no-store"), ("expires", "0"), ("set-cookie", "id=1")]
    {
        let bench = Bench::with(CachePage::new().timeout(MINUTE), Origin::new(move |_, _| ok(&[(name, value)], "own")));
        bench.get("/").await;
        assert!(!bench.get("/").await.is_hit(), "{name}: {value}");
    }
    let own = Origin::new(|_, _| ok(&[FRESH, ("set-cookie", "id=1")], "own"));
    let bench = Bench::with(CachePage::new().timeout(MINUTE), own);
    assert!(bench.get("/").await.cache_status().ends_with("; detail=set-cookie"));
    assert!(!bench.get("/").await.is_hit());
}

#[tokio::test]
async fn the_longest_route_counts() {
    let layer = CachePage::new()
        .timeout(MINUTE)
        .route("/news", Duration::from_secs(10))
        .route("/news/old/", 2 * MINUTE)
        .route("/admin", Duration::ZERO);
    let bench = Bench::with(layer, silent(&[]));
    for (path, control) in [
        ("/", "max-age=60"),
        ("/news", "max-age=10"),
        ("/news?page=2", "max-age=10"),
        ("/news/today", "max-age=10"),
        ("/newspaper", "max-age=60"),
        ("/news/old/1", "max-age=120"),
        ("/admin", "no-store"),
        ("/admin/users", "no-store"),
    ] {
        let answer = bench.get(path).await;
        assert_eq!(answer.field("cache-control"), Some(control), "{path}");
        assert_eq!(bench.get(path).await.is_hit(), control != "no-store", "{path}");
    }
}

#[tokio::test]
async fn a_page_sets_its_own_timeout() {
    for (seconds, control) in [(5, "max-age=5"), (0, "no-store")] {
        let origin = Origin::new(move |_, _| {
            let mut response = ok(&[], "page");
            response.extensions_mut().insert(PageTimeout(Duration::from_secs(seconds)));
            response
        });
        let bench = Bench::with(CachePage::new().timeout(MINUTE).route("/", 2 * MINUTE), origin);
        assert_eq!(bench.get("/").await.field("cache-control"), Some(control));
        assert_eq!(bench.get("/").await.is_hit(), seconds > 0);
    }
}

/// What the cache does not store goes to caches of clients all the same.
#[tokio::test]
async fn a_response_that_is_not_stored_says_nothing() {
    let bench = Bench::with(
        CachePage::new().timeout(MINUTE),
        Origin::new(|parts, _| match parts.headers.contains_key("if-none-match") {
            true => response(304, &[], Script::text("")),
            false => ok(&[], "page"),
        }),
    );
    let known = ("if-none-match", "\"a\"");
    for (method, fields) in [
        (Method::HEAD, &[][..]),
        (Method::HEAD, &[known]),
        (Method::GET, &[("range", "bytes=0-1")]),
        (Method::GET, &[("range", "bytes=0-1"), known]),
        (Method::GET, &[("content-length", "1")]),
        (Method::GET, &[("content-length", "1"), known]),
    ] {
        let answer = bench.send(request(method.clone(), "/", fields)).await;
        assert!(answer.cache_status().contains("fwd="), "{answer:?}");
        assert_eq!(answer.field("cache-control"), Some("max-age=60"), "{method} {fields:?}: {answer:?}");
    }
}

#[tokio::test]
async fn only_session_cookies_tell_users_apart() {
    let bench = Bench::with(CachePage::new().timeout(MINUTE).session_cookies(["session"]), silent(&[]));
    bench.get_with("/", &[("cookie", "theme=dark; xsession=1")]).await;
    assert!(bench.get_with("/", &[("cookie", "theme=light")]).await.is_hit());
    for cookie in ["session=1", "theme=dark;session=1", "a=b; session", " session=1"] {
        let own = bench.get_with("/", &[("cookie", cookie)]).await;
        assert!(!own.is_hit() && own.cache_status().contains("fwd=bypass"), "{cookie}: {own:?}");
        assert_eq!(own.field("cache-control"), Some("private"), "{cookie}");
    }
    assert!(!bench.get_with("/", &[("cookie", "a=b"), ("cookie", "session=2")]).await.is_hit());
    assert!(!bench.get_with("/", &[("authorization", "Basic eA==")]).await.is_hit());

    let bench = Bench::with(CachePage::new().timeout(MINUTE), silent(&[]));
    bench.get("/").await;
    assert!(!bench.get_with("/", &[("cookie", "theme=dark")]).await.is_hit(), "by default each cookie counts");
}

#[tokio::test]
async fn an_ignored_parameter_changes_no_page() {
    let bench = Bench::with(CachePage::new().ignore_query(["gclid", "utm_*"]), numbered(&[]));
    bench.get("/").await;
    for target in ["/?gclid=1", "/?utm_source=a&gclid=2", "/?utm_=", "/?%67clid=1"] {
        assert!(bench.get(target).await.is_hit(), "{target}");
    }
    for target in ["/?gclid=1&page=2", "/?", "/?Gclid=1", "/?utm", "/?gclid=1;page=2"] {
        let answer = bench.get(target).await;
        assert!(!answer.is_hit(), "{target}: {answer:?}");
    }
    assert!(bench.get("/?page=2").await.is_hit());
    // An unsafe request changes the same page.
    bench.post("/?gclid=3").await;
    assert!(!bench.get("/").await.is_hit());
}

#[tokio::test]
async fn only_the_chosen_parameters_count() {
    let bench = Bench::with(CachePage::new().only_query(["page", "a[]"]), numbered(&[]));
    bench.get("/").await;
    assert!(bench.get("/?other=1").await.is_hit());
    // The service decodes names, so these are the chosen ones.
    for target in ["/?page=2", "/?%70age=3", "/?p%61ge=4", "/?a[]=5", "/?a%5B%5D=6", "/?other=1;page=7"] {
        assert!(!bench.get(target).await.is_hit(), "{target}");
    }
    assert!(bench.get("/?x=1&page=2&y").await.is_hit());
}

#[tokio::test]
async fn sorted_parameters_share_a_page() {
    let bench = Bench::with(CachePage::new().sort_query(), numbered(&[]));
    bench.get("/?b=1&a=2&b=0").await;
    assert!(bench.get("/?a=2&b=1&b=0").await.is_hit());
    assert!(!bench.get("/?a=2&b=0&b=1").await.is_hit(), "the order of one name counts");
    let bench = Bench::new(numbered(&[]));
    bench.get("/?b=1&a=2").await;
    assert!(!bench.get("/?a=2&b=1").await.is_hit());
}

#[tokio::test]
async fn clients_of_a_scope_share_nothing() {
    let gate = Gate::closed();
    let waits = gate.clone();
    let bench = Bench::new(Origin::later(move |_, number| {
        let waits = waits.clone();
        async move {
            waits.pass().await;
            Ok(ok(&[FRESH], number.to_string()))
        }
    }));
    let begin = |client: &'static str| {
        let bench = bench.clone();
        tokio::spawn(client_scope(client, async move { bench.get("/").await }))
    };
    let clients = [begin("acme"), begin("other"), begin("acme")];
    settle().await;
    assert_eq!(bench.origin.count(), 2, "each client's page is made once");
    gate.open(2);
    let [acme, other, again] = clients;
    let (acme, other, again) = (acme.await.unwrap(), other.await.unwrap(), again.await.unwrap());
    assert_eq!(acme.text(), again.text());
    assert_ne!(acme.text(), other.text());
    for (client, text) in [("acme", acme.text()), ("other", other.text())] {
        let hit = begin(client).await.unwrap();
        assert!(hit.is_hit() && hit.text() == text, "{client}: {hit:?}");
    }
    gate.open(1);
    assert!(!bench.get("/").await.is_hit(), "nor with those without one");
}

#[tokio::test]
async fn layers_share_pages_by_name() {
    let origin = numbered(&[]);
    let bench = Bench::with(CachePage::new().name("one"), origin.clone());
    let beside = |layer: CachePage| Bench { pages: layer.cache(&bench.cache).layer(origin.clone()), ..bench.clone() };
    bench.get("/").await;
    assert!(beside(CachePage::new().name("one")).get("/").await.is_hit());
    assert!(!beside(CachePage::new().name("two")).get("/").await.is_hit());
    assert!(!beside(CachePage::new()).get("/").await.is_hit());
}

#[tokio::test]
async fn two_caches_share_nothing_and_the_scoped_one_counts() {
    let bench = Bench::with(CachePage::new().name("one"), numbered(&[]));
    bench.get("/").await;
    let other = Cache::builder().clock(&bench.clock).build().unwrap();
    assert!(!scoped(&other, bench.get("/")).await.is_hit());
    assert!(scoped(&other, bench.get("/")).await.is_hit());
    assert_eq!(scoped(&other, bench.get("/")).await.text(), "response 1");
    assert_eq!(bench.get("/").await.text(), "response 0");
}

#[tokio::test]
async fn a_null_cache_keeps_nothing() {
    let bench = Bench { cache: Cache::null(), ..Bench::new(numbered(&[])) };
    let bench = Bench { pages: CachePage::new().cache(&bench.cache).layer(bench.origin.clone()), ..bench };
    for number in 0..3 {
        assert_eq!(bench.get("/").await.text(), format!("response {number}"));
    }
    bench.post("/").await;
}

/// The parameters of the layer's member, in words.
fn parsed(answer: &Answer) -> Vec<(String, String)> {
    let lines: Vec<_> = answer.headers.get_all("cache-status").iter().map(http::HeaderValue::as_bytes).collect();
    let list: List = Parser::new(&lines.join(&b',')).parse().expect("a structured list");
    let Some(ListEntry::Item(item)) = list.last() else { panic!("{answer:?}") };
    assert_eq!(item.bare_item, BareItem::Token("cache-request".to_owned().try_into().unwrap()));
    let value = |item: &BareItem| match item {
        BareItem::Boolean(flag) => flag.to_string(),
        BareItem::Integer(number) => number.to_string(),
        BareItem::Token(text) => text.as_str().to_owned(),
        BareItem::String(text) => format!("{:?}", text.as_str()),
        other => panic!("{other:?}"),
    };
    item.params.iter().map(|(name, item)| (name.as_str().to_owned(), value(item))).collect()
}

#[track_caller]
fn assert_says(answer: &Answer, expected: &[(&str, &str)]) {
    let expected: Vec<_> = expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    assert_eq!(parsed(answer), expected, "{answer:?}");
}

#[tokio::test]
async fn cache_status_says_what_was_done() {
    let bench = Bench::new(Origin::new(|parts, number| match parts.uri.path() {
        "/private" => ok(&[("cache-control", "private")], ""),
        "/upstream" => ok(&[FRESH, ("cache-status", "origin; hit")], ""),
        "/vary" => ok(&[FRESH, ("vary", "a")], ""),
        "/tagged" if parts.headers.contains_key("if-none-match") => response(304, &[FRESH], Script::text("")),
        "/tagged" => ok(&[FRESH, ("etag", "\"a\"")], ""),
        _ => ok(&[FRESH], number.to_string()),
    }));
    assert_says(&bench.get("/").await, &[("fwd", "uri-miss"), ("ttl", "60"), ("stored", "true")]);
    bench.advance(20);
    assert_says(&bench.get("/").await, &[("hit", "true"), ("ttl", "40")]);
    assert_says(&bench.post("/other").await, &[("fwd", "method")]);
    assert_says(&bench.send(request(Method::OPTIONS, "/", &[])).await, &[("fwd", "method")]);
    let reload = [("cache-control", "no-cache")];
    assert_says(&bench.get_with("/", &reload).await, &[("fwd", "request"), ("ttl", "60"), ("stored", "true")]);
    let only = [("cache-control", "only-if-cached")];
    assert_says(&bench.get_with("/none", &only).await, &[("detail", "only-if-cached")]);
    assert_says(&bench.get("/private").await, &[("fwd", "uri-miss"), ("detail", "private")]);
    bench.get_with("/vary", &[("a", "1")]).await;
    let miss = [("fwd", "vary-miss"), ("ttl", "60"), ("stored", "true")];
    assert_says(&bench.get_with("/vary", &[("a", "2")]).await, &miss);
    bench.get("/tagged").await;
    bench.advance(61);
    let stale = [("cache-control", "max-stale")];
    assert_says(&bench.get_with("/tagged", &stale).await, &[("hit", "true"), ("ttl", "-1")]);
    let validated = [("fwd", "stale"), ("fwd-status", "304"), ("ttl", "60"), ("stored", "true")];
    assert_says(&bench.get("/tagged").await, &validated);
    assert_says(&bench.get_with("/", &[("upgrade", "h2c")]).await, &[("fwd", "bypass"), ("detail", "upgrade")]);
    let upstream = bench.get("/upstream").await;
    assert_eq!(upstream.headers.get_all("cache-status").iter().next().unwrap(), "origin; hit");
    assert_says(&upstream, &[("fwd", "uri-miss"), ("ttl", "60"), ("stored", "true")]);
}

#[tokio::test]
async fn cache_status_names_the_key_in_ascii() {
    let bench = Bench::with(CachePage::new().show_key(true), numbered(&[]));
    for (target, key) in [("/a\"b?c=%22", "/a\\\"b?c=%22"), ("/é", "/%C3%A9")] {
        let Ok(target) = target.parse::<http::Uri>() else { continue };
        let answer = bench.get(&target.to_string()).await;
        let (name, value) = parsed(&answer).pop().unwrap();
        assert_eq!((&*name, value), ("key", format!("\"http://example.com{key}\"")));
    }
}

/// Site mode makes a response with a cookie private, if that says nothing.
#[tokio::test]
async fn the_cookie_of_a_304_came_with_leave_to_be_shared() {
    let bench = Bench::with(
        CachePage::new().timeout(Duration::from_secs(60)),
        Origin::new(|parts, _| match parts.headers.contains_key("if-none-match") {
            true => response(304, &[("set-cookie", "session=1")], Script::text("")),
            false => ok(&[("etag", "\"a\"")], "page"),
        }),
    );
    bench.get("/").await;
    bench.advance(61);
    let answer = bench.get("/").await;
    assert_eq!(answer.field("set-cookie"), Some("session=1"));
    assert_eq!(answer.field("cache-control"), Some("private"));
}

/// Frameworks decode the names of cookies.
#[tokio::test]
async fn a_session_with_an_encoded_name_shared_its_page() {
    let bench = Bench::with(CachePage::new().timeout(MINUTE).session_cookies(["session", "a b"]), silent(&[]));
    for cookie in ["sess%69on=1", "x=1; %73ession=2", "a%20b=1", "a b=1"] {
        let answer = bench.get_with("/", &[("cookie", cookie)]).await;
        assert!(answer.cache_status().ends_with("detail=user"), "{cookie}: {}", answer.cache_status());
    }
    assert!(bench.get_with("/", &[("cookie", "sessions=1")]).await.cache_status().contains("stored"));
}

#[tokio::test]
async fn a_route_with_a_pattern_was_no_route() {
    let layer = CachePage::new().timeout(MINUTE).route("/users/{id}", Duration::ZERO).route("/users/all", MINUTE);
    let bench = Bench::with(layer, silent(&[]));
    for (path, is_kept) in
        [("/users/1", false), ("/users/1/cart", false), ("/users/all", true), ("/users", true), ("/a", true)]
    {
        bench.get(path).await;
        assert_eq!(bench.get(path).await.is_hit(), is_kept, "{path}");
    }
}

/// Such a page does not wait for another one, and its own `Cache-Control` does not count.
#[tokio::test]
async fn a_page_that_is_never_kept_was() {
    let bench = Bench::with(CachePage::new().timeout(MINUTE).route("/never", Duration::ZERO), silent(&[FRESH]));
    for _ in 0..2 {
        assert!(bench.get("/never").await.cache_status().ends_with("detail=route"));
    }
}

#[tokio::test]
async fn a_route_or_a_cookie_switched_site_mode_on() {
    let layer = CachePage::new().route("/a", Duration::ZERO).session_cookies(["session"]);
    let bench = Bench::with(layer, silent(&[]));
    for _ in 0..2 {
        let answer = bench.get("/").await;
        assert_eq!((answer.is_hit(), answer.field("cache-control")), (false, None));
    }
}

#[tokio::test]
async fn less_than_a_second_was_no_time() {
    let bench = Bench::with(CachePage::new().timeout(Duration::from_millis(900)), silent(&[]));
    bench.get("/").await;
    assert!(bench.get("/").await.is_hit());
}
