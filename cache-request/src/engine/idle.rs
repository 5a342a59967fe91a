//! `idle` in a backend. A value is stored for its idle time, and a reader prolongs that with a touch when half of it is over.
//!
//! The envelope stays as it was, so a touch never lets a value live for longer than that says.

use std::time::Duration;

use super::{call::Call, flight::FlightKey, touches::Touches, value::ValueOf};
use crate::{
    ErrorKind,
    backend::{Guarded, TimeBudget},
    base::clock::{NEVER, Nanos, nanos},
    codec::{FOREVER, Facts},
};

/// How the idle time of a value goes on that was read from a backend.
#[derive(Clone, Copy)]
pub(super) struct Idle {
    /// How long the backend is to keep the value from now on, if this reader is to touch it.
    pub(super) touch: Option<Duration>,
    /// When the next touch is due, or may be. A near copy ends then, so that a value which is read a lot is read in the backend in time.
    ///
    /// All processes read it at about the same time then, as their touches make servers tell near caches of a change. That is as it should be:
    /// if the moments were spread, each touch would empty all near caches at another time.
    pub(super) next: Nanos,
}

impl<R, V: ValueOf<R>> Call<'_, R, V> {
    /// How the idle time goes on of a value that was read at `now`, in milliseconds since 1970.
    pub(super) fn idle_of(&self, value: &V, facts: &Facts<'_>, now: u64) -> Idle {
        let idle = self.policy.spans().idle.filter(|_| !self.policy.is_err(value));
        let Some(idle) = idle else { return Idle { touch: None, next: NEVER } };
        let (half, clock) = (nanos(idle) / 2, self.engine.clock.coarse());
        let left = match facts.end() {
            FOREVER => idle,
            end => Duration::from_millis(end.saturating_sub(now)),
        };
        // The backend keeps it for the rest of its life as it is, or for most of that. A touch could come after a newer value, and end that early.
        if nanos(left) < half {
            return Idle { touch: None, next: NEVER };
        }
        let age = nanos(Duration::from_millis(now.saturating_sub(facts.stored)));
        // By the clock of its writer, it may be older than that.
        if age < half && facts.stored <= now {
            return Idle { touch: None, next: clock.saturating_add(half - age) };
        }
        let later = clock.saturating_add(half);
        // A breaker that keeps writes away is no reason to ask nothing more of the backend.
        if !self.backend().is_some_and(|backend| backend.takes_writes()) {
            return Idle { touch: None, next: later };
        }
        match self.engine.touches.take(self.flight_key(), half, clock) {
            // A touch for no time would remove it.
            Ok(()) => Idle { touch: Some(idle.min(left)).filter(|left| !left.is_zero()), next: later },
            Err(until) => Idle { touch: None, next: until },
        }
    }

    /// Lets the backend keep a value for so long from now on. It ends when it would have, if that fails.
    pub(super) async fn touch(&self, backend: &Guarded, text: &str, keep: Duration, budget: &mut TimeBudget) {
        let mut sent = Sent { touches: &self.engine.touches, key: self.flight_key(), has_arrived: false };
        match backend.touch(text, Some(keep), budget).await {
            Ok(_) => sent.has_arrived = true,
            // Its values last for the idle time, however often they are read.
            Err(error) if error.kind() == ErrorKind::Unsupported => sent.has_arrived = true,
            Err(error) => self.function.fault("a value that is read could not be kept for longer", &error),
        }
    }

    /// The value is not touched after all.
    pub(super) fn touches_not(&self) {
        self.engine.touches.forget(self.flight_key());
    }
}

/// A touch on its way. If it does not arrive, the next reader touches the value.
struct Sent<'a> {
    touches: &'a Touches,
    key: FlightKey<'a>,
    has_arrived: bool,
}

impl Drop for Sent<'_> {
    fn drop(&mut self) {
        if !self.has_arrived {
            self.touches.forget(self.key);
        }
    }
}
