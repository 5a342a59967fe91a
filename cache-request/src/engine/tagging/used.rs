//! The tags of what a body uses: those of the cached values that it got, and those that it names itself.

use std::{collections::HashMap, sync::Arc};

use super::list::TagList;
use crate::{
    engine::Engine,
    store::tags::{Stamp, Stamps, TagId},
};

/// The tags of what a body has used so far.
#[derive(Debug, Default)]
pub(crate) struct Used {
    /// Those that it has named.
    named: TagList,
    inherited: HashMap<TagId, Inherited>,
    /// Stale values are from before a later invalidation.
    stale_since: Option<u64>,
    /// It has used a value that must not be kept.
    is_wrong: bool,
}

/// What is known of a tag that a body has inherited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inherited {
    /// It is one of this cache, in the generation that all its values have had.
    Of { cache: CacheId, generation: u64 },
    /// Only that it is there. Its values are of another cache, or in this process's memory.
    Unknown,
    /// It was invalidated between two of its values.
    Changed,
}

/// Tells caches apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CacheId(pub(super) usize);

impl CacheId {
    pub(crate) fn of(engine: &Engine) -> Self {
        Self(Arc::as_ptr(&engine.tags).addr())
    }
}

impl Inherited {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Changed, _) | (_, Self::Changed) => Self::Changed,
            (Self::Of { .. }, Self::Of { .. }) if self == other => self,
            (Self::Of { cache, .. }, Self::Of { cache: other, .. }) if cache == other => Self::Changed,
            _ => Self::Unknown,
        }
    }
}

impl Used {
    /// The body names a tag.
    pub(crate) fn name(&mut self, tag: &str) {
        self.named.add_name(tag);
    }

    /// The body has got a value of a cache.
    pub(crate) fn inherit(&mut self, cache: CacheId, stamps: &Stamps, is_stale: bool) {
        self.is_wrong |= stamps.is_wrong();
        if is_stale {
            self.stale_since = Some(self.stale_since.map_or(stamps.since(), |since| since.min(stamps.since())));
        }
        for Stamp { tag, generation } in stamps.as_slice() {
            let new = generation.map_or(Inherited::Unknown, |generation| Inherited::Of { cache, generation });
            self.inherited.entry(tag.id).and_modify(|known| *known = known.and(new)).or_insert(new);
        }
    }

    /// The body has run an annotated function without a cache, which has used these.
    pub(crate) fn append(&mut self, other: &Self) {
        self.named.append(&other.named);
        self.is_wrong |= other.is_wrong;
        self.stale_since = self.stale_since.into_iter().chain(other.stale_since).min();
        for (id, new) in &other.inherited {
            self.inherited.entry(*id).and_modify(|known| *known = known.and(*new)).or_insert(*new);
        }
    }

    pub(super) fn named(&self) -> &TagList {
        &self.named
    }

    pub(super) fn inherited(&self) -> impl Iterator<Item = (TagId, Inherited)> {
        self.inherited.iter().map(|(id, inherited)| (*id, *inherited))
    }

    pub(super) fn stale_since(&self) -> Option<u64> {
        self.stale_since
    }

    pub(super) fn is_wrong(&self) -> bool {
        self.is_wrong
    }
}
