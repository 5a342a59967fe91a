//! `idle` in a backend: values are stored for that time, and touched while they are read.

use std::{
    mem,
    sync::{Arc, Mutex},
    time::Duration,
};

use cache_request::{
    Backend, Cache, Clock, Error, ErrorKind, MockClock,
    backend::{Claim, Claimed, Fence, MemoryBackend},
    cache_request, scoped_sync,
};
use cache_request_tests::delegate;

use super::seconds;
use crate::support::Count;

/// What a backend does when it is asked to touch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Touch {
    Touches,
    IsUnsupported,
    Fails,
}

/// Keeps the timeouts that it is told, and how often it is read.
struct Told {
    memory: MemoryBackend,
    touch: Touch,
    log: Mutex<Vec<(&'static str, Option<Duration>)>>,
    reads: Count,
}

impl Told {
    fn note(&self, operation: &'static str, timeout: Option<Duration>) {
        self.log.lock().unwrap().push((operation, timeout));
    }

    /// What it was told since the last look.
    fn take(&self) -> Vec<(&'static str, Option<Duration>)> {
        mem::take(&mut *self.log.lock().unwrap())
    }

    /// The same, in whole seconds, if nothing else was told than touches.
    fn touched(&self) -> Vec<u64> {
        let touched = |(operation, timeout): (_, Option<Duration>)| {
            assert_eq!(operation, "touch");
            timeout.unwrap().as_secs()
        };
        self.take().into_iter().map(touched).collect()
    }
}

impl Backend for Told {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.reads.next();
        self.memory.get(key).await
    }

    async fn touch(&self, key: &str, timeout: Option<Duration>) -> Result<bool, Error> {
        self.note("touch", timeout);
        match self.touch {
            Touch::Touches => self.memory.touch(key, timeout).await,
            Touch::IsUnsupported => Err(Error::new(ErrorKind::Unsupported, "it has no touch")),
            Touch::Fails => Err(Error::backend("it fails on purpose")),
        }
    }

    async fn set_fenced(
        &self,
        key: &str,
        value: &[u8],
        timeout: Option<Duration>,
        fence: Fence,
    ) -> Result<bool, Error> {
        self.note("set", timeout);
        self.memory.set_fenced(key, value, timeout, fence).await
    }

    async fn claim(&self, key: &str, claim: Claim) -> Result<Claimed, Error> {
        self.reads.next();
        self.memory.claim(key, claim).await
    }

    delegate!(self => self.memory; set add delete clear has_fences renew release invalidate);
}

fn backend(touch: Touch) -> (Arc<Told>, MockClock) {
    let clock = Clock::mock();
    let memory = MemoryBackend::builder().clock(&clock).build().unwrap();
    (Arc::new(Told { memory, touch, log: Mutex::default(), reads: Count::new() }), clock)
}

/// A cache of one process.
fn process(backend: &Arc<Told>, clock: &MockClock) -> Cache {
    Cache::builder().clock(clock).soft_limit(Duration::MAX).backend(Arc::clone(backend)).build().unwrap()
}

/// One with values in front, for up to an hour.
fn with_front(backend: &Arc<Told>, clock: &MockClock) -> Cache {
    let builder = Cache::builder().clock(clock).soft_limit(Duration::MAX).near_timeout(seconds(3600));
    builder.backend(Arc::clone(backend)).build().unwrap()
}

/// No touches.
const NONE: [u64; 0] = [];

static BODIES: Count = Count::new();

#[cache_request(timeout = 1000, idle = 60)]
fn value(_id: u32) -> u32 {
    BODIES.next()
}

#[test]
fn a_value_was_stored_for_longer_than_its_idle_time() {
    #[cache_request(timeout = 30, idle = 60)]
    fn short() -> u32 {
        1
    }

    #[cache_request(timeout = never, idle = 60)]
    fn for_ever() -> u32 {
        2
    }

    #[cache_request(timeout = 30, stale = 20, idle = 60)]
    fn stale() -> u32 {
        3
    }

    #[cache_request(timeout = 30, stale_if_error = 2000, idle = 60)]
    fn stands_in() -> Result<u32, u32> {
        Ok(4)
    }

    #[cache_request(timeout = 1000, timeout_err = 100, idle = 60)]
    fn failed() -> Result<u32, u32> {
        Err(5)
    }

    #[cache_request(timeout = 1000, idle = 60, each(ids))]
    fn several(ids: &[u32]) -> Vec<u32> {
        ids.to_vec()
    }

    let (backend, clock) = backend(Touch::Touches);
    scoped_sync(&process(&backend, &clock), || {
        let stored = |what: &str, timeouts: &[u64]| {
            let told: Vec<_> = timeouts.iter().map(|timeout| ("set", Some(seconds(*timeout)))).collect();
            assert_eq!(backend.take(), told, "{what}");
        };
        value(0);
        stored("a value", &[60]);
        value_cache(0).put(&7).unwrap();
        stored("one that was put", &[60]);
        value_cache(0).refresh();
        stored("a refreshed one", &[60]);
        short();
        stored("its timeout is shorter", &[30]);
        for_ever();
        stored("it has no timeout", &[60]);
        stale();
        stored("it is stale for a while", &[50]);
        clock.advance(seconds(40));
        stale_cache().invalidate_soft().unwrap();
        stored("invalidated softly", &[10]);
        stands_in().unwrap();
        stored("it may stand in", &[60]);
        failed().unwrap_err();
        stored("an error that is kept has no idle time", &[100]);
        several(&[1, 2, 3]);
        stored("several", &[60, 60, 60]);
    });
}

#[test]
fn a_value_that_is_read_ended_after_its_idle_time() {
    let (backend, clock) = backend(Touch::Touches);
    let (one, other) = (process(&backend, &clock), process(&backend, &clock));
    let first = scoped_sync(&one, || value(1));
    let read = |cache: &Cache| scoped_sync(cache, || assert_eq!(value(1), first));
    backend.take();
    clock.advance(seconds(30) - Duration::from_millis(1));
    read(&one);
    assert_eq!(backend.touched(), NONE, "half of it is not over");
    for _ in 0..20 {
        clock.advance(Duration::from_millis(1));
        (0..3).for_each(|_| read(&one));
        assert_eq!(backend.touched(), [60], "once in each half");
        read(&other);
        assert_eq!(backend.touched(), [60], "each process counts for itself");
        clock.advance(seconds(30) - Duration::from_millis(1));
        [&one, &other].into_iter().for_each(read);
        assert_eq!(backend.touched(), NONE, "half of it is not over");
    }
    clock.advance(seconds(60));
    scoped_sync(&one, || assert_ne!(value(1), first, "it was not read for so long"));
}

#[test]
fn a_touch_prolonged_a_value_beyond_its_end() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 70, stale_if_error = 30, idle = 60)]
    fn short() -> Result<u32, u32> {
        if BODIES.get() == 0 { Ok(BODIES.next()) } else { Err(BODIES.next()) }
    }

    let (backend, clock) = backend(Touch::Touches);
    scoped_sync(&process(&backend, &clock), || {
        short().unwrap();
        backend.take();
        // The last touch has kept it to its end.
        for (read_at, touched) in [(30, &[60][..]), (60, &[40]), (90, &NONE)] {
            clock.advance(seconds(30));
            assert_eq!(short(), Ok(1));
            assert_eq!(backend.touched(), touched, "at {read_at}");
        }
        // What stands in is read, too.
        assert_eq!(BODIES.get(), 2);
        clock.advance(seconds(10));
        assert_eq!(short(), Err(3));
    });
}

#[test]
fn a_value_in_front_was_not_prolonged_in_the_backend() {
    let (backend, clock) = backend(Touch::Touches);
    scoped_sync(&with_front(&backend, &clock), || {
        let first = value(2);
        backend.take();
        let reads = backend.reads.get();
        for round in 1..10 {
            clock.advance(seconds(30) - Duration::from_millis(1));
            assert_eq!(value(2), first);
            assert_eq!((backend.reads.get() - reads, backend.touched()), (round - 1, vec![]), "it is in front");
            clock.advance(Duration::from_millis(1));
            (0..3).for_each(|_| assert_eq!(value(2), first));
            assert_eq!((backend.reads.get() - reads, backend.touched()), (round, vec![60]), "it is read, and touched");
        }
        clock.advance(seconds(60));
        assert_ne!(value(2), first);
    });
}

/// One that another process has stored a while ago.
#[test]
fn a_value_stayed_in_front_beyond_the_moment_of_its_touch() {
    let (backend, clock) = backend(Touch::Touches);
    let first = scoped_sync(&process(&backend, &clock), || value(3));
    backend.take();
    clock.advance(seconds(29));
    scoped_sync(&with_front(&backend, &clock), || {
        assert_eq!(value(3), first);
        assert_eq!(backend.touched(), NONE);
        clock.advance(seconds(1));
        assert_eq!(value(3), first);
        assert_eq!(backend.touched(), [60]);
        clock.advance(seconds(29));
        // A change of its key, of which the near cache is not told, would show.
        assert_eq!(value_cache(3).lookup().unwrap().answer, first);
        clock.advance(seconds(1));
        assert_eq!(value(3), first);
        assert_eq!(backend.touched(), [60]);
    });
}

#[test]
fn a_backend_without_touch_failed() {
    let (backend, clock) = backend(Touch::IsUnsupported);
    // In front, it is kept for half of the time after it was read.
    for (cache, longer) in [(process(&backend, &clock), 1), (with_front(&backend, &clock), 30)] {
        scoped_sync(&cache, || {
            let first = value(4);
            clock.advance(seconds(59));
            assert_eq!(value(4), first);
            clock.advance(seconds(longer));
            assert_ne!(value(4), first, "its idle time counts from when it was stored");
            clock.advance(seconds(1000));
        });
        assert_eq!(cache.stats().faults(), 0);
        assert_eq!(cache.stats().backend.unwrap().writes.opened, 0);
    }
}

#[test]
fn a_touch_that_failed_failed_its_call() {
    let (backend, clock) = backend(Touch::Fails);
    let cache = process(&backend, &clock);
    scoped_sync(&cache, || {
        let first = value(5);
        clock.advance(seconds(30));
        assert_eq!(value(5), first);
        assert_eq!(value_cache(5).peek(), Some(first));
        let function = cache.stats().functions.swap_remove(0);
        assert_eq!((cache.stats().faults(), function.hits, function.bodies), (2, 1, 1), "each reader tries");
        clock.advance(seconds(30));
        assert_ne!(value(5), first);
    });
}

#[test]
fn touches_that_are_refused_kept_reads_away() {
    let (backend, clock) = backend(Touch::Fails);
    let builder =
        Cache::builder().clock(&clock).soft_limit(Duration::MAX).breaker_faults(1).breaker_pause(seconds(600));
    let cache = builder.backend(Arc::clone(&backend)).build().unwrap();
    scoped_sync(&cache, || {
        let values = [value(6), value(7)];
        clock.advance(seconds(30));
        assert_eq!([value(6), value(7)], values, "the first touch opens the breaker of writes");
        assert_eq!((cache.stats().faults(), cache.stats().hits()), (1, 2));
    });
}

#[test]
fn a_look_did_not_prolong_as_a_read_does() {
    let (backend, clock) = backend(Touch::Touches);
    let looks: [fn(); 3] =
        [|| _ = value_cache(8).lookup().unwrap(), || _ = value_cache(8).peek().unwrap(), || _ = value(8)];
    scoped_sync(&process(&backend, &clock), || {
        value(8);
        backend.take();
        for (number, look) in looks.into_iter().cycle().take(9).enumerate() {
            clock.advance(seconds(30));
            look();
            assert_eq!(backend.touched(), [60], "{number}");
        }
    });
}

#[test]
fn a_call_for_several_keys_touched_others_than_those_that_are_due() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 1000, idle = 60, each(ids))]
    fn several(ids: &[u32]) -> Vec<u32> {
        BODIES.next();
        ids.to_vec()
    }

    let (backend, clock) = backend(Touch::Touches);
    scoped_sync(&process(&backend, &clock), || {
        let all: Vec<u32> = (0..200).collect();
        several(&all[..100]);
        clock.advance(seconds(30));
        backend.take();
        several(&all[..10]);
        assert_eq!(backend.touched(), [60; 10]);
        several(&all[100..]);
        backend.take();
        several(&all);
        assert_eq!(backend.touched(), [60; 90], "neither those that were touched nor those that are new");
        clock.advance(seconds(30));
        several(&all);
        assert_eq!((backend.touched(), BODIES.get()), (vec![60; 200], 2));
    });
}

#[test]
fn a_failing_touch_failed_a_call_for_several_keys() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 1000, idle = 60, each(ids))]
    fn several(ids: &[u32]) -> Vec<u32> {
        BODIES.next();
        ids.to_vec()
    }

    for (touch, faults) in [(Touch::IsUnsupported, 0), (Touch::Fails, 3)] {
        let (backend, clock) = backend(touch);
        let cache = process(&backend, &clock);
        scoped_sync(&cache, || {
            let bodies = BODIES.get();
            several(&[1, 2, 3]);
            clock.advance(seconds(30));
            assert_eq!(several(&[1, 2, 3]), [1, 2, 3]);
            assert_eq!((BODIES.get() - bodies, cache.stats().faults()), (1, faults));
        });
    }
}
