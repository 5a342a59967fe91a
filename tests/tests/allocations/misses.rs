//! What a call allocates that runs its body: the value's place in memory, and little else.

use std::hint::black_box;

use allocation_counter::measure;
use cache_request::cache_request;
use futures_lite::future::block_on;

#[cache_request]
fn number(id: u64) -> u64 {
    id
}

#[cache_request]
fn by_text(city: &str, id: u64) -> u64 {
    id + city.len() as u64
}

#[cache_request]
async fn awaited(id: u64) -> u64 {
    id
}

#[cache_request]
async fn awaited_by_text(city: &str, id: u64) -> u64 {
    id + city.len() as u64
}

#[cache_request(when = |_| false)]
fn refused(id: u64) -> u64 {
    id
}

#[cache_request]
fn failing(id: u64) -> Result<u64, u64> {
    Err(id)
}

#[cache_request]
fn outer(id: u64) -> u64 {
    number(id + 1_000_000) + 1
}

/// How often most calls allocate. A few also make room in memory for many values to come.
fn allocations<T>(call: impl Fn(u64) -> T) -> u64 {
    let mut counts: Vec<_> = (0..500).map(|id| measure(|| drop(black_box(call(id)))).count_total).collect();
    counts.sort_unstable();
    let (most, median) = (counts[450], counts[250]);
    assert_eq!(most, median, "not only a few allocate more");
    median
}

#[test]
fn a_miss_allocates_more_than_the_entry_of_its_value() {
    assert_eq!(allocations(number), 1, "the entry");
    assert_eq!(allocations(|id| by_text("a city with a long name", id)), 2, "the entry and its key");
}

/// The leader of an async body has a sign of life, and a waker that notes when its task was woken.
#[test]
fn an_async_miss_allocates_more_than_a_pulse_and_a_waker() {
    assert_eq!(allocations(|id| block_on(awaited(id))), 3);
    assert_eq!(allocations(|id| block_on(awaited_by_text("a city with a long name", id))), 4);
}

#[test]
fn what_is_not_kept_is_allocated_all_the_same() {
    assert_eq!(allocations(refused), 0);
    assert_eq!(allocations(failing), 0);
}

#[test]
fn a_miss_inside_a_body_allocates_more_than_one_outside() {
    assert_eq!(allocations(outer), 2, "two entries");
}
