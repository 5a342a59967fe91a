//! Leaders that get nowhere: those who wait give up, and go on.

use std::{thread, time::Duration};

use cache_request::{Cache, cache_request, scoped};
use futures_lite::future::block_on;

use crate::support::{Count, Gate, ends, poll, stats};

/// One future of a task is held and never polled again, while another one waits for it.
#[test]
fn a_leader_that_is_not_polled_is_given_up() {
    static BODIES: Count = Count::new();
    static LEAVE: Gate = Gate::new();
    #[cache_request]
    async fn f() -> u32 {
        let body = BODIES.next();
        if body < 3 {
            LEAVE.passed().await;
        }
        body
    }
    ends(|| {
        let cache = Cache::builder().wait_limit(Duration::from_millis(20)).build().unwrap();
        let call = || Box::pin(scoped(&cache, f()));
        let mut held = call();
        assert_eq!(poll(&mut held), None);
        // The next caller waits for the whole limit, and then leads.
        let mut second = call();
        while BODIES.get() == 1 {
            assert_eq!(poll(&mut second), None);
            thread::yield_now();
        }
        assert_eq!(BODIES.get(), 2);
        // A caller that comes now waits for the new leader.
        let mut third = call();
        assert_eq!(poll(&mut third), None);
        assert_eq!(BODIES.get(), 2);
        LEAVE.open();
        assert_eq!(block_on(second), 2);
        assert_eq!(block_on(third), 2);
        assert_eq!(block_on(held), 1);
        let stats = stats(&cache, 3);
        assert_eq!((stats.bodies, stats.faults.total()), (2, 0));
    });
}

/// As long as a clock can tell, and longer.
#[test]
fn a_wait_limit_may_be_any() {
    static BODIES: Count = Count::new();
    static LEAVE: Gate = Gate::new();
    #[cache_request]
    async fn f(round: u32) -> u32 {
        LEAVE.passed().await;
        BODIES.next();
        round
    }
    ends(|| {
        let limits = [Duration::MAX, Duration::from_secs(u64::MAX / 2), Duration::from_secs(1 << 40)];
        let calls: Vec<_> = limits
            .into_iter()
            .zip(0..)
            .map(|(limit, round)| {
                let cache = Cache::builder().wait_limit(limit).build().unwrap();
                let mut calls = [Box::pin(scoped(&cache, f(round))), Box::pin(scoped(&cache, f(round)))];
                for call in &mut calls {
                    assert_eq!(poll(call), None);
                }
                (calls, round)
            })
            .collect();
        LEAVE.open();
        for (calls, round) in calls {
            for call in calls {
                assert_eq!(block_on(call), round);
            }
        }
        assert_eq!(BODIES.get(), 3);
    });
}

/// Every caller has an answer, and none waits for another one.
#[test]
fn the_shortest_wait_limit_waits_for_no_body() {
    static BODIES: Count = Count::new();
    #[cache_request]
    fn f() -> u32 {
        thread::yield_now();
        BODIES.next()
    }
    ends(|| {
        let cache = Cache::builder().wait_limit(Duration::from_nanos(1)).build().unwrap();
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| cache_request::scoped_sync(&cache, f));
            }
        });
        stats(&cache, 16);
    });
}

/// A leader that was given up on goes on later, with an older answer than the one that is cached by then.
#[test]
fn a_leader_that_was_given_up_keeps_nothing_over_a_newer_value() {
    static SOURCE: Count = Count::new();
    static LEAVE: Gate = Gate::new();
    #[cache_request]
    async fn f() -> u32 {
        let read = SOURCE.next();
        if read == 1 {
            LEAVE.passed().await;
        }
        read
    }
    ends(|| {
        let cache = Cache::builder().wait_limit(Duration::from_millis(10)).build().unwrap();
        let call = || Box::pin(scoped(&cache, f()));
        let mut held = call();
        assert_eq!(poll(&mut held), None);
        assert_eq!(block_on(call()), 2);
        LEAVE.open();
        assert_eq!(block_on(held), 1);
        assert_eq!(block_on(call()), 2);
    });
}
