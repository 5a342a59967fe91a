//! The entries of one function that has a bound of its own, in one shard: which of them goes when there are too many.
//!
//! It is a FIFO with second chances, beside the queues of the shard, which choose among the entries of all functions. An entry that
//! goes leaves its slot behind there.

use std::collections::{HashSet, VecDeque};

use super::table::{AnyTable, Look, MOST_VISITS};
use crate::base::clock::Nanos;

/// The hashes of the entries, oldest first, with some whose entries have left already.
#[derive(Debug, Default)]
pub(super) struct OwnQueue {
    hashes: VecDeque<u64>,
    /// At this length, the hashes of entries that have left are removed.
    sweep_at: usize,
}

impl OwnQueue {
    /// Queues a new entry.
    pub(super) fn push(&mut self, hash: u64, table: &dyn AnyTable) {
        if self.hashes.len() >= self.sweep_at {
            let mut seen = HashSet::new();
            self.hashes.retain(|hash| table.look(*hash).is_some() && seen.insert(*hash));
            self.sweep_at = (self.hashes.len() * 2).max(64);
        }
        self.hashes.push_back(hash);
    }

    /// Removes one entry from `table`, but not the one of `spared`: one that has expired or has not been read lately, if there is one.
    pub(super) fn evict(&mut self, table: &dyn AnyTable, now: Nanos, spared: u64) -> Option<(u64, Look)> {
        // A read that comes meanwhile gives another chance, but not for ever.
        let mut chances = self.hashes.len() * usize::from(MOST_VISITS);
        let mut spared_is_here = false;
        let evicted = loop {
            let Some(hash) = self.hashes.pop_front() else { break None };
            if hash == spared {
                spared_is_here = true;
                continue;
            }
            match table.evict_if(hash, &mut |entry| entry.visits == 0 || entry.ends <= now || chances == 0) {
                Ok(Some(entry)) => break Some((hash, entry)),
                Ok(None) => {}
                Err(entry) => {
                    table.requeue(hash, entry.queue, entry.visits.saturating_sub(1));
                    self.hashes.push_back(hash);
                    chances -= 1;
                }
            }
        };
        if spared_is_here {
            self.hashes.push_back(spared);
        }
        evicted
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.hashes.len()
    }
}
