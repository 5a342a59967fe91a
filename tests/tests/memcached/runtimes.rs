//! Every kind of caller: threads that block, tokio of both flavours, other executors, and none.

use std::{
    thread,
    time::{Duration, Instant},
};

use async_executor::LocalExecutor;
use cache_request::{Cache, cache_request, scoped, scoped_sync};
use cache_request_tests::servers::memcached::Memcached;
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

/// A cache whose every call has to be answered by the server: a call that waits for itself would take its 10 s.
fn cache(memcached: &Memcached) -> Cache {
    Cache::from_url(&format!("{}?soft_limit=10s", memcached.url())).unwrap()
}

/// Two calls, of which the second is a hit, and neither waits in vain.
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

#[test]
fn every_caller_gets_its_answer() {
    let memcached = Memcached::start(&[]);
    let cache = &cache(&memcached);
    let sync_twice = |number: u32| assert_eq!([double(number), double(number)], [number * 2; 2]);
    hits(cache, || scoped_sync(cache, || sync_twice(1)));
    hits(cache, || current_thread().block_on(async { scoped_sync(cache, || sync_twice(2)) }));
    hits(cache, || Runtime::new().unwrap().block_on(async { scoped_sync(cache, || sync_twice(3)) }));
    hits(cache, || {
        Runtime::new().unwrap().block_on(async {
            let cache = cache.clone();
            tokio::task::spawn_blocking(move || scoped_sync(&cache, || sync_twice(4))).await.unwrap();
        });
    });
    hits(cache, || block_on(scoped(cache, twice(1))));
    hits(cache, || current_thread().block_on(scoped(cache, twice(2))));
    hits(cache, || Runtime::new().unwrap().block_on(scoped(cache, twice(3))));
    hits(cache, || {
        Runtime::new().unwrap().block_on(async {
            let cache = cache.clone();
            tokio::spawn(scoped(&cache.clone(), twice(4))).await.unwrap();
        });
    });
    hits(cache, || {
        let executor = LocalExecutor::new();
        let task = executor.spawn(scoped(cache, twice(5)));
        block_on(executor.run(task));
    });
    hits(cache, || thread::scope(|threads| threads.spawn(|| block_on(scoped(cache, twice(6)))).join().unwrap()));
    // A blocking call of the library's within an asynchronous one, on the only thread that there is.
    hits(cache, || {
        current_thread().block_on(scoped(cache, async {
            assert_eq!(triple(7).await, 21);
            scoped_sync(cache, || assert_eq!(double(3), 6));
        }));
    });
}

#[test]
fn a_runtime_may_end_and_another_one_goes_on() {
    let memcached = Memcached::start(&[]);
    let cache = &cache(&memcached);
    for round in 0..20 {
        let runtime = if round % 2 == 0 { current_thread() } else { Runtime::new().unwrap() };
        hits(cache, || runtime.block_on(scoped(cache, twice(round))));
        // Half of them end while they ask something.
        if round % 4 < 2 {
            let cache = cache.clone();
            runtime.spawn(async move { scoped(&cache, twice(1000 + round)).await });
            runtime.shutdown_background();
        }
    }
    hits(cache, || block_on(scoped(cache, twice(2000))));
}

/// A runtime that nobody drives for a while may have been sent to look at the generation.
#[test]
fn a_runtime_that_stands_still_holds_nobody_up() {
    let memcached = Memcached::start(&[]);
    let cache = &cache(&memcached);
    let idle = current_thread();
    for round in 0..6 {
        hits(cache, || idle.block_on(scoped(cache, twice(3000 + round))));
        thread::sleep(Duration::from_millis(500));
        let begun = Instant::now();
        hits(cache, || block_on(scoped(cache, twice(4000 + round))));
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    }
}
