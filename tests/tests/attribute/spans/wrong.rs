//! Expressions whose values are out of their range: each is one fault, and calls go on.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicI64, Ordering::SeqCst},
};

use cache_request::{Cache, cache_request, scoped_sync};
use cache_request_tests::logs;

use super::{caches, seconds};
use crate::support::Count;

/// The faults of all functions. What is wrong with an attribute is counted as a fault of the backend.
fn faults(cache: &Cache) -> u64 {
    let stats = cache.stats();
    let of_attributes = stats.functions.iter().map(|function| function.faults.backend).sum();
    assert_eq!(stats.faults(), of_attributes, "{stats}");
    of_attributes
}

#[test]
fn a_share_beyond_its_range_was_no_fault() {
    static BODIES: Count = Count::new();
    const BELOW: f64 = -0.5;
    const ABOVE: f64 = 1.5;

    #[cache_request(timeout = 10, early = BELOW, foreground)]
    fn always_early() -> u32 {
        BODIES.next()
    }

    #[cache_request(timeout = 10, early = ABOVE)]
    fn never_early() -> u32 {
        BODIES.next()
    }

    #[cache_request(timeout = 10, early = f64::NAN)]
    fn no_number_early() -> u32 {
        BODIES.next()
    }

    #[cache_request(timeout = 1000, jitter = BELOW)]
    fn no_jitter() -> u32 {
        BODIES.next()
    }

    #[cache_request(timeout = 1000, jitter = ABOVE)]
    fn all_jitter() -> u32 {
        BODIES.next()
    }

    #[cache_request(timeout = 1000, jitter = f64::NAN)]
    fn no_number_jitter() -> u32 {
        BODIES.next()
    }

    #[cache_request(timeout = 1000, jitter = 0.0 + 0.0, early = 0.0 + 1.0)]
    fn right() -> u32 {
        BODIES.next()
    }

    type Call = fn() -> u32;
    let functions: [(&str, Call); 6] = [
        ("always_early", always_early),
        ("never_early", never_early),
        ("no_number_early", no_number_early),
        ("no_jitter", no_jitter),
        ("all_jitter", all_jitter),
        ("no_number_jitter", no_number_jitter),
    ];
    for (name, cache, clock) in caches() {
        scoped_sync(&cache, || {
            assert_eq!(right(), right(), "{name}");
            assert_eq!(faults(&cache), 0, "{name}");
            for (number, (function, call)) in (1..).zip(functions) {
                let (first, logged) = logs::of(call);
                assert_eq!(faults(&cache), number, "{name}: {function}");
                let argument = if function.ends_with("early") { "early" } else { "jitter" };
                let line = logged.iter().find(|line| line.contains("cache fault: the attribute is wrong"));
                assert!(line.is_some_and(|line| line.contains(&format!("`{argument}` is no share"))), "{logged:?}");
                clock.advance(seconds(1000));
                assert!(call() > first, "{name}: {function}");
                assert_eq!(faults(&cache), number, "{name}: {function}: once");
            }
            let kept = (never_early(), no_number_early(), no_jitter(), no_number_jitter());
            clock.advance(seconds(9));
            assert_eq!((never_early(), no_number_early()), (kept.0, kept.1), "{name}: as without");
            clock.advance(seconds(990));
            assert_eq!((no_jitter(), no_number_jitter()), (kept.2, kept.3), "{name}: as without");
            assert_eq!(faults(&cache), 6, "{name}");
        });
    }
}

#[test]
fn a_negative_time_was_no_fault() {
    static BODIES: Count = Count::new();
    static SECONDS: AtomicI64 = AtomicI64::new(-1);
    const NEGATIVE: i64 = -5;

    #[cache_request(timeout = NEGATIVE)]
    fn timeout() -> Result<u32, u32> {
        Ok(BODIES.next())
    }

    #[cache_request(timeout = 10, timeout_err = NEGATIVE)]
    fn timeout_err() -> Result<u32, u32> {
        Err(BODIES.next())
    }

    #[cache_request(timeout = 10, stale = -1 - 1)]
    fn stale() -> Result<u32, u32> {
        Ok(BODIES.next())
    }

    #[cache_request(timeout = 10, stale_if_error = i128::MIN)]
    fn stale_if_error() -> Result<u32, u32> {
        Ok(BODIES.next())
    }

    #[cache_request(timeout = 10, stale_if_error = 60, stale_after = NEGATIVE, retry = NEGATIVE)]
    fn two_of_them() -> Result<u32, u32> {
        Ok(BODIES.next())
    }

    #[cache_request(timeout = SECONDS.load(SeqCst))]
    fn changing() -> Result<u32, u32> {
        Ok(BODIES.next())
    }

    #[cache_request(timeout = SECONDS.load(SeqCst), each(ids))]
    fn list(ids: &[u32]) -> HashMap<u32, u32> {
        ids.iter().map(|id| (*id, BODIES.next())).collect()
    }

    type Call = fn() -> Result<u32, u32>;
    let functions: [(&str, u64, bool, Call); 7] = [
        ("timeout", 1, false, timeout),
        ("timeout_err", 1, false, timeout_err),
        ("stale", 1, true, stale),
        ("stale_if_error", 1, true, stale_if_error),
        ("two_of_them", 2, true, two_of_them),
        ("changing", 1, false, changing),
        ("list", 1, false, || Ok(list(&[7, 8])[&7])),
    ];
    for (name, cache, clock) in caches() {
        SECONDS.store(-1, SeqCst);
        let mut sum = 0;
        scoped_sync(&cache, || {
            for (function, wrong, is_kept, call) in functions {
                let (first, logged) = logs::of(call);
                sum += wrong;
                assert_eq!(faults(&cache), sum, "{name}: {function}");
                let lines = logged.iter().filter(|line| line.contains("is a negative number of seconds")).count();
                assert_eq!(lines as u64, wrong, "{logged:?}");
                assert_eq!(call() == first, is_kept, "{name}: {function}");
                clock.advance(seconds(100));
                assert_ne!(call(), first, "{name}: {function}");
                assert_eq!(faults(&cache), sum, "{name}: {function}: once");
            }
            SECONDS.store(60, SeqCst);
            assert_eq!((changing(), list(&[7])), (changing(), list(&[7])), "{name}: it is right by now");
            timeout_cache().put(&Ok(1)).unwrap();
            assert_eq!(timeout_cache().peek(), None, "{name}");
            assert_eq!(faults(&cache), sum, "{name}");
        });
    }
}
