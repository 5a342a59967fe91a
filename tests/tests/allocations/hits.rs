//! A remembered answer allocates nothing but what cloning its value allocates.

use std::sync::Arc;

use allocation_counter::measure;
use cache_request::{Cache, cache_request, client_scope_sync, scoped_sync};
use futures_lite::future::block_on;

#[cache_request]
fn text(id: u64) -> String {
    format!("{id:0>200}")
}

#[cache_request]
fn by_text(origin: &str, day: u32, carrier: String) -> Vec<u64> {
    vec![origin.len() as u64, day.into(), carrier.len() as u64]
}

#[cache_request]
fn shared(origin: &str) -> Arc<str> {
    origin.into()
}

#[cache_request]
fn fallible(origin: &str) -> Result<Arc<str>, std::fmt::Error> {
    Ok(origin.into())
}

#[cache_request]
async fn awaited(origin: &str, id: u64) -> Arc<str> {
    format!("{origin}{id}").into()
}

#[cache_request]
async fn awaited_text(origin: String) -> String {
    origin
}

#[cache_request]
fn generic<T: serde::Serialize + ToString>(value: T) -> Arc<str> {
    value.to_string().into()
}

/// How often a call allocates that is remembered by now: the first ones fill what outlives them, such as a thread's buffers.
fn allocations<T>(call: impl Fn() -> T) -> u64 {
    for _ in 0..3 {
        call();
    }
    measure(|| drop(call())).count_total
}

#[test]
fn a_plain_hit_allocates_what_its_clone_does() {
    let long = "long ".repeat(1000);
    assert_eq!(allocations(|| text(1)), 1, "the clone's own");
    assert_eq!(allocations(|| shared("LAX")), 0);
    assert_eq!(allocations(|| shared(&long)), 0);
    assert_eq!(allocations(|| fallible("LAX")), 0);
    // One to make the argument, one to clone the value.
    assert_eq!(allocations(|| by_text("LAX", 1, "AA".to_owned())), 2);
    assert_eq!(allocations(|| by_text(&long, 1, String::new())), 1);
}

#[test]
fn an_async_hit_allocates_what_its_clone_does() {
    let long = "long ".repeat(1000);
    assert_eq!(allocations(|| block_on(awaited("LAX", 1))), 0);
    assert_eq!(allocations(|| block_on(awaited(&long, u64::MAX))), 0);
    // One to make the argument, one to clone the value.
    assert_eq!(allocations(|| block_on(awaited_text("a departure".to_owned()))), 2);
}

#[test]
fn a_hit_for_a_client_allocates_no_more() {
    let client = Arc::<str>::from("acme");
    assert_eq!(allocations(|| client_scope_sync(Arc::clone(&client), || shared("LAX"))), 0);
}

/// The instance that is called first is settled; where the others' calls go is looked up, and held in a box.
#[test]
fn a_hit_of_a_further_instance_allocates_one_box() {
    generic(1_u8);
    assert_eq!(allocations(|| generic(1_u8)), 0);
    assert_eq!(allocations(|| generic(1_u16)), 1);
    assert_eq!(allocations(|| generic(true)), 1);
}

/// So it is with the cache that a test put in the place of the installed one.
#[test]
fn a_hit_in_a_scoped_cache_allocates_one_box() {
    let cache = Cache::memory();
    scoped_sync(&cache, || {
        assert_eq!(allocations(|| shared("LAX")), 1);
        assert_eq!(allocations(|| block_on(awaited("LAX", 1))), 1);
        assert_eq!(allocations(|| generic(1_u8)), 1);
    });
    assert_eq!(allocations(|| scoped_sync(&cache, || shared("LAX"))), 1);
}
