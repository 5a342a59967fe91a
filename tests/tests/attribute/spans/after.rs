//! `stale_after`: an older value is returned if the body takes too long.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

use cache_request::{Cache, Clock, Source, cache_request, scoped, scoped_sync};
use futures_lite::future::block_on;

use super::{caches, seconds};
use crate::support::{Count, Gate};

#[test]
fn an_expired_value_is_returned_if_the_body_takes_too_long() {
    static BODIES: Count = Count::new();
    static GATES: [Gate; 3] = [const { Gate::new() }; 3];

    #[cache_request(timeout = 10, stale_if_error = 60, stale_after = "1ms")]
    fn version(of: &str) -> Result<u32, String> {
        let body = BODIES.next();
        if body.is_multiple_of(2) {
            GATES[body as usize / 2 - 1].wait();
        }
        Ok(body + u32::try_from(of.len()).unwrap())
    }

    let mut bodies = 0;
    for (name, cache, clock) in caches() {
        scoped_sync(&cache, || {
            let first = version("");
            assert_eq!(first, Ok(bodies + 1), "{name}");
            clock.advance(seconds(10));
            for _ in 0..3 {
                assert_eq!(version(""), first, "{name}: the body waits for its gate");
            }
            bodies += 2;
            BODIES.reaches(bodies);
            GATES[bodies as usize / 2 - 1].open();
            cache.shutdown_sync();
            assert_eq!(version(""), Ok(bodies), "{name}: the body went on, and its value is kept");
            assert_eq!(BODIES.get(), bodies, "{name}: of three callers, one began a body");
            let stats = cache.stats();
            let stats = &stats.functions[0];
            assert_eq!((stats.stale, stats.refreshes, stats.hits), (3, 1, 4), "{name}: {stats:?}");
        });
    }
}

#[test]
fn a_body_that_ends_in_time_answers_all_who_wait() {
    static BODIES: Count = Count::new();
    static GATES: [Gate; 3] = [const { Gate::new() }; 3];

    #[cache_request(timeout = 10, stale_if_error = "3h", stale_after = "2h")]
    async fn version() -> u32 {
        let body = BODIES.next();
        if body.is_multiple_of(2) {
            GATES[body as usize / 2 - 1].wait();
        }
        body
    }

    for (number, (name, cache, clock)) in (0..).zip(caches()) {
        assert_eq!(block_on(scoped(&cache, version())), number * 2 + 1, "{name}");
        clock.advance(seconds(10));
        let mut callers: Vec<_> = (0..4).map(|_| Box::pin(scoped(&cache, version()))).collect();
        for caller in &mut callers {
            let polled = caller.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert_eq!(polled, Poll::Pending, "{name}");
        }
        BODIES.reaches(number * 2 + 2);
        GATES[number as usize].open();
        for caller in callers {
            assert_eq!(block_on(caller), number * 2 + 2, "{name}: the new value");
        }
        assert_eq!(BODIES.get(), number * 2 + 2, "{name}");
        let stats = cache.stats();
        let stats = &stats.functions[0];
        assert_eq!((stats.stale, stats.refreshes, stats.hits, stats.coalesced), (0, 1, 0, 4), "{name}: {stats:?}");
    }
}

#[test]
fn a_body_that_fails_leaves_the_older_value_and_is_not_awaited_for_a_while() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 10, stale_if_error = "3h", stale_after = "2h", retry = 5)]
    fn version() -> Result<u32, String> {
        match BODIES.next() % 4 {
            1 => Ok(BODIES.get()),
            2 => Err("down".to_owned()),
            3 => panic!("down, too"),
            _ => Ok(0),
        }
    }

    for (number, (name, cache, clock)) in (0..).zip(caches()) {
        scoped_sync(&cache, || {
            let first = Ok(number * 4 + 1);
            assert_eq!(version(), first, "{name}");
            clock.advance(seconds(10));
            for _ in 0..3 {
                assert_eq!(version(), first, "{name}: for an `Err`");
            }
            assert_eq!(BODIES.get(), number * 4 + 2, "{name}");
            clock.advance(seconds(5));
            for _ in 0..3 {
                assert_eq!(version(), first, "{name}: for a panic");
            }
            assert_eq!(BODIES.get(), number * 4 + 3, "{name}");
            clock.advance(seconds(5));
            assert_eq!(version(), Ok(0), "{name}");
            assert!(version_cache().call_traced().1.is_hit(), "{name}");
        });
    }
}

/// The value would be returned after its end.
#[test]
fn a_value_whose_end_is_nearer_than_the_wait_is_not_returned() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 10, stale_if_error = 60, stale_after = 20)]
    fn version() -> u32 {
        BODIES.next()
    }

    for (name, cache, clock) in caches() {
        scoped_sync(&cache, || {
            let first = version();
            clock.advance(seconds(50));
            // The body runs in the caller.
            assert_eq!(version(), first + 1, "{name}");
            assert_eq!(cache.stats().functions[0].refreshes, 0, "{name}");
            clock.advance(seconds(71));
            assert_eq!(version(), first + 2, "{name}");
            assert_eq!(cache.stats().functions[0].refreshes, 0, "{name}");
        });
    }
}

#[test]
fn an_invalidation_ends_the_value_that_could_be_returned() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 10, stale_if_error = "3h", stale_after = "1ms")]
    fn version() -> u32 {
        BODIES.next()
    }

    for (name, cache, clock) in caches() {
        scoped_sync(&cache, || {
            let first = version();
            clock.advance(seconds(10));
            version_cache().invalidate().unwrap();
            assert_eq!(version(), first + 1, "{name}");
            assert_eq!(cache.stats().functions[0].refreshes, 0, "{name}");
        });
    }
}

/// Polls a caller that waits for a body which is held up, then lets `happen` happen and the body end. Returns what the caller gets.
fn what_happens_while_it_waits<R>(
    cache: &Cache,
    call: impl Future<Output = R>,
    (bodies, count, gate): (&Count, u32, &Gate),
    happen: impl FnOnce(),
) -> R {
    let mut caller = pin!(scoped(cache, call));
    assert!(caller.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    bodies.reaches(count);
    scoped_sync(cache, happen);
    gate.open();
    block_on(caller)
}

#[test]
fn a_value_was_returned_whose_time_ended_while_its_caller_waited() {
    static BODIES: Count = Count::new();
    static GATES: [Gate; 3] = [const { Gate::new() }; 3];

    #[cache_request(timeout = 10, stale_if_error = "3h", stale_after = "2h")]
    async fn version() -> Result<u32, String> {
        let body = BODIES.next();
        if body % 3 == 2 {
            GATES[body as usize / 3].wait();
            return Err("down".to_owned());
        }
        Ok(body)
    }

    for (number, (name, cache, clock)) in (0..).zip(caches()) {
        assert_eq!(block_on(scoped(&cache, version())), Ok(number * 3 + 1), "{name}");
        clock.advance(seconds(10));
        let held = (&BODIES, number * 3 + 2, &GATES[number as usize]);
        let answer = what_happens_while_it_waits(&cache, version(), held, || clock.advance(seconds(3 * 60 * 60)));
        assert_eq!(answer, Ok(number * 3 + 3), "{name}: the caller's own body");
    }
}

#[test]
fn a_value_was_returned_that_was_invalidated_while_its_caller_waited() {
    static BODIES: Count = Count::new();
    static GATES: [Gate; 3] = [const { Gate::new() }; 3];

    #[cache_request(timeout = 10, stale_if_error = "3h", stale_after = "2h")]
    async fn version() -> u32 {
        let body = BODIES.next();
        if body % 3 == 2 {
            GATES[body as usize / 3].wait();
        }
        body
    }

    for (number, (name, cache, clock)) in (0..).zip(caches()) {
        assert_eq!(block_on(scoped(&cache, version())), number * 3 + 1, "{name}");
        clock.advance(seconds(10));
        let held = (&BODIES, number * 3 + 2, &GATES[number as usize]);
        let invalidate = || _ = block_on(version_cache().invalidate()).unwrap();
        let answer = what_happens_while_it_waits(&cache, version(), held, invalidate);
        assert_eq!(answer, number * 3 + 3, "{name}: the older value and that of the body are from before");
    }
}

/// There is no room for it, or an argument cannot be cloned.
#[test]
fn callers_waited_for_a_body_that_had_not_begun() {
    #[derive(serde::Serialize)]
    struct Fragile(bool);

    impl Clone for Fragile {
        fn clone(&self) -> Self {
            assert!(!self.0, "it cannot be cloned");
            Self(self.0)
        }
    }

    #[cache_request(timeout = 10, stale_if_error = "3h", stale_after = "2h")]
    fn version(of: u32, fragile: &Fragile) -> u32 {
        let _ = fragile;
        of
    }

    let clock = Clock::mock();
    let cache = Cache::builder().clock(&clock).wait_limit(Duration::MAX).build().unwrap();
    scoped_sync(&cache, || {
        assert_eq!(version(1, &Fragile(true)), 1);
        assert_eq!(version(2, &Fragile(false)), 2);
        clock.advance(seconds(10));
        assert_eq!(version(1, &Fragile(true)), 1, "for an argument");
        cache.shutdown_sync();
        assert_eq!(version(2, &Fragile(false)), 2, "for room");
        let stats = cache.stats();
        let stats = &stats.functions[0];
        assert_eq!((stats.stale, stats.bodies, stats.refreshes_refused), (2, 2, 1), "{stats:?}");
    });
}

/// The companion has a body of its own, and waits for that.
#[test]
fn a_companion_runs_its_body_here() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 10, stale_if_error = "3h", stale_after = "1ms")]
    fn version() -> u32 {
        BODIES.next()
    }

    for (name, cache, clock) in caches() {
        scoped_sync(&cache, || {
            let first = version();
            clock.advance(seconds(10));
            assert_eq!(version_cache().call_traced(), (first + 1, Source::Body), "{name}");
        });
    }
}

/// A `stale` value is returned at once, and one that may only stand in after a while.
#[test]
fn it_goes_with_the_other_times() {
    static BODIES: Count = Count::new();
    static GATES: [Gate; 3] = [const { Gate::new() }; 3];

    #[cache_request(timeout = 10, stale = 1, stale_if_error = "3h", stale_after = "2h", early = 0.5, jitter = 0.01)]
    fn version() -> u32 {
        let body = BODIES.next();
        if body.is_multiple_of(2) {
            GATES[body as usize / 2 - 1].wait();
        }
        body
    }

    for (number, (name, cache, clock)) in (0..).zip(caches()) {
        scoped_sync(&cache, || {
            assert_eq!(version(), number * 2 + 1, "{name}");
            clock.advance(Duration::from_millis(10_500));
            assert_eq!(version(), number * 2 + 1, "{name}: stale, at once");
            BODIES.reaches(number * 2 + 2);
            // Its lease is not over by then.
            clock.advance(Duration::from_millis(1500));
            let waits = scoped(&cache, async { version() });
            thread::scope(|scope| {
                let caller = scope.spawn(|| block_on(pin!(waits)));
                GATES[number as usize].open();
                assert_eq!(caller.join().unwrap(), number * 2 + 2, "{name}: it waits for the body that is under way");
            });
        });
    }
}
