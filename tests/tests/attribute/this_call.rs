//! What a body asks of its call and says to it, by `this_call`.

mod answers;
mod older;
mod places;
mod reasons;

use std::{sync::Mutex, time::Duration};

use cache_request::{Cache, Clock, MockClock, Reason, backend::MemoryBackend, this_call};

/// A cache in memory, and one in front of a backend, with their clocks.
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

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Why the bodies of one function ran.
struct Reasons(Mutex<Vec<Reason>>);

impl Reasons {
    const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    fn note(&self) {
        self.0.lock().unwrap().push(this_call().reason());
    }

    /// Those since the last look.
    fn take(&self) -> Vec<Reason> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}
