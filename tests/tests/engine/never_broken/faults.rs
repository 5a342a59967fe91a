//! A backend that fails, panics or never answers.
//!
//! Nothing here depends on how long anything takes: that it ends is what is asserted.

use std::{
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    thread,
    time::Duration,
};

use cache_request::{Cache, Clock, ErrorKind, Misses, backend::Backend, cache_request, scoped, scoped_sync};
use cache_request_tests::{
    backends::{Bend, Bends, Bent},
    delegate, logs,
};
use futures_lite::future::block_on;

use super::{bodies, body_runs};

#[cache_request(name = "faulty")]
fn square(number: u64) -> u64 {
    body_runs();
    number * number
}

#[cache_request(name = "faulty-async")]
async fn cube(number: u64) -> u64 {
    body_runs();
    number * number * number
}

fn bent() -> (Bent, Cache) {
    let clock = Clock::mock();
    let backend = Bent::new(&clock);
    let cache = Cache::builder()
        .backend(backend.clone())
        .clock(clock)
        .soft_limit(Duration::from_millis(5))
        .breaker_faults(1000)
        .build()
        .unwrap();
    (backend, cache)
}

/// Every way to fail, and what the log says of it.
const FAILURES: [(Bend, ErrorKind, &str); 5] = [
    (Bend::Errs, ErrorKind::Backend, "the server is on fire"),
    (Bend::Panics, ErrorKind::Backend, "the bent backend panicked"),
    (Bend::PanicsLater, ErrorKind::Backend, "the bent backend panicked"),
    (Bend::Hangs, ErrorKind::Timeout, "the bent backend took longer than 5ms"),
    (Bend::HangsAndPanics, ErrorKind::Timeout, "the bent backend took longer than 5ms"),
];

/// Of each function, two calls of one key on a backend of which one operation fails: they are answered, and each is one more fault,
/// which is logged.
fn assert_each_call_is_a_fault(bends: impl Fn(Bend) -> Bends, fault: &str, then: impl Fn(&Bent, &Cache)) {
    for (bend, kind, cause) in FAILURES {
        let (backend, cache) = bent();
        backend.bend(bends(bend));
        let (answers, lines) = logs::of(|| {
            let plain = scoped_sync(&cache, || bodies(|| [square(3), square(3)]));
            (plain, block_on(scoped(&cache, async { [cube(3).await, cube(3).await] })))
        });
        assert_eq!(answers, (([9, 9], 2), [27, 27]), "{cause}");
        let stats = cache.stats();
        for name in ["faulty", "faulty-async"] {
            let function = stats.function(name).unwrap();
            assert_eq!((function.misses.total(), function.faults.total()), (2, 2), "{cause}: {function:?}");
            assert_eq!((function.bodies, function.written_bytes), (2, 0), "{cause}: {function:?}");
            let logged = format!("WARN cache fault: {fault} function={name} cause={cause} kind={kind:?} count=1");
            assert!(lines.contains(&logged), "{lines:?}");
        }
        then(&backend, &cache);
    }
}

/// Of both functions, by why.
fn misses(cache: &Cache, why: impl Fn(&Misses) -> u64) -> u64 {
    cache.stats().functions.iter().map(|function| why(&function.misses)).sum()
}

#[test]
fn a_backend_that_cannot_be_read_is_a_miss() {
    let bends = |bend| Bends { get: bend, ..Bends::default() };
    assert_each_call_is_a_fault(bends, "the backend could not be read", |_, cache| {
        assert_eq!(misses(cache, |misses| misses.backend_fault), 4);
    });
}

#[test]
fn a_backend_that_cannot_be_written_costs_a_miss_later() {
    let bends = |bend| Bends { set: bend, ..Bends::default() };
    assert_each_call_is_a_fault(bends, "a value could not be kept", |backend, cache| {
        assert_eq!(misses(cache, |misses| misses.never_seen), 4);
        // And then it is remembered.
        backend.bend(Bends::default());
        assert_eq!(scoped_sync(cache, || bodies(|| [square(3), square(3)])), ([9, 9], 1));
    });
}

/// The companion returns the error. The function does not.
#[test]
fn put_and_invalidate_return_the_error() {
    for (bend, kind, cause) in FAILURES {
        let (backend, cache) = bent();
        scoped_sync(&cache, || {
            assert_eq!(square(3), 9);
            backend.bend(Bends { set: bend.clone(), delete: bend.clone(), ..Bends::default() });
            for error in [square_cache(3).put(&10).unwrap_err(), square_cache(3).invalidate().unwrap_err()] {
                assert_eq!((error.kind(), &*error.to_string()), (kind, cause));
            }
            let clear = block_on(cache.clear()).unwrap_err().to_string();
            assert_eq!(clear.replace("500ms", "5ms"), cause, "it may take a hundred times as long");
            assert_eq!(bodies(|| square_cache(3).refresh()), (9, 1));
        });
        block_on(scoped(&cache, async {
            assert_eq!(cube_cache(3).put(&10).await.unwrap_err().to_string(), cause);
            assert_eq!(cube_cache(3).invalidate().await.unwrap_err().to_string(), cause);
            assert_eq!(cube_cache(3).refresh().await, 27);
        }));
    }
}

#[test]
fn a_backend_that_cannot_be_read_has_nothing_to_peek_at() {
    for (bend, _, cause) in FAILURES {
        let (backend, cache) = bent();
        backend.bend(Bends { get: bend.clone(), set: bend.clone(), delete: bend });
        scoped_sync(&cache, || {
            assert_eq!(square_cache(3).peek(), None, "{cause}");
            assert_eq!(bodies(|| square_cache(3).uncached()), (9, 1), "{cause}");
        });
    }
}

/// The waiters of a call whose backend hangs get its answer all the same.
#[test]
fn all_callers_of_a_faulty_backend_are_answered() {
    for (bend, _, cause) in FAILURES {
        let (backend, cache) = bent();
        backend.bend(Bends { get: bend.clone(), set: bend.clone(), delete: bend });
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| assert_eq!(scoped_sync(&cache, || square(7)), 49, "{cause}"));
            }
        });
        assert_eq!(cache.stats().function("faulty").unwrap().calls(), 16, "{cause}");
    }
}

#[test]
fn a_backend_that_is_down_does_not_flood_the_log() {
    let (backend, cache) = bent();
    backend.bend(Bends { get: Bend::Errs, ..Bends::default() });
    let (_, lines) =
        logs::of(|| scoped_sync(&cache, || (0..1000).for_each(|number| assert_eq!(square(number), number * number))));
    assert_eq!(lines.len(), 10, "{lines:?}");
    assert_eq!(cache.stats().faults(), 1000);
}

/// Says something else each time it is asked, and panics in the end.
struct Moody {
    asked: AtomicUsize,
    bent: Bent,
}

impl Moody {
    fn mood(&self) -> usize {
        let asked = self.asked.fetch_add(1, SeqCst);
        assert!(asked < 2, "a bug in the backend");
        asked
    }
}

impl Backend for Moody {
    fn name(&self) -> &'static str {
        ["calm", "angry"][self.mood()]
    }

    fn max_key_bytes(&self) -> usize {
        [250, 0][self.mood()]
    }

    delegate!(self => self.bent);
}

/// A panic where a backend is only asked for its name would come in the midst of a call.
#[test]
fn a_backend_is_asked_for_its_name_and_limit_once() {
    let clock = Clock::mock();
    let bent = Bent::new(&clock);
    bent.bend(Bends { get: Bend::Panics, ..Bends::default() });
    let cache = Cache::builder().backend(Moody { asked: AtomicUsize::new(0), bent }).clock(clock).build().unwrap();
    assert_eq!(scoped_sync(&cache, || bodies(|| [square(3), square(4)])), ([9, 16], 2));
    assert!(format!("{cache:?}").contains("calm"));
    assert_eq!(cache.stats().faults(), 2);
}

/// A limit that no key can meet is the backend's problem: the key is sent as short as it can be told from others.
#[test]
fn a_backend_may_take_no_key_at_all() {
    struct Short(Bent);
    impl Backend for Short {
        fn name(&self) -> &'static str {
            "short"
        }
        fn max_key_bytes(&self) -> usize {
            0
        }
        delegate!(self => self.0);
    }
    let clock = Clock::mock();
    let cache = Cache::builder().backend(Short(Bent::new(&clock))).clock(clock).build().unwrap();
    scoped_sync(&cache, || {
        assert_eq!(bodies(|| [square(3), square(4), square(3), square(4)]), ([9, 16, 9, 16], 2));
        assert!(square_cache(3).invalidate().unwrap());
    });
}

/// The longest limits there are, which no clock can add to its time.
#[test]
fn limits_may_be_for_ever() {
    for limit in [Duration::MAX, Duration::from_secs(u64::MAX), Duration::from_secs(1 << 40)] {
        let clock = Clock::mock();
        let backend = Bent::new(&clock);
        let cache = Cache::builder().backend(backend).clock(clock).soft_limit(limit).wait_limit(limit).build().unwrap();
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| assert_eq!(scoped_sync(&cache, || square(7)), 49));
            }
        });
        assert_eq!(cache.stats().faults(), 0, "{limit:?}");
    }
}
