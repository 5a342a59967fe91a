//! Bodies fail, one after another: few run at a time, and the first value is for all who wait.

use std::{
    future::poll_fn,
    panic::AssertUnwindSafe,
    sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    task::Poll,
    thread,
    time::Duration,
};

use cache_request::{Cache, cache_request, scoped, scoped_sync};
use futures_lite::{FutureExt, future::block_on};

use crate::support::{Count, Gate, Held, cache, ends, poll, stats};

fn held<'a, T>(call: impl Future<Output = T> + Send + 'a) -> Held<'a, T> {
    Box::pin(call)
}

/// Polls all that are left, until none of them begins or ends a body any more. Returns how many have ended.
fn settle<T>(calls: &mut Vec<Held<'_, T>>, begun: &Count) -> usize {
    let mut ended = 0;
    loop {
        let before = (begun.get(), calls.len());
        calls.retain_mut(|call| poll(call).is_none());
        ended += before.1 - calls.len();
        if before == (begun.get(), calls.len()) {
            return ended;
        }
    }
}

/// Lets the bodies of one wave end, and no others.
struct Waves {
    begun: Count,
    /// The last body that may end.
    may_end: AtomicU32,
}

impl Waves {
    const fn new() -> Self {
        Self { begun: Count::new(), may_end: AtomicU32::new(0) }
    }

    async fn body(&self) -> u32 {
        let number = self.begun.next();
        poll_fn(|_| if number <= self.may_end.load(SeqCst) { Poll::Ready(()) } else { Poll::Pending }).await;
        number
    }

    /// How many bodies run at once, wave after wave: in each, all that have begun fail.
    fn run<T>(&self, mut calls: Vec<Held<'_, T>>) -> Vec<usize> {
        settle(&mut calls, &self.begun);
        let mut waves = Vec::new();
        while !calls.is_empty() {
            let ended = self.may_end.swap(self.begun.get(), SeqCst);
            waves.push((self.begun.get() - ended) as usize);
            assert_eq!(settle(&mut calls, &self.begun), waves[waves.len() - 1]);
        }
        waves
    }
}

/// All of them ran at once after the first error: 99 of 100.
#[test]
fn after_an_error_all_who_waited_ran_at_once() {
    static WAVES: Waves = Waves::new();
    #[cache_request]
    async fn f() -> Result<(), u32> {
        Err(WAVES.body().await)
    }
    ends(|| {
        let cache = cache();
        let calls = (0..64).map(|_| held(scoped(&cache, f()))).collect();
        assert_eq!(WAVES.run(calls), [1, 1, 2, 4, 8, 16, 16, 16]);
        let stats = stats(&cache, 64);
        assert_eq!((stats.bodies, stats.misses.total(), stats.coalesced, stats.faults.total()), (64, 64, 0, 0));
    });
}

#[test]
fn after_a_panic_all_who_waited_ran_at_once() {
    static WAVES: Waves = Waves::new();
    #[cache_request]
    async fn f() {
        std::panic::panic_any(WAVES.body().await);
    }
    ends(|| {
        let cache = cache();
        let call = || held(AssertUnwindSafe(scoped(&cache, f())).catch_unwind());
        assert_eq!(WAVES.run((0..12).map(|_| call()).collect()), [1, 1, 2, 4, 4]);
    });
}

#[test]
fn the_maximum_is_an_option() {
    static WAVES: Waves = Waves::new();
    #[cache_request]
    async fn f(address: &str) -> Result<(), u32> {
        let _ = address;
        Err(WAVES.body().await)
    }
    ends(|| {
        for (address, waves) in
            [("memory://?max_leaders=1", vec![1; 12]), ("memory://?max_leaders=3", vec![1, 1, 2, 3, 3, 2])]
        {
            let cache = Cache::from_url(address).unwrap();
            let calls = (0..12).map(|_| held(scoped(&cache, f(address)))).collect();
            assert_eq!(WAVES.run(calls), waves);
        }
    });
}

/// Each body that fails makes room at once, also while others run.
#[test]
fn a_body_that_fails_is_followed_by_two() {
    static BEGUN: Count = Count::new();
    static FAILS: [AtomicBool; 16] = [const { AtomicBool::new(false) }; 16];
    #[cache_request]
    async fn f() -> Result<(), u32> {
        let number = BEGUN.next();
        while !FAILS[number as usize].load(SeqCst) {
            futures_lite::future::yield_now().await;
        }
        Err(number)
    }
    ends(|| {
        let cache = cache();
        let mut calls: Vec<_> = (0..8).map(|_| held(scoped(&cache, f()))).collect();
        let mut begun_when_fails = |number: usize| {
            FAILS[number].store(true, SeqCst);
            settle(&mut calls, &BEGUN);
            BEGUN.get()
        };
        assert_eq!(begun_when_fails(0), 1);
        assert_eq!(begun_when_fails(1), 2, "one follows the first");
        assert_eq!(begun_when_fails(2), 4);
        assert_eq!(begun_when_fails(4), 6, "the third still runs");
        assert_eq!(begun_when_fails(3), 8);
        for number in 5..=8 {
            begun_when_fails(number);
        }
        assert!(calls.is_empty());
    });
}

#[test]
fn the_first_value_is_for_all_who_wait() {
    static BEGUN: Count = Count::new();
    static FAIL: Gate = Gate::new();
    static SUCCEED: Gate = Gate::new();
    #[cache_request(when = |_| false)]
    async fn f() -> Result<u32, u32> {
        let number = BEGUN.next();
        if number <= 3 {
            FAIL.passed().await;
            return Err(number);
        }
        SUCCEED.passed().await;
        Ok(number)
    }
    ends(|| {
        let cache = cache();
        let mut calls: Vec<_> = (0..20).map(|_| held(scoped(&cache, f()))).collect();
        settle(&mut calls, &BEGUN);
        FAIL.open();
        assert_eq!(settle(&mut calls, &BEGUN), 3);
        assert_eq!(BEGUN.get(), 6, "three have failed, so three run");
        SUCCEED.open();
        let answers: Vec<_> = calls.into_iter().map(|call| block_on(call).unwrap()).collect();
        assert!(answers.iter().all(|answer| (4..=6).contains(answer)), "{answers:?}");
        assert_eq!(stats(&cache, 20).coalesced, 14);
    });
}

/// Leaders that go away count for nothing, and waiters that go away are not waited for.
#[test]
fn who_goes_away_makes_room_for_one() {
    static WAVES: Waves = Waves::new();
    #[cache_request]
    async fn f() -> Result<(), u32> {
        Err(WAVES.body().await)
    }
    ends(|| {
        let cache = cache();
        let mut calls: Vec<_> = (0..16).map(|_| held(scoped(&cache, f()))).collect();
        settle(&mut calls, &WAVES.begun);
        for round in 2..6 {
            drop(calls.remove(0));
            settle(&mut calls, &WAVES.begun);
            assert_eq!(WAVES.begun.get(), round, "one at a time");
        }
        // The leader is the first of those that are left, and a waiter goes.
        calls.pop();
        WAVES.may_end.store(4, SeqCst);
        assert_eq!(WAVES.run(calls), [1, 1, 2, 4, 3]);
    });
}

#[test]
fn a_call_that_comes_after_the_failures_begins_anew() {
    static WAVES: Waves = Waves::new();
    #[cache_request]
    async fn f() -> Result<(), u32> {
        Err(WAVES.body().await)
    }
    ends(|| {
        let cache = cache();
        let calls = |count| (0..count).map(|_| held(scoped(&cache, f()))).collect();
        assert_eq!(WAVES.run(calls(5)), [1, 1, 2, 1]);
        assert_eq!(WAVES.run(calls(5)), [1, 1, 2, 1]);
    });
}

#[test]
fn plain_callers_take_turns_too() {
    static RUNNING: AtomicU32 = AtomicU32::new(0);
    #[cache_request]
    fn f() -> Result<(), u32> {
        let at_once = RUNNING.fetch_add(1, SeqCst) + 1;
        thread::yield_now();
        RUNNING.fetch_sub(1, SeqCst);
        Err(at_once)
    }
    ends(|| {
        let cache = Cache::builder().wait_limit(Duration::MAX).max_leaders(2).build().unwrap();
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| assert!(scoped_sync(&cache, f).unwrap_err() <= 2, "at once"));
            }
        });
        assert_eq!(stats(&cache, 16).bodies, 16);
    });
}

/// A caller that has waited for as long as it may runs its own, however many run.
#[test]
fn a_caller_waited_for_more_than_the_limit() {
    static WAVES: Waves = Waves::new();
    #[cache_request]
    async fn f() -> Result<(), u32> {
        Err(WAVES.body().await)
    }
    ends(|| {
        let cache = Cache::builder().wait_limit(Duration::from_millis(20)).build().unwrap();
        let mut calls: Vec<_> = (0..8).map(|_| held(scoped(&cache, f()))).collect();
        while WAVES.begun.get() < 8 {
            settle(&mut calls, &WAVES.begun);
            thread::yield_now();
        }
        assert_eq!(calls.len(), 8, "none has failed yet");
        WAVES.may_end.store(8, SeqCst);
        assert_eq!(settle(&mut calls, &WAVES.begun), 8);
    });
}

/// A value that is not kept is a value: those who wait get it, and no further body begins.
#[test]
fn what_is_not_kept_is_no_failure() {
    static BODIES: Count = Count::new();
    static LEAVE: Gate = Gate::new();
    #[cache_request(skip_none)]
    async fn f() -> Option<u32> {
        BODIES.next();
        LEAVE.passed().await;
        None
    }
    ends(|| {
        let cache = cache();
        let mut calls: Vec<_> = (0..8).map(|_| held(scoped(&cache, f()))).collect();
        settle(&mut calls, &BODIES);
        LEAVE.open();
        assert_eq!(settle(&mut calls, &BODIES), 8);
        let stats = stats(&cache, 8);
        assert_eq!((stats.bodies, stats.coalesced), (1, 7));
    });
}
