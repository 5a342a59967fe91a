//! The queues of one shard: which entry goes when room is needed.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};

use super::table::{AnyTable, Look, Queue};
use crate::base::clock::Nanos;

/// A place in a queue: names an entry, or one that has left since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Slot {
    pub(crate) hash: u64,
    pub(crate) table: u32,
}

/// Why an entry left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RemovalCause {
    Evicted,
    Invalidated,
}

/// The small queue's share of the shard: one part in so many.
///
/// Measured on traces of a million keys with room for a tenth, see `traces.rs`: 20 finds half a percent more than 10, with
/// scans in between and without; 50 finds no more to speak of, and leaves a small cache no queue.
const SMALL_SHARE: usize = 20;

#[derive(Debug, Default)]
pub(super) struct Shard {
    small: Fifo,
    main: Fifo,
    ghosts: Ghosts,
    /// Slots whose entry was removed from outside the queues.
    stale: usize,
}

#[derive(Debug, Default)]
struct Fifo {
    slots: VecDeque<Slot>,
    weight: usize,
}

impl Shard {
    /// Where a new entry begins.
    pub(super) fn queue_for(&self, slot: Slot) -> Queue {
        match self.ghosts.recall(slot) {
            Some(RemovalCause::Evicted) => Queue::Main,
            Some(RemovalCause::Invalidated) | None => Queue::Small,
        }
    }

    /// Queues a new entry.
    pub(super) fn admit(&mut self, slot: Slot, queue: Queue, weight: u32) {
        self.queue(queue).push(slot, weight);
    }

    /// An entry's weight has changed.
    pub(super) fn reweigh(&mut self, queue: Queue, from: u32, to: u32) {
        let queue = self.queue(queue);
        queue.weight = queue.weight + to as usize - from as usize;
    }

    /// An entry has left by itself; its slot stays behind.
    pub(super) fn left(&mut self, slot: Slot, look: Look, cause: RemovalCause) {
        self.queue(look.queue).weight -= look.weight as usize;
        self.remember(slot, cause);
        self.stale += 1;
    }

    pub(super) fn removal_cause(&self, slot: Slot) -> Option<RemovalCause> {
        self.ghosts.recall(slot)
    }

    /// Evicts one entry and returns its weight, or `None` if there is none but `spared`.
    pub(super) fn evict(
        &mut self,
        tables: &[Arc<dyn AnyTable>],
        now: Nanos,
        spared: Option<Slot>,
        cause: RemovalCause,
    ) -> Option<u32> {
        // Out of the way, lest it come round again and again.
        let mut held = None;
        let evicted = loop {
            let small_is_full = self.small.weight * SMALL_SHARE >= self.small.weight + self.main.weight;
            let from = if self.main.slots.is_empty() || (small_is_full && !self.small.slots.is_empty()) {
                Queue::Small
            } else {
                Queue::Main
            };
            let Some(slot) = self.queue(from).slots.pop_front() else { break None };
            let table = &tables[slot.table as usize];
            let is_spared = Some(slot) == spared;
            let mut goes =
                |entry: Look| entry.queue == from && !is_spared && (entry.visits == 0 || entry.expires <= now);
            match table.evict_if(slot.hash, &mut goes) {
                Ok(Some(entry)) => {
                    self.queue(from).weight -= entry.weight as usize;
                    self.remember(slot, cause);
                    break Some(entry.weight);
                }
                Err(entry) if entry.queue != from => self.stale = self.stale.saturating_sub(1),
                Ok(None) => self.stale = self.stale.saturating_sub(1),
                Err(_) if is_spared => held = Some(from),
                Err(entry) => {
                    self.queue(from).weight -= entry.weight as usize;
                    let visits = if from == Queue::Main { entry.visits - 1 } else { 0 };
                    table.requeue(slot.hash, Queue::Main, visits);
                    self.main.push(slot, entry.weight);
                }
            }
        };
        if let Some((queue, slot)) = held.zip(spared) {
            self.queue(queue).slots.push_back(slot);
        }
        evicted
    }

    fn remember(&mut self, slot: Slot, cause: RemovalCause) {
        self.ghosts.remember(slot, cause, self.small.slots.len() + self.main.slots.len());
    }

    /// Whether sweeping would at least halve the queues.
    pub(super) fn is_mostly_stale(&self) -> bool {
        self.stale > 64 && self.stale * 2 > self.small.slots.len() + self.main.slots.len()
    }

    /// Drops the slots whose entries have left, and second slots of one entry.
    pub(super) fn sweep(&mut self, tables: &[Arc<dyn AnyTable>]) {
        let mut seen = HashSet::new();
        for (queue, fifo) in [(Queue::Small, &mut self.small), (Queue::Main, &mut self.main)] {
            fifo.slots.retain(|slot| {
                let lives = tables[slot.table as usize].look(slot.hash).is_some_and(|entry| entry.queue == queue);
                lives && seen.insert(*slot)
            });
        }
        self.stale = 0;
    }

    #[cfg(test)]
    pub(super) fn weight(&self) -> usize {
        self.small.weight + self.main.weight
    }

    #[cfg(test)]
    pub(super) fn slots(&self) -> usize {
        self.small.slots.len() + self.main.slots.len()
    }

    fn queue(&mut self, queue: Queue) -> &mut Fifo {
        match queue {
            Queue::Small => &mut self.small,
            Queue::Main => &mut self.main,
        }
    }
}

impl Fifo {
    fn push(&mut self, slot: Slot, weight: u32) {
        if self.slots.len() == self.slots.capacity() {
            // Doubling would leave up to half of it empty: at a million entries that is eight bytes an entry.
            self.slots.reserve_exact(self.slots.len() / 8 + 16);
        }
        self.slots.push_back(slot);
        self.weight += weight as usize;
    }
}

/// Keys that have left not long ago, with the reason: one place a fingerprint, the later one wins.
///
/// There are between one and two places an entry. More would find more keys again after a scan, and fewer of the popular
/// ones, as too much gets into the main queue at once.
#[derive(Debug, Default)]
struct Ghosts {
    fingerprints: Vec<u32>,
}

/// The lowest bit of a fingerprint tells the reason.
const INVALIDATED: u32 = 1;

impl Ghosts {
    /// Remembers about as many as the shard has entries.
    fn remember(&mut self, slot: Slot, cause: RemovalCause, entries: usize) {
        if self.fingerprints.len() < entries.max(64) {
            // Those of before are not worth finding their places anew: a shard that grows evicts nothing.
            self.fingerprints = vec![0; entries.max(64).next_power_of_two()];
        }
        let reason = if cause == RemovalCause::Invalidated { INVALIDATED } else { 0 };
        let (place, fingerprint) = self.place(slot);
        self.fingerprints[place] = fingerprint | reason;
    }

    fn recall(&self, slot: Slot) -> Option<RemovalCause> {
        let (place, wanted) = self.place(slot);
        let found = *self.fingerprints.get(place)?;
        if found & !INVALIDATED != wanted {
            return None;
        }
        Some(if found & INVALIDATED == 0 { RemovalCause::Evicted } else { RemovalCause::Invalidated })
    }

    /// Where the fingerprint of `slot` is, and what it is: never zero, which marks an empty place, and with the lowest bit
    /// free.
    fn place(&self, slot: Slot) -> (usize, u32) {
        let mixed = slot.hash ^ u64::from(slot.table).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let place = mixed as usize & self.fingerprints.len().wrapping_sub(1);
        (place, (mixed >> 32) as u32 & !INVALIDATED | 2)
    }
}
