//! What tags ask a backend for.

use std::{sync::Arc, time::Duration};

use cache_request::{Cache, Clock, cache_request, scoped_sync, tag};
use cache_request_tests::counting::Counting;

#[cache_request]
fn plain(id: u32) -> u32 {
    id
}

#[cache_request(tags("article:{id}", "articles"))]
fn by_arguments(id: u32) -> u32 {
    id
}

#[cache_request(tags("article:{value}"))]
fn by_value(id: u32) -> u32 {
    id
}

#[cache_request]
fn by_body(id: u32) -> u32 {
    tag("articles");
    id
}

/// What a miss asks for, and a hit after so many others that a plain look is expected to find something.
fn asked(function: fn(u32) -> u32, function_tags: bool) -> [Vec<(&'static str, usize)>; 2] {
    let clock = Clock::mock();
    let backend = Counting::new(&clock);
    let builder = Cache::builder().clock(&clock).soft_limit(Duration::MAX).function_tags(function_tags);
    let cache = builder.backend(Arc::clone(&backend)).build().unwrap();
    scoped_sync(&cache, || {
        // The first one makes records.
        function(1);
        function(2);
        backend.take();
        function(3);
        let miss = backend.take();
        (0..40).for_each(|_| _ = function(3));
        backend.take();
        function(3);
        [miss, backend.take()]
    })
}

#[test]
fn tags_cost_more_round_trips_than_they_need() {
    let [claim, store] = [("claim", 1), ("set_fenced", 1)];
    assert_eq!(asked(plain, false), [vec![claim, store], vec![("get", 1)]], "a function without tags");
    // The records are read beside the claim, and with the value. One of them is of this article, and made.
    let made = ("add", 1);
    let by_arguments = asked(by_arguments, false);
    assert_eq!(by_arguments, [vec![claim, ("get_many", 2), made, store], vec![("get_many", 3)]]);
    // What the body tells is read after it, and then the latest invalidations once more. A hit learns of it from the value.
    let latest = ("get_many", 1);
    let after = vec![claim, latest, ("get_many", 1), made, latest, store];
    assert_eq!(asked(by_value, false), [after, vec![("get", 1), ("get_many", 1)]]);
    let after = vec![claim, latest, ("get_many", 1), latest, store];
    assert_eq!(asked(by_body, false), [after, vec![("get", 1), ("get_many", 1)]]);
    // One key more in the same round trip.
    assert_eq!(asked(plain, true), [vec![claim, ("get_many", 1), store], vec![("get_many", 2)]]);
}
