//! The connection that a plain function's thread drives, if it is alone.

use std::{thread, time::Duration};

use cache_request::{Cache, scoped_sync};
use cache_request_tests::{
    callers::double,
    servers::{redis::Redis, wait_until},
};
use tokio::runtime::Builder;

fn cache(redis: &Redis, options: &str) -> Cache {
    Cache::from_url(&format!("{}?{options}", redis.url())).unwrap()
}

fn call(cache: &Cache, number: u32) {
    assert_eq!(scoped_sync(cache, || double(number)), number * 2);
}

/// The number by which the server knows that connection, if it was used. All others of ours speak RESP3.
fn alone(redis: &Redis) -> Option<String> {
    let clients: String = redis.ask(&["CLIENT", "LIST"]);
    let line = clients.lines().find(|line| line.contains(" resp=2") && line.contains(" cmd=get "))?;
    line.split_whitespace().find_map(|field| field.strip_prefix("id=")).map(str::to_owned)
}

/// Calls until it is used, and returns its number.
fn call_until_alone(redis: &Redis, cache: &Cache) -> String {
    let mut number = None;
    wait_until("a call takes a connection of its own", || {
        call(cache, 1);
        number = alone(redis);
        number.is_some()
    });
    number.unwrap()
}

fn hits(cache: &Cache) -> u64 {
    cache.stats().functions.iter().map(|function| function.hits).sum()
}

#[test]
fn it_is_used_for_all_that_is_read_and_ends_with_the_cache() {
    let redis = Redis::start(&[]);
    let cache = cache(&redis, "soft_limit=10s");
    let number = call_until_alone(&redis, &cache);
    let before = hits(&cache);
    for _ in 0..100 {
        call(&cache, 1);
    }
    assert_eq!((hits(&cache) - before, cache.stats().faults()), (100, 0));
    assert_eq!(alone(&redis), Some(number));
    // A runtime must not be dropped where another one runs: this one is.
    Builder::new_current_thread().build().unwrap().block_on(async { drop(cache) });
    wait_until("it is closed", || alone(&redis).is_none());
}

#[test]
fn what_ends_it_costs_no_answer() {
    let redis = Redis::start(&[]);
    let cache = cache(&redis, "soft_limit=10s");
    let number = call_until_alone(&redis, &cache);
    redis.ask::<u64>(&["CLIENT", "KILL", "ID", &number]);
    let before = hits(&cache);
    call(&cache, 1);
    assert_eq!((hits(&cache) - before, cache.stats().faults()), (1, 0));
    assert_ne!(call_until_alone(&redis, &cache), number);
}

/// An answer that comes too late is nobody's: least of all that of the next question.
#[test]
fn a_server_that_stands_still_is_not_waited_for() {
    let redis = Redis::start(&[]);
    let cache = cache(&redis, "soft_limit=50ms&breaker_faults=1000");
    for number in 1..10 {
        call(&cache, number);
    }
    for round in 0..5 {
        let before = call_until_alone(&redis, &cache);
        redis.server.stop();
        let faults = cache.stats().faults();
        call(&cache, 2 + round);
        assert!(cache.stats().faults() > faults);
        redis.server.go_on();
        for number in 1..10 {
            call(&cache, number);
        }
        assert_ne!(call_until_alone(&redis, &cache), before);
    }
    assert!(cache.stats().functions[0].faults.timeout > 0, "{}", cache.stats());
}

#[test]
fn in_a_runtime_it_is_left_alone() {
    let redis = Redis::start(&[]);
    let cache = cache(&redis, "soft_limit=10s");
    Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        for _ in 0..20 {
            call(&cache, 1);
            thread::sleep(Duration::from_millis(5));
        }
    });
    assert_eq!((alone(&redis), cache.stats().faults()), (None, 0));
}
