//! `stale_if_error` and `timeout_err`.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::Duration,
};

use axum::http::StatusCode;
use cache_request::{MockClock, Source, cache_request, scoped, scoped_sync};
use futures_lite::future::block_on;

use super::{caches, seconds};
use crate::support::Count;

#[test]
fn an_older_value_stands_in_for_an_err_and_for_a_panic() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 10, stale_if_error = 60)]
    fn version() -> Result<u32, String> {
        match BODIES.next() % 4 {
            1 => Ok(BODIES.get()),
            2 => Err("down".to_owned()),
            3 => panic!("down, too"),
            _ => Err("gone".to_owned()),
        }
    }

    for (name, cache, clock) in caches() {
        scoped_sync(&cache, || {
            let first = version();
            first.as_ref().unwrap();
            let bodies = BODIES.get();
            clock.advance(seconds(10));
            assert_eq!(version(), first, "{name}: for an `Err`");
            for _ in 0..3 {
                assert_eq!(version(), first, "{name}");
            }
            assert_eq!(BODIES.get(), bodies + 1, "{name}: no body runs for a second");
            clock.advance(seconds(1));
            assert_eq!(version_cache().call_traced(), (first.clone(), Source::StandIn), "{name}: for a panic");
            assert_eq!(BODIES.get(), bodies + 2, "{name}");
            let stats = cache.stats();
            assert_eq!(stats.functions[0].stale_on_error, 2, "{name}: {stats}");
            clock.advance(seconds(60));
            assert_eq!(version(), Err("gone".to_owned()), "{name}: not beyond its time");
        });
    }
}

#[test]
fn without_an_older_value_a_panic_goes_on() {
    #[cache_request(timeout = 10, stale_if_error = 60)]
    fn broken() -> u32 {
        panic!("as ever")
    }

    #[cache_request(timeout = 10, stale_if_error = 60)]
    async fn broken_later() -> u32 {
        panic!("as ever")
    }

    for (name, cache, _) in caches() {
        scoped_sync(&cache, || {
            let panic = catch_unwind(broken).unwrap_err();
            assert_eq!(*panic.downcast::<&str>().unwrap(), "as ever", "{name}");
            let panic = catch_unwind(AssertUnwindSafe(|| block_on(broken_later()))).unwrap_err();
            assert_eq!(*panic.downcast::<&str>().unwrap(), "as ever", "{name}");
        });
    }
}

#[test]
fn an_older_response_stands_in_for_one_with_a_status_of_500() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 10, stale_if_error = 60)]
    async fn page() -> (StatusCode, String) {
        let body = BODIES.next();
        let status = if body % 2 == 1 { StatusCode::OK } else { StatusCode::BAD_GATEWAY };
        (status, body.to_string())
    }

    for (name, cache, clock) in caches() {
        block_on(scoped(&cache, async {
            let first = page().await;
            assert_eq!(first.0, StatusCode::OK, "{name}");
            clock.advance(seconds(10));
            assert_eq!(page().await, first, "{name}");
            assert_eq!(page().await, first, "{name}");
            clock.advance(seconds(1));
            assert_eq!(page().await.1, (first.1.parse::<u32>().unwrap() + 2).to_string(), "{name}");
            BODIES.next();
        }));
    }
}

#[test]
fn an_err_is_kept_for_a_time_of_its_own() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout_with = |value| Duration::from_secs(*value), when = |value| *value > 0, timeout_err = 5)]
    fn find(number: u64) -> Result<u64, String> {
        BODIES.next();
        if number == 7 { Err("no such number".to_owned()) } else { Ok(number) }
    }

    for (name, cache, clock) in caches() {
        let bodies = |calls: &dyn Fn()| {
            let before = BODIES.get();
            calls();
            BODIES.get() - before
        };
        scoped_sync(&cache, || {
            let err = || find(7).unwrap_err();
            assert_eq!(bodies(&|| drop((err(), err()))), 1, "{name}");
            clock.advance(seconds(5));
            assert_eq!(bodies(&|| drop(err())), 1, "{name}");
            assert_eq!(bodies(&|| drop((find(20), find(20)))), 1, "{name}");
            clock.advance(seconds(19));
            assert_eq!(bodies(&|| drop(find(20))), 0, "{name}");
            clock.advance(seconds(1));
            assert_eq!(bodies(&|| drop(find(20))), 1, "{name}");
            assert_eq!(bodies(&|| drop((find(0), find(0)))), 2, "{name}: `when` sees `Ok` values");
        });
    }
}

/// A kept `Err` of the background would take the place of a good value.
#[test]
fn an_err_does_not_replace_a_value_that_may_still_be_returned() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 10, stale = 60, timeout_err = 5)]
    fn version() -> Result<u32, String> {
        match BODIES.next() % 2 {
            1 => Ok(BODIES.get()),
            _ => Err("down".to_owned()),
        }
    }

    for (name, cache, clock) in caches() {
        scoped_sync(&cache, || {
            let first = version();
            first.as_ref().unwrap();
            clock.advance(seconds(10));
            assert_eq!(version(), first, "{name}");
            cache.shutdown_sync();
            assert_eq!(cache.stats().functions[0].refreshes_failed, 1, "{name}");
            assert_eq!(version(), first, "{name}");
        });
    }
}

/// The body took longer than the older value was of use.
#[test]
fn an_older_value_stood_in_beyond_its_time() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 10, stale_if_error = 60, skip(clock))]
    fn slow(clock: &MockClock, panics: bool) -> Result<u32, String> {
        if BODIES.next() % 2 == 1 {
            return Ok(BODIES.get());
        }
        clock.advance(seconds(60));
        assert!(!panics, "down");
        Err("down".to_owned())
    }

    for (name, cache, clock) in caches() {
        for panics in [false, true] {
            scoped_sync(&cache, || {
                slow(&clock, panics).unwrap();
                clock.advance(seconds(10));
                let answer = catch_unwind(AssertUnwindSafe(|| slow(&clock, panics)));
                assert!(!matches!(answer, Ok(Ok(_))), "{name}: {answer:?}");
                assert_eq!(cache.stats().functions[0].stale_on_error, 0, "{name}");
            });
        }
    }
}

#[test]
fn an_older_value_stood_in_after_it_was_invalidated() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 10, stale_if_error = 60)]
    fn removed() -> Result<u32, String> {
        if BODIES.next() % 2 == 1 {
            return Ok(BODIES.get());
        }
        removed_cache().invalidate().unwrap();
        Err("down".to_owned())
    }

    for (name, cache, clock) in caches() {
        scoped_sync(&cache, || {
            removed().unwrap();
            clock.advance(seconds(10));
            assert_eq!(removed(), Err("down".to_owned()), "{name}");
        });
    }
}

/// The body was well, so the older value was dropped, which is the cache's own clone.
#[test]
fn a_call_panicked_as_an_older_value_could_not_be_dropped() {
    static BODIES: Count = Count::new();

    #[derive(Clone, serde::Serialize, serde::Deserialize)]
    struct Stubborn(u32);

    impl Drop for Stubborn {
        fn drop(&mut self) {
            assert!(self.0.is_multiple_of(2) || thread::panicking(), "the older one stays");
        }
    }

    #[cache_request(timeout = 10, stale_if_error = 60)]
    fn made() -> Stubborn {
        Stubborn(BODIES.next())
    }

    for (name, cache, clock) in caches() {
        scoped_sync(&cache, || {
            std::mem::forget(made());
            clock.advance(seconds(10));
            assert_eq!(made().0 % 2, 0, "{name}");
        });
    }
}
