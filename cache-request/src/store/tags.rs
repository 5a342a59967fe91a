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
    /// That of its latest invalidation by which values become stale.
    softened: AtomicU64,
    softened_at: AtomicU64,
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

/// So few are not worth a sweep.
const FEW: usize = 1024;

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
        Arc::new(Tag { id, invalidated: forgotten.into(), softened: 0.into(), softened_at: 0.into() })
    }

    /// Invalidates the values that have this tag.
    pub(crate) fn invalidate(&self, id: TagId) {
        let tag = self.get(id);
        interleave();
        // Before the tag's own, so that a body which begins in between comes after it.
        let number = self.newest.fetch_add(1, Ordering::AcqRel) + 1;
        interleave();
        tag.invalidated.fetch_max(number, Ordering::AcqRel);
    }

    /// Declares the values stale that have this tag.
    pub(crate) fn soften(&self, id: TagId, now: Nanos) {
        let tag = self.get(id);
        let number = self.newest.fetch_add(1, Ordering::AcqRel) + 1;
        tag.softened_at.store(now, Ordering::Release);
        tag.softened.fetch_max(number, Ordering::AcqRel);
    }

    /// Invalidates the values of all tags.
    #[cfg_attr(not(test), expect(dead_code))]
    pub(crate) fn known(&self) -> usize {
        self.tags.len()
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
    stamps: Box<[Stamp]>,
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
    pub(crate) fn new(stamps: impl Into<Box<[Stamp]>>, since: u64) -> Self {
        Self { stamps: stamps.into(), since }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.stamps.is_empty()
    }

    pub(crate) fn as_slice(&self) -> &[Stamp] {
        &self.stamps
    }

    pub(crate) fn since(&self) -> u64 {
        self.since
    }

    /// Whether none was invalidated, in either way.
    #[inline]
    pub(super) fn are_fresh(&self) -> bool {
        self.stamps.iter().all(|Stamp { tag, .. }| {
            tag.invalidated.load(Ordering::Acquire) <= self.since && tag.softened.load(Ordering::Acquire) <= self.since
        })
    }

    /// Whether one was invalidated.
    pub(crate) fn are_invalid(&self) -> bool {
        self.standing() == Tagged::Invalid
    }

    pub(super) fn standing(&self) -> Tagged {
        let mut standing = Tagged::Valid;
        for Stamp { tag, .. } in &self.stamps {
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
        self.stamps.len() * (size_of::<Stamp>() + OF_TAG)
    }
}
