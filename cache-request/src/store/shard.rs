//! The queues of one shard, which choose the entry to evict.

use std::collections::{HashMap, HashSet, VecDeque};

use super::{
    own_queue::OwnQueue,
    table::{AnyTable, Look, MOST_VISITS, Queue},
    tables::Tables,
};
use crate::base::clock::Nanos;

/// A queue's reference to an entry, which may have been removed since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Slot {
    pub(crate) hash: u64,
    pub(crate) table: u32,
}

/// Why an entry was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RemovalCause {
    Evicted,
    Invalidated,
}

/// The small queue gets one part in this many of the shard.
///
/// Measured on traces of a million keys with room for a tenth of them, see `traces.rs`: 20 gives half a percent more
/// hits than 10, with and without scans. 50 gives hardly more, and leaves a small cache no queue.
const SMALL_SHARE: usize = 20;

#[derive(Debug, Default)]
pub(super) struct Shard {
    small: Fifo,
    main: Fifo,
    ghosts: Ghosts,
    /// The entries of each table that has a limit of its own.
    own: HashMap<u32, OwnQueue>,
    /// Slots whose entries were removed without the queues.
    stale: usize,
}

#[derive(Debug, Default)]
struct Fifo {
    slots: VecDeque<Slot>,
    weight: usize,
}

impl Shard {
    /// The queue in which a new entry starts.
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

    /// Queues a new entry of a table that has a limit of its own among the entries of that table.
    pub(super) fn admit_own(&mut self, slot: Slot, table: &dyn AnyTable) {
        self.own.entry(slot.table).or_default().push(slot.hash, table);
    }

    /// Removes one entry from the table of `spared`, but not that one. Its slot stays behind: the caller notes it as
    /// [`left`](Self::left).
    pub(super) fn evict_own(&mut self, table: &dyn AnyTable, now: Nanos, spared: Slot) -> Option<(Slot, Look)> {
        let (hash, removed) = self.own.get_mut(&spared.table)?.evict(table, now, spared.hash)?;
        Some((Slot { hash, ..spared }, removed))
    }

    /// Removes all entries of the table with this `id`. Returns their number and weight.
    pub(super) fn remove_all_of(&mut self, id: u32, table: &dyn AnyTable) -> (usize, usize) {
        let entries = self.small.slots.len() + self.main.slots.len();
        let Self { small, main, ghosts, own, stale } = self;
        let (mut removed, mut bytes) = (0, 0);
        for (queue, Fifo { slots, weight }) in [(Queue::Small, small), (Queue::Main, main)] {
            slots.retain(|slot| {
                if slot.table != id {
                    return true;
                }
                match table.evict_if(slot.hash, &mut |entry| entry.queue == queue) {
                    Ok(Some(entry)) => {
                        ghosts.remember(*slot, RemovalCause::Invalidated, entries);
                        *weight -= entry.weight as usize;
                        removed += 1;
                        bytes += entry.weight as usize;
                    }
                    Ok(None) | Err(_) => *stale = stale.saturating_sub(1),
                }
                false
            });
        }
        own.remove(&id);
        (removed, bytes)
    }

    /// An entry's weight has changed.
    pub(super) fn reweigh(&mut self, queue: Queue, from: u32, to: u32) {
        let queue = self.queue(queue);
        queue.weight = queue.weight + to as usize - from as usize;
    }

    /// An entry was removed outside the queues. Its slot stays behind.
    pub(super) fn left(&mut self, slot: Slot, look: Look, cause: RemovalCause) {
        self.queue(look.queue).weight -= look.weight as usize;
        self.remember(slot, cause);
        self.stale += 1;
    }

    pub(super) fn removal_cause(&self, slot: Slot) -> Option<RemovalCause> {
        self.ghosts.recall(slot)
    }

    /// Evicts one entry and returns its weight. `None` if the shard holds nothing but `spared`.
    pub(super) fn evict(
        &mut self,
        tables: &Tables,
        now: Nanos,
        spared: Option<Slot>,
        cause: RemovalCause,
    ) -> Option<u32> {
        // Set aside, so that the loop does not meet it again.
        let mut held = None;
        // A read that comes meanwhile gives another chance, but not for ever.
        let mut chances = (self.small.slots.len() + self.main.slots.len()) * usize::from(MOST_VISITS);
        let evicted = loop {
            let small_is_full = self.small.weight * SMALL_SHARE >= self.small.weight + self.main.weight;
            let from = if self.main.slots.is_empty() || (small_is_full && !self.small.slots.is_empty()) {
                Queue::Small
            } else {
                Queue::Main
            };
            let Some(slot) = self.queue(from).slots.pop_front() else { break None };
            let Some(table) = tables.get(slot.table) else { continue };
            let is_spared = Some(slot) == spared;
            let has_no_chance = |entry: Look| entry.visits == 0 || entry.ends <= now || chances == 0;
            let mut goes = |entry: Look| entry.queue == from && !is_spared && has_no_chance(entry);
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
                    chances -= 1;
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

    /// Drops the slots whose entries are gone, and duplicate slots of one entry.
    pub(super) fn sweep(&mut self, tables: &Tables) {
        let mut seen = HashSet::new();
        for (queue, fifo) in [(Queue::Small, &mut self.small), (Queue::Main, &mut self.main)] {
            fifo.slots.retain(|slot| {
                let look = tables.get(slot.table).and_then(|table| table.look(slot.hash));
                look.is_some_and(|entry| entry.queue == queue) && seen.insert(*slot)
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

    #[cfg(test)]
    pub(super) fn own_slots(&self) -> usize {
        self.own.values().map(OwnQueue::len).sum()
    }

    fn queue(&mut self, queue: Queue) -> &mut Fifo {
        match queue {
            Queue::Small => &mut self.small,
            Queue::Main => &mut self.main,
        }
    }
}

/// Up to so many slots, a queue's places double when they are used up.
const DOUBLING: usize = 1024;

impl Fifo {
    fn push(&mut self, slot: Slot, weight: u32) {
        if self.slots.len() == self.slots.capacity() {
            // Doubling would leave up to half of it empty: eight bytes per entry at a million entries. A short queue would be copied too
            // often without it.
            let slots = self.slots.len();
            self.slots.reserve_exact((slots / 8).max(slots.min(DOUBLING)) + 16);
        }
        self.slots.push_back(slot);
        self.weight += weight as usize;
    }
}

/// Keys that were removed lately, with the cause. Each fingerprint has one place, and a later one overwrites it.
///
/// There are one to two places per entry. More places would find more keys again after a scan, and fewer of the popular
/// ones, because too many entries would enter the main queue at once.
#[derive(Debug, Default)]
struct Ghosts {
    fingerprints: Vec<u32>,
}

/// The lowest bit of a fingerprint tells the cause.
const INVALIDATED: u32 = 1;

impl Ghosts {
    /// Remembers a key. The number of places follows the number of entries.
    fn remember(&mut self, slot: Slot, cause: RemovalCause, entries: usize) {
        if self.fingerprints.len() < entries.max(64) {
            // The old fingerprints are dropped rather than moved: a shard that grows evicts nothing.
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

    /// The place and the fingerprint of `slot`. A fingerprint is never zero, which marks an empty place, and its lowest
    /// bit is free.
    fn place(&self, slot: Slot) -> (usize, u32) {
        let mixed = slot.hash ^ u64::from(slot.table).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let place = mixed as usize & self.fingerprints.len().wrapping_sub(1);
        (place, (mixed >> 32) as u32 & !INVALIDATED | 2)
    }
}
