//! What a look at one cached value tells.

use std::time::Duration;

use super::{
    call::Call, found::Want, policy::Codec, reading::Stored, source::Source, tagging::noted::Noted, this_call::inherit,
    value::ValueOf,
};
use crate::{
    backend::Guarded,
    base::{
        clock::{NEVER, Nanos, unix_millis},
        panic::PanicSafe,
    },
    codec::FOREVER,
    store::{Freshness, Seen},
};

/// A cached answer, with its times: what a handle's `lookup` returns.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Looked<R> {
    /// What a call would return.
    pub answer: R,
    /// How long ago it was stored, to a few milliseconds. `None` for a value in memory that may only be fresh or gone, if its timeout is
    /// `never`, is computed, or has `jitter`: memory knows when it ends.
    pub age: Option<Duration>,
    /// How long it is fresh, zero if it is stale. `None` if it is for ever.
    pub left: Option<Duration>,
    /// Its timeout is over, or it was invalidated softly, and it may be returned all the same.
    pub is_stale: bool,
    /// Where it is kept.
    pub source: Source,
}

impl<R, V: ValueOf<R>> Call<'_, R, V> {
    /// The answer, if the cache has one, with its times. In front of a backend, the near cache is not asked, as it knows no times. Counts
    /// only faults.
    pub(crate) async fn inspect(&self) -> Option<Looked<R>> {
        match self.backend().zip(self.policy.codec()) {
            None => self.inspect_memory(),
            Some((backend, codec)) => self.inspect_backend(backend, codec).await,
        }
    }

    fn inspect_memory(&self) -> Option<Looked<R>> {
        let now = self.engine.clock.coarse();
        let between = |from: Nanos, to: Nanos| Duration::from_nanos(to.saturating_sub(from));
        let look = |value: &V, freshness: Freshness<'_>, Seen { moments, stamps }: Seen<'_>| {
            stamps.into_iter().for_each(|stamps| inherit(self.cache_id(), stamps));
            let is_stale = Want::Usable.judge(freshness)?.is_stale;
            Some((self.clone_of(value)?, is_stale, moments))
        };
        let (value, is_stale, moments) = self.function.table.look_closely(&self.lookup(), now, look)??;
        let left = (moments.fresh_until != NEVER).then(|| between(now, moments.fresh_until));
        let age = moments.age(now, self.policy.fixed_timeout(&value));
        Some(Looked { answer: value.into_answer(), age, left, is_stale, source: Source::Memory })
    }

    async fn inspect_backend(&self, backend: &Guarded, codec: &Codec<V>) -> Option<Looked<R>> {
        let mut budget = self.budget();
        let here = backend.ready_to_read(&mut budget).map_err(|error| self.not_read(&error)).ok()?;
        let text = self.text(backend);
        let (mut noted, since) = (Noted::default(), self.engine.tags.newest());
        let bytes = self.get_with_tags((backend, here), &text, &mut noted, &mut budget).await;
        let bytes = bytes.map_err(|error| self.not_read(&error)).ok()??;
        self.note_those_of([&*bytes], &mut noted, &mut budget).await;
        let now = unix_millis(self.engine.clock.wall());
        let Stored { value, facts, standing, idle } = self.stored_in(codec, &bytes, &text, &noted, now).ok()?;
        let is_stale = self.judge(Want::Usable, standing, self.policy.spans().left(&facts, now))?.is_stale;
        inherit(self.cache_id(), &self.stored_stamps(&facts.tags, since));
        let between = |from: u64, to: u64| Duration::from_millis(to.saturating_sub(from));
        let left = (facts.fresh_until != FOREVER).then(|| between(now, facts.fresh_until));
        let age = Some(between(facts.stored, now));
        // A look is a read, as in memory. A caller that is cancelled drops the value.
        let value = PanicSafe::new(value);
        if let Some(keep) = idle.touch {
            self.touch(backend, &text, keep, &mut budget).await;
        }
        Some(Looked { answer: value.take()?.into_answer(), age, left, is_stale, source: Source::Backend })
    }
}
