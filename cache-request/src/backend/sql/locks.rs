//! Locks on keys, by which the writes of one process to one key happen in the order of the calls.
//!
//! A caller that gives up may leave a statement behind that is already running. The lock makes later writes to the same key
//! wait for it.

use std::{collections::BTreeSet, hash::BuildHasher};

use foldhash::fast::FixedState;
use tokio::sync::{Mutex, MutexGuard};

const STRIPES: usize = 64;

/// One mutex for each stripe of keys.
pub(super) struct KeyLocks([Mutex<()>; STRIPES]);

/// The stripes of some keys.
pub(super) type Stripes = BTreeSet<usize>;

impl KeyLocks {
    pub(super) fn new() -> Self {
        Self([const { Mutex::const_new(()) }; STRIPES])
    }

    pub(super) fn stripes<'k>(keys: impl IntoIterator<Item = &'k str>) -> Stripes {
        keys.into_iter().map(|key| FixedState::default().hash_one(key) as usize % STRIPES).collect()
    }

    pub(super) fn all_stripes() -> Stripes {
        (0..STRIPES).collect()
    }

    /// Waits for the locks. They are taken in ascending order, so that two calls never deadlock.
    pub(super) async fn lock(&self, stripes: &Stripes) -> Vec<MutexGuard<'_, ()>> {
        let mut guards = Vec::with_capacity(stripes.len());
        for stripe in stripes {
            guards.push(self.0[*stripe].lock().await);
        }
        guards
    }
}
