//! How faults are counted.

use cache_request::{Cache, cache_request, scoped_sync};
use cache_request_tests::servers::{memcached::Memcached, wait_until};

#[cache_request(timeout = 60)]
fn double(number: u32) -> u32 {
    number * 2
}

/// The answer limit passes before the soft limit, and the fault still counts as a timeout.
#[test]
fn a_server_that_does_not_answer_takes_too_long() {
    let memcached = Memcached::start(&[]);
    let url = format!("{}?soft_limit=60s&answer_limit=2s", memcached.url());
    let mut cache = Cache::null();
    wait_until("it answers in time", || {
        cache = Cache::from_url(&url).unwrap();
        scoped_sync(&cache, || assert_eq!([double(1), double(1)], [2, 2]));
        cache.stats().faults() == 0
    });
    memcached.server.stop();
    scoped_sync(&cache, || assert_eq!([double(1), double(1)], [2, 2]));
    let faults = &cache.stats().functions[0].faults;
    // The second call did not ask the server.
    assert_eq!((faults.timeout, faults.backend, faults.total()), (1, 1, 2), "{}", cache.stats());
    memcached.server.go_on();
}
