//! Values that were returned beyond their time, and times that were told wrong.

use std::{cell::RefCell, sync::Arc, time::Duration};

use cache_request::{Cache, Clock, MockClock, Source, backend::MemoryBackend, cache_request, scoped_sync};

use super::{caches, seconds};
use crate::support::Count;

thread_local!(static CLOCK: RefCell<Option<MockClock>> = const { RefCell::new(None) });

/// Time passes in a body.
fn pass(time: Duration) {
    CLOCK.with_borrow(|clock| clock.as_ref().unwrap().advance(time));
}

/// A function without a `stale` time has no one who would replace the value.
#[test]
fn a_soft_invalidation_leaves_a_value_without_a_stale_time() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 1000, stale_if_error = 60)]
    fn stands_in() -> Result<u32, String> {
        Ok(BODIES.next())
    }

    #[cache_request(timeout = 1000, early = 0.9)]
    fn early() -> Result<u32, String> {
        Ok(BODIES.next())
    }

    #[cache_request(timeout = 1000, idle = 900)]
    fn idle() -> Result<u32, String> {
        Ok(BODIES.next())
    }

    #[cache_request(timeout = never, idle = 900)]
    fn for_ever() -> Result<u32, String> {
        Ok(BODIES.next())
    }

    for (name, cache, _) in caches() {
        scoped_sync(&cache, || {
            let first = stands_in();
            assert!(stands_in_cache().invalidate_soft().unwrap(), "{name}");
            assert_ne!(stands_in(), first, "{name}");
            let first = early();
            assert!(early_cache().invalidate_soft().unwrap(), "{name}");
            assert_ne!(early(), first, "{name}");
            let first = idle();
            assert!(idle_cache().invalidate_soft().unwrap(), "{name}");
            assert_ne!(idle(), first, "{name}");
            let first = for_ever();
            assert!(for_ever_cache().invalidate_soft().unwrap(), "{name}");
            assert_ne!(for_ever(), first, "{name}");
        });
    }
}

/// Its timeout is over then, and all other times count from there.
#[test]
fn a_soft_invalidation_leaves_a_value_for_longer_than_its_stale_time() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 1000, stale = 60)]
    fn version() -> u32 {
        BODIES.next()
    }

    for (name, cache, clock) in caches() {
        scoped_sync(&cache, || {
            // So that no body begins in the background.
            cache.shutdown_sync();
            let first = version();
            assert!(version_cache().invalidate_soft().unwrap(), "{name}");
            assert!(version_cache().lookup().unwrap().is_stale, "{name}");
            clock.advance(seconds(59));
            assert_eq!(version(), first, "{name}");
            // A second one does not prolong it.
            assert!(version_cache().invalidate_soft().unwrap(), "{name}");
            clock.advance(seconds(1));
            assert_eq!(version(), first + 1, "{name}");
            assert!(!version_cache().lookup().unwrap().is_stale, "{name}");
        });
    }
}

#[test]
fn a_soft_invalidation_leaves_what_may_stand_in() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 10, stale_if_error = 60)]
    fn version() -> Result<u32, String> {
        if BODIES.next() % 2 == 1 { Ok(1) } else { Err("down".into()) }
    }

    for (name, cache, clock) in caches() {
        scoped_sync(&cache, || {
            version().unwrap();
            clock.advance(seconds(10));
            version_cache().invalidate_soft().unwrap();
            assert!(version().is_err(), "{name}");
        });
    }
}

/// The body takes its time before it fails.
#[test]
fn an_older_value_stands_in_after_its_time_is_over() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 10, stale_if_error = 60)]
    fn version() -> Result<u32, String> {
        if BODIES.next() % 2 == 1 {
            return Ok(1);
        }
        pass(seconds(60));
        Err("down".into())
    }

    for (name, cache, clock) in caches() {
        CLOCK.set(Some(clock.clone()));
        scoped_sync(&cache, || {
            version().unwrap();
            clock.advance(seconds(10));
            assert_eq!(version(), Err("down".into()), "{name}");
        });
    }
}

#[test]
fn a_lookup_tells_a_wrong_age_of_a_value_with_jitter() {
    #[cache_request(timeout = 1000, jitter = 0.9)]
    fn value(number: u32) -> u32 {
        number
    }

    #[cache_request(timeout_with = |left| seconds(*left))]
    fn left(number: u64) -> u64 {
        number
    }

    for (name, cache, clock) in caches() {
        scoped_sync(&cache, || {
            (0..8).for_each(|number| _ = value(number));
            clock.advance(seconds(1));
            for number in 0..8 {
                if let Some(age) = value_cache(number).lookup().unwrap().age {
                    assert_eq!(age, seconds(1), "{name}");
                }
            }
            left(20);
            clock.advance(seconds(5));
            assert_eq!(left_cache(20).lookup().unwrap().left, Some(seconds(15)), "{name}");
        });
    }
}

#[test]
fn a_traced_call_takes_an_older_value_for_the_body_s() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 10, stale = 60, stale_if_error = 60, foreground)]
    fn version() -> Result<u32, String> {
        let body = BODIES.next();
        match body % 3 {
            1 => Ok(body),
            2 => Err("down".into()),
            _ => {
                // The next attempt is due, and this body runs already.
                pass(seconds(1));
                assert_eq!(version_cache().call_traced(), (Ok(1), Source::Memory));
                Ok(body)
            }
        }
    }

    let (_, cache, clock) = caches().swap_remove(0);
    CLOCK.set(Some(clock.clone()));
    scoped_sync(&cache, || {
        assert_eq!(version(), Ok(1));
        clock.advance(seconds(10));
        assert_eq!(version_cache().call_traced(), (Ok(1), Source::StandIn));
        clock.advance(seconds(1));
        assert_eq!(version_cache().call_traced(), (Ok(3), Source::Body));
    });
}

/// The next version of a program has a shorter one, or none.
#[test]
fn a_value_is_returned_by_the_stale_time_of_another_program() {
    mod before {
        #[cache_request::cache_request(name = "one", timeout = 10, stale = 600)]
        pub(super) fn version() -> Result<u32, String> {
            Ok(1)
        }
    }

    #[cache_request(name = "one", timeout = 10)]
    fn without() -> Result<u32, String> {
        Ok(2)
    }

    #[cache_request(name = "one", timeout = 10, stale_if_error = 20)]
    fn stands_in() -> Result<u32, String> {
        Err("down".into())
    }

    let clock = Clock::mock();
    let backend = Arc::new(MemoryBackend::builder().clock(&clock).build().unwrap());
    let cache = || Cache::builder().clock(&clock).backend(Arc::clone(&backend)).build().unwrap();
    scoped_sync(&cache(), || before::version().unwrap());
    clock.advance(seconds(10));
    scoped_sync(&cache(), || assert_eq!(stands_in(), Ok(1), "within its own time"));
    clock.advance(seconds(20));
    scoped_sync(&cache(), || assert_eq!(stands_in(), Err("down".into()), "not by the time of another one"));
    scoped_sync(&cache(), || assert_eq!(without(), Ok(2)));
}

#[test]
fn a_share_beyond_its_range_panics() {
    const BELOW: f64 = -2.0;
    const ABOVE: f64 = 2.0;

    #[cache_request(timeout = 10, early = BELOW)]
    fn early() -> u32 {
        1
    }

    #[cache_request(timeout = 10, jitter = ABOVE)]
    fn jitter() -> u32 {
        1
    }

    for (_, cache, _) in caches() {
        scoped_sync(&cache, || {
            assert_eq!(early(), 1);
            assert_eq!(jitter(), 1);
        });
    }
}
