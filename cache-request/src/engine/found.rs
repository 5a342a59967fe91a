//! What a caller finds in memory or in a backend: how fresh it is, and whether the caller is to replace it.

use std::sync::Arc;

use super::{
    Engine,
    function::Function,
    making::Making,
    source::Source,
    spans::Standing,
    tagging::{CacheId, noted::Noted},
    this_call::{Older, inherit},
    value::Value,
};
use crate::{
    base::{clock::Nanos, panic::PanicSafe, sync::interleave},
    key::Key,
    stats::Count,
    store::{Freshness, tags::Stamps},
};

/// What a reader takes for an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    /// All that may be returned.
    Usable,
    /// The same, and the replacement of what is to be replaced.
    ToReplace,
    /// The same, and what may stand in for longer than that: its reader waits so long for a new value.
    ToAwait(Nanos),
    /// What is not to be replaced.
    Fresh,
}

/// How a value answers its reader.
#[derive(Clone, Copy)]
pub(super) struct Verdict {
    pub(super) is_stale: bool,
    /// The reader replaces it.
    pub(super) is_due: bool,
    /// The reader waits for a new one first.
    pub(super) is_awaited: bool,
}

impl Verdict {
    const FRESH: Self = Self { is_stale: false, is_due: false, is_awaited: false };
    /// A value that another reader replaces, and that may stand in meanwhile.
    pub(super) const AWAITED: Self = Self { is_stale: true, is_due: false, is_awaited: true };
}

/// A value that answers its reader.
pub(super) struct Found<T> {
    pub(super) value: T,
    pub(super) source: Source,
    pub(super) verdict: Verdict,
    /// Its tags.
    pub(super) stamps: Stamps,
}

/// What a caller without an answer knows.
pub(super) struct Miss<V> {
    pub(super) cause: Count,
    /// What may be returned if the body fails.
    pub(super) stand_in: Option<Box<StandIn<V>>>,
    /// What the body may build on.
    pub(super) older: Option<Box<Older>>,
    /// What becomes of the value that it makes.
    pub(super) making: Making,
    /// What it has read of tags.
    pub(super) noted: Noted,
}

/// An older value that may be returned if the body fails.
pub(super) struct StandIn<V> {
    pub(super) value: Arc<PanicSafe<V>>,
    pub(super) stamps: Stamps,
    /// The body may take longer than that.
    pub(super) until: Nanos,
}

impl<V> StandIn<V> {
    /// The value and its tags, unless its time is over `now`, or one of the tags was invalidated.
    pub(super) fn take(self, now: Nanos, clone: impl FnOnce(&V) -> Option<V>) -> Option<(V, Stamps)> {
        let Self { value, stamps, until } = self;
        if now >= until || stamps.are_invalid() {
            return None;
        }
        let value = match Arc::try_unwrap(value) {
            Ok(value) => value.take()?,
            Err(shared) => clone(shared.get()?)?,
        };
        Some((value, stamps))
    }
}

impl<T> Found<T> {
    pub(super) fn coalesced(value: T) -> Self {
        Self { value, source: Source::Coalesced, verdict: Verdict::FRESH, stamps: Stamps::default() }
    }

    pub(super) fn map<U>(self, map: impl FnOnce(T) -> U) -> Found<U> {
        let Self { value, source, verdict, stamps } = self;
        Found { value: map(value), source, verdict, stamps }
    }

    /// Counts a hit, and returns whether it is to be measured, if it was found in memory.
    #[inline]
    pub(super) fn count<V>(&self, function: &Function<V>) -> bool {
        if self.verdict.is_stale {
            function.counters.increment(Count::Stale);
        }
        function.counters.hit()
    }
}

impl<V> From<Count> for Miss<V> {
    fn from(cause: Count) -> Self {
        Self { cause, stand_in: None, older: None, making: Making::Unfenced, noted: Noted::default() }
    }
}

/// Why there is no fresh value.
pub(super) enum NotFresh {
    Absent,
    /// There is a value, and more to do with it than to look at its timeout.
    Due,
}

/// Reads a fresh value from memory, and counts nothing. Returns what `map` makes of a clone of it.
#[inline]
pub(super) fn read_fresh<V: Value, T>(
    engine: &Engine,
    function: &Function<V>,
    key: &Key,
    map: impl FnOnce(V) -> T,
) -> Result<T, NotFresh> {
    interleave();
    let mut answer = Err(NotFresh::Absent);
    // The closure writes the answer in place: returning it through the closures would copy it once more.
    let look = |value: Option<(&V, Option<&Stamps>)>| match value {
        Some((value, stamps)) => {
            if let Some(stamps) = stamps {
                inherit(CacheId::of(engine), stamps);
            }
            function.guard("the value's `Clone`", || answer = Ok(map(value.clone())));
        }
        None => answer = Err(NotFresh::Due),
    };
    function.table.read_fresh(&key.lookup(), || engine.clock.coarse(), look);
    answer
}

/// Reads memory, and counts nothing. Returns what `map` makes of a clone of the value.
#[inline]
pub(super) fn read<V: Value, T>(
    engine: &Engine,
    function: &Function<V>,
    key: &Key,
    want: Want,
    map: impl FnOnce(V) -> T,
) -> Option<Found<T>> {
    interleave();
    let mut answer = None;
    // The closure writes the answer in place: returning it through the closures would copy it once more.
    let look = |value: &V, freshness: Freshness<'_>, stamps: Option<&Stamps>| {
        if let Some(verdict) = want.judge(freshness) {
            let stamps = stamps.cloned().unwrap_or_default();
            inherit(CacheId::of(engine), &stamps);
            let clone = || answer = Some(Found { value: map(value.clone()), source: Source::Memory, verdict, stamps });
            function.guard("the value's `Clone`", clone);
        }
    };
    match want {
        Want::Fresh => function.table.look_closely(&key.lookup(), engine.clock.coarse(), |value, freshness, seen| {
            look(value, freshness, seen.stamps);
        }),
        _ => function.table.read(&key.lookup(), || engine.clock.coarse(), look),
    };
    answer
}

impl Want {
    /// How a value in memory answers. `None` if it does not.
    #[inline]
    pub(super) fn judge(self, freshness: Freshness<'_>) -> Option<Verdict> {
        if let Freshness::Fresh = freshness { Some(Verdict::FRESH) } else { self.judge_closely(freshness) }
    }

    #[inline(never)]
    fn judge_closely(self, freshness: Freshness<'_>) -> Option<Verdict> {
        let (standing, replacement) = match freshness {
            Freshness::Fresh => return Some(Verdict::FRESH),
            Freshness::Expired => return None,
            Freshness::Early(replacement) => (Standing::Early, replacement),
            Freshness::Stale(replacement) => (Standing::Stale, replacement),
            Freshness::StandIn(replacement) => (Standing::StandIn, replacement),
        };
        self.answers(standing, replacement.left(), || replacement.take(), || replacement.is_put_off())
    }

    /// How a value answers that may stand in for the time that is `left`. `takes` tells whether the reader replaces it, and `is_put_off` whether its body has failed lately.
    pub(super) fn answers(
        self,
        standing: Standing,
        left: Nanos,
        takes: impl FnOnce() -> bool,
        is_put_off: impl FnOnce() -> bool,
    ) -> Option<Verdict> {
        let replaces = matches!(self, Self::ToReplace | Self::ToAwait(_));
        let (is_awaited, may_take) = match (standing, self) {
            (Standing::Fresh, _) => (false, false),
            (_, Self::Fresh) => return None,
            (Standing::Early | Standing::Stale, _) => (false, replaces),
            (Standing::StandIn, _) if is_put_off() => (false, false),
            (Standing::StandIn, Self::ToAwait(limit)) if limit < left => (true, true),
            (Standing::StandIn, _) => return None,
        };
        let is_stale = matches!(standing, Standing::Stale | Standing::StandIn);
        Some(Verdict { is_stale, is_due: may_take && takes(), is_awaited })
    }
}
