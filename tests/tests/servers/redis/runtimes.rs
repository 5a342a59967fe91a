//! Every kind of caller, and the connections that they take.

use std::thread;

use cache_request::{Cache, scoped_sync};
use cache_request_tests::{
    callers::{self, double},
    servers::{redis::Redis, wait_until},
};

/// A cache whose calls wait for the server's answer, however slow the machine is.
fn cache(redis: &Redis) -> Cache {
    Cache::from_url(&format!("{}?soft_limit=60s&connect_limit=60s", redis.url())).unwrap()
}

#[test]
fn every_caller_gets_its_answer() {
    let redis = Redis::start(&[]);
    callers::every_caller_gets_its_answer(&cache(&redis));
}

#[test]
fn a_runtime_may_end_and_another_one_goes_on() {
    let redis = Redis::start(&[]);
    let cache = cache(&redis);
    callers::a_runtime_may_end_and_another_one_goes_on(&cache);
    // Each runtime had a connection, which ended with it.
    wait_until("the connections are closed", || {
        // The connection of the library's own runtime, the blocking connection, and the one that asks here.
        redis.ask::<String>(&["CLIENT", "LIST"]).lines().count() <= 3
    });
}

#[test]
fn all_callers_share_two_connections() {
    let redis = Redis::start(&[]);
    let cache = &cache(&redis);
    let before: u64 = redis.connections_received();
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
    // A caller that finds the blocking connection in use takes the other one. This asks on a connection of its own.
    assert!((2..=3).contains(&(redis.connections_received() - before)));
    assert_eq!(cache.stats().faults(), 0);
}
