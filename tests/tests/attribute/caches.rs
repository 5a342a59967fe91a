//! The caches that most behaviours have to hold in.

use std::time::Duration;

use cache_request::{Cache, Clock, MockClock, backend::MemoryBackend};

/// A cache in memory, one in front of a backend, and one with a near cache, with their clocks.
pub(crate) fn caches() -> Vec<(&'static str, Cache, MockClock)> {
    let with = |name, near: bool, has_backend: bool| {
        let clock = Clock::mock();
        let mut builder = Cache::builder().clock(&clock).wait_limit(Duration::MAX);
        if has_backend {
            builder = builder.backend(MemoryBackend::builder().clock(&clock).build().unwrap());
        }
        if near {
            builder = builder.near_timeout(Duration::from_secs(3600));
        }
        (name, builder.build().unwrap(), clock)
    };
    vec![with("memory", false, false), with("backend", false, true), with("near", true, true)]
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
