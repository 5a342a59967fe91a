//! Which keys are being removed. A value that is made of the one before, such as a list that grows, must not be made of one that is
//! about to go: fences stop only those who began before the removal.

use std::{
    ops::Range,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
};

/// So many groups of keys are told apart.
const GROUPS: usize = 64;

/// The removals under way.
pub(crate) struct Removals([AtomicUsize; GROUPS]);

impl Removals {
    pub(crate) fn new() -> Self {
        Self([const { AtomicUsize::new(0) }; GROUPS])
    }

    /// Begins to remove a key with this hash.
    pub(crate) fn begin(&self, hash: u64) -> Removal<'_> {
        let group = group(hash);
        self.begin_groups(group..group + 1)
    }

    /// Begins to remove all keys.
    pub(crate) fn begin_all(&self) -> Removal<'_> {
        self.begin_groups(0..GROUPS)
    }

    fn begin_groups(&self, groups: Range<usize>) -> Removal<'_> {
        for group in &self.0[groups.clone()] {
            group.fetch_add(1, SeqCst);
        }
        Removal { removals: self, groups }
    }

    /// Whether a key with this hash may be being removed. A few others may make it so.
    #[cfg(feature = "http")]
    pub(crate) fn is_under_way(&self, hash: u64) -> bool {
        self.0[group(hash)].load(SeqCst) > 0
    }
}

fn group(hash: u64) -> usize {
    (hash % GROUPS as u64) as usize
}

/// A removal, which ends when this is dropped.
pub(crate) struct Removal<'a> {
    removals: &'a Removals,
    groups: Range<usize>,
}

impl Drop for Removal<'_> {
    fn drop(&mut self) {
        for group in &self.removals.0[self.groups.clone()] {
            group.fetch_sub(1, SeqCst);
        }
    }
}
