//! Tags of values in this process's memory: which were invalidated, and in which order.
//!
//! A value knows the number of the newest invalidation from before its body began. It is gone once one of its tags has a later one.

use std::{
    hash::BuildHasherDefault,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use dashmap::DashMap;

use crate::{
    base::{clock::Nanos, sync::interleave},
    key::PassThrough,
};

/// A tag's name, as a hash of it. Two names with one hash are invalidated together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TagId(pub(crate) u64);

/// One tag, which is shared by all values that have it.
#[derive(Debug)]
pub(crate) struct Tag {
    pub(crate) id: TagId,
    /// The number of its latest invalidation.
    invalidated: AtomicU64,
    /// The numbers of the latest two by this process. The backend may tell of others, and of changes that are none.
    called: [AtomicU64; 2],
    /// That of its latest invalidation by which values become stale.
    softened: AtomicU64,
    softened_at: AtomicU64,
}

impl Tag {
    /// One whose latest invalidation has this number.
    fn new(id: TagId, number: u64) -> Self {
        let [invalidated, latest, before] = [number; 3].map(AtomicU64::new);
        Self { id, invalidated, called: [latest, before], softened: AtomicU64::new(0), softened_at: AtomicU64::new(0) }
    }
}

/// All tags of a cache.
#[derive(Debug, Default)]
pub(crate) struct Tags {
    /// The number of the newest invalidation of any tag.
    newest: AtomicU64,
    tags: DashMap<u64, Arc<Tag>, BuildHasherDefault<PassThrough>>,
    /// The newest invalidation of the tags that are not known any more.
    forgotten: AtomicU64,
    sweep_at: AtomicUsize,
}

/// So few are not worth a sweep. A model has few.
const FEW: usize = if cfg!(shuttle) { 1 } else { 1024 };

impl Tags {
    /// The number of the newest invalidation. What is computed from now on comes after it.
    pub(crate) fn newest(&self) -> u64 {
        self.newest.load(Ordering::Acquire)
    }

    /// The tag with this id. If values have had it before, and none has now, it may count as invalidated at any time until now.
    pub(crate) fn get(&self, id: TagId) -> Arc<Tag> {
        if let Some(tag) = self.tags.get(&id.0) {
            return Arc::clone(&tag);
        }
        self.sweep();
        Arc::clone(&self.tags.entry(id.0).or_insert_with(|| self.unknown(id)))
    }

    fn unknown(&self, id: TagId) -> Arc<Tag> {
        Arc::new(Tag::new(id, self.forgotten.load(Ordering::Acquire)))
    }

    /// Invalidates the values that have this tag.
    pub(crate) fn invalidate(&self, id: TagId) {
        let tag = self.get(id);
        let number = self.number_for(&tag.invalidated);
        let [latest, before] = &tag.called;
        before.fetch_max(latest.load(Ordering::Acquire), Ordering::AcqRel);
        latest.fetch_max(number, Ordering::AcqRel);
    }

    /// The tag has changed in a backend. Values that were read from there before may not be returned any more.
    pub(crate) fn has_changed(&self, id: TagId) {
        self.number_for(&self.get(id).invalidated);
    }

    /// Declares the values stale that have this tag.
    pub(crate) fn soften(&self, id: TagId, now: Nanos) {
        let tag = self.get(id);
        tag.softened_at.store(now, Ordering::Release);
        self.number_for(&tag.softened);
    }

    /// Gives an invalidation its number, which `place` has from now on.
    fn number_for(&self, place: &AtomicU64) -> u64 {
        interleave();
        // The values of before go first: a body that counts as one after the invalidation may use none of them.
        place.fetch_max(self.newest() + 1, Ordering::AcqRel);
        interleave();
        let number = self.newest.fetch_add(1, Ordering::AcqRel) + 1;
        interleave();
        place.fetch_max(number, Ordering::AcqRel);
        number
    }

    /// Forgets the tags that no value has, if there are many.
    fn sweep(&self) {
        if self.tags.len() < self.sweep_at.load(Ordering::Relaxed).max(FEW) {
            return;
        }
        self.tags.retain(|_, tag| {
            let is_used = Arc::strong_count(tag) > 1;
            if !is_used {
                let latest = tag.invalidated.load(Ordering::Acquire).max(tag.softened.load(Ordering::Acquire));
                self.forgotten.fetch_max(latest, Ordering::AcqRel);
            }
            is_used
        });
        self.sweep_at.store(self.tags.len() * 2, Ordering::Relaxed);
    }
}

/// The number of an invalidation that comes after all others.
const NEVER_VALID: u64 = u64::MAX;

/// One tag of a value.
#[derive(Debug, Clone)]
pub(crate) struct Stamp {
    pub(crate) tag: Arc<Tag>,
    /// The tag's generation in a backend, for a value that comes from there.
    pub(crate) generation: Option<u64>,
    /// The number of the newest invalidation of any tag, from before the body began, or from before that of a stale value which it has used.
    pub(crate) since: u64,
}

impl Stamp {
    /// Whether the value is stale by this tag.
    pub(crate) fn is_softened(&self) -> bool {
        self.tag.softened.load(Ordering::Acquire) > self.since
    }

    #[inline]
    fn is_invalid(&self) -> bool {
        self.tag.invalidated.load(Ordering::Acquire) > self.since
    }

    /// Whether this process has invalidated the tag since then, by an invalidation that has not a higher number than this one. Of more than two
    /// invalidations it cannot tell.
    fn was_invalidated_before(&self, number: u64) -> bool {
        let [latest, before] = self.tag.called.each_ref().map(|called| called.load(Ordering::Acquire));
        before > self.since || (latest > self.since && latest <= number)
    }
}

/// The tags of a value.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stamps {
    // None for no tags.
    stamps: Option<Arc<[Stamp]>>,
}

/// How the tags of a value stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tagged {
    Valid,
    /// One was declared stale, at this moment.
    Stale(Nanos),
    Invalid,
}

impl Stamps {
    pub(crate) const NONE: Self = Self { stamps: None };

    pub(crate) fn new(stamps: Vec<Stamp>) -> Self {
        Self { stamps: (!stamps.is_empty()).then(|| stamps.into()) }
    }

    /// Those of a value whose tags cannot be made: it is never valid, and neither is one that is built of it.
    pub(crate) fn wrong() -> Self {
        let tag = Arc::new(Tag::new(TagId(0), NEVER_VALID));
        Self::new(vec![Stamp { tag, generation: None, since: 0 }])
    }

    pub(crate) fn is_wrong(&self) -> bool {
        self.as_slice().iter().any(|stamp| stamp.tag.invalidated.load(Ordering::Relaxed) == NEVER_VALID)
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.stamps.is_none()
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[Stamp] {
        self.stamps.as_deref().unwrap_or_default()
    }

    /// Whether this process has invalidated one after the value's body began, by an invalidation that has not a higher number than this one. Of
    /// more than two invalidations it cannot tell.
    pub(crate) fn were_invalidated_before(&self, number: u64) -> bool {
        self.as_slice().iter().any(|stamp| stamp.was_invalidated_before(number))
    }

    /// Whether none was invalidated, in either way.
    #[inline]
    pub(super) fn are_fresh(&self) -> bool {
        self.as_slice().iter().all(|stamp| !stamp.is_invalid() && !stamp.is_softened())
    }

    /// Whether one was invalidated.
    pub(crate) fn are_invalid(&self) -> bool {
        self.as_slice().iter().any(Stamp::is_invalid)
    }

    pub(super) fn standing(&self) -> Tagged {
        let mut standing = Tagged::Valid;
        for stamp in self.as_slice() {
            if stamp.is_invalid() {
                return Tagged::Invalid;
            }
            if stamp.is_softened() {
                let at = stamp.tag.softened_at.load(Ordering::Acquire);
                standing = match standing {
                    Tagged::Stale(earlier) => Tagged::Stale(earlier.min(at)),
                    _ => Tagged::Stale(at),
                };
            }
        }
        standing
    }

    /// Bytes on the heap, with each tag's own as if no other value had it.
    pub(super) fn bytes(&self) -> usize {
        const OF_TAG: usize = size_of::<Tag>() + 16 + 2 * (size_of::<(u64, Arc<Tag>)>() + 1);
        self.as_slice().len() * (size_of::<Stamp>() + OF_TAG)
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use super::*;

    fn stamps(tags: &Tags, id: u64, since: u64) -> Stamps {
        Stamps::new(vec![Stamp { tag: tags.get(TagId(id)), generation: None, since }])
    }

    #[test]
    fn a_tag_that_was_forgotten_is_taken_for_valid() {
        let tags = Tags::default();
        let since = tags.newest();
        tags.invalidate(TagId(0));
        // No value has them, so they go with the next sweep.
        (1..=FEW as u64).for_each(|id| tags.invalidate(TagId(id)));
        let late = stamps(&tags, 0, since);
        assert!(tags.tags.len() < FEW, "nothing was swept");
        assert!(late.are_invalid() && late.were_invalidated_before(tags.newest()));
        assert!(!stamps(&tags, 0, tags.newest()).are_invalid(), "a body from now on is not concerned");
    }

    #[test]
    fn a_used_tag_is_forgotten() {
        let tags = Tags::default();
        let used = stamps(&tags, 0, tags.newest());
        (1..=2 * FEW as u64).for_each(|id| tags.invalidate(TagId(id)));
        assert!(!used.are_invalid());
        tags.invalidate(TagId(0));
        assert!(used.are_invalid(), "the value does not know the tag that was invalidated");
    }

    #[test]
    fn of_several_invalidations_the_first_is_overlooked() {
        let tags = Tags::default();
        let value = stamps(&tags, 0, tags.newest());
        assert!(!value.were_invalidated_before(tags.newest()));
        tags.invalidate(TagId(0));
        let joined = tags.newest();
        assert!(value.were_invalidated_before(joined) && !value.were_invalidated_before(joined - 1));
        for _ in 0..3 {
            tags.invalidate(TagId(0));
            assert!(value.were_invalidated_before(joined), "the caller came after the first one");
        }
    }
}
