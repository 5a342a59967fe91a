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
    /// That of the latest one by this process. The backend may tell of others, and of changes that are none.
    called: AtomicU64,
    /// That of its latest invalidation by which values become stale.
    softened: AtomicU64,
    softened_at: AtomicU64,
}

impl Tag {
    fn new(id: TagId) -> Self {
        let [invalidated, called, softened, softened_at] = [(); 4].map(|()| AtomicU64::new(0));
        Self { id, invalidated, called, softened, softened_at }
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
        let forgotten = self.forgotten.load(Ordering::Acquire);
        Arc::new(Tag { invalidated: forgotten.into(), called: forgotten.into(), ..Tag::new(id) })
    }

    /// Invalidates the values that have this tag.
    pub(crate) fn invalidate(&self, id: TagId) {
        let tag = self.get(id);
        let number = self.changed(&tag);
        tag.called.fetch_max(number, Ordering::AcqRel);
    }

    /// The tag has changed in a backend. Values that were read from there before may not be returned any more.
    pub(crate) fn has_changed(&self, id: TagId) {
        self.changed(&self.get(id));
    }

    fn changed(&self, tag: &Tag) -> u64 {
        interleave();
        // Before the tag's own, so that a body which begins in between comes after it.
        let number = self.newest.fetch_add(1, Ordering::AcqRel) + 1;
        interleave();
        tag.invalidated.fetch_max(number, Ordering::AcqRel);
        number
    }

    /// Declares the values stale that have this tag.
    pub(crate) fn soften(&self, id: TagId, now: Nanos) {
        let tag = self.get(id);
        let number = self.newest.fetch_add(1, Ordering::AcqRel) + 1;
        tag.softened_at.store(now, Ordering::Release);
        tag.softened.fetch_max(number, Ordering::AcqRel);
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
}

/// The tags of a value.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stamps {
    // None for no tags.
    stamps: Option<Arc<[Stamp]>>,
    /// The number of the newest invalidation from before its body began.
    since: u64,
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
    pub(crate) const NONE: Self = Self { stamps: None, since: 0 };

    pub(crate) fn new(stamps: Vec<Stamp>, since: u64) -> Self {
        Self { stamps: (!stamps.is_empty()).then(|| stamps.into()), since }
    }

    /// Those of a value whose tags cannot be made: it is never valid, and neither is one that is built of it.
    pub(crate) fn wrong() -> Self {
        let tag = Tag { invalidated: NEVER_VALID.into(), ..Tag::new(TagId(0)) };
        Self::new(vec![Stamp { tag: Arc::new(tag), generation: None }], 0)
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

    /// Whether one was invalidated after the value's body began, by an invalidation that has not a higher number than this one.
    pub(crate) fn were_invalidated_before(&self, number: u64) -> bool {
        let outdated = |latest: u64| latest > self.since && latest <= number;
        self.as_slice().iter().any(|stamp| outdated(stamp.tag.called.load(Ordering::Acquire)))
    }

    pub(crate) fn since(&self) -> u64 {
        self.since
    }

    /// Whether none was invalidated, in either way.
    #[inline]
    pub(super) fn are_fresh(&self) -> bool {
        self.as_slice().iter().all(|Stamp { tag, .. }| {
            tag.invalidated.load(Ordering::Acquire) <= self.since && tag.softened.load(Ordering::Acquire) <= self.since
        })
    }

    /// Whether one was invalidated.
    pub(crate) fn are_invalid(&self) -> bool {
        self.standing() == Tagged::Invalid
    }

    pub(super) fn standing(&self) -> Tagged {
        let mut standing = Tagged::Valid;
        for Stamp { tag, .. } in self.as_slice() {
            if tag.invalidated.load(Ordering::Acquire) > self.since {
                return Tagged::Invalid;
            }
            if tag.softened.load(Ordering::Acquire) > self.since {
                let at = tag.softened_at.load(Ordering::Acquire);
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
