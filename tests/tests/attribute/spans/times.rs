//! `jitter`, `idle`, and the moments of `early`.

use std::{collections::BTreeSet, time::Duration};

use cache_request::{cache_request, scoped_sync};

use super::{caches, seconds};
use crate::support::Count;

#[test]
fn timeouts_are_shortened_by_different_shares() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 1000, jitter = 0.5)]
    fn value(number: u32) -> u32 {
        BODIES.next() + number
    }

    const VALUES: u32 = 64;
    for (name, cache, clock) in caches() {
        scoped_sync(&cache, || {
            let live = || (0..VALUES).filter(|number| value_cache(*number).peek().is_some()).count();
            (0..VALUES).for_each(|number| _ = value(number));
            clock.advance(seconds(499));
            assert_eq!(live(), VALUES as usize, "{name}: by no more than half");
            clock.advance(seconds(251));
            // All on one side of the middle: once in 2^63.
            assert!((1..VALUES as usize).contains(&live()), "{name}: {}", live());
            clock.advance(seconds(250));
            assert_eq!(live(), 0, "{name}: never lengthened");
        });
    }
}

#[test]
fn a_value_that_is_not_read_is_gone_after_its_idle_time() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 1000, idle = 16)]
    fn value() -> u32 {
        BODIES.next()
    }

    let (_, cache, clock) = caches().swap_remove(0);
    scoped_sync(&cache, || {
        assert_eq!(value(), 1);
        for _ in 0..20 {
            clock.advance(seconds(15) - Duration::from_millis(1));
            assert_eq!(value(), 1, "each read prolongs it, to a sixteenth");
        }
        clock.advance(seconds(16));
        assert_eq!(value(), 2);
        for _ in 0..72 {
            clock.advance(seconds(14));
            value();
        }
        assert_eq!(value(), 3, "not beyond its timeout");
    });
}

#[test]
fn values_that_were_stored_together_were_replaced_together() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 1000, early = 0.5, foreground)]
    fn value(number: u32) -> u32 {
        let _ = number;
        BODIES.next()
    }

    const VALUES: u32 = 64;
    for (name, cache, clock) in caches() {
        scoped_sync(&cache, || {
            let mut kept: Vec<u32> = (0..VALUES).map(value).collect();
            let mut due_at = BTreeSet::new();
            clock.advance(seconds(499));
            // From a half on, spread over an eighth.
            for second in 499..=625 {
                for (number, first) in (0..VALUES).zip(&mut kept) {
                    if *first > 0 && value(number) != *first {
                        due_at.insert(second);
                        *first = 0;
                    }
                }
                clock.advance(seconds(1));
            }
            assert!(kept.iter().all(|first| *first == 0), "{name}: all are replaced before they expire");
            assert!(!due_at.contains(&499), "{name}: {due_at:?}");
            // All in one second: never, as far as chance goes.
            assert!(due_at.len() > 1, "{name}: {due_at:?}");
        });
    }
}
