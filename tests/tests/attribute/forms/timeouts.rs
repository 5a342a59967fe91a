//! What `timeout` may be.

use std::time::Duration;

use cache_request::{Cache, Clock, cache_request, scoped_sync};

const MINUTES: u64 = 2;
const SMALL: u32 = 120;

#[cache_request(timeout = 2 * 60)]
fn product(id: u32) -> u32 {
    id
}

#[cache_request(timeout = MINUTES * 60)]
fn constant(id: u32) -> u32 {
    id
}

#[cache_request(timeout = SMALL)]
fn small(id: u32) -> u32 {
    id
}

#[cache_request(timeout = Duration::from_secs(60) * 2)]
fn duration(id: u32) -> u32 {
    id
}

#[cache_request(timeout = 5 - 10)]
fn negative(id: u32) -> u32 {
    id
}

#[test]
fn an_integer_expression_was_no_timeout() {
    let clock = Clock::mock();
    let cache = Cache::builder().clock(&clock).build().unwrap();
    scoped_sync(&cache, || {
        assert_eq!([product(1), constant(1), small(1), duration(1), negative(1)], [1; 5]);
        let cached =
            || [product_cache(1).peek(), constant_cache(1).peek(), small_cache(1).peek(), duration_cache(1).peek()];
        clock.advance(Duration::from_secs(119));
        assert_eq!(cached(), [Some(1); 4]);
        assert_eq!(negative_cache(1).peek(), None);
        clock.advance(Duration::from_secs(1));
        assert_eq!(cached(), [None; 4]);
    });
}
