//! The flights of one call for several keys.

use std::sync::Arc;

use super::pulse::Pulse;

/// What the flights of one call for several keys share. One future runs them, so they have one pulse. One body runs for them, so they have
/// one number where a body waits for another.
pub(crate) struct Group {
    pub(super) number: u64,
    pulse: Option<Arc<Pulse>>,
}

impl Group {
    pub(super) fn new(number: u64, pulse: Option<Arc<Pulse>>) -> Self {
        Self { number, pulse }
    }

    /// What tells whether the call's future is polled. None for a thread that does nothing else.
    pub(crate) fn pulse(&self) -> Option<Arc<Pulse>> {
        self.pulse.clone()
    }
}
