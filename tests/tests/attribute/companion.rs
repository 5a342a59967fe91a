//! The companion of a function: the text of its key, and what its methods do; and the conditions and timeouts that decide
//! what is kept.

use std::{fmt::Debug, time::Duration};

use cache_request::{
    Cache, Clock, Error, MockClock, backend::MemoryBackend, cache_request, client_scope, client_scope_sync, keys,
    scoped, scoped_sync,
};
use futures_lite::future::block_on;
use serde::{Serialize, de::DeserializeOwned};

use crate::support::Count;

fn memory() -> (Cache, MockClock) {
    let clock = Clock::mock();
    (Cache::builder().clock(clock.clone()).build().unwrap(), clock)
}

fn bytes() -> (Cache, MockClock) {
    let clock = Clock::mock();
    let backend = MemoryBackend::builder().clock(clock.clone()).build().unwrap();
    (Cache::builder().backend(backend).clock(clock.clone()).build().unwrap(), clock)
}

/// Runs `test` in a cache of values, and in one of bytes.
fn in_both(test: impl Fn(&MockClock)) {
    for (cache, clock) in [memory(), bytes()] {
        scoped_sync(&cache, || test(&clock));
        assert_eq!(cache.stats().faults(), 0, "{}", cache.stats());
    }
}

static RUNS: Count = Count::new();

mod apart;
mod kept;
mod methods;
mod refusing;
mod sources;
mod texts;
mod traced;
mod whole;
