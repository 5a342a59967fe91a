//! A function's own bound, in memory and in the near cache.

use std::time::Duration;

use cache_request::{Cache, Clock, backend::MemoryBackend, cache_request, scoped_sync};

const LIMIT: usize = 2;

#[cache_request(max_entries = LIMIT + 1)]
fn bounded(id: u32) -> u32 {
    id
}

#[cache_request(max_entries = 1)]
async fn last(id: u32) -> u32 {
    id
}

#[cache_request]
fn unbounded(id: u32) -> u32 {
    id
}

fn call_all() {
    for id in 0..10 {
        assert_eq!(unbounded(id), id);
    }
    for id in 0..10 {
        assert_eq!(bounded(id), id);
        assert_eq!(futures_lite::future::block_on(last(id)), id);
    }
}

/// The entries of `bounded`, `last` and `unbounded`.
fn entries(cache: &Cache) -> [u64; 3] {
    let stats = cache.stats();
    ["bounded", "last", "unbounded"].map(|name| {
        let function = stats.functions.iter().find(|function| function.name.ends_with(&format!("max_entries.{name}")));
        function.unwrap_or_else(|| panic!("no {name}: {stats}")).entries
    })
}

#[test]
fn a_function_filled_the_memory_of_all_others() {
    let cache = Cache::memory();
    scoped_sync(&cache, || {
        call_all();
        assert_eq!(bounded_cache(9).peek(), Some(9), "the newest was evicted");
    });
    assert_eq!(entries(&cache), [3, 1, 10]);
}

#[test]
fn a_function_is_bounded_in_the_near_cache_too() {
    let clock = Clock::mock();
    let backend = MemoryBackend::builder().clock(clock.clone()).build().unwrap();
    let cache = Cache::builder().backend(backend).clock(clock).near_timeout(Duration::from_secs(5)).build().unwrap();
    scoped_sync(&cache, || {
        call_all();
        // What had to go is still in the backend.
        assert_eq!(bounded_cache(0).peek(), Some(0));
    });
    assert_eq!(entries(&cache), [3, 1, 10]);
}
