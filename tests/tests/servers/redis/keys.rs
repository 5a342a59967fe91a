//! Keys under which another program has stored something of another type.

use cache_request::{Cache, backend::BreakerState, cache_request, scoped_sync};
use cache_request_tests::servers::redis::Redis;
use futures_lite::future::block_on;

#[cache_request]
fn square(number: u64) -> u64 {
    number * number
}

#[cache_request]
async fn cube(number: u64) -> u64 {
    number * number * number
}

#[test]
fn a_key_of_another_type_never_healed_and_closed_the_backend_to_all_functions() {
    let redis = Redis::start(&[]);
    let cache = Cache::from_url(&format!("{}?soft_limit=60s&breaker_faults=3", redis.url())).unwrap();
    scoped_sync(&cache, || {
        for number in 0..10 {
            for key in [square_cache(number).key(), cube_cache(number).key()] {
                redis.ask::<u32>(&["LPUSH", &format!("cache-request:{}", key.unwrap()), "another program's"]);
            }
            assert_eq!((square(number), block_on(cube(number))), (number.pow(2), number.pow(3)));
        }
        let stats = cache.stats();
        assert_eq!((stats.faults(), stats.bodies()), (20, 20), "{stats}");
        let backend = stats.backend.unwrap();
        assert_eq!((backend.reads.state, backend.writes.state), (BreakerState::Closed, BreakerState::Closed));
        for number in 0..10 {
            assert_eq!((square(number), block_on(cube(number))), (number.pow(2), number.pow(3)));
        }
        assert_eq!((cache.stats().bodies(), cache.stats().hits()), (20, 20));
    });
}
