//! What a review found. Each of these tests fails until that is put right.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Body as AxumBody, http::header, routing};
use bytes::Bytes;
use cache_request::{
    Backend, Cache, Clock, Error, client_scope,
    http::{CachePage, ClientScopeLayer},
};
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use tower_layer::Layer as _;
use tower_service::Service as _;

use super::support::{Answer, Bench, FRESH, Gate, Origin, Script, data, numbered, ok, request, response, settle};

/// The length that a page of ten bytes has, by the answer to a HEAD through a router of axum.
#[tokio::test]
async fn a_head_of_a_stored_page_told_a_length_of_0() {
    let page = || async { ([FRESH], "0123456789") };
    let layer = CachePage::new().cache(&Cache::memory());
    let app = Router::new().route("/", routing::get(page)).layer(layer);
    let ask = async |method: Method| {
        let request = Request::builder().method(method).uri("/").header("host", "example.org");
        let answer = app.clone().call(request.body(AxumBody::empty()).unwrap()).await.unwrap();
        let told = answer.headers().get(header::CONTENT_LENGTH).map(|length| length.to_str().unwrap().to_owned());
        _ = answer.into_body().collect().await.unwrap();
        settle().await;
        told
    };
    let ten = Some("10".to_owned());
    assert_eq!(ask(Method::HEAD).await, ten, "a miss");
    assert_eq!(ask(Method::GET).await, ten, "a miss");
    assert_eq!(ask(Method::GET).await, ten, "a hit");
    assert_eq!(ask(Method::HEAD).await, ten, "a hit");
}

/// Without the layer, the server sees the panic and closes the connection.
#[tokio::test]
async fn a_body_that_panics_left_its_readers_waiting_for_ever() {
    let frames = || {
        let mut number = 0;
        std::iter::from_fn(move || {
            number += 1;
            assert!(number < 2, "on purpose");
            Some(data("begin"))
        })
    };
    let bench = Bench::new(Origin::new(move |_, _| response(200, &[FRESH], Script::Made(Box::new(frames())))));
    let client = bench.begin(request(Method::GET, "/", &[]));
    settle().await;
    assert!(client.is_finished(), "the client still waits for a body that nothing makes any more");
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

/// As HTTP/2 sends it, where `Content-Length` is optional and `Transfer-Encoding` is forbidden.
#[tokio::test]
async fn a_get_with_a_body_of_no_declared_length_made_the_page_of_those_without() {
    let bench = Bench::new(numbered(&[]));
    let mut pages = bench.pages.clone();
    let attack = request(Method::GET, "/", &[]).map(|_| Full::new(Bytes::from_static(b"what the page is made of")));
    Answer::of(pages.call(attack).await.unwrap()).await;
    settle().await;
    assert!(!bench.get("/").await.is_hit());
}

/// Such as one function that wraps each router of a program.
#[tokio::test]
async fn two_layers_that_one_line_makes_shared_their_pages() {
    let cache = Cache::memory();
    let site = |origin: Origin| {
        let pages = CachePage::new().cache(&cache).layer(origin.clone());
        Bench { clock: Clock::mock(), cache: cache.clone(), origin, pages }
    };
    let public = site(Origin::new(|_, _| ok(&[FRESH], "public")));
    let admin = site(Origin::new(|_, _| ok(&[FRESH], "admin")));
    assert_eq!(admin.get("/").await.text(), "admin");
    assert_eq!(public.get("/").await.text(), "public");
}

/// A stream that is no `text/event-stream`, in site mode. It never ends by itself, and sends too little to be too large.
#[tokio::test]
async fn a_stream_without_an_end_went_on_for_ever_without_its_client() {
    let streams = Arc::new(Mutex::new(Vec::new()));
    let bench = Bench::with(CachePage::new().timeout(Duration::from_secs(60)), {
        let streams = Arc::clone(&streams);
        Origin::new(move |_, _| {
            let (sender, script) = Script::sent();
            streams.lock().unwrap().push(sender);
            response(200, &[("content-type", "application/x-ndjson")], script)
        })
    });
    for _ in 0..3 {
        drop(bench.open(request(Method::GET, "/", &[])).await.unwrap());
        bench.advance(3600);
        settle().await;
    }
    // What arrives could not be stored any more, as it is stale.
    for stream in &*streams.lock().unwrap() {
        _ = stream.send(data("{}\n"));
    }
    settle().await;
    let left = streams.lock().unwrap().iter().filter(|stream| !stream.is_closed()).count();
    assert_eq!(left, 0, "tasks that read a stream for nobody");
}

/// Keeps bytes. A deletion waits at a gate.
struct Slow {
    stored: Mutex<HashMap<String, Vec<u8>>>,
    gate: Gate,
}

impl Backend for Slow {
    fn name(&self) -> &'static str {
        "slow"
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.stored.lock().unwrap().get(key).cloned())
    }

    async fn set(&self, key: &str, value: &[u8], _: Option<Duration>) -> Result<(), Error> {
        self.stored.lock().unwrap().insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    async fn add(&self, key: &str, value: &[u8], _: Option<Duration>) -> Result<bool, Error> {
        let mut stored = self.stored.lock().unwrap();
        let free = !stored.contains_key(key);
        stored.entry(key.to_owned()).or_insert_with(|| value.to_owned());
        Ok(free)
    }

    async fn touch(&self, key: &str, _: Option<Duration>) -> Result<bool, Error> {
        Ok(self.stored.lock().unwrap().contains_key(key))
    }

    async fn delete(&self, key: &str) -> Result<bool, Error> {
        self.gate.pass().await;
        Ok(self.stored.lock().unwrap().remove(key).is_some())
    }

    async fn clear(&self) -> Result<(), Error> {
        self.stored.lock().unwrap().clear();
        Ok(())
    }
}

/// The service has made the change and has answered.
#[tokio::test]
async fn a_client_that_went_away_after_its_change_left_the_old_page() {
    let gate = Gate::closed();
    let slow = Slow { stored: Mutex::default(), gate: gate.clone() };
    let cache = Cache::builder().backend(slow).soft_limit(Duration::MAX).build().unwrap();
    let origin = numbered(&[]);
    let pages = CachePage::new().cache(&cache).layer(origin.clone());
    let bench = Bench { clock: Clock::mock(), cache, origin, pages };
    bench.get("/").await;
    assert!(bench.get("/").await.is_hit());
    let client = bench.begin(request(Method::POST, "/", &[]));
    settle().await;
    assert_eq!(bench.origin.last().method, Method::POST);
    client.abort();
    settle().await;
    gate.open(9);
    settle().await;
    assert!(!bench.get("/").await.is_hit());
}

/// A server with TLS gets `https` from clients of HTTP/2, and no scheme from those of HTTP/1.1.
#[tokio::test]
async fn a_change_by_http_1_left_the_page_of_http_2() {
    let bench = Bench::new(numbered(&[]));
    bench.get("https://example.com/").await;
    assert!(bench.get("https://example.com/").await.is_hit());
    bench.post("/").await;
    assert!(!bench.get("https://example.com/").await.is_hit());
}

/// RFC 9530, section 2: it is the digest of the content of this message.
#[tokio::test]
async fn a_part_had_the_digest_of_the_whole() {
    let digest = ("content-digest", "sha-256=:hNiYd/DU4blyZAqZBqkUhhsGPoRwK+M7rgAt4MVMVH8=:");
    let bench = Bench::new(Origin::new(move |_, _| ok(&[FRESH, digest], "0123456789")));
    bench.get("/").await;
    let part = bench.get_with("/", &[("range", "bytes=2-4")]).await;
    assert_eq!((part.status, part.text(), part.field("content-digest")), (206, "234", None));
}

#[tokio::test]
async fn a_request_kept_a_page_from_the_store_although_clients_are_not_obeyed() {
    let bench = Bench::with(CachePage::new().obey_clients(false), numbered(&[]));
    bench.get_with("/", &[("cache-control", "no-store")]).await;
    assert!(bench.get("/").await.is_hit());
}

/// As a middleware does that has the future of the service, and not the service.
#[tokio::test]
async fn clients_shared_a_page_whose_future_was_made_outside_their_scopes() {
    let bench = Bench::new(numbered(&[]));
    let mut texts = Vec::new();
    for client in ["one", "two"] {
        let mut pages = bench.pages.clone();
        let answer = client_scope(client, pages.call(request(Method::GET, "/", &[]))).await.unwrap();
        texts.push(Answer::of(answer).await.text().to_owned());
        settle().await;
    }
    assert_ne!(texts[0], texts[1]);
}

/// A path can have a NUL, percent-encoded.
#[tokio::test]
async fn two_clients_had_one_name_by_their_paths() {
    let bench = Bench::with(CachePage::new().name("nul").original_uri(|_| Some("/".parse().unwrap())), numbered(&[]));
    let mut site = ClientScopeLayer::from_path_segment(0).layer(bench.pages.clone());
    let mut texts = Vec::new();
    for path in ["/%FF", "/%00%25FF"] {
        let answer = site.call(request(Method::GET, path, &[])).await.unwrap();
        texts.push(answer.into_body().collect().await.unwrap().to_bytes());
        settle().await;
    }
    assert_ne!(texts[0], texts[1]);
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

/// A page whose body has begun to arrive when what is stored is cleared, and a request after that.
async fn after_a_clearing(clear: impl AsyncFn(&Bench)) -> Answer {
    let (sender, body) = Script::sent();
    let body = Mutex::new(Some(body));
    let origin = Origin::new(move |_, _| match body.lock().unwrap().take() {
        Some(body) => response(200, &[FRESH], body),
        None => ok(&[FRESH], "new"),
    });
    let bench = Bench::with(CachePage::new().name("cleared"), origin);
    let _first = bench.open(request(Method::GET, "/", &[])).await.unwrap();
    clear(&bench).await;
    let later = bench.begin(request(Method::GET, "/", &[]));
    settle().await;
    sender.send(data("old")).unwrap();
    drop(sender);
    later.await.unwrap().unwrap()
}

#[tokio::test]
async fn a_request_after_a_clearing_shared_the_page_from_before() {
    let answer = after_a_clearing(async |bench: &Bench| bench.cache.clear().await.unwrap()).await;
    assert_eq!(answer.text(), "new");
}

#[tokio::test]
async fn a_request_after_a_purge_by_another_layer_of_the_name_shared_the_page_from_before() {
    let answer = after_a_clearing(async |bench: &Bench| {
        let beside = CachePage::new().name("cleared").cache(&bench.cache);
        beside.purge(&"http://example.com/".parse().unwrap()).await.unwrap();
    })
    .await;
    assert_eq!(answer.text(), "new");
}

/// RFC 9111, section 4.3.5: what is told is about the page that was stored when the request was sent.
#[tokio::test]
async fn a_head_removed_the_newer_page_that_it_confirms() {
    let gate = Gate::closed();
    let bench = Bench::new(Origin::later({
        let gate = gate.clone();
        move |parts, number| {
            let gate = gate.clone();
            async move {
                if parts.method == Method::HEAD {
                    gate.pass().await;
                    return Ok(response(200, &[("etag", "\"2\""), FRESH], Script::text("")));
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
    assert_eq!((answer.text(), answer.is_hit()), ("response 2", true));
}

/// The newer response is too large for the near cache, and the older one is there. Without a near cache the newer one is found.
#[tokio::test]
async fn a_near_cache_answered_with_an_older_variant() {
    let gate = Gate::closed();
    gate.open(100);
    let slow = Arc::new(Slow { stored: Mutex::default(), gate });
    let origin = Origin::new(|_, number| match number {
        0 => ok(&[FRESH, ("vary", "a")], "old"),
        _ => ok(&[FRESH, ("vary", "b")], "new".repeat(1 << 17)),
    });
    let bench = |is_near: bool| {
        let cache = Cache::builder().backend(Arc::clone(&slow)).soft_limit(Duration::MAX);
        let cache = if is_near { cache.near_bytes(1 << 17) } else { cache };
        let cache = cache.build().unwrap();
        let pages = CachePage::new().name("near").cache(&cache).layer(origin.clone());
        Bench { clock: Clock::mock(), cache, origin: origin.clone(), pages }
    };
    let (near, far) = (bench(true), bench(false));
    assert_eq!(near.get("/").await.text(), "old");
    assert!(near.get("/").await.is_hit());
    assert!(near.get_with("/", &[("cache-control", "no-cache")]).await.text().starts_with("new"));
    for (bench, place) in [(far, "far"), (near, "near")] {
        let answer = bench.get("/").await;
        assert_eq!((&answer.text()[..3], answer.is_hit()), ("new", true), "{place}");
    }
}

/// RFC 9110, section 8.6: in a 304 it is that of the page, or not there.
#[tokio::test]
async fn a_304_of_a_stored_page_told_a_length_of_0() {
    let page = || async { ([FRESH, ("etag", "\"a\"")], "0123456789") };
    let layer = CachePage::new().cache(&Cache::memory());
    let app = Router::new().route("/", routing::get(page)).layer(layer);
    for _ in 0..2 {
        let request = Request::builder().uri("/").header("host", "example.org").header("if-none-match", "\"a\"");
        let answer = app.clone().call(request.body(AxumBody::empty()).unwrap()).await.unwrap();
        settle().await;
        assert_eq!(answer.status(), 304);
        assert_eq!(answer.headers().get(header::CONTENT_LENGTH), None);
    }
}

/// The two variants have the same bytes, and differ in what these are.
#[tokio::test]
async fn a_generated_tag_of_one_type_named_the_page_of_another() {
    let origin = Origin::new(|parts, _| {
        let kind = if parts.headers["accept"] == "a/json" { "a/json" } else { "a/text" };
        ok(&[FRESH, ("vary", "accept"), ("content-type", kind)], "[]")
    });
    let bench = Bench::with(CachePage::new().etags(true), origin);
    let json = bench.get_with("/", &[("accept", "a/json")]).await;
    let tag = json.field("etag").unwrap();
    let text = bench.get_with("/", &[("accept", "a/text"), ("if-none-match", tag)]).await;
    assert_eq!((text.status, text.field("content-type")), (200, Some("a/text")));
}
