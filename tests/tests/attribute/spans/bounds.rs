//! `max_refreshes`: how many bodies run in the background.

use std::{thread, time::Duration};

use cache_request::{Cache, CacheBuilder, Clock, MockClock, backend::MemoryBackend, cache_request, scoped_sync};

use super::seconds;
use crate::support::{Count, Gate, ends};

/// A cache in memory, and one in front of a backend.
fn bounded(bodies: u64) -> [(&'static str, Cache, MockClock); 2] {
    let on = |name, set: fn(CacheBuilder, &MockClock) -> CacheBuilder| {
        let clock = Clock::mock();
        let cache = set(Cache::builder().clock(&clock).max_refreshes(bodies), &clock).build().unwrap();
        (name, cache, clock)
    };
    [
        on("memory", |builder, _| builder),
        on("backend", |builder, clock| builder.backend(MemoryBackend::builder().clock(clock).build().unwrap())),
    ]
}

#[test]
fn more_bodies_ran_in_the_background_than_may() {
    static BODIES: Count = Count::new();
    static GATES: [Gate; 2] = [const { Gate::new() }; 2];

    #[cache_request(timeout = 10, stale = 600, retry = "1ms")]
    fn version(cache: usize, number: u32) -> u32 {
        let _ = number;
        // The first three of each cache are in the foreground, and the next two wait.
        let body = (BODIES.next() - 1) % 6;
        if matches!(body, 3 | 4) {
            GATES[cache].wait();
        }
        body
    }

    ends(|| {
        for (number, (name, cache, clock)) in bounded(2).into_iter().enumerate() {
            scoped_sync(&cache, || {
                let all = || [0, 1, 2].map(|key| version(number, key));
                let stats = || cache.stats().functions.swap_remove(0);
                assert_eq!(all(), [0, 1, 2], "{name}");
                clock.advance(seconds(10));
                assert_eq!(all(), [0, 1, 2], "{name}: none waits");
                let begun = u32::try_from(number).unwrap() * 6 + 5;
                BODIES.reaches(begun);
                assert_eq!(stats().refreshes_refused, 1, "{name}");
                // The next attempt.
                let is_refused = || {
                    clock.advance(Duration::from_millis(1));
                    let refused = stats().refreshes_refused;
                    assert_eq!(version(number, 2), 2, "{name}: the value stays as it is");
                    stats().refreshes_refused > refused
                };
                assert!(is_refused(), "{name}: there is still no room");
                assert_eq!((BODIES.get(), stats().refreshes), (begun, 2), "{name}: two run");
                GATES[number].open();
                // Those two end at some time.
                while is_refused() {
                    thread::yield_now();
                }
                cache.shutdown_sync();
                assert_eq!(version(number, 2), 5, "{name}: it begins once there is room");
                assert_eq!((BODIES.get(), stats().refreshes), (begun + 1, 3), "{name}");
            });
        }
    });
}
