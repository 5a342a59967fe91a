//! What stands between a call and its backend: one that fails is left alone, and one that is busy is not pressed.

use std::time::Duration;

use cache_request::{
    Cache, Clock, ErrorKind, FunctionStats, MockClock, backend::BreakerState, cache_request, scoped, scoped_sync,
};
use cache_request_tests::backends::{Bend, Bends, Bent};
use futures_lite::future::{block_on, poll_once};

use super::{bodies, body_runs};

const PAUSE: Duration = Duration::from_secs(1);

#[cache_request(timeout = "1h")]
fn square(n: u32) -> u32 {
    body_runs();
    n * n
}

#[cache_request]
async fn cube(n: u32) -> u32 {
    body_runs();
    n * n * n
}

fn guarded() -> (Bent, Cache, MockClock) {
    let clock = Clock::mock();
    let backend = Bent::new(&clock);
    let cache = Cache::builder()
        .backend(backend.clone())
        .clock(clock.clone())
        .soft_limit(Duration::from_millis(5))
        .breaker_faults(3)
        .breaker_pause(PAUSE)
        .build();
    (backend, cache, clock)
}

fn all(bend: &Bend) -> Bends {
    Bends { get: bend.clone(), set: bend.clone(), delete: bend.clone() }
}

fn breaker(cache: &Cache) -> (BreakerState, u64) {
    let backend = cache.stats().backend.expect("there is one");
    assert_eq!(backend.under_way, 0);
    (backend.breaker, backend.opened)
}

fn function(cache: &Cache) -> FunctionStats {
    cache.stats().functions[0].clone()
}

#[test]
fn a_backend_that_fails_is_left_alone_and_found_again() {
    for bend in [Bend::Errs, Bend::Panics, Bend::Hangs] {
        let (backend, cache, clock) = guarded();
        let call = |n| scoped_sync(&cache, || bodies(|| square(n)));
        assert_eq!(call(1), (1, 1));
        backend.bend(all(&bend));
        for n in 2..5 {
            assert_eq!(breaker(&cache), (BreakerState::Closed, 0));
            assert_eq!(call(n), (n * n, 1));
        }
        assert_eq!(breaker(&cache), (BreakerState::Open, 1));

        // It works again, and the breaker does not know yet.
        backend.bend(Bends::default());
        assert_eq!(call(1), (1, 1));
        let error = scoped_sync(&cache, || square_cache(1).invalidate()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        clock.advance(PAUSE);
        assert_eq!(breaker(&cache), (BreakerState::HalfOpen, 1));
        assert_eq!(call(1), (1, 0));
        assert_eq!(breaker(&cache), (BreakerState::Closed, 1));
    }
}

#[test]
fn it_is_tried_once_a_pause() {
    let (backend, cache, clock) = guarded();
    backend.bend(all(&Bend::Errs));
    scoped_sync(&cache, || {
        for n in 0..10 {
            square(n);
        }
        let faults = function(&cache).faults;
        assert_eq!((faults.backend, faults.unavailable, faults.total()), (3, 7, 10), "one of each call");
        for _ in 0..3 {
            clock.advance(PAUSE);
            square(1);
            assert_eq!(breaker(&cache), (BreakerState::Open, 1));
        }
        clock.advance(PAUSE);
        backend.bend(Bends::default());
        square(1);
        assert_eq!(breaker(&cache), (BreakerState::Closed, 1));
        assert_eq!(bodies(|| square(1)), (1, 0));
    });
}

/// A call whose read failed does not write: it has waited long enough.
#[test]
fn a_call_that_could_not_read_does_not_write() {
    let (backend, cache, _) = guarded();
    backend.bend(Bends { get: Bend::Hangs, ..Bends::default() });
    scoped_sync(&cache, || {
        assert_eq!(bodies(|| square(7)), (49, 1));
        backend.bend(Bends::default());
        assert_eq!(square_cache(7).peek(), None);
    });
    let function = function(&cache);
    assert_eq!((function.faults.total(), function.written_bytes), (1, 0));
}

#[test]
fn a_backend_that_is_busy_is_not_pressed() {
    let backend = Bent::new(&Clock::mock());
    let cache = Cache::builder().backend(backend.clone()).soft_limit(Duration::MAX).max_concurrent(2).build();
    backend.bend(Bends { get: Bend::Hangs, ..Bends::default() });
    let begin = |n| Box::pin(scoped(&cache, cube(n)));
    let (mut one, mut other) = (begin(1), begin(2));
    assert!(block_on(poll_once(&mut one)).is_none() && block_on(poll_once(&mut other)).is_none());
    assert_eq!(cache.stats().backend.unwrap().under_way, 2);
    // The third goes on without.
    assert_eq!(block_on(begin(3)), 27);
    drop(one);
    backend.bend(Bends::default());
    assert_eq!(block_on(begin(3)), 27);
    assert_eq!(bodies(|| block_on(begin(3))), (27, 0));
    drop(other);
    assert_eq!(breaker(&cache), (BreakerState::Closed, 0));
    assert_eq!(function(&cache).faults.total(), 1);
}
