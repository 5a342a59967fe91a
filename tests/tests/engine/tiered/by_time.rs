//! A backend that tells of no changes: what is in front lasts until its timeout, and what this process does is seen at once.

use std::time::Duration;

use cache_request::{
    Cache, CacheBuilder, Clock, MockClock,
    backend::{Backend, MemoryBackend, Tracking},
    cache_request, scoped, scoped_sync,
};
use cache_request_tests::backends::{Bend, Bends, Bent};
use futures_lite::future::block_on;

use super::{answer, answer_cache, ask, bodies, source};

const FRONT: Duration = Duration::from_secs(10);

/// A clock, a backend that goes by it, and a cache that has memory in front of that.
fn tiered() -> (MockClock, Bent, Cache) {
    let clock = Clock::mock();
    let backend = Bent::new(&clock);
    let cache = on(&clock, &backend).near_timeout(FRONT).build().unwrap();
    (clock, backend, cache)
}

/// Another one, as another process would have it, unless it is given a front.
fn on(clock: &MockClock, backend: &Bent) -> CacheBuilder {
    Cache::builder().clock(clock).backend(backend.clone())
}

/// Has each question be a fault from now on, whatever it asks.
fn break_down(backend: &Bent) {
    backend.bend(Bends { get: Bend::Errs, set: Bend::Errs, delete: Bend::Errs });
}

#[test]
fn what_is_in_front_asks_the_backend_nothing() {
    let (_, backend, cache) = tiered();
    source(1);
    assert_eq!(ask(&cache, 1), 1);
    break_down(&backend);
    source(2);
    for _ in 0..10 {
        assert_eq!(ask(&cache, 1), 1);
    }
    let stats = cache.stats();
    assert_eq!((stats.hits(), stats.misses(), stats.bodies(), stats.faults()), (10, 1, 1, 0), "{stats}");
    assert_eq!(stats.entries, 1);
    let front = stats.backend.unwrap().near.unwrap();
    assert_eq!((front.tracking, front.changed, front.lost), (Tracking::ByTime, 0, 0));
}

/// Without one each call asks, and there is nothing to say about it.
#[test]
fn a_cache_without_a_front_has_nothing_in_front() {
    let (clock, backend, _) = tiered();
    let cache = on(&clock, &backend).build().unwrap();
    ask(&cache, 1);
    ask(&cache, 1);
    let stats = cache.stats();
    assert_eq!(stats.entries, 0);
    assert!(stats.backend.unwrap().near.is_none());
    break_down(&backend);
    ask(&cache, 1);
    assert_eq!(cache.stats().faults(), 1);
}

/// Values that others store are kept near by the cache that reads them, and changes are seen after the timeout.
#[test]
fn what_was_read_from_behind_is_in_front_for_its_timeout() {
    let (clock, backend, cache) = tiered();
    let other = on(&clock, &backend).build().unwrap();
    source(1);
    ask(&other, 1);
    let calls = bodies(|| assert_eq!(ask(&cache, 1), 1));
    assert_eq!((calls, cache.stats().entries), (0, 1), "read from behind, and kept");

    scoped_sync(&other, || answer_cache(1).put(&2)).unwrap();
    clock.advance(FRONT - Duration::from_millis(1));
    assert_eq!(ask(&cache, 1), 1, "no backend tells it");
    clock.advance(Duration::from_millis(2));
    let calls = bodies(|| assert_eq!(ask(&cache, 1), 2));
    assert_eq!(calls, 0, "it is asked for behind, not made");
    assert_eq!(ask(&cache, 1), 2);
    assert_eq!(cache.stats().faults(), 0);
}

/// Nine seconds before its end it is read for the first time: the front must not make nineteen of them.
#[test]
fn nothing_is_in_front_for_longer_than_its_own_timeout() {
    let (clock, backend, cache) = tiered();
    let other = on(&clock, &backend).build().unwrap();
    source(1);
    ask(&other, 1);
    clock.advance(Duration::from_secs(51));
    assert_eq!(ask(&cache, 1), 1);
    source(2);
    clock.advance(Duration::from_secs(8));
    assert_eq!(ask(&cache, 1), 1);
    clock.advance(Duration::from_secs(1) + Duration::from_millis(1));
    assert_eq!(ask(&cache, 1), 2);

    // A body's own value, whose timeout is less than the front's.
    #[cache_request(timeout = 2)]
    fn brief() -> u32 {
        super::SOURCE.get()
    }
    assert_eq!(scoped_sync(&cache, brief), 2);
    source(3);
    clock.advance(Duration::from_millis(1999));
    assert_eq!(scoped_sync(&cache, brief), 2);
    clock.advance(Duration::from_millis(2));
    assert_eq!(scoped_sync(&cache, brief), 3);
}

/// What lasts for ever behind does not in front.
#[test]
fn what_has_no_timeout_has_that_of_the_front() {
    #[cache_request]
    fn endless() -> u32 {
        super::SOURCE.get()
    }
    let (clock, backend, cache) = tiered();
    let other = on(&clock, &backend).build().unwrap();
    source(1);
    assert_eq!(scoped_sync(&cache, endless), 1);
    scoped_sync(&other, || endless_cache().put(&2)).unwrap();
    clock.advance(FRONT + Duration::from_millis(1));
    assert_eq!(scoped_sync(&cache, endless), 2);
    scoped_sync(&other, || endless_cache().put(&3)).unwrap();
    clock.advance(FRONT + Duration::from_millis(1));
    assert_eq!(scoped_sync(&cache, endless), 3, "also if it was read");
}

#[test]
fn what_is_in_front_is_bounded() {
    let (clock, backend, _) = tiered();
    let few = on(&clock, &backend).near_timeout(FRONT).near_entries(5).build().unwrap();
    let small = on(&clock, &backend).near_timeout(FRONT).near_bytes(4096).build().unwrap();
    for cache in [&few, &small] {
        source(1);
        for _ in 0..2 {
            (0..1000).for_each(|question| assert_eq!(ask(cache, question), 1));
        }
        let stats = cache.stats();
        assert_eq!(stats.faults(), 0, "{stats}");
        assert!(stats.entries > 0, "{stats}");
        assert!(stats.hits() >= 1000, "what was evicted is behind: {stats}");
    }
    assert!(few.stats().entries <= 5, "{}", few.stats());
    assert!(small.stats().held_bytes <= 4096, "{}", small.stats());
}

#[test]
fn what_is_too_large_for_the_front_is_no_fault() {
    #[cache_request(timeout = 60)]
    fn long(length: usize) -> String {
        "x".repeat(length)
    }
    let (clock, backend, _) = tiered();
    let cache = on(&clock, &backend).near_timeout(FRONT).near_bytes(4096).build().unwrap();
    for _ in 0..3 {
        assert_eq!(scoped_sync(&cache, || long(100_000)).len(), 100_000);
    }
    let stats = cache.stats();
    assert_eq!((stats.bodies(), stats.hits(), stats.faults(), stats.entries), (1, 2, 0, 0), "{stats}");
}

/// A clone that panics harms no call, and is counted.
#[test]
fn a_value_whose_clone_panics_is_just_not_in_front() {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Unclonable;
    impl Clone for Unclonable {
        fn clone(&self) -> Self {
            panic!("there is one of these only")
        }
    }
    #[cache_request(timeout = 60)]
    fn unclonable() -> Unclonable {
        Unclonable
    }
    let (.., cache) = tiered();
    for _ in 0..3 {
        scoped_sync(&cache, unclonable);
    }
    let stats = cache.stats();
    assert_eq!((stats.bodies(), stats.hits(), stats.entries), (1, 2, 0), "{stats}");
    assert_eq!(stats.functions[0].faults.panic, stats.faults(), "{stats}");
    assert!(stats.faults() >= 3, "{stats}");
}

#[test]
fn what_this_cache_does_is_seen_at_once() {
    let (_, _, cache) = tiered();
    scoped_sync(&cache, || {
        source(1);
        assert_eq!(answer(1), 1);
        answer_cache(1).put(&2).unwrap();
        assert_eq!([answer(1), answer(1)], [2; 2]);
        source(3);
        assert_eq!(answer_cache(1).refresh(), 3);
        assert_eq!([answer(1), answer(1)], [3; 2]);
        source(4);
        assert!(answer_cache(1).invalidate().unwrap());
        assert!(!answer_cache(1).invalidate().unwrap());
        assert_eq!(answer_cache(1).peek(), None);
        assert_eq!([answer(1), answer(1)], [4; 2]);
        source(5);
        cache.clear_sync().unwrap();
        assert_eq!(cache.stats().entries, 0);
        assert_eq!(answer_cache(1).peek(), None);
        assert_eq!([answer(1), answer(1)], [5; 2]);
    });
    assert_eq!(cache.stats().faults(), 0);
}

/// As soon as it was asked for, it is this process's own value that is in front, not the next reader's.
#[test]
fn what_this_cache_keeps_is_in_front_without_being_read() {
    let (_, backend, cache) = tiered();
    scoped_sync(&cache, || {
        source(1);
        answer_cache(1).put(&1).unwrap();
        assert_eq!(answer_cache(2).refresh(), 1);
        break_down(&backend);
        source(2);
        assert_eq!([answer(1), answer(2)], [1; 2]);
    });
    assert_eq!((cache.stats().faults(), cache.stats().hits()), (0, 2));
}

/// Whether there was one is known where it was gone behind, too.
#[test]
fn an_invalidation_says_whether_there_was_one_in_front() {
    let (_, backend, cache) = tiered();
    ask(&cache, 1);
    block_on(backend.clear()).unwrap();
    assert!(scoped_sync(&cache, || answer_cache(1).invalidate()).unwrap());
    assert!(!scoped_sync(&cache, || answer_cache(1).invalidate()).unwrap());
}

#[test]
fn peeking_finds_what_is_in_front_and_puts_nothing_there() {
    let (clock, backend, cache) = tiered();
    let other = on(&clock, &backend).build().unwrap();
    source(1);
    ask(&other, 1);
    assert_eq!(scoped_sync(&cache, || answer_cache(1).peek()), Some(1));
    assert_eq!(cache.stats().entries, 0);
    ask(&cache, 1);
    break_down(&backend);
    assert_eq!(scoped_sync(&cache, || answer_cache(1).peek()), Some(1));
    assert_eq!(cache.stats().faults(), 0);
}

#[test]
fn asynchronous_functions_have_the_same_front() {
    #[cache_request(timeout = 60)]
    async fn later(question: u32) -> u32 {
        super::SOURCE.get() + question
    }
    let (clock, backend, cache) = tiered();
    block_on(scoped(&cache, async {
        source(1);
        assert_eq!(later(1).await, 2);
        break_down(&backend);
        source(2);
        assert_eq!([later(1).await, later(1).await], [2; 2]);
        assert_eq!(later_cache(1).peek().await, Some(2));
        backend.bend(Bends::default());
        later_cache(1).put(&9).await.unwrap();
        assert_eq!(later(1).await, 9);
        assert_eq!(later_cache(1).refresh().await, 3);
        assert_eq!(later(1).await, 3);
        source(3);
        assert!(later_cache(1).invalidate().await.unwrap());
        assert_eq!(later(1).await, 4);
        source(4);
        cache.clear().await.unwrap();
        assert_eq!(later(1).await, 5);
        source(5);
        clock.advance(FRONT + Duration::from_millis(1));
        assert_eq!(later(1).await, 5, "from behind");
    }));
    assert_eq!(cache.stats().faults(), 0);
}

/// Their values are nowhere else, and are neither changed nor gone when the front's are.
#[test]
fn local_functions_go_by_their_own_timeouts() {
    #[cache_request(timeout = 60, local)]
    fn at_home(question: u32) -> u32 {
        super::SOURCE.get() + question
    }
    let (clock, backend, cache) = tiered();
    break_down(&backend);
    scoped_sync(&cache, || {
        source(1);
        assert_eq!(at_home(1), 2);
        source(2);
        clock.advance(FRONT * 2);
        assert_eq!(at_home(1), 2);
        at_home_cache(1).put(&7).unwrap();
        assert_eq!(at_home(1), 7);
        assert!(at_home_cache(1).invalidate().unwrap());
        assert_eq!(at_home(1), 3);
    });
    assert_eq!(cache.stats().faults(), 0, "{}", cache.stats());
    backend.bend(Bends::default());
    source(3);
    cache.clear_sync().unwrap();
    assert_eq!(scoped_sync(&cache, || at_home(1)), 4);
}

/// Two caches of one backend have a front each, and a scope decides which one is asked.
#[test]
fn each_cache_has_a_front_of_its_own() {
    let (clock, backend, cache) = tiered();
    let other = on(&clock, &backend).near_timeout(FRONT).build().unwrap();
    scoped_sync(&cache, || {
        source(1);
        assert_eq!(answer(1), 1);
        scoped_sync(&other, || {
            assert_eq!(answer(1), 1);
            answer_cache(1).put(&2).unwrap();
            assert_eq!(answer(1), 2);
        });
        assert_eq!(answer(1), 1);
        clock.advance(FRONT + Duration::from_millis(1));
        assert_eq!(answer(1), 2);
    });
}

/// Nothing is in front while it may not be kept at all.
#[test]
fn what_is_not_to_be_kept_is_not_in_front() {
    #[cache_request(timeout = 60, when = |value| value % 2 == 0)]
    fn even() -> u32 {
        super::SOURCE.get()
    }
    let (_, _, cache) = tiered();
    scoped_sync(&cache, || {
        source(1);
        even();
        source(2);
        assert_eq!(even(), 2);
        source(3);
        assert_eq!(even(), 2);
        assert_eq!(even_cache().refresh(), 3);
        source(4);
        assert_eq!(even(), 4, "the older one is gone");
    });
}

/// A program's own backend, shared as they may be: what it is behind does not matter.
#[test]
fn any_backend_may_have_a_front() {
    let clock = Clock::mock();
    let backend = std::sync::Arc::new(MemoryBackend::builder().clock(&clock).build().unwrap());
    let cache =
        Cache::builder().clock(&clock).backend(std::sync::Arc::clone(&backend)).near_timeout(FRONT).build().unwrap();
    source(1);
    ask(&cache, 1);
    block_on(backend.clear()).unwrap();
    source(2);
    assert_eq!(ask(&cache, 1), 1);
}
