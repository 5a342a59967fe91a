//! Which values of a backend are being replaced, and which bodies have failed lately. Values in memory know that themselves.

use std::{
    hash::{BuildHasherDefault, Hash, Hasher},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use dashmap::{DashMap, Entry};

use super::flight::FlightKey;
use crate::{
    base::clock::{Nanos, nanos},
    key::{OwnedKey, PassThrough},
};

/// The latest attempts to replace values.
#[derive(Default)]
pub(crate) struct Attempts {
    latest: DashMap<AttemptKey, Attempt, BuildHasherDefault<PassThrough>>,
    /// With so many, those that are over are removed.
    sweep_at: AtomicUsize,
}

/// One function's key.
#[derive(PartialEq, Eq)]
struct AttemptKey {
    function: u32,
    hash: u64,
    key: OwnedKey,
}

impl From<FlightKey<'_>> for AttemptKey {
    fn from(key: FlightKey<'_>) -> Self {
        Self { function: key.function, hash: key.key.hash, key: key.key.words.into() }
    }
}

impl Hash for AttemptKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

#[derive(Clone, Copy)]
struct Attempt {
    /// Until then, there is no other one.
    until: Nanos,
    has_failed: bool,
}

/// So few are not worth a sweep.
const FEW: usize = 1024;

impl Attempts {
    /// Whether the caller is to replace the value of `key`. The next caller may after `retry`.
    pub(super) fn take(&self, key: FlightKey<'_>, now: Nanos, retry: Duration) -> bool {
        self.sweep(now);
        let attempt = Attempt { until: now.saturating_add(nanos(retry).max(1)), has_failed: false };
        match self.latest.entry(key.into()) {
            Entry::Occupied(entry) if now < entry.get().until => return false,
            Entry::Occupied(mut entry) => _ = entry.insert(attempt),
            Entry::Vacant(entry) => _ = entry.insert(attempt),
        }
        true
    }

    /// The body of `key` has failed. No other one runs for the time of `retry`, if there is a value to stand in.
    pub(super) fn put_off(&self, key: FlightKey<'_>, now: Nanos, retry: Duration) {
        self.sweep(now);
        self.latest.insert(key.into(), Attempt { until: now.saturating_add(nanos(retry)), has_failed: true });
    }

    /// Whether the body of `key` has failed lately.
    pub(super) fn is_put_off(&self, key: FlightKey<'_>, now: Nanos) -> bool {
        self.latest.get(&key.into()).is_some_and(|attempt| attempt.has_failed && now < attempt.until)
    }

    #[cfg(all(test, not(shuttle)))]
    pub(super) fn is_empty(&self) -> bool {
        self.latest.is_empty()
    }

    fn sweep(&self, now: Nanos) {
        if self.latest.len() >= self.sweep_at.load(Relaxed).max(FEW) {
            self.latest.retain(|_, attempt| now < attempt.until);
            self.sweep_at.store(self.latest.len() * 2, Relaxed);
        }
    }
}
