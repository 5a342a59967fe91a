//! Every kind of caller.

use std::{thread, time::Duration};

use cache_request::{Cache, scoped};
use cache_request_tests::{
    callers::{self, current_thread, hits, twice},
    servers::memcached::Memcached,
};
use futures_lite::future::block_on;

/// A cache whose calls wait for the server's answer, however slow the machine is.
fn cache(memcached: &Memcached) -> Cache {
    Cache::from_url(&format!("{}?soft_limit=60s&answer_limit=60s", memcached.url())).unwrap()
}

#[test]
fn every_caller_gets_its_answer() {
    let memcached = Memcached::start(&[]);
    callers::every_caller_gets_its_answer(&cache(&memcached));
}

#[test]
fn a_runtime_may_end_and_another_one_goes_on() {
    let memcached = Memcached::start(&[]);
    callers::a_runtime_may_end_and_another_one_goes_on(&cache(&memcached));
}

/// A runtime that is not driven for a while may have a request for the generation in flight.
#[test]
fn a_runtime_that_stands_still_holds_no_other_up() {
    let memcached = Memcached::start(&[]);
    let cache = &cache(&memcached);
    let idle = current_thread();
    for round in 0..6 {
        hits(cache, || idle.block_on(scoped(cache, twice(3000 + round))));
        thread::sleep(Duration::from_millis(500));
        hits(cache, || block_on(scoped(cache, twice(4000 + round))));
    }
}
