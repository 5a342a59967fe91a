//! What stands between a call and its backend: one that fails is left alone, and one that is busy is not pressed.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use cache_request::{
    Cache, Clock, Error, ErrorKind, FunctionStats, MockClock,
    backend::{Backend, BreakerState},
    cache_request, scoped, scoped_sync,
};
use cache_request_tests::{
    backends::{Bend, Bends, Bent},
    delegate,
};
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
        .build()
        .unwrap();
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

/// The kinds of error that say something about one key.
const OF_A_KEY: [ErrorKind; 5] =
    [ErrorKind::Corrupt, ErrorKind::Forged, ErrorKind::TooLarge, ErrorKind::Codec, ErrorKind::Key];

/// A backend that cannot read some of its keys until they are written anew.
struct Spoilt {
    backend: Bent,
    kind: ErrorKind,
    keys: Mutex<BTreeSet<String>>,
}

impl Backend for Spoilt {
    fn name(&self) -> &'static str {
        "spoilt"
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        if self.keys.lock().unwrap().contains(key) {
            return Err(Error::new(self.kind, "spoilt on purpose"));
        }
        self.backend.get(key).await
    }

    async fn set(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<(), Error> {
        self.keys.lock().unwrap().remove(key);
        self.backend.set(key, value, timeout).await
    }

    delegate!(self => self.backend; add touch delete clear);
}

#[test]
fn a_key_that_could_not_be_read_was_never_written_again() {
    for kind in OF_A_KEY {
        let clock = Clock::mock();
        let spoilt = Arc::new(Spoilt { backend: Bent::new(&clock), kind, keys: Mutex::default() });
        let cache = Cache::builder().backend(Arc::clone(&spoilt)).clock(clock).breaker_faults(3).build().unwrap();
        scoped_sync(&cache, || {
            let keys = (0..8).map(|n| square_cache(n).key().unwrap());
            spoilt.keys.lock().unwrap().extend(keys);
            // More of them than it takes faults to open the breaker.
            for n in 0..8 {
                assert_eq!(bodies(|| square(n)), (n * n, 1), "{kind:?}");
            }
            for n in 0..8 {
                assert_eq!(bodies(|| square(n)), (n * n, 0), "{kind:?}");
            }
        });
        let function = function(&cache);
        assert_eq!((function.misses.undecodable, function.misses.total(), function.faults.total()), (8, 8, 8));
        assert_eq!(breaker(&cache), (BreakerState::Closed, 0), "{kind:?}");
    }
}

/// A backend whose healthy keys are read in between is not the only one to find that one key fails.
#[test]
fn a_fault_of_a_key_told_the_breaker_that_the_backend_works() {
    for kind in OF_A_KEY.into_iter().chain([ErrorKind::Unavailable]) {
        let (backend, cache, clock) = guarded();
        scoped_sync(&cache, || {
            for bend in [Bend::Errs, Bend::ErrsAs(kind), Bend::Errs, Bend::ErrsAs(kind), Bend::Errs] {
                assert_eq!(breaker(&cache), (BreakerState::Closed, 0), "{kind:?}");
                backend.bend(all(&bend));
                square(1);
            }
            assert_eq!(breaker(&cache), (BreakerState::Open, 1), "{kind:?}");
            clock.advance(PAUSE);
            backend.bend(all(&Bend::ErrsAs(kind)));
            square(1);
            assert_eq!(breaker(&cache), (BreakerState::HalfOpen, 1), "{kind:?}");
        });
    }
}

#[test]
fn a_backend_that_is_busy_is_not_pressed() {
    let backend = Bent::new(&Clock::mock());
    let cache = Cache::builder().backend(backend.clone()).soft_limit(Duration::MAX).max_concurrent(2).build().unwrap();
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
