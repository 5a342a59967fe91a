//! `stale_after`: callers that wait for a new value for a while, and then take the one that may stand in.
//!
//! The body runs in the background, so it goes on when they have stopped waiting.

use super::{
    call::Call,
    found::{Found, Want},
    making::Asks,
    run::Answered,
    value::ValueOf,
};
use crate::{
    base::{clock::nanos, panic::PanicSafe},
    stats::Count,
};

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

    /// A new value in place of the `older` one, if its body ends within the time of `stale_after`.
    pub(crate) async fn newer_than(&self, older: V) -> V {
        // A caller that is cancelled drops it.
        let older = PanicSafe::new(older);
        let limit = self.policy.spans().stale_after.unwrap_or_default().min(self.engine.wait_limit);
        let now = self.engine.clock.coarse();
        let has_ended = self.engine.endings.wait(self.flight_key(), limit, now).await;
        if has_ended && let Ok(found) = self.look_up(Want::Usable, Asks::Value, &mut self.budget()).await {
            if found.verdict.is_stale {
                found.count(self.function);
            } else {
                self.function.counters.increment(Count::Coalesced);
            }
            return found.value;
        }
        self.function.counters.increment(Count::Hit);
        self.function.counters.increment(Count::Stale);
        older.take().expect("it is there until it is taken")
    }
}
