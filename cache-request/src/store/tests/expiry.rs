//! Timeouts, to the nanosecond.

use std::time::Duration;

use super::{key, put, read, store};
use crate::{
    base::clock::{Clock, NEVER},
    store::Freshness,
};

#[test]
fn an_entry_expires_at_its_moment_and_not_before() {
    const DAY: u64 = 24 * 60 * 60;
    for timeout in [
        Duration::from_nanos(1),
        Duration::from_millis(1),
        Duration::from_secs(1),
        // Where a count of milliseconds in 32 bits overflows, and one of seconds.
        Duration::from_secs(49 * DAY),
        Duration::from_millis(1 << 32),
        Duration::from_secs(1 << 32),
        Duration::from_secs(100 * 365 * DAY),
    ] {
        let (store, clock) = store(1 << 20, usize::MAX);
        let table = store.table();
        put(&store, &table, 1, 1, Clock::from(&clock).after(timeout), 0);
        clock.advance(timeout - Duration::from_nanos(1));
        assert_eq!(read(&table, &clock, 1), Some(1), "{timeout:?}");
        clock.advance(Duration::from_nanos(1));
        let is_over = |_: &_, freshness: Freshness<'_>, _: Option<&_>| matches!(freshness, Freshness::Expired);
        let found = table.read(&key(1).lookup(), || Clock::from(&clock).coarse(), is_over);
        assert_eq!(found, Some(true), "{timeout:?}");
    }
}

#[test]
fn a_timeout_that_no_clock_can_count_to_is_for_ever() {
    for timeout in [Duration::MAX, Duration::from_secs(u64::MAX), Duration::from_nanos(u64::MAX)] {
        let (store, clock) = store(1 << 20, usize::MAX);
        let table = store.table();
        assert_eq!(Clock::from(&clock).after(timeout), NEVER);
        put(&store, &table, 1, 1, Clock::from(&clock).after(timeout), 0);
        clock.advance(Duration::from_secs(500 * 365 * 24 * 60 * 60));
        assert_eq!(read(&table, &clock, 1), Some(1));
    }
}

/// Time that a test advances too far stops; it does not begin anew.
#[test]
fn a_clock_never_goes_back() {
    let mock = Clock::mock();
    let clock = Clock::from(&mock);
    let mut before = (clock.coarse(), clock.wall());
    for by in [Duration::from_secs(1), Duration::from_nanos(u64::MAX / 2), Duration::MAX, Duration::from_secs(1)] {
        mock.advance(by);
        let now = (clock.coarse(), clock.wall());
        assert!(now >= before, "{by:?}");
        before = now;
    }
}

#[test]
fn the_clock_of_the_machine_goes_on() {
    let clock = Clock::system();
    let early = clock.coarse();
    // The precise time is never before the coarse one, so that nothing expires early.
    assert!(clock.after(Duration::ZERO) >= early);
    assert!(clock.after(Duration::from_secs(600)) < early + 3_600_000_000_000);
}

#[test]
fn what_is_expired_makes_room_first_when_its_turn_comes() {
    let (store, clock) = store(usize::MAX, 10);
    let table = store.table();
    for number in 0..10 {
        put(&store, &table, number, number, Clock::from(&clock).after(Duration::from_secs(1)), 0);
        for _ in 0..3 {
            read(&table, &clock, number);
        }
    }
    clock.advance(Duration::from_secs(1));
    // Hot as it was, none of it is worth keeping.
    for number in 10..20 {
        put(&store, &table, number, number, NEVER, 0);
    }
    assert!((10..20).all(|number| read(&table, &clock, number) == Some(number)));
}
