//! `stale_after`: callers that wait for a new value for a while, and then take the one that may stand in.
//!
//! The body runs in the background, so it goes on when they have stopped waiting. The older value is not held meanwhile: its time may end, and it
//! may be invalidated.

use super::{
    call::Call,
    found::{Found, Want},
    making::Asks,
    run::Answered,
    this_call::inherit,
    value::ValueOf,
};
use crate::{base::clock::nanos, stats::Count};

impl<R, V: ValueOf<R>> Call<'_, R, V> {
    /// What a caller takes that has its body run in the background.
    pub(super) fn want_in_background(&self) -> Want {
        self.policy.spans().stale_after.map_or(Want::ToReplace, |limit| Want::ToAwait(nanos(limit)))
    }

    /// A value in memory that may stand in for a body which is awaited for a while. With a backend, that has to be asked first.
    pub(crate) fn find_awaited(&self) -> Option<Answered<R>> {
        if self.backend().is_some() {
            return None;
        }
        let found = self.read_memory(self.want_in_background())?;
        self.count_or_announce(&found);
        Some(found.map(V::into_answer).into())
    }

    /// Counts a hit. A value that is awaited is none yet: if it is for this caller to replace it, others may wait for that from now on.
    pub(super) fn count_or_announce(&self, found: &Found<V>) {
        if !found.verdict.is_awaited {
            found.count(self.function);
        } else if found.verdict.is_due {
            let now = self.engine.clock.coarse();
            let until = now.saturating_add(nanos(self.engine.wait_limit));
            self.engine.endings.announce(self.flight_key(), until, now);
        }
    }

    /// The body that replaces the value has ended.
    pub(crate) fn announced_has_ended(&self) {
        if self.policy.spans().stale_after.is_some() {
            self.engine.endings.end(self.flight_key());
        }
    }

    /// Waits for the body that replaces a value, for the time of `stale_after` at most, and returns what there is then: the new value, or the
    /// older one. `None` if there is neither: the older one's time is over, or it was invalidated, or the backend cannot be asked.
    pub(crate) async fn after_waiting(&self) -> Option<V> {
        let limit = self.policy.spans().stale_after.unwrap_or_default().min(self.engine.wait_limit);
        let now = self.engine.clock.coarse();
        let has_ended = self.engine.endings.wait(self.flight_key(), limit, now).await;
        match self.look_up(Want::Usable, Asks::Value, &mut self.budget()).await {
            Ok(found) if has_ended && !found.verdict.is_stale => {
                self.function.counters.increment(Count::Coalesced);
                Some(found.value)
            }
            Ok(found) => {
                found.count(self.function);
                Some(found.value)
            }
            Err(miss) => {
                let (older, stamps) = miss.stand_in?.take(self.engine.clock.coarse(), |older| self.clone_of(older))?;
                inherit(self.cache_id(), &stamps);
                self.function.counters.increment(Count::Hit);
                self.function.counters.increment(Count::Stale);
                Some(older)
            }
        }
    }
}
