//! What stands between a call and its backend: one that fails is left alone, and one that is busy is not pressed.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
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

/// The breakers of reads and of writes.
fn breakers(cache: &Cache) -> [(BreakerState, u64); 2] {
    let backend = cache.stats().backend.expect("there is one");
    assert_eq!(backend.under_way, 0);
    [backend.reads, backend.writes].map(|breaker| (breaker.state, breaker.opened))
}

/// The breaker of reads.
fn breaker(cache: &Cache) -> (BreakerState, u64) {
    breakers(cache)[0]
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
        // What is to be forgotten is not left to the fate of reads.
        assert!(!scoped_sync(&cache, || square_cache(2).invalidate()).unwrap());
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

/// A backend that counts what it is asked to do, and takes its time.
struct Timed {
    backend: Bent,
    clock: MockClock,
    /// How long a read and a write take.
    takes: Mutex<[Duration; 2]>,
    writes: AtomicU32,
}

impl Backend for Timed {
    fn name(&self) -> &'static str {
        "timed"
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.clock.advance(self.takes.lock().unwrap()[0]);
        self.backend.get(key).await
    }

    async fn set(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<(), Error> {
        self.writes.fetch_add(1, SeqCst);
        self.clock.advance(self.takes.lock().unwrap()[1]);
        self.backend.set(key, value, timeout).await
    }

    delegate!(self => self.backend; add touch delete clear);
}

const LIMIT: Duration = Duration::from_secs(100);

fn timed() -> (Arc<Timed>, Cache, MockClock) {
    let clock = Clock::mock();
    let backend = Bent::new(&clock);
    let timed =
        Arc::new(Timed { backend, clock: clock.clone(), takes: Mutex::default(), writes: AtomicU32::default() });
    let cache = Cache::builder()
        .backend(Arc::clone(&timed))
        .clock(clock.clone())
        .soft_limit(LIMIT)
        .breaker_faults(3)
        .breaker_pause(PAUSE)
        .build()
        .unwrap();
    (timed, cache, clock)
}

#[test]
fn reads_that_succeeded_had_every_call_wait_for_a_write_that_failed() {
    let (backend, cache, clock) = timed();
    let written = || backend.writes.load(SeqCst);
    scoped_sync(&cache, || {
        square(1);
        backend.backend.bend(Bends { set: Bend::Errs, ..Bends::default() });
        for n in 2..20 {
            assert_eq!(bodies(|| [square(n), square(1)]), ([n * n, 1], 1));
            assert_eq!(written(), 1 + (n - 1).min(3));
        }
        assert_eq!(breakers(&cache), [(BreakerState::Closed, 0), (BreakerState::Open, 1)]);
        let faults = function(&cache).faults;
        assert_eq!((faults.backend, faults.unavailable, faults.total()), (3, 15, 18));
        assert_eq!(square_cache(1).put(&1).unwrap_err().kind(), ErrorKind::Unavailable);
        // One write a pause finds out whether they work again.
        clock.advance(PAUSE);
        (20..25).for_each(|n| _ = square(n));
        assert_eq!(written(), 5);
        clock.advance(PAUSE);
        backend.backend.bend(Bends::default());
        (20..25).for_each(|n| _ = square(n));
        assert_eq!(written(), 10);
        assert_eq!(bodies(|| square(24)), (24 * 24, 0));
        assert_eq!(breakers(&cache), [(BreakerState::Closed, 0), (BreakerState::Closed, 1)]);
    });
}

#[test]
fn writes_that_succeed_do_not_close_the_breaker_of_reads() {
    let (backend, cache, clock) = guarded();
    backend.bend(Bends { get: Bend::Errs, ..Bends::default() });
    scoped_sync(&cache, || {
        for n in 0..5 {
            square_cache(n).put(&n).unwrap();
            square(n);
        }
        assert_eq!(breakers(&cache), [(BreakerState::Open, 1), (BreakerState::Closed, 0)]);
        clock.advance(PAUSE);
        square_cache(1).put(&1).unwrap();
        assert!(square_cache(1).invalidate().unwrap());
        assert_eq!(breakers(&cache), [(BreakerState::HalfOpen, 1), (BreakerState::Closed, 0)]);
    });
}

/// More than three quarters of the limit is slow. The value that took so long is used all the same.
#[test]
fn an_operation_that_took_nearly_its_limit_counted_as_a_success() {
    let (quick, slow) = (LIMIT / 4 * 3, LIMIT / 4 * 3 + Duration::from_nanos(1));
    let take = |backend: &Timed, read, write| *backend.takes.lock().unwrap() = [read, write];
    let (closed, open) = ((BreakerState::Closed, 0), (BreakerState::Open, 1));

    let (backend, cache, _) = timed();
    scoped_sync(&cache, || {
        for (n, time) in [slow, slow, quick, slow, slow, slow].into_iter().enumerate() {
            assert_eq!(breakers(&cache), [closed, closed]);
            take(&backend, Duration::ZERO, time);
            square_cache(n as u32).put(&7).unwrap();
            take(&backend, Duration::ZERO, Duration::ZERO);
            assert_eq!(square_cache(n as u32).peek(), Some(7));
        }
        assert_eq!(breakers(&cache), [closed, open]);
    });

    let (backend, cache, _) = timed();
    scoped_sync(&cache, || {
        square(3);
        for time in [slow, slow, quick, slow, slow, slow] {
            assert_eq!(breakers(&cache), [closed, closed]);
            take(&backend, time, Duration::ZERO);
            assert_eq!(bodies(|| square(3)), (9, 0));
        }
        assert_eq!(breakers(&cache), [open, closed]);
    });
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
