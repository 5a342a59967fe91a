//! Pages on files and real servers, from one cache to another.

use std::time::Duration;

use cache_request::{Cache, http::CachePage};
use cache_request_tests::servers::{memcached::Memcached, redis::Redis, wait_until};
use tower_layer::Layer as _;

use super::support::{Bench, FRESH, Origin, ok};

const LARGE: usize = 2 << 20;

fn bench(url: &str, origin: &Origin) -> Bench {
    // A busy machine is no fault of the server.
    let separator = if url.contains('?') { '&' } else { '?' };
    let cache = Cache::from_url(&format!("{url}{separator}soft_limit=1min")).expect("a backend");
    let pages = CachePage::new().name("backends").cache(&cache).layer(origin.clone());
    Bench { clock: cache_request::Clock::mock(), cache, origin: origin.clone(), pages }
}

fn origin() -> Origin {
    Origin::new(|parts, number| {
        let length = if parts.uri.path() == "/large" { LARGE } else { 10 };
        let mut text = number.to_string();
        text.push_str(&"x".repeat(length - text.len()));
        ok(&[FRESH, ("vary", "a"), ("etag", "\"a\"")], text)
    })
}

/// Asks until the page is stored, which is done after the answer. How often it was made says that it was not asked for again.
async fn stored(bench: &Bench, path: &str) -> String {
    let first = bench.get_with(path, &[("a", "1")]).await.text().to_owned();
    for _ in 0..1000 {
        let answer = bench.get_with(path, &[("a", "1")]).await;
        if answer.is_hit() {
            return answer.text().to_owned();
        }
        tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(5))).await.unwrap();
    }
    panic!("{path} is never stored, first {} bytes", first.len());
}

/// What one cache stores is a hit in another one on the same backend.
async fn shares(url: &str, path: &str) {
    let origin = origin();
    let (one, other) = (bench(url, &origin), bench(url, &origin));
    let text = stored(&one, path).await;
    let made = origin.count();
    let hit = other.get_with(path, &[("a", "1")]).await;
    assert!(hit.is_hit(), "{url}{path}: {}", hit.cache_status());
    assert_eq!(hit.text().len(), if path == "/large" { LARGE } else { 10 });
    assert!(hit.text() == text && origin.count() == made);
    assert!(!other.get_with(path, &[("a", "2")]).await.is_hit(), "another variant");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_carry_pages() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}", folder.path().display());
    for path in ["/small", "/large"] {
        shares(&url, path).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_carries_pages() {
    let server = Redis::start(&[]);
    for path in ["/small", "/large"] {
        shares(&server.url(), path).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memcached_carries_pages() {
    let server = Memcached::start(&[]);
    for path in ["/small", "/large"] {
        shares(&server.url(), path).await;
    }
}

/// The page is made each time, and whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memcached_refuses_pages_over_a_small_limit() {
    let server = Memcached::small();
    shares(&server.url(), "/small").await;
    let origin = origin();
    let bench = bench(&server.url(), &origin);
    for _ in 0..3 {
        let answer = bench.get("/large").await;
        assert!(!answer.is_hit() && answer.text().len() == LARGE, "{}", answer.cache_status());
    }
    wait_until("the refusal is counted", || bench.cache.stats().functions[0].faults.too_large > 0);
    let stats = bench.cache.stats();
    assert_eq!(stats.functions[0].faults.too_large, stats.faults(), "no fault of the server: {stats}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_near_cache_answers_later_hits() {
    let server = Redis::start(&[]);
    let url = server.url().replace("redis://", "tiered+redis://");
    let origin = origin();
    let (one, other) = (bench(&url, &origin), bench(&url, &origin));
    for path in ["/small", "/large"] {
        stored(&one, path).await;
        let first = other.get_with(path, &[("a", "1")]).await;
        let commands = || -> String { server.ask(&["INFO", "commandstats"]) };
        let asked = |text: &str| {
            text.lines()
                .find(|line| line.contains("cmdstat_get:"))
                .map(|line| line.split(',').next().unwrap().to_owned())
        };
        assert!(first.is_hit(), "{path}");
        // The server may still be telling of the write.
        let mut before = asked(&commands());
        for hits in 1.. {
            assert!(other.get_with(path, &[("a", "1")]).await.is_hit(), "{path}");
            let after = asked(&commands());
            if after.is_some() && after == before {
                break;
            }
            assert!(hits < 100, "{path}: {after:?}");
            before = after;
        }
    }
}
