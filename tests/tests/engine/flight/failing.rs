//! Bodies that fail: by `Err`, by panic.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
};

use cache_request::{cache_request, scoped, scoped_sync};
use futures_lite::{FutureExt, future::block_on};

use crate::support::{Count, Gate, cache, ends, poll, stats};

#[test]
fn after_an_error_plain_followers_run_their_own() {
    static BODIES: Count = Count::new();
    static ARRIVED: Count = Count::new();
    #[cache_request]
    fn f() -> Result<u32, u32> {
        let body = BODIES.next();
        if body == 1 {
            ARRIVED.reaches(8);
        }
        Err(body)
    }
    ends(|| {
        let cache = cache();
        thread::scope(|scope| {
            scope.spawn(|| assert_eq!(scoped_sync(&cache, f), Err(1)));
            BODIES.reaches(1);
            for _ in 0..8 {
                scope.spawn(|| {
                    ARRIVED.next();
                    assert!(scoped_sync(&cache, f).unwrap_err() > 1);
                });
            }
        });
        assert_eq!(stats(&cache, 9).bodies, 9);
    });
}

#[test]
fn a_panic_is_its_callers_and_the_followers_go_on() {
    static BODIES: Count = Count::new();
    static LEAVE: Gate = Gate::new();
    #[cache_request]
    async fn f() -> u32 {
        let body = BODIES.next();
        if body == 1 {
            LEAVE.passed().await;
            panic!("the body's own panic");
        }
        body
    }
    ends(|| {
        let cache = cache();
        let mut leader = Box::pin(scoped(&cache, f()));
        assert_eq!(poll(&mut leader), None);
        let mut followers: Vec<_> = (0..8).map(|_| Box::pin(scoped(&cache, f()))).collect();
        for follower in &mut followers {
            assert_eq!(poll(follower), None);
        }
        LEAVE.open();
        let panic = block_on(AssertUnwindSafe(leader).catch_unwind()).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"the body's own panic"));
        for follower in followers {
            assert!(block_on(follower) > 1);
        }
        assert!(block_on(scoped(&cache, f())) > 1, "remembered");
        stats(&cache, 10);
    });
}

#[test]
fn a_plain_panic_is_its_callers_too() {
    static BODIES: Count = Count::new();
    static ARRIVED: Count = Count::new();
    #[cache_request]
    fn f() -> u32 {
        let body = BODIES.next();
        if body == 1 {
            ARRIVED.reaches(8);
            panic!("the body's own panic");
        }
        body
    }
    ends(|| {
        let cache = cache();
        thread::scope(|scope| {
            let leader = scope.spawn(|| catch_unwind(AssertUnwindSafe(|| scoped_sync(&cache, f))));
            BODIES.reaches(1);
            for _ in 0..8 {
                scope.spawn(|| {
                    ARRIVED.next();
                    assert!(scoped_sync(&cache, f) > 1);
                });
            }
            assert_eq!(leader.join().unwrap().unwrap_err().downcast_ref(), Some(&"the body's own panic"));
        });
        // The scope of the one that panicked is not left behind, nor is the flight.
        assert!(scoped_sync(&cache, f) > 1);
    });
}

#[test]
fn what_is_not_kept_is_shared_with_those_who_wait() {
    static BODIES: Count = Count::new();
    static LEAVE: Gate = Gate::new();
    #[cache_request(when = |_| false)]
    async fn f() -> u32 {
        LEAVE.passed().await;
        BODIES.next()
    }
    ends(|| {
        let cache = cache();
        let mut calls: Vec<_> = (0..4).map(|_| Box::pin(scoped(&cache, f()))).collect();
        for call in &mut calls {
            assert_eq!(poll(call), None);
        }
        LEAVE.open();
        for call in calls {
            assert_eq!(block_on(call), 1);
        }
        assert_eq!(block_on(scoped(&cache, f())), 2);
        assert_eq!(stats(&cache, 5).coalesced, 3);
    });
}
