//! Every kind of caller: threads that block, tokio of both flavours, other executors, and none.

use std::{
    thread,
    time::{Duration, Instant},
};

use async_executor::LocalExecutor;
use cache_request::{Cache, cache_request, scoped, scoped_sync};
use cache_request_tests::servers::redis::Redis;
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

/// Is left by its runtime, so that what it counts is a matter of luck.
#[cache_request(timeout = 60)]
async fn abandoned(number: u32) -> u32 {
    number
}

/// A cache whose every call has to be answered by the server: a call that waits for itself would take its 10 s.
fn cache(redis: &Redis) -> Cache {
    Cache::from_url(&format!("{}?soft_limit=10s", redis.url())).unwrap()
}

/// Two calls, of which the second is a hit, and neither waits in vain.
fn hits(cache: &Cache, calls: impl FnOnce()) {
    let begun = Instant::now();
    let counted = || {
        let functions = cache.stats().functions;
        let ours = functions.iter().filter(|function| !function.name.ends_with("abandoned"));
        ours.fold((0, 0), |sum, function| (sum.0 + function.faults.total(), sum.1 + function.hits))
    };
    let before = counted();
    calls();
    let after = counted();
    assert_eq!((after.0 - before.0, after.1 - before.1), (0, 1), "{}", cache.stats());
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
    let redis = Redis::start(&[]);
    let cache = &cache(&redis);
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
    let redis = Redis::start(&[]);
    let cache = &cache(&redis);
    for round in 0..20 {
        let runtime = if round % 2 == 0 { current_thread() } else { Runtime::new().unwrap() };
        hits(cache, || runtime.block_on(scoped(cache, twice(round))));
        // Half of them end while they ask something.
        if round % 4 < 2 {
            let cache = cache.clone();
            runtime.spawn(async move { scoped(&cache, abandoned(round)).await });
            runtime.shutdown_background();
        }
    }
    hits(cache, || block_on(scoped(cache, twice(2000))));
    // Each had a connection of its own, and took it along.
    cache_request_tests::servers::wait_until("the connections are closed", || {
        // The library's own, and this one that asks.
        redis.ask::<String>(&["CLIENT", "LIST"]).lines().count() <= 2
    });
}

#[test]
fn all_callers_share_one_connection() {
    let redis = Redis::start(&[]);
    let cache = &cache(&redis);
    let before: u64 = connections(&redis);
    thread::scope(|threads| {
        for caller in 0..16 {
            threads.spawn(move || {
                scoped_sync(cache, || {
                    for number in 0..50 {
                        assert_eq!(double(caller * 100 + number), (caller * 100 + number) * 2);
                    }
                });
            });
        }
    });
    // This and the one before asked on a connection of their own.
    assert_eq!(connections(&redis) - before, 2);
    assert_eq!(cache.stats().faults(), 0);
}

fn connections(redis: &Redis) -> u64 {
    let info: String = redis.ask(&["INFO", "stats"]);
    let line = info.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
    line.unwrap().trim().parse().unwrap()
}
