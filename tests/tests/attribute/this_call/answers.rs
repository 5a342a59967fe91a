//! What a body says of its answer: its timeout, and that it is not kept.

use std::time::Duration;

use cache_request::{cache_request, scoped, scoped_sync, this_call};
use futures_lite::future::block_on;

use super::{caches, seconds};
use crate::support::Count;

#[test]
fn the_timeout_of_the_body_counts_for_its_answer() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 60)]
    fn plain(timeout: u64) -> u32 {
        assert!(this_call().timeout(seconds(1)));
        assert!(this_call().timeout(seconds(timeout)), "the last one counts");
        BODIES.next()
    }

    #[cache_request(timeout_with = |_| seconds(60))]
    async fn later(timeout: u64) -> Result<u32, String> {
        let call = this_call();
        futures_lite::future::yield_now().await;
        assert!(call.timeout(seconds(timeout)));
        Ok(BODIES.next())
    }

    for (name, cache, clock) in caches() {
        for timeout in [20, 100] {
            let answers = || scoped_sync(&cache, || (plain(timeout), block_on(later(timeout)).unwrap()));
            let first = answers();
            clock.advance(seconds(timeout) - Duration::from_millis(1));
            assert_eq!(answers(), first, "{name}: before its end, of {timeout} s");
            clock.advance(Duration::from_millis(1));
            assert_eq!(answers(), (first.0 + 2, first.1 + 2), "{name}: after its end, of {timeout} s");
        }
    }
}

#[test]
fn an_answer_with_a_timeout_of_its_own_had_the_age_of_another() {
    #[cache_request(timeout = 60)]
    fn aged(has_own: bool) -> u32 {
        if has_own {
            this_call().timeout(seconds(20));
        }
        1
    }

    for (name, cache, clock) in caches() {
        scoped_sync(&cache, || {
            for (has_own, timeout) in [(true, 20), (false, 60)] {
                aged(has_own);
                clock.advance(seconds(5));
                let looked = aged_cache(has_own).lookup().unwrap();
                assert_eq!((looked.age, looked.left), (Some(seconds(5)), Some(seconds(timeout - 5))), "{name}");
            }
        });
    }
}

#[test]
fn the_other_spans_go_by_the_timeout_of_the_body() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 10, jitter = 0.5, stale = 10, foreground)]
    fn shortened() -> u32 {
        this_call().timeout(seconds(1000));
        BODIES.next()
    }

    #[cache_request(timeout = 10)]
    fn for_ever() -> u32 {
        this_call().timeout(Duration::MAX);
        BODIES.next()
    }

    #[cache_request(timeout = 10, timeout_err = 1)]
    fn failing() -> Result<u32, u32> {
        this_call().timeout(seconds(5));
        Err(BODIES.next())
    }

    for (name, cache, clock) in caches() {
        scoped_sync(&cache, || {
            let (first, kept, failed) = (shortened(), for_ever(), failing());
            clock.advance(seconds(4));
            assert_eq!(failing(), failed, "{name}: an `Err` has the timeout, too");
            clock.advance(seconds(495));
            assert_eq!(shortened(), first, "{name}: jitter takes half of it at most");
            assert_ne!(failing(), failed, "{name}");
            clock.advance(seconds(511));
            assert_ne!(shortened_cache().peek(), Some(first), "{name}");
            clock.advance(seconds(86_400 * 365));
            assert_eq!(for_ever(), kept, "{name}");
        });
    }
}

#[test]
fn what_is_not_to_be_kept_is_not() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 60)]
    fn refused(zero: bool) -> u32 {
        if zero {
            assert!(this_call().timeout(Duration::ZERO));
        } else {
            assert!(this_call().do_not_keep());
            this_call().timeout(seconds(60));
        }
        BODIES.next()
    }

    #[cache_request(timeout = 60)]
    async fn refused_later() -> Result<u32, String> {
        futures_lite::future::yield_now().await;
        this_call().do_not_keep();
        Ok(BODIES.next())
    }

    for (name, cache, _) in caches() {
        block_on(scoped(&cache, async {
            for zero in [false, true] {
                let first = refused(zero);
                assert_eq!(refused(zero), first + 1, "{name}");
            }
            let first = refused_later().await.unwrap();
            assert_eq!(refused_later().await, Ok(first + 1), "{name}");
        }));
    }
}

/// As with a `when` that refuses it.
#[test]
fn an_answer_that_is_not_kept_left_an_older_one_after_a_refresh() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 60)]
    fn once() -> u32 {
        let body = BODIES.next();
        if body.is_multiple_of(2) {
            this_call().do_not_keep();
        }
        body
    }

    for (name, cache, _) in caches() {
        scoped_sync(&cache, || {
            let first = once();
            assert_eq!(once(), first, "{name}");
            assert_eq!(once_cache().refresh(), first + 1, "{name}");
            assert_eq!(once_cache().peek(), None, "{name}");
        });
    }
}

#[test]
fn what_is_said_after_the_body_comes_too_late() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 60, skip(out))]
    fn told(out: &mut Vec<cache_request::ThisCall>) -> u32 {
        out.push(this_call());
        BODIES.next()
    }

    for (name, cache, clock) in caches() {
        scoped_sync(&cache, || {
            let mut calls = Vec::new();
            let first = told(&mut calls);
            calls[0].do_not_keep();
            calls[0].timeout(seconds(1));
            clock.advance(seconds(59));
            assert_eq!(told(&mut calls), first, "{name}");
        });
    }
}
