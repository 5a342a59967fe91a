//! Which values of a backend are being replaced, and which bodies have failed lately. Values in memory know that themselves.

use std::time::Duration;

use super::{by_key::ByKey, flight::FlightKey};
use crate::base::clock::{Nanos, nanos};

/// The latest attempts to replace values.
#[derive(Default)]
pub(crate) struct Attempts(ByKey<Outcome>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Unknown,
    Failed,
}

impl Attempts {
    /// Whether the caller is to replace the value of `key`. The next caller may after `retry`.
    pub(super) fn take(&self, key: FlightKey<'_>, now: Nanos, retry: Duration) -> bool {
        self.0.put_if_none(key, Outcome::Unknown, now.saturating_add(nanos(retry).max(1)), now)
    }

    /// The body of `key` has failed. No other one runs for the time of `retry`, if there is a value to stand in.
    pub(super) fn put_off(&self, key: FlightKey<'_>, now: Nanos, retry: Duration) {
        self.0.put(key, Outcome::Failed, now.saturating_add(nanos(retry)), now);
    }

    /// Whether the body of `key` has failed lately.
    pub(super) fn is_put_off(&self, key: FlightKey<'_>, now: Nanos) -> bool {
        self.0.get(key, || now).is_some_and(|(outcome, _)| outcome == Outcome::Failed)
    }

    #[cfg(all(test, not(shuttle)))]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
