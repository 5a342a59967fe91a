//! Tags of pages: of their fields, of what the service names, and of what it uses.

use std::{
    mem,
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use cache_request::{
    Backend, Cache, CacheBuilder, Clock, Error, MockClock,
    backend::{Claim, Claimed, Fence, MemoryBackend},
    cache_request, client_scope,
    http::CachePage,
    scoped, tag,
};
use cache_request_tests::delegate;
use http::{Method, Response, request::Parts};
use http_body::Frame;
use tower_layer::Layer as _;

use super::support::{
    Answer, Bench, FRESH, Failed, Gate, Origin, Plain, Script, data, numbered, ok, request, response, settle,
};

fn layer() -> CachePage {
    CachePage::new().name("tags").purge_by_tag(true)
}

fn memory(clock: &MockClock) -> MemoryBackend {
    MemoryBackend::builder().clock(clock).build().unwrap()
}

fn build(builder: CacheBuilder, clock: &MockClock) -> Cache {
    builder.clock(clock).soft_limit(Duration::MAX).wait_limit(Duration::MAX).build().unwrap()
}

/// What makes a cache in memory, one in front of a backend, one with a near cache, and one whose backend has no fences.
fn builders() -> [(&'static str, CacheBuilder, MockClock); 4] {
    type Make = fn(&MockClock) -> CacheBuilder;
    let make: [(_, Make); 4] = [
        ("memory", |_| Cache::builder()),
        ("backend", |clock| Cache::builder().backend(memory(clock))),
        ("near", |clock| Cache::builder().backend(memory(clock)).near_timeout(Duration::from_secs(3600))),
        ("plain", |_| Cache::builder().backend(Plain::default())),
    ];
    make.map(|(name, make)| {
        let clock = Clock::mock();
        (name, make(&clock), clock)
    })
}

fn caches() -> [(&'static str, Cache, MockClock); 4] {
    builders().map(|(name, builder, clock)| (name, build(builder, &clock), clock))
}

fn around(layer: CachePage, origin: &Origin, cache: &Cache, clock: &MockClock) -> Bench {
    let pages = layer.cache(cache).layer(origin.clone());
    Bench { clock: clock.clone(), cache: cache.clone(), origin: origin.clone(), pages }
}

/// A bench of each kind of cache.
fn benches(layer: impl Fn() -> CachePage, origin: impl Fn() -> Origin) -> [(&'static str, Bench); 4] {
    caches().map(|(name, cache, clock)| (name, around(layer(), &origin(), &cache, &clock)))
}

async fn invalidate(bench: &Bench, tag: &str) {
    bench.cache.invalidate_tag(tag).await.unwrap();
}

/// Numbers its responses, which have what `fields` makes of the path and the field `x` of the request.
fn tagged(fields: impl Fn(&str, &str) -> Vec<(&'static str, String)> + Send + Sync + 'static) -> Origin {
    Origin::new(move |parts, number| {
        let x = parts.headers.get("x").map_or("", |value| value.to_str().unwrap());
        let own = fields(parts.uri.path(), x);
        let fields: Vec<_> = own.iter().map(|(name, value)| (*name, &**value)).chain([FRESH]).collect();
        ok(&fields, format!("response {number}"))
    })
}

#[tokio::test]
async fn an_invalidated_tag_left_pages_or_took_others() {
    const FIELDS: [&[(&str, &str)]; 9] = [
        &[("surrogate-key", "a b:1 c")],
        &[("surrogate-key", "\t a  b:1\t\tc c ")],
        &[("surrogate-key", "a"), ("surrogate-key", "b:1 c")],
        &[("cache-tag", "a,b:1,c")],
        &[("cache-tag", " a ,\tb:1\t,, c,")],
        &[("cache-tag", "a,b:1"), ("cache-tag", "c")],
        &[("surrogate-key", "a"), ("cache-tag", "b:1, c")],
        &[("surrogate-key", "a b:1"), ("cache-tag", "b:1, c")],
        &[("surrogate-key", ""), ("cache-tag", "\tc, b:1, a")],
    ];
    for (name, bench) in benches(layer, || {
        tagged(|path, _| match path.strip_prefix("/form/") {
            Some(form) => {
                let fields = FIELDS[form.parse::<usize>().unwrap()];
                fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
            }
            None => vec![("surrogate-key", "other".to_owned()), ("cache-tag", "A,b,b:1:c".to_owned())],
        })
    }) {
        for form in 0..FIELDS.len() {
            let form = format!("/form/{form}");
            for path in [&*form, "/other"] {
                bench.get(path).await;
                assert!(bench.get(path).await.is_hit(), "{name} {path}: it is kept");
            }
            for tag in ["a", "b:1", "c"] {
                invalidate(&bench, tag).await;
                assert!(!bench.get(&form).await.is_hit(), "{name} {form} {tag}");
                assert!(bench.get(&form).await.is_hit(), "{name} {form} {tag}: the new one is kept");
                assert!(bench.get("/other").await.is_hit(), "{name} {form} {tag}: another page");
            }
            for tag in ["A", "b", "other", "unknown", "surrogate-key"] {
                invalidate(&bench, tag).await;
                assert!(bench.get(&form).await.is_hit(), "{name} {form} {tag}: it has no such tag");
            }
        }
        assert_eq!(bench.cache.stats().faults(), 0, "{name}");
    }
}

#[tokio::test]
async fn a_tag_beyond_ascii_was_not_taken() {
    for (name, bench) in benches(layer, || {
        tagged(|path, _| match path {
            "/spaces" => vec![("surrogate-key", "a Straße:München".to_owned())],
            _ => vec![("cache-tag", "a, Straße:München".to_owned())],
        })
    }) {
        for path in ["/spaces", "/commas"] {
            for tag in ["a", "Straße:München"] {
                bench.get(path).await;
                assert!(bench.get(path).await.is_hit(), "{name} {path}");
                invalidate(&bench, tag).await;
                assert!(!bench.get(path).await.is_hit(), "{name} {path} {tag}");
            }
        }
    }
}

/// The fields are not kept, and are as good as others until then.
#[tokio::test]
async fn tags_in_a_field_that_is_not_kept_were_lost() {
    for (name, bench) in benches(layer, || {
        let control = "max-age=60, private=\"surrogate-key\", no-cache=\"cache-tag\"";
        Origin::new(move |_, number| {
            ok(&[("cache-control", control), ("surrogate-key", "a"), ("cache-tag", "b")], format!("response {number}"))
        })
    }) {
        for tag in ["a", "b"] {
            bench.get("/").await;
            let hit = bench.get("/").await;
            assert!(hit.is_hit() && hit.field("surrogate-key").is_none(), "{name}");
            invalidate(&bench, tag).await;
            assert!(!bench.get("/").await.is_hit(), "{name} {tag}");
        }
    }
}

#[tokio::test]
async fn the_tag_of_one_variant_took_the_others() {
    for (name, bench) in
        benches(layer, || tagged(|_, x| vec![("vary", "x".to_owned()), ("surrogate-key", format!("all x:{x}"))]))
    {
        let get = async |x| bench.get_with("/", &[("x", x)]).await;
        for x in ["1", "2", "3"] {
            get(x).await;
            assert!(get(x).await.is_hit(), "{name} {x}");
        }
        invalidate(&bench, "x:2").await;
        let others = [get("1").await, get("3").await];
        assert!(others.iter().all(Answer::is_hit), "{name}: the others stay");
        let made = get("2").await;
        assert!(made.cache_status().contains("fwd=vary-miss"), "{name}: {}", made.cache_status());
        for (x, text) in [("1", "response 0"), ("2", "response 3"), ("3", "response 2")] {
            let hit = get(x).await;
            assert_eq!((hit.text(), hit.is_hit()), (text, true), "{name} {x}: the list has all");
        }
        invalidate(&bench, "all").await;
        for x in ["1", "2", "3"] {
            assert!(!get(x).await.is_hit(), "{name} {x}");
            assert!(get(x).await.is_hit(), "{name} {x}: the new one is kept");
        }
    }
}

#[cache_request]
async fn article(id: u32) -> u32 {
    tokio::task::yield_now().await;
    tag(format!("article:{id}"));
    id
}

/// Numbers pages: that of `/1` and that of `/again/1` use the article 1. It names tags before and after that.
async fn page_of_article(parts: Parts, number: usize) -> Result<Response<Script>, Failed> {
    let path = parts.uri.path();
    tag(format!("before:{path}"));
    let id = article(path.rsplit('/').next().unwrap().parse().unwrap()).await;
    tokio::task::yield_now().await;
    tag(format!("after:{path}"));
    Ok(ok(&[FRESH], format!("{id}, response {number}")))
}

#[tokio::test]
async fn a_page_outlived_what_the_service_named_or_used() {
    for (name, bench) in benches(layer, || Origin::later(page_of_article)) {
        let inside = async {
            // The second page uses what the first one has left in the cache.
            const PATHS: [&str; 3] = ["/1", "/again/1", "/2"];
            for (tag, taken) in [
                ("article:1", &["/1", "/again/1"][..]),
                ("before:/1", &["/1"]),
                ("after:/again/1", &["/again/1"]),
                ("article:2", &["/2"]),
                ("article:3", &[]),
            ] {
                for path in PATHS {
                    bench.get(path).await;
                    assert!(bench.get(path).await.is_hit(), "{name} {path}");
                }
                invalidate(&bench, tag).await;
                for path in PATHS {
                    assert_eq!(bench.get(path).await.is_hit(), !taken.contains(&path), "{name} {path} {tag}");
                }
            }
            assert_eq!(bench.cache.stats().faults(), 0, "{name}");
        };
        scoped(&bench.cache, inside).await;
    }
}

/// The articles are in one cache, and the pages in another one.
#[tokio::test]
async fn a_page_lost_tags_of_values_from_another_cache() {
    for (name, bench) in benches(layer, || {
        let articles = Cache::builder().build().unwrap();
        Origin::later(move |parts, number| {
            let articles = articles.clone();
            async move { scoped(&articles, page_of_article(parts, number)).await }
        })
    }) {
        for path in ["/1", "/again/1"] {
            bench.get(path).await;
            assert!(bench.get(path).await.is_hit(), "{name} {path}");
        }
        invalidate(&bench, "article:1").await;
        for path in ["/1", "/again/1"] {
            assert!(!bench.get(path).await.is_hit(), "{name} {path}");
        }
    }
}

/// It names them while its client reads it already.
#[tokio::test]
async fn what_a_body_uses_as_it_arrives_gave_no_tags() {
    for (name, bench) in benches(layer, || {
        Origin::new(|_, number| {
            let frames = (0..3).map(move |frame| {
                tag(format!("frame:{frame}"));
                Ok(Frame::data(Bytes::from(format!("{number}.{frame} "))))
            });
            response(200, &[FRESH], Script::Made(Box::new(frames)))
        })
    }) {
        for frame in 0..3 {
            bench.get("/").await;
            assert!(bench.get("/").await.is_hit(), "{name}");
            invalidate(&bench, &format!("frame:{frame}")).await;
            assert!(!bench.get("/").await.is_hit(), "{name} {frame}");
        }
    }
}

/// It was asked for before the invalidation, and no client gets it after that.
#[tokio::test]
async fn a_page_from_before_an_invalidation_was_kept_or_shared() {
    for (vary, in_field) in [("", false), ("", true), ("x", false), ("x", true)] {
        let gate = Gate::closed();
        for (name, bench) in benches(layer, || {
            let gate = gate.clone();
            Origin::later(move |_, number| {
                let gate = gate.clone();
                async move {
                    // It tells its tag only after the gate.
                    if number == 0 {
                        gate.pass().await;
                    }
                    if !in_field {
                        tag("a");
                    }
                    let fields = [FRESH, ("surrogate-key", if in_field { "a" } else { "" }), ("vary", vary)];
                    Ok(ok(&fields, format!("response {number}")))
                }
            })
        }) {
            let what = format!("{name}, vary: {vary:?}, in a field: {in_field}");
            let first = bench.begin(request(Method::GET, "/", &[]));
            settle().await;
            invalidate(&bench, "a").await;
            let second = bench.begin(request(Method::GET, "/", &[]));
            settle().await;
            gate.open(1);
            assert_eq!(first.await.unwrap().unwrap().text(), "response 0", "{what}: its client gets it");
            assert_eq!(second.await.unwrap().unwrap().text(), "response 1", "{what}: a later one does not");
            settle().await;
            let hit = bench.get("/").await;
            assert_eq!((hit.text(), hit.is_hit()), ("response 1", true), "{what}: that of the later one is kept");
        }
    }
}

/// The newer page is there before the service answers the older request.
#[tokio::test]
async fn a_page_from_before_an_invalidation_took_the_place_of_a_newer_one() {
    for vary in ["", "x"] {
        let gate = Gate::closed();
        for (name, one) in benches(layer, || {
            let respond = move |_: &Parts, number| {
                Ok(ok(&[FRESH, ("surrogate-key", "a"), ("vary", vary)], format!("response {number}")))
            };
            Origin::gated(&gate, |number| number == 0, respond)
        }) {
            // A layer of the same name has waiting requests of its own.
            let other = around(layer(), &one.origin, &one.cache, &one.clock);
            let first = one.begin(request(Method::GET, "/", &[]));
            settle().await;
            invalidate(&one, "a").await;
            assert_eq!(other.get("/").await.text(), "response 1", "{name}");
            gate.open(1);
            assert_eq!(first.await.unwrap().unwrap().text(), "response 0", "{name}");
            settle().await;
            for bench in [&one, &other] {
                let hit = bench.get("/").await;
                assert_eq!((hit.text(), hit.is_hit()), ("response 1", true), "{name}, vary: {vary:?}");
            }
        }
    }
}

/// There are so many tags that those without values are forgotten.
#[tokio::test]
async fn many_invalidations_of_other_tags_hid_that_of_a_page() {
    let gate = Gate::closed();
    for (name, bench) in benches(layer, || {
        let respond = |_: &Parts, number| Ok(ok(&[FRESH, ("surrogate-key", "a")], format!("response {number}")));
        Origin::gated(&gate, |number| number == 0, respond)
    }) {
        let first = bench.begin(request(Method::GET, "/", &[]));
        settle().await;
        invalidate(&bench, "a").await;
        for number in 0..3000 {
            invalidate(&bench, &format!("other:{number}")).await;
        }
        let second = bench.begin(request(Method::GET, "/", &[]));
        settle().await;
        gate.open(1);
        assert_eq!(first.await.unwrap().unwrap().text(), "response 0", "{name}");
        assert_eq!(second.await.unwrap().unwrap().text(), "response 1", "{name}");
        settle().await;
        assert_eq!(bench.get("/").await.text(), "response 1", "{name}");
    }
}

/// Its head is there, and its body arrives.
#[tokio::test]
async fn a_request_after_an_invalidation_joined_a_body_from_before() {
    for (name, bench) in benches(layer, || {
        let bodies = Mutex::new(vec![]);
        Origin::new(move |_, number| match number {
            0 => {
                let (sender, body) = Script::sent();
                bodies.lock().unwrap().push(sender);
                response(200, &[FRESH, ("surrogate-key", "a")], body)
            }
            _ => ok(&[FRESH, ("surrogate-key", "a")], format!("response {number}")),
        })
    }) {
        let first = bench.open(request(Method::GET, "/", &[])).await.unwrap();
        let joined = bench.open(request(Method::GET, "/", &[])).await.unwrap();
        assert_eq!(bench.origin.count(), 1, "{name}: without an invalidation, it joins");
        invalidate(&bench, "b").await;
        let also_joined = bench.open(request(Method::GET, "/", &[])).await.unwrap();
        assert_eq!(bench.origin.count(), 1, "{name}: after that of another tag, it joins");
        invalidate(&bench, "a").await;
        assert_eq!(bench.get("/").await.text(), "response 1", "{name}");
        drop((first, joined, also_joined));
    }
}

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

/// Two processes, in effect: their caches have only the backend in common.
#[tokio::test]
async fn a_page_outlived_an_invalidation_by_another_process() {
    let clock = Clock::mock();
    let near_timeout = Duration::from_secs(5);
    let fenced = Arc::new(memory(&clock));
    let near = Arc::new(memory(&clock));
    let plain = Arc::new(Plain::default());
    let pairs = [
        ("backend", [(); 2].map(|()| build(Cache::builder().backend(Arc::clone(&fenced)), &clock))),
        (
            "near",
            [(); 2].map(|()| build(Cache::builder().backend(Arc::clone(&near)).near_timeout(near_timeout), &clock)),
        ),
        ("plain", [(); 2].map(|()| build(Cache::builder().backend(Arc::clone(&plain)), &clock))),
    ];
    for (name, caches) in pairs {
        for (vary, path) in [("", "/one"), ("x", "/varies")] {
            let gate = Gate::closed();
            let respond = move |_: &Parts, number| {
                Ok(ok(&[FRESH, ("surrogate-key", "a"), ("vary", vary)], format!("response {number}")))
            };
            let origin = Origin::gated(&gate, |number| number == 2, respond);
            let [one, other] = caches.each_ref().map(|cache| around(layer(), &origin, cache, &clock));
            assert_eq!(one.get(path).await.text(), "response 0", "{name}");
            let hit = other.get(path).await;
            assert_eq!((hit.text(), hit.is_hit()), ("response 0", true), "{name}: they share it");
            invalidate(&one, "a").await;
            assert!(!one.get(path).await.is_hit(), "{name}: it is gone where it was invalidated");
            // A near cache does not know of it for so long.
            clock.advance(near_timeout);
            let hit = other.get(path).await;
            assert_eq!((hit.text(), hit.is_hit()), ("response 1", true), "{name}: the newer one");
            // The one that is being made here is invalidated there.
            one.cache.invalidate_tag("a").await.unwrap();
            clock.advance(near_timeout);
            let making = other.begin(request(Method::GET, path, &[]));
            settle().await;
            assert_eq!(origin.count(), 3, "{name}");
            invalidate(&one, "a").await;
            gate.open(1);
            assert_eq!(making.await.unwrap().unwrap().text(), "response 2", "{name}: its client gets it");
            settle().await;
            clock.advance(near_timeout);
            for bench in [&other, &one] {
                assert_eq!(bench.get(path).await.text(), "response 3", "{name}");
            }
            invalidate(&one, "a").await;
        }
    }
}

/// Keeps what it was asked for: the operations, and for how many keys.
struct Counting {
    memory: MemoryBackend,
    log: Mutex<Vec<(&'static str, usize)>>,
    keys: Mutex<Vec<String>>,
}

impl Counting {
    fn new(clock: &MockClock) -> Arc<Self> {
        Arc::new(Self { memory: memory(clock), log: Mutex::default(), keys: Mutex::default() })
    }

    fn note(&self, operation: &'static str, keys: &[&str]) {
        self.log.lock().unwrap().push((operation, keys.len()));
        self.keys.lock().unwrap().extend(keys.iter().map(|key| (*key).to_owned()));
    }

    /// What it was asked for since the last look.
    fn take(&self) -> Vec<(&'static str, usize)> {
        mem::take(&mut *self.log.lock().unwrap())
    }
}

impl Backend for Counting {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.note("get", &[key]);
        self.memory.get(key).await
    }

    async fn get_many(&self, keys: &[&str]) -> Vec<Result<Option<Vec<u8>>, Error>> {
        self.note("get_many", keys);
        self.memory.get_many(keys).await
    }

    async fn set(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<(), Error> {
        self.note("set", &[key]);
        self.memory.set(key, value, timeout).await
    }

    async fn add(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<bool, Error> {
        self.note("add", &[key]);
        self.memory.add(key, value, timeout).await
    }

    async fn delete(&self, key: &str) -> Result<bool, Error> {
        self.note("delete", &[key]);
        self.memory.delete(key).await
    }

    async fn claim(&self, key: &str, claim: Claim) -> Result<Claimed, Error> {
        self.note("claim", &[key]);
        self.memory.claim(key, claim).await
    }

    async fn set_fenced(
        &self,
        key: &str,
        value: &[u8],
        timeout: Option<Duration>,
        fence: Fence,
    ) -> Result<bool, Error> {
        self.note("set_fenced", &[key]);
        self.memory.set_fenced(key, value, timeout, fence).await
    }

    async fn release(&self, key: &str, fence: Fence) -> Result<(), Error> {
        self.note("release", &[key]);
        self.memory.release(key, fence).await
    }

    async fn invalidate(&self, key: &str, refuse: Duration) -> Result<bool, Error> {
        self.note("invalidate", &[key]);
        self.memory.invalidate(key, refuse).await
    }

    delegate!(self => self.memory; clear has_fences renew);
}

fn counted(layer: CachePage, origin: &Origin) -> (Arc<Counting>, Bench) {
    let clock = Clock::mock();
    let backend = Counting::new(&clock);
    let cache = build(Cache::builder().backend(Arc::clone(&backend)), &clock);
    (backend, around(layer, origin, &cache, &clock))
}

#[tokio::test]
async fn pages_without_tags_asked_the_backend_for_some() {
    let with_field = |mut response: Response<Script>| {
        response.headers_mut().insert("surrogate-key", "a b".parse().unwrap());
        response
    };
    let origin = Origin::later(move |parts, number| async move {
        assert!(!tag("a"), "there is nothing that takes it");
        page_of_article(parts, number).await.map(with_field)
    });
    let (backend, bench) = counted(layer().purge_by_tag(false), &origin);
    let miss = [("get", 1), ("get", 1), ("claim", 1), ("set_fenced", 1)];
    bench.get("/1").await;
    assert_eq!(backend.take(), miss);
    assert!(bench.get("/1").await.is_hit());
    assert_eq!(backend.take(), [("get", 1)]);
    // A layer with tags in the same cache is no concern of this one.
    let origin =
        Origin::later(move |parts, number| async move { page_of_article(parts, number).await.map(with_field) });
    let tagged = around(layer().name("others"), &origin, &bench.cache, &bench.clock);
    tagged.get("/1").await;
    assert!(tagged.get("/1").await.is_hit());
    assert_ne!(backend.take(), []);
    backend.keys.lock().unwrap().clear();
    bench.get("/2").await;
    assert_eq!(backend.take(), miss);
    assert!(bench.get("/2").await.is_hit());
    assert_eq!(backend.take(), [("get", 1)]);
    let keys = mem::take(&mut *backend.keys.lock().unwrap());
    assert!(keys.iter().all(|key| !key.contains('~')), "{keys:?}");
    for tag in ["a", "b", "article:1", "before:/1"] {
        invalidate(&bench, tag).await;
    }
    assert!(bench.get("/1").await.is_hit() && !tagged.get("/1").await.is_hit());
}

#[tokio::test]
async fn tags_cost_more_operations_than_they_need() {
    const LOOK: (&str, usize) = ("get", 1);
    // Of the page's two tags, and of the latest invalidations.
    const OF_TAGS: (&str, usize) = ("get_many", 2);
    const OF_LATEST: (&str, usize) = ("get_many", 1);
    const CLAIM: (&str, usize) = ("claim", 1);
    const STORE: (&str, usize) = ("set_fenced", 1);
    for vary in ["", "x"] {
        let origin = Origin::new(move |_, number| {
            ok(&[FRESH, ("surrogate-key", "a b"), ("vary", vary)], format!("response {number}"))
        });
        let (backend, bench) = counted(layer(), &origin);
        let varies = !vary.is_empty();
        // Where there are variants, each has its claim, and the list is read and stored.
        let (looks, claims, stores): (&[_], &[_], &[_]) =
            if varies { (&[LOOK; 2], &[LOOK, CLAIM], &[STORE; 2]) } else { (&[LOOK], &[], &[STORE]) };

        bench.get("/first").await;
        let first = backend.take();
        assert_eq!(first.iter().filter(|done| **done == ("add", 1)).count(), 3, "the records are made: {first:?}");
        // It looks again before it asks the service, as without tags.
        bench.get("/second").await;
        let before = [LOOK, LOOK, CLAIM, OF_LATEST];
        assert_eq!(backend.take(), [&before[..], claims, &[OF_TAGS, OF_LATEST], stores].concat(), "a miss");
        bench.get("/second").await;
        assert_eq!(backend.take(), [looks, &[OF_TAGS]].concat(), "a hit");
        invalidate(&bench, "a").await;
        assert_eq!(backend.take(), [CLAIM, STORE, ("invalidate", 1)], "one write to the latest, and one to the tag");
    }
    // A near cache asks for nothing.
    let clock = Clock::mock();
    let backend = Counting::new(&clock);
    let cache = build(Cache::builder().backend(Arc::clone(&backend)).near_timeout(Duration::from_secs(60)), &clock);
    let bench = around(layer(), &numbered(&[("surrogate-key", "a b")]), &cache, &clock);
    bench.get("/").await;
    backend.take();
    assert!(bench.get("/").await.is_hit());
    assert_eq!(backend.take(), []);
}

#[tokio::test]
async fn a_page_was_kept_that_could_not_be_invalidated_by_its_tag() {
    let long = "a".repeat(300);
    let many = (0..1001).map(|number| format!("t{number} ")).collect::<String>();
    for (field, value) in
        [("surrogate-key", &*long), ("cache-tag", &*long), ("cache-tag", "two words"), ("surrogate-key", &*many)]
    {
        for vary in ["", "x"] {
            for (name, bench) in benches(layer, || {
                tagged({
                    let value = value.to_owned();
                    move |path, _| {
                        let (good, field) = if path == "/good" { ("a", "other") } else { ("", field) };
                        vec![("vary", vary.to_owned()), (field, value.clone()), ("cache-tag", good.to_owned())]
                    }
                })
            }) {
                for text in ["response 0", "response 1"] {
                    let faults = bench.cache.stats().faults();
                    let answer = bench.get("/").await;
                    assert_eq!((answer.text(), answer.is_hit()), (text, false), "{name} {field}: its client gets it");
                    assert_eq!(answer.field(field), Some(value), "{name} {field}");
                    assert_eq!(bench.cache.stats().faults() - faults, 1, "{name} {field}");
                }
                bench.get("/good").await;
                assert!(bench.get("/good").await.is_hit(), "{name} {field}: another page is kept");
            }
        }
    }
}

/// The good one may be invalidated before the page is there.
#[tokio::test]
async fn a_bad_tag_beside_a_good_one_let_a_later_request_share_the_page() {
    let gate = Gate::closed();
    let tags: &str = String::leak("a".repeat(300) + " a");
    for (name, bench) in benches(layer, || {
        let respond = move |_: &Parts, number| Ok(ok(&[FRESH, ("surrogate-key", tags)], format!("response {number}")));
        Origin::gated(&gate, |number| number == 0, respond)
    }) {
        let first = bench.begin(request(Method::GET, "/", &[]));
        settle().await;
        invalidate(&bench, "a").await;
        let second = bench.begin(request(Method::GET, "/", &[]));
        settle().await;
        gate.open(1);
        assert_eq!(first.await.unwrap().unwrap().text(), "response 0", "{name}");
        assert_eq!(second.await.unwrap().unwrap().text(), "response 1", "{name}");
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

#[tokio::test]
async fn purges_by_prefix_and_by_tag_got_in_each_others_way() {
    for (name, cache, clock) in caches() {
        let layer = layer().purge_by_prefix(true).cache(&cache);
        let bench =
            around(layer.clone(), &tagged(|path, _| vec![("cache-tag", path.replace('/', ":"))]), &cache, &clock);
        for purges_tag in [false, true] {
            for path in ["/a", "/b"] {
                bench.get(path).await;
                assert!(bench.get(path).await.is_hit(), "{name} {path}");
            }
            if purges_tag {
                invalidate(&bench, ":a").await;
            } else {
                layer.purge_prefix(&"/a".parse().unwrap()).await.unwrap();
            }
            assert!(!bench.get("/a").await.is_hit(), "{name}");
            // Without fences, a purge by prefix takes all.
            assert_eq!(bench.get("/b").await.is_hit(), purges_tag || name != "plain", "{name}");
        }
    }
}

/// The body has told the tag by then.
#[tokio::test]
async fn a_request_after_an_invalidation_joined_a_body_that_had_named_its_tag() {
    for (name, bench) in benches(layer, || {
        Origin::new(|_, _| {
            let mut is_sent = false;
            let body = move || {
                tag("a");
                // The rest never comes.
                if mem::replace(&mut is_sent, true) { Poll::Pending } else { Poll::Ready(Some(data("begun"))) }
            };
            response(200, &[FRESH], Script::Polled(Box::new(body)))
        })
    }) {
        let first = bench.open(request(Method::GET, "/", &[])).await.unwrap();
        settle().await;
        let joined = bench.open(request(Method::GET, "/", &[])).await.unwrap();
        assert_eq!(bench.origin.count(), 1, "{name}: without an invalidation, it joins");
        invalidate(&bench, "a").await;
        bench.open(request(Method::GET, "/", &[])).await.unwrap();
        assert_eq!(bench.origin.count(), 2, "{name}");
        drop((first, joined));
    }
}

/// A function is a client of another service, whose pages are kept. Its value is made of what it gets: by a body, by the body for another
/// client, from the cache, or in place of an error.
#[tokio::test]
async fn a_value_made_of_a_page_outlived_its_tag() {
    #[cache_request(skip(bench))]
    async fn made_of(bench: &Bench, path: &str, number: u32) -> (u32, String) {
        (number, bench.get(path).await.text().to_owned())
    }

    for (name, bench) in benches(layer, || {
        Origin::later(|parts, number| async move {
            tokio::task::yield_now().await;
            tag("named");
            if parts.headers.contains_key("if-none-match") {
                return Err(Failed);
            }
            let control = if parts.uri.path() == "/refused" { "no-store" } else { FRESH.1 };
            let fields = [("cache-control", control), ("etag", "\"a\""), ("surrogate-key", "field")];
            Ok(ok(&fields, format!("response {number}")))
        })
    }) {
        let cache = bench.cache.clone();
        let inside = async {
            for tag in ["named", "field"] {
                for path in ["/made", "/there", "/stale", "/refused"] {
                    if path == "/there" || path == "/stale" {
                        bench.get(path).await;
                        bench.advance(if path == "/stale" { 61 } else { 0 });
                    }
                    let both = tokio::join!(made_of(&bench, path, 1), made_of(&bench, path, 2));
                    assert_eq!(
                        both.0.1 == both.1.1,
                        path != "/refused",
                        "{name} {path}: they share what may be shared"
                    );
                    let again = async || (made_of(&bench, path, 1).await, made_of(&bench, path, 2).await);
                    let kept = again().await;
                    // Without fences, of two that begin to look at tags at once one may not be kept.
                    assert!(kept == both || name == "plain", "{name} {path}: they are kept");
                    assert_eq!(again().await, kept, "{name} {path}: they are kept");
                    invalidate(&bench, tag).await;
                    for (number, before) in [(1, kept.0), (2, kept.1)] {
                        assert_ne!(made_of(&bench, path, number).await, before, "{name} {path} {number} {tag}");
                    }
                    bench.cache.clear().await.unwrap();
                }
            }
        };
        scoped(&cache, inside).await;
    }
}

/// They have tags before anything names one, and so have lists of variants and of purges.
#[tokio::test]
async fn pages_with_the_tags_of_functions_and_clients_were_not_kept() {
    for by_tag in [false, true] {
        for (name, builder, clock) in builders() {
            let cache = build(builder.function_tags(true), &clock);
            let layer = layer().purge_by_tag(by_tag).purge_by_prefix(true).cache(&cache);
            let bench = around(layer.clone(), &tagged(|path, _| vec![("vary", path.replace('/', ""))]), &cache, &clock);
            let clients = async |paths: &[&str], are_hits: [bool; 2]| {
                for (client, is_hit) in ["one", "other"].into_iter().zip(are_hits) {
                    for path in paths {
                        let answer = client_scope(client, bench.get(path)).await;
                        assert_eq!(answer.is_hit(), is_hit, "{name} {client} {path}, by tag: {by_tag}");
                    }
                }
            };
            clients(&["/", "/x"], [false; 2]).await;
            clients(&["/", "/x"], [true; 2]).await;
            cache.invalidate_client("one").await.unwrap();
            clients(&["/", "/x"], [false, true]).await;
            clients(&["/", "/x"], [true; 2]).await;
            cache.invalidate_function("page").await.unwrap();
            clients(&["/", "/x"], [false; 2]).await;
            clients(&["/", "/x"], [true; 2]).await;
            assert_eq!(cache.stats().faults(), 0, "{name}, by tag: {by_tag}");
        }
    }
}

/// It is not stored itself.
#[tokio::test]
async fn a_value_made_of_a_head_outlived_its_tag() {
    #[cache_request(skip(bench))]
    async fn length_of(bench: &Bench) -> String {
        bench.send(request(Method::HEAD, "/", &[])).await.field("number").unwrap().to_owned()
    }

    for is_there in [false, true] {
        for (name, bench) in benches(layer, || {
            Origin::later(|_, number| async move {
                tokio::task::yield_now().await;
                tag("a");
                Ok(ok(&[FRESH, ("number", &number.to_string())], ""))
            })
        }) {
            let inside = async {
                if is_there {
                    bench.get("/").await;
                    bench.advance(61);
                }
                // In a backend, the first one is not kept: the function is not known to have tags that its body alone tells.
                length_of(&bench).await;
                let first = length_of(&bench).await;
                assert_eq!(length_of(&bench).await, first, "{name}");
                invalidate(&bench, "a").await;
                assert_ne!(length_of(&bench).await, first, "{name}, with a page: {is_there}");
            };
            scoped(&bench.cache, inside).await;
        }
    }
}
