//! `share_err`: an `Err` is for those who have waited since before its body began.

use std::sync::atomic::{AtomicI32, Ordering::SeqCst};

use cache_request::{Source, cache_request, scoped};
use futures_lite::future::block_on;

use crate::support::{Count, Gate, Held, cache, ends, poll, stats};

/// Bodies that fail with their numbers, each behind a gate of its own.
struct Failing {
    begun: Count,
    gates: [Gate; 4],
}

impl Failing {
    const fn new() -> Self {
        Self { begun: Count::new(), gates: [const { Gate::new() }; 4] }
    }

    async fn body(&self) -> u32 {
        let number = self.begun.next();
        self.gates[number as usize - 1].passed().await;
        number
    }

    fn fail(&self, number: u32) {
        self.gates[number as usize - 1].open();
    }
}

fn held<'a, T>(call: impl Future<Output = T> + Send + 'a) -> Held<'a, T> {
    Box::pin(call)
}

fn poll_all<T: PartialEq + std::fmt::Debug>(calls: &mut [Held<'_, T>]) {
    for call in calls {
        assert_eq!(poll(call), None);
    }
}

#[test]
fn each_of_a_hundred_callers_ran_a_body_that_failed() {
    static FAILING: Failing = Failing::new();
    #[cache_request(share_err)]
    async fn f() -> Result<(), u32> {
        Err(FAILING.body().await)
    }
    ends(|| {
        let cache = cache();
        let mut calls: Vec<_> =
            (0..100).map(|_| held(scoped(&cache, async { f_cache().call_traced().await }))).collect();
        poll_all(&mut calls);
        FAILING.fail(1);
        assert_eq!(block_on(calls.remove(0)), (Err(1), Source::Body));
        // They have joined after the first body began: its error may be older than their calls.
        poll_all(&mut calls);
        assert_eq!(FAILING.begun.get(), 2);
        // It joins after the second one began.
        let mut late = held(scoped(&cache, async { f_cache().call_traced().await }));
        assert_eq!(poll(&mut late), None);
        FAILING.fail(2);
        assert_eq!(block_on(calls.remove(0)), (Err(2), Source::Body));
        for call in calls {
            assert_eq!(block_on(call), (Err(2), Source::Coalesced));
        }
        assert_eq!(poll(&mut late), None);
        FAILING.fail(3);
        assert_eq!(block_on(late), (Err(3), Source::Body));
        let stats = stats(&cache, 101);
        assert_eq!((stats.bodies, stats.coalesced, stats.misses.total(), stats.entries), (3, 98, 3, 0));
    });
}

/// It is not kept, so the next call runs the body.
#[test]
fn a_shared_error_is_not_kept() {
    static FAILING: Failing = Failing::new();
    #[cache_request(share_err)]
    async fn f() -> Result<u32, u32> {
        match FAILING.body().await {
            number @ 1..=2 => Err(number),
            number => Ok(number),
        }
    }
    ends(|| {
        let cache = cache();
        let mut calls: Vec<_> = (0..3).map(|_| held(scoped(&cache, f()))).collect();
        poll_all(&mut calls);
        (1..=4).for_each(|number| FAILING.fail(number));
        assert_eq!(calls.into_iter().map(block_on).collect::<Vec<_>>(), [Err(1), Err(2), Err(2)]);
        assert_eq!(block_on(scoped(&cache, f())), Ok(3));
    });
}

/// Where an error could not be cloned, each caller has one of its own.
#[test]
fn the_clone_of_an_error_may_panic() {
    static BODIES: Count = Count::new();
    static CLONES: AtomicI32 = AtomicI32::new(0);
    #[derive(Debug, PartialEq)]
    struct Fragile(u32);
    impl Clone for Fragile {
        fn clone(&self) -> Self {
            assert!(CLONES.fetch_sub(1, SeqCst) > 0, "this error cannot be cloned");
            Self(self.0)
        }
    }
    #[cache_request(share_err, skip(gate))]
    async fn f(round: i32, gate: &Gate) -> Result<(), Fragile> {
        let _ = round;
        gate.passed().await;
        Err(Fragile(BODIES.next()))
    }
    ends(|| {
        // When it is shared, and when a waiter takes it.
        for round in 0..2 {
            let (cache, gate) = (cache(), Gate::new());
            let mut calls: Vec<_> = (0..3).map(|_| held(scoped(&cache, f(round, &gate)))).collect();
            poll_all(&mut calls);
            gate.open();
            CLONES.store(round, SeqCst);
            let mut errors: Vec<_> = calls.into_iter().map(|call| block_on(call).unwrap_err().0).collect();
            errors.dedup();
            assert_eq!(errors.len(), 3, "each has its own");
            assert!(stats(&cache, 3).faults.panic > 0);
        }
    });
}

#[test]
fn an_error_is_not_cloned_for_nobody() {
    #[derive(Debug)]
    struct Unshared;
    impl Clone for Unshared {
        fn clone(&self) -> Self {
            panic!("no caller waits for it")
        }
    }
    #[cache_request(share_err)]
    fn f() -> Result<(), Unshared> {
        Err(Unshared)
    }
    let cache = cache();
    cache_request::scoped_sync(&cache, f).unwrap_err();
    assert_eq!(stats(&cache, 1).faults.total(), 0);
}
