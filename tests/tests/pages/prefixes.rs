//! Purges of all pages below a path.

use std::{sync::Arc, time::Duration};

use cache_request::{Cache, Clock, ErrorKind, http::CachePage};
use http::Method;
use tower_layer::Layer as _;

use super::support::{Bench, FRESH, Failed, Gate, Origin, Plain, Script, numbered, ok, request, response, settle};

fn layer() -> CachePage {
    CachePage::new().name("prefixes").purge_by_prefix(true)
}

async fn purge(layer: &CachePage, prefix: &str) {
    layer.purge_prefix(&prefix.parse().unwrap()).await.unwrap();
}

/// A layer and its pages, in memory.
fn in_memory(origin: Origin) -> (CachePage, Bench) {
    let clock = Clock::mock();
    let cache = Cache::builder().clock(&clock).build().unwrap();
    beside(origin, &cache, clock)
}

fn beside(origin: Origin, cache: &Cache, clock: cache_request::MockClock) -> (CachePage, Bench) {
    let layer = layer().cache(cache);
    let pages = layer.layer(origin.clone());
    (layer, Bench { clock, cache: cache.clone(), origin, pages })
}

const PAGES: [&str; 7] = [
    "http://example.com/articles/1",
    "https://example.com/articles/2?q=1",
    "http://EXAMPLE.com:80/articles/a/b",
    "http://example.com/articles",
    "http://example.com/other",
    "http://other.example/articles/1",
    "http://example.com:8080/articles/1",
];

#[tokio::test]
async fn a_purge_by_prefix_left_pages_or_took_others() {
    for (prefix, taken) in [
        ("http://example.com/articles/", &[0, 1, 2][..]),
        ("https://example.com:443/articles/", &[0, 1, 2]),
        ("http://example.com/articles", &[0, 1, 2, 3]),
        ("/articles/", &[0, 1, 2, 5, 6]),
        ("http://example.com", &[0, 1, 2, 3, 4]),
        ("http://example.com/%61rticles/", &[0, 1, 2]),
        ("http://nowhere.example/", &[]),
        ("/", &[0, 1, 2, 3, 4, 5, 6]),
    ] {
        let (layer, bench) = in_memory(numbered(&[("vary", "x")]));
        let get = async |place: usize, value| {
            let page = PAGES[place];
            let host = page.split('/').nth(2).unwrap().to_owned();
            bench.get_with(page, &[("host", &host), ("x", value)]).await
        };
        for place in 0..PAGES.len() {
            for value in ["1", "2"] {
                get(place, value).await;
                assert!(get(place, value).await.is_hit(), "{place}");
            }
        }
        purge(&layer, prefix).await;
        for place in 0..PAGES.len() {
            for value in ["1", "2"] {
                assert_eq!(get(place, value).await.is_hit(), !taken.contains(&place), "{prefix} {place}");
                assert!(get(place, value).await.is_hit(), "{prefix} {place}: a new one stays");
            }
        }
    }
}

/// It was asked for before the purge, and no client gets it after that.
#[tokio::test]
async fn a_page_from_before_a_purge_by_prefix_was_kept_or_shared() {
    let gate = Gate::closed();
    let origin = Origin::gated(&gate, |number| number == 0, |_, number| Ok(ok(&[FRESH], format!("response {number}"))));
    let (layer, bench) = in_memory(origin);
    let first = bench.begin(request(Method::GET, "/a", &[]));
    settle().await;
    purge(&layer, "/").await;
    assert_eq!(bench.get("/a").await.text(), "response 1", "it does not wait for the one from before");
    gate.open(1);
    assert_eq!(first.await.unwrap().unwrap().text(), "response 0");
    settle().await;
    assert_eq!(bench.get("/a").await.text(), "response 1");
    // A layer of the same name has waiting requests of its own.
    let (other, beside) = beside(bench.origin.clone(), &bench.cache, bench.clock.clone());
    purge(&other, "/").await;
    assert_eq!((bench.get("/a").await.text(), beside.get("/a").await.text()), ("response 2", "response 2"));
}

/// Stale as it is, or in place of an error.
#[tokio::test]
async fn a_purged_page_was_used_when_it_was_stale() {
    let origin = Origin::later(|_, number| async move {
        match number {
            0 => Ok(ok(&[("cache-control", "max-age=10, stale-while-revalidate=60, stale-if-error=60")], "page")),
            _ => Err(Failed),
        }
    });
    let (layer, bench) = in_memory(origin);
    bench.get("/a").await;
    purge(&layer, "/").await;
    bench.advance(15);
    assert_eq!(bench.open(request(Method::GET, "/a", &[])).await.err(), Some(Failed));
}

/// What a 304 says of a page is newer than the purge.
#[tokio::test]
async fn a_validated_page_was_purged_by_what_came_before() {
    let origin = Origin::new(|parts, number| match parts.headers.contains_key("if-none-match") {
        true => response(304, &[FRESH], Script::text("")),
        false => ok(&[FRESH, ("etag", "\"a\"")], format!("response {number}")),
    });
    let (layer, bench) = in_memory(origin);
    bench.get("/a").await;
    purge(&layer, "/b").await;
    bench.advance(61);
    assert_eq!(bench.get("/a").await.text(), "response 0");
    assert!(bench.get("/a").await.is_hit());
    purge(&layer, "/a").await;
    assert!(!bench.get("/a").await.is_hit());
}

#[tokio::test]
async fn a_purge_by_prefix_was_not_seen_by_another_process() {
    let directory = tempfile::tempdir().unwrap();
    let files = format!("file://{}?soft_limit=1min", directory.path().display());
    let caches = || [(); 2].map(|()| Cache::from_url(&files).unwrap());
    let plain = Arc::new(Plain::default());
    let without_fences =
        [(); 2].map(|()| Cache::builder().backend(Arc::clone(&plain)).soft_limit(Duration::MAX).build().unwrap());
    for (caches, has_fences) in [(caches(), true), (without_fences, false)] {
        let origin = numbered(&[]);
        let [(one, first), (other, second)] = caches.map(|cache| beside(origin.clone(), &cache, Clock::mock()));
        for path in ["/a/1", "/b/1"] {
            first.get(path).await;
            for _ in 0..1000 {
                if second.get(path).await.is_hit() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        // Both purge at the same time: neither purge may be lost.
        tokio::join!(purge(&one, "/a"), purge(&other, "/c"));
        let is_left = second.get("/b/1").await.is_hit();
        assert_eq!(is_left, has_fences, "without fences, doubt takes all pages");
        assert!(!second.get("/a/1").await.is_hit() && first.get("/b/1").await.is_hit() | !is_left);
    }
}

/// The server has evicted the list, so what it said is not known.
#[tokio::test]
async fn a_lost_list_of_purges_brought_pages_back() {
    let plain = Arc::new(Plain::default());
    let cache = Cache::builder().backend(Arc::clone(&plain)).soft_limit(Duration::MAX).build().unwrap();
    let (_layer, bench) = beside(numbered(&[]), &cache, Clock::mock());
    bench.get("/a").await;
    assert!(bench.get("/a").await.is_hit());
    let before = plain.0.lock().unwrap().len();
    plain.0.lock().unwrap().retain(|key, _| !key.contains("purges"));
    assert_eq!(plain.0.lock().unwrap().len(), before - 1);
    assert!(!bench.get("/a").await.is_hit());
    assert!(bench.get("/a").await.is_hit(), "a new list is made");
}

/// The list is bounded.
#[tokio::test]
async fn a_page_from_before_all_purges_that_are_remembered_was_left() {
    let (layer, bench) = in_memory(numbered(&[]));
    bench.get("/a").await;
    for number in 0..255 {
        purge(&layer, &format!("/other/{number}")).await;
    }
    assert!(bench.get("/a").await.is_hit());
    purge(&layer, "/other").await;
    assert!(!bench.get("/a").await.is_hit());
}

#[tokio::test]
async fn a_purge_by_prefix_without_its_setting_did_nothing_and_said_nothing() {
    let layer = CachePage::new();
    let refused = layer.purge_prefix(&"/".parse().unwrap()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
}
