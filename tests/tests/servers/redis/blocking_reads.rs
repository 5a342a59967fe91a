//! The blocking connection, over which the thread of a plain function reads by itself.

use std::{cell::RefCell, thread};

use cache_request::{Cache, scoped_sync};
use cache_request_tests::{
    callers::{current_thread, double, double_cache},
    servers::{redis::Redis, wait_until},
};

fn cache(redis: &Redis, options: &str) -> Cache {
    Cache::from_url(&format!("{}?{options}", redis.url())).unwrap()
}

fn call(cache: &Cache, number: u32) {
    assert_eq!(scoped_sync(cache, || double(number)), number * 2);
}

/// The lines of `CLIENT LIST`, without that of the connection that asks.
fn clients(redis: &Redis) -> Vec<String> {
    let clients: String = redis.ask(&["CLIENT", "LIST"]);
    clients.lines().filter(|line| !line.contains(" cmd=client|list ")).map(str::to_owned).collect()
}

/// The identifier of the blocking connection, if it was used. The other connections of the library speak RESP3.
fn blocking_id(redis: &Redis) -> Option<String> {
    let line = clients(redis).into_iter().find(|line| line.contains(" resp=2") && line.contains(" cmd=get "))?;
    line.split_whitespace().find_map(|field| field.strip_prefix("id=")).map(str::to_owned)
}

/// The last command of the connection that the library's own threads drive.
fn last_of_others(redis: &Redis) -> String {
    let line = clients(redis).into_iter().find(|line| line.contains(" resp=3")).expect("they have a connection");
    line.split_whitespace().find_map(|field| field.strip_prefix("cmd=")).expect("a command").to_owned()
}

/// Calls until the blocking connection is used, and returns its identifier.
fn call_until_blocking(redis: &Redis, cache: &Cache) -> String {
    let mut number = None;
    wait_until("a call takes a connection of its own", || {
        call(cache, 1);
        number = blocking_id(redis);
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
    let cache = cache(&redis, "soft_limit=60s&connect_limit=60s");
    let number = call_until_blocking(&redis, &cache);
    scoped_sync(&cache, || double_cache(1).put(&2)).unwrap();
    let before = hits(&cache);
    for _ in 0..100 {
        call(&cache, 1);
    }
    assert_eq!((hits(&cache) - before, cache.stats().faults()), (100, 0));
    assert_eq!((blocking_id(&redis), last_of_others(&redis)), (Some(number), "evalsha".to_owned()));
    // A runtime must not be dropped within another one, and the cache is dropped within one.
    current_thread().block_on(async { drop(cache) });
    wait_until("it is closed", || blocking_id(&redis).is_none());
}

#[test]
fn what_ends_it_costs_no_answer() {
    let redis = Redis::start(&[]);
    let cache = cache(&redis, "soft_limit=60s&connect_limit=60s");
    let number = call_until_blocking(&redis, &cache);
    redis.ask::<u64>(&["CLIENT", "KILL", "ID", &number]);
    let before = hits(&cache);
    call(&cache, 1);
    assert_eq!((hits(&cache) - before, cache.stats().faults()), (1, 0));
    assert_ne!(call_until_blocking(&redis, &cache), number);
}

/// An answer that comes too late is dropped. It must not become the answer to the next request.
#[test]
fn a_server_that_stands_still_is_not_waited_for() {
    let redis = Redis::start(&[]);
    let cache = cache(&redis, "soft_limit=50ms&breaker_faults=1000");
    for number in 1..10 {
        call(&cache, number);
    }
    for round in 0..5 {
        let before = call_until_blocking(&redis, &cache);
        redis.server.stop();
        let faults = cache.stats().faults();
        call(&cache, 2 + round);
        assert!(cache.stats().faults() > faults);
        redis.server.go_on();
        for number in 1..10 {
            call(&cache, number);
        }
        assert_ne!(call_until_blocking(&redis, &cache), before);
    }
    assert!(cache.stats().functions[0].faults.timeout > 0, "{}", cache.stats());
}

/// A plain function blocks a runtime's thread whichever connection it takes.
#[test]
fn in_a_runtime_it_is_used_as_well() {
    let redis = Redis::start(&[]);
    let cache = cache(&redis, "soft_limit=60s&connect_limit=60s");
    call_until_blocking(&redis, &cache);
    scoped_sync(&cache, || double_cache(1).put(&2)).unwrap();
    let before = hits(&cache);
    current_thread().block_on(async { call(&cache, 1) });
    assert_eq!((hits(&cache) - before, cache.stats().faults()), (1, 0));
    assert_eq!(last_of_others(&redis), "evalsha");
}

#[test]
fn an_error_that_the_server_answers_ends_no_connection() {
    let redis = Redis::start(&[]);
    let cache = cache(&redis, "soft_limit=60s&connect_limit=60s");
    let number = call_until_blocking(&redis, &cache);
    let key = format!("cache-request:{}", scoped_sync(&cache, || double_cache(1).key()).unwrap());
    let before = redis.connections_received();
    for round in 1..4 {
        redis.ask::<u64>(&["DEL", &key]);
        redis.ask::<u64>(&["RPUSH", &key, "a list"]);
        call(&cache, 1);
        assert_eq!((cache.stats().faults(), cache.stats().functions[0].faults.corrupt), (round, round));
        // The value has replaced the list.
        let before = hits(&cache);
        for _ in 0..40 {
            call(&cache, 1);
        }
        assert_eq!(hits(&cache) - before, 40);
    }
    let by_this_test = 3 * 2 + 1;
    assert_eq!((redis.connections_received() - before, blocking_id(&redis)), (by_this_test, Some(number)));
}

/// The thread-locals of tokio may be dropped before those of the library.
#[test]
fn a_thread_that_ends_may_call() {
    struct Calls(RefCell<Option<Cache>>);

    impl Drop for Calls {
        fn drop(&mut self) {
            call(self.0.borrow().as_ref().unwrap(), 1);
        }
    }

    thread_local! {
        static AT_THE_END: Calls = const { Calls(RefCell::new(None)) };
    }

    let redis = Redis::start(&[]);
    let cache = cache(&redis, "soft_limit=60s&connect_limit=60s");
    call_until_blocking(&redis, &cache);
    let memory = Cache::memory();
    call(&memory, 1);
    let before = hits(&cache);
    let ours = cache.clone();
    let ends = thread::spawn(move || {
        // Each of these makes thread-locals, which are dropped in reverse order.
        call(&memory, 1);
        AT_THE_END.with(|calls| calls.0.replace(Some(ours.clone())));
        call(&ours, 1);
    });
    ends.join().unwrap();
    assert_eq!((hits(&cache) - before, cache.stats().faults()), (2, 0));
}
