//! The older value: to ask whether it has changed, and to keep it if not.

use std::panic::{AssertUnwindSafe, catch_unwind};

use axum::http::StatusCode;
use cache_request::{cache_request, scoped, scoped_sync, this_call};
use futures_lite::future::block_on;

use super::{caches, seconds};
use crate::support::Count;

#[test]
fn a_body_has_the_value_that_it_replaces() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 10, stale = 10, foreground)]
    fn stale() -> Vec<Option<u32>> {
        let older = this_call().stale_value::<Vec<Option<u32>>>();
        vec![older.and_then(|older| older[1]), Some(BODIES.next())]
    }

    #[cache_request(timeout = 10, early = 0.5, foreground)]
    async fn early() -> Result<Vec<Option<u32>>, String> {
        let call = this_call();
        futures_lite::future::yield_now().await;
        let older = call.stale_value::<Vec<Option<u32>>>();
        assert_eq!(this_call().stale_value(), older, "it stays the same");
        Ok(vec![older.and_then(|older| older[1]), Some(BODIES.next())])
    }

    #[cache_request(timeout = 10, stale_if_error = 10)]
    fn expired() -> Result<Vec<Option<u32>>, String> {
        let older = this_call().stale_value::<Vec<Option<u32>>>();
        Ok(vec![older.and_then(|older| older[1]), Some(BODIES.next())])
    }

    for (name, cache, clock) in caches() {
        block_on(scoped(&cache, async {
            let first = BODIES.get() + 1;
            assert_eq!(stale(), [None, Some(first)], "{name}");
            assert_eq!(early().await.unwrap(), [None, Some(first + 1)], "{name}");
            clock.advance(seconds(9));
            assert_eq!(early().await.unwrap(), [Some(first + 1), Some(first + 2)], "{name}");
            clock.advance(seconds(1));
            assert_eq!(stale(), [Some(first), Some(first + 3)], "{name}");
            assert_eq!(expired().unwrap(), [None, Some(first + 4)], "{name}");
            clock.advance(seconds(10));
            assert_eq!(expired().unwrap(), [Some(first + 4), Some(first + 5)], "{name}");
            clock.advance(seconds(20));
            assert_eq!(expired().unwrap(), [None, Some(first + 6)], "{name}: its time is over");
        }));
    }
}

#[test]
fn a_refresh_builds_on_what_is_there() {
    #[cache_request(timeout = 10)]
    fn counted() -> u32 {
        this_call().stale_value::<u32>().map_or(0, |older| older + 1)
    }

    #[cache_request(timeout = 10)]
    async fn unchanged(number: u32) -> u32 {
        if this_call().keep_stale() { 0 } else { number }
    }

    for (name, cache, clock) in caches() {
        block_on(scoped(&cache, async {
            assert_eq!((counted(), counted_cache().refresh(), counted_cache().refresh()), (0, 1, 2), "{name}");
            counted_cache().invalidate().unwrap();
            assert_eq!(counted_cache().refresh(), 0, "it was invalidated: {name}");
            clock.advance(seconds(10));
            assert_eq!(counted_cache().refresh(), 0, "its time is over: {name}");
            assert_eq!(unchanged(7).await, 7, "{name}");
            clock.advance(seconds(9));
            assert_eq!(unchanged_cache(7).refresh().await, 7, "{name}");
            clock.advance(seconds(9));
            assert_eq!(unchanged_cache(7).peek().await, Some(7), "it was kept for another timeout: {name}");
        }));
        assert_eq!(cache.stats().faults(), 0, "{name}");
    }
}

#[test]
fn an_older_value_was_given_after_it_was_invalidated() {
    #[cache_request(timeout = 10, stale = 10, stale_if_error = 60)]
    fn value() -> bool {
        this_call().stale_value::<bool>().is_some()
    }

    for (name, cache, clock) in caches() {
        scoped_sync(&cache, || {
            value();
            clock.advance(seconds(30));
            value_cache().invalidate().unwrap();
            assert!(!value(), "{name}");
        });
    }
}

#[test]
fn an_older_value_was_given_as_another_type() {
    #[cache_request(timeout = 10, stale_if_error = 60)]
    fn value() -> Result<u32, String> {
        assert_eq!(this_call().stale_value::<u64>(), None);
        assert_eq!(this_call().stale_value::<Result<u32, String>>(), None);
        Ok(this_call().stale_value::<u32>().map_or(0, |older| older + 1))
    }

    for (name, cache, clock) in caches() {
        scoped_sync(&cache, || {
            value().unwrap();
            clock.advance(seconds(10));
            assert_eq!(value(), Ok(1), "{name}");
        });
    }
}

#[test]
fn what_has_not_changed_is_kept_for_another_timeout() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 10, stale_if_error = 1000)]
    fn plain() -> Result<u32, String> {
        let body = BODIES.next();
        if this_call().keep_stale() { Err("not modified".to_owned()) } else { Ok(body) }
    }

    #[cache_request(timeout = 10, stale = 1000, foreground)]
    async fn later() -> u32 {
        let body = BODIES.next();
        futures_lite::future::yield_now().await;
        _ = this_call().keep_stale();
        body
    }

    for (name, cache, clock) in caches() {
        block_on(scoped(&cache, async {
            let first = (plain(), later().await);
            for round in 0..3 {
                clock.advance(seconds(10));
                let bodies = BODIES.get();
                assert_eq!((plain(), later().await), first, "{name}, {round}");
                assert_eq!(BODIES.get(), bodies + 2, "{name}, {round}");
                clock.advance(seconds(9));
                assert_eq!((plain(), later().await), first, "{name}, {round}");
                assert_eq!(BODIES.get(), bodies + 2, "{name}, {round}: it is kept as long as a new one");
                clock.advance(seconds(1));
            }
            let stats = cache.stats();
            assert!(stats.functions.iter().all(|function| function.stale_on_error == 0), "{name}: {stats}");
        }));
    }
}

#[test]
fn what_has_not_changed_has_the_timeout_that_the_body_says() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 10, stale_if_error = 1000)]
    fn value() -> u32 {
        let call = this_call();
        if call.keep_stale() {
            call.timeout(seconds(100));
        }
        BODIES.next()
    }

    for (name, cache, clock) in caches() {
        scoped_sync(&cache, || {
            let first = value();
            clock.advance(seconds(10));
            assert_eq!(value(), first, "{name}");
            clock.advance(seconds(99));
            assert_eq!((value(), BODIES.get()), (first, first + 1), "{name}");
        });
    }
}

#[test]
fn a_response_that_has_not_changed_is_kept() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 10, stale_if_error = 1000)]
    async fn page() -> (StatusCode, String) {
        let body = BODIES.next();
        if this_call().keep_stale() {
            (StatusCode::NOT_MODIFIED, String::new())
        } else {
            (StatusCode::OK, body.to_string())
        }
    }

    for (name, cache, clock) in caches() {
        block_on(scoped(&cache, async {
            let first = page().await;
            clock.advance(seconds(10));
            assert_eq!(page().await, first, "{name}");
            clock.advance(seconds(9));
            assert_eq!(page().await, first, "{name}");
            assert_eq!(first.1, (BODIES.get() - 1).to_string(), "{name}");
        }));
    }
}

/// A body has said that the older value is its answer, and nothing else is one.
#[test]
fn a_body_that_keeps_a_value_whose_clone_panics_had_its_own_answer() {
    static PANICS: Count = Count::new();

    struct Fragile;

    impl Clone for Fragile {
        fn clone(&self) -> Self {
            assert!(PANICS.get() == 0, "on purpose");
            Self
        }
    }

    #[cache_request(timeout = 10, stale = 10, foreground, local)]
    fn fragile() -> Fragile {
        if this_call().keep_stale() {
            PANICS.next();
        }
        Fragile
    }

    let (_, cache, clock) = caches().remove(0);
    scoped_sync(&cache, || {
        fragile();
        clock.advance(seconds(10));
        assert!(catch_unwind(AssertUnwindSafe(fragile)).is_err());
    });
}
