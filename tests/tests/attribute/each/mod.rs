//! Lists, of which each element is a key.

mod backends;
mod calls;
mod companion;
mod flights;
mod forms;
mod model;
mod own_say;
mod sharing;
mod values;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use cache_request::{Cache, Clock, MockClock, backend::MemoryBackend};

/// What bodies were asked for.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<Vec<u64>>>>);

impl Asked {
    fn note(&self, ids: &[u64]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(ids.to_vec());
    }

    /// What bodies were asked for since the last look.
    fn take(&self) -> Vec<Vec<u64>> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A cache in memory, one in front of a backend, and one with a near cache, with their clocks.
fn caches() -> Vec<(&'static str, Cache, MockClock)> {
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
