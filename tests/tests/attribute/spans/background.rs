//! `stale` and `early`: the body runs in the background.

use std::time::Duration;

use cache_request::{Source, cache_request, client_scope_sync, scoped, scoped_sync};
use futures_lite::future::block_on;

use super::{caches, seconds};
use crate::support::{Count, Gate};

#[test]
fn a_stale_value_is_returned_at_once_and_replaced_in_the_background() {
    static BODIES: Count = Count::new();
    static GATES: [Gate; 3] = [const { Gate::new() }; 3];

    #[cache_request(timeout = 10, stale = 60)]
    fn version(of: &str) -> u32 {
        let body = BODIES.next();
        // All but the first of each cache are in the background.
        if body.is_multiple_of(2) {
            GATES[body as usize / 2 - 1].wait();
        }
        body + u32::try_from(of.len()).unwrap()
    }

    let mut bodies = 0;
    for (name, cache, clock) in caches() {
        scoped_sync(&cache, || {
            let first = version("");
            assert_eq!(first, bodies + 1, "{name}");
            clock.advance(seconds(10));
            for _ in 0..3 {
                assert_eq!(version(""), first, "{name}: it waits for no body");
            }
            bodies += 2;
            BODIES.reaches(bodies);
            GATES[bodies as usize / 2 - 1].open();
            cache.shutdown_sync();
            assert_eq!(version(""), bodies, "{name}: the new value is kept");
            assert_eq!(BODIES.get(), bodies, "{name}: of three callers, one began a body");
            let stats = cache.stats();
            let stats = &stats.functions[0];
            assert_eq!((stats.stale, stats.refreshes, stats.hits), (3, 1, 4), "{name}: {stats:?}");
        });
    }
}

#[test]
fn nothing_is_returned_after_its_stale_time() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 10, stale = 5)]
    fn version() -> u32 {
        BODIES.next()
    }

    for (name, cache, clock) in caches() {
        scoped_sync(&cache, || {
            let first = version();
            clock.advance(seconds(15));
            assert_eq!(version_cache().call_traced(), (first + 1, Source::Body), "{name}");
            clock.advance(seconds(15) - Duration::from_millis(1));
            assert_eq!(version_cache().peek(), Some(first + 1), "{name}");
        });
    }
}

#[test]
fn a_body_that_fails_in_the_background_leaves_the_old_value_and_is_tried_again_after_a_while() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 10, stale = 60, retry = 5)]
    fn version() -> Result<u32, String> {
        let body = BODIES.next();
        if body % 10 == 2 {
            Err("down".to_owned())
        } else if body % 10 == 3 {
            panic!("down, too")
        } else {
            Ok(body)
        }
    }

    for (number, (name, cache, clock)) in (0..).zip(caches()) {
        BODIES.reaches(number * 10);
        scoped_sync(&cache, || {
            let first = Ok(number * 10 + 1);
            assert_eq!(version(), first, "{name}");
            clock.advance(seconds(10));
            let fails = |failures: u64| {
                for _ in 0..5 {
                    assert_eq!(version(), first, "{name}");
                }
                while cache.stats().functions[0].refreshes_failed < failures {
                    std::thread::yield_now();
                }
                assert_eq!(version(), first, "{name}");
            };
            fails(1);
            clock.advance(seconds(5) - Duration::from_millis(1));
            assert_eq!(version(), first, "{name}");
            clock.advance(Duration::from_millis(1));
            fails(2);
            clock.advance(seconds(5));
            assert_eq!(version(), first, "{name}");
            BODIES.reaches(number * 10 + 4);
            cache.shutdown_sync();
            assert_eq!(version(), Ok(number * 10 + 4), "{name}");
            let rest = (number + 1) * 10;
            while BODIES.get() < rest {
                BODIES.next();
            }
        });
    }
}

#[test]
fn a_hot_value_is_replaced_before_it_expires() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 100, early = 0.5)]
    fn version() -> u32 {
        BODIES.next()
    }

    for (name, cache, clock) in caches() {
        scoped_sync(&cache, || {
            let first = version();
            clock.advance(seconds(49));
            assert_eq!(version(), first, "{name}");
            assert_eq!(cache.stats().functions[0].refreshes, 0, "{name}: not before its time");
            // From a half on, spread over an eighth.
            clock.advance(seconds(15));
            assert_eq!(version(), first, "{name}");
            BODIES.reaches(first + 1);
            cache.shutdown_sync();
            assert_eq!(version(), first + 1, "{name}");
            let stats = cache.stats();
            let stats = &stats.functions[0];
            assert_eq!((stats.stale, stats.refreshes, stats.misses.expired), (0, 1, 0), "{name}: {stats:?}");
        });
    }
}

#[test]
fn an_async_body_runs_in_the_background_with_and_without_a_runtime() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 10, stale = 60)]
    async fn version(of: &str) -> u32 {
        // On tokio, this needs its runtime.
        if tokio::runtime::Handle::try_current().is_ok() {
            tokio::task::yield_now().await;
        }
        assert_eq!(of, "a");
        BODIES.next()
    }

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    for on_tokio in [false, true] {
        for (name, cache, clock) in caches() {
            let run = scoped(&cache, async {
                let first = version("a").await;
                clock.advance(seconds(10));
                assert_eq!(version("a").await, first, "{name}");
                BODIES.reaches(first + 1);
                cache.shutdown().await;
                assert_eq!(version("a").await, first + 1, "{name}");
            });
            if on_tokio { runtime.block_on(run) } else { block_on(run) }
        }
    }
}

#[test]
fn a_body_in_the_background_has_the_client_of_its_caller() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = never)]
    fn of_client() -> u32 {
        BODIES.next()
    }

    #[cache_request(timeout = 10, stale = 60)]
    fn version() -> u32 {
        of_client()
    }

    for (name, cache, clock) in caches() {
        scoped_sync(&cache, || {
            let outside = version();
            let acme = client_scope_sync("acme", version);
            assert_ne!(outside, acme, "{name}");
            clock.advance(seconds(10));
            client_scope_sync("acme", || {
                version();
                cache.shutdown_sync();
                let refreshes: u64 = cache.stats().functions.iter().map(|function| function.refreshes).sum();
                assert_eq!(refreshes, 1, "{name}");
                assert_eq!(version(), acme, "{name}: the body in the background found what belongs to its client");
                assert!(!version_cache().lookup().unwrap().is_stale, "{name}: it is a new value");
            });
            assert!(version_cache().lookup().unwrap().is_stale, "{name}: it is the client's alone");
        });
    }
}

#[test]
fn a_cache_that_was_shut_down_begins_no_body_in_the_background() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 10, stale = 60)]
    fn version() -> u32 {
        BODIES.next()
    }

    let (_, cache, clock) = caches().swap_remove(0);
    scoped_sync(&cache, || {
        cache.shutdown_sync();
        assert_eq!(version(), 1);
        clock.advance(seconds(10));
        assert_eq!(version(), 1);
        cache.shutdown_sync();
        assert_eq!(BODIES.get(), 1);
        assert_eq!(cache.stats().functions[0].refreshes_refused, 1);
        clock.advance(seconds(60));
        assert_eq!(version(), 2, "calls go on");
    });
}

#[test]
fn an_invalidation_ends_a_stale_value_and_the_body_that_replaces_it() {
    static BODIES: Count = Count::new();
    static GATES: [Gate; 3] = [const { Gate::new() }; 3];

    #[cache_request(timeout = 10, stale = 60)]
    fn version() -> u32 {
        let body = BODIES.next();
        // The second of each cache is in the background.
        if body % 3 == 2 {
            GATES[body as usize / 3].wait();
        }
        body
    }

    for (gate, (name, cache, clock)) in GATES.iter().zip(caches()) {
        scoped_sync(&cache, || {
            let first = version();
            clock.advance(seconds(10));
            assert_eq!(version(), first, "{name}");
            BODIES.reaches(first + 1);
            assert!(version_cache().invalidate().unwrap(), "{name}");
            assert_eq!(version(), first + 2, "{name}: the stale value is gone");
            gate.open();
            cache.shutdown_sync();
            assert_eq!(version(), first + 2, "{name}: a value of before the invalidation is not kept");
        });
    }
}
