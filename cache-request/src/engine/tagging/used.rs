//! The tags of what a body uses: those of the cached values that it got, and those that it names itself.

use std::{collections::HashMap, sync::Arc};

use super::list::TagList;
use crate::{
    engine::Engine,
    store::tags::{Stamps, TagId},
};

/// The tags of what a body has used so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Used {
    /// Those that it has named.
    named: TagList,
    inherited: HashMap<TagId, (Inherited, Option<u64>)>,
    /// The tags of an older value that the body has asked for.
    older: Vec<TagId>,
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

    /// The body names the tags of another value.
    #[cfg(feature = "http")]
    pub(crate) fn name_all(&mut self, stamps: &Stamps) {
        stamps.as_slice().iter().for_each(|stamp| self.named.add_id(stamp.tag.id));
    }

    /// The body has got a value of a cache.
    pub(crate) fn inherit(&mut self, cache: CacheId, stamps: &Stamps) {
        self.is_wrong |= stamps.is_wrong();
        for stamp in stamps.as_slice() {
            let new = stamp.generation.map_or(Inherited::Unknown, |generation| Inherited::Of { cache, generation });
            // What is made of a stale value is stale.
            let stale_since = stamp.is_softened().then_some(stamp.since);
            self.add(stamp.tag.id, new, stale_since);
        }
    }

    /// The body has run an annotated function without a cache, which has used these.
    pub(crate) fn append(&mut self, other: &Self) {
        self.named.append(&other.named);
        self.is_wrong |= other.is_wrong;
        other.inherited.iter().for_each(|(id, (new, stale_since))| self.add(*id, *new, *stale_since));
    }

    fn add(&mut self, id: TagId, new: Inherited, new_since: Option<u64>) {
        let (known, since) = self.inherited.entry(id).or_insert((new, new_since));
        *known = known.and(new);
        *since = since.iter().chain(&new_since).copied().min();
    }

    /// The body has got the older value that it is to replace, and may make it its answer. What is known of its tags is from before the body.
    pub(crate) fn build_on(&mut self, older: &[TagId]) {
        self.older = older.to_vec();
    }

    pub(super) fn named(&self) -> &TagList {
        &self.named
    }

    pub(super) fn inherited(&self) -> impl Iterator<Item = (TagId, Inherited, Option<u64>)> {
        self.inherited.iter().map(|(id, (inherited, since))| (*id, *inherited, *since))
    }

    pub(super) fn older(&self) -> &[TagId] {
        &self.older
    }

    pub(super) fn is_wrong(&self) -> bool {
        self.is_wrong
    }
}
