//! Every kind of caller: threads that block, tokio of both flavours, another executor, and none.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use async_executor::LocalExecutor;
use cache_request::{Cache, cache_request, scoped, scoped_sync};
use cache_request_tests::servers::postgres::Postgres;
use futures_lite::future::block_on;
use tokio::runtime::{Builder, Runtime};

#[cache_request(timeout = 60)]
fn double(number: u32) -> u32 {
    number * 2
}

#[cache_request(timeout = 60)]
async fn triple(number: u32) -> u32 {
    number * 3
}

/// Two calls, of which the second is a hit, and neither waits in vain: a call that waits for itself would take its 10 s.
fn hits(cache: &Cache, calls: impl FnOnce()) {
    let begun = Instant::now();
    let before = cache.stats();
    calls();
    let after = cache.stats();
    assert_eq!((after.faults() - before.faults(), after.hits() - before.hits()), (0, 1), "{after}");
    assert!(begun.elapsed() < Duration::from_secs(9));
}

async fn twice(number: u32) {
    assert_eq!([triple(number).await, triple(number).await], [number * 3; 2]);
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn every_caller(url: &str) {
    let cache = &Cache::from_url(&format!("{url}?soft_limit=10s&connect=now&connect_limit=20s")).unwrap();
    let sync_twice = |number: u32| assert_eq!([double(number), double(number)], [number * 2; 2]);
    hits(cache, || scoped_sync(cache, || sync_twice(1)));
    hits(cache, || current_thread().block_on(async { scoped_sync(cache, || sync_twice(2)) }));
    hits(cache, || Runtime::new().unwrap().block_on(async { scoped_sync(cache, || sync_twice(3)) }));
    hits(cache, || block_on(scoped(cache, twice(1))));
    hits(cache, || current_thread().block_on(scoped(cache, twice(2))));
    hits(cache, || Runtime::new().unwrap().block_on(scoped(cache, twice(3))));
    hits(cache, || {
        let executor = LocalExecutor::new();
        let task = executor.spawn(scoped(cache, twice(5)));
        block_on(executor.run(task));
    });
    // Runtimes end, also while something is under way, and the connections stay.
    for round in 100..110 {
        let runtime = Runtime::new().unwrap();
        hits(cache, || runtime.block_on(scoped(cache, twice(round))));
        let cache = cache.clone();
        runtime.spawn(async move { scoped(&cache, twice(1000 + round)).await });
        runtime.shutdown_background();
    }
}

#[test]
fn every_caller_gets_its_answer_from_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    every_caller(&url(&directory.path().join("made/for it/cache.db")));
}

#[test]
fn every_caller_gets_its_answer_from_postgres() {
    let postgres = Postgres::start(&[]);
    every_caller(&postgres.url());
}

fn url(file: &Path) -> String {
    format!("sqlite://{}", file.display().to_string().replace(' ', "%20"))
}
