//! This process's memory: one typed table per function, and one byte budget for all of them.
//!
//! Reads touch only a table, which is a lock-free map, and write at most a saturating counter in the entry. The
//! [`Store`] makes all changes, under the lock of the shard that the key's hash selects. So two writers of one key are
//! always ordered, and a shard's queues know every entry of its keys. The lock also guards what the engine keeps of
//! these keys, which the store knows nothing of: the running flights.
//!
//! S3-FIFO decides what to evict (Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023). A new
//! entry waits in a small queue and moves to the main queue if it was read there. A key that returns soon after its
//! eviction goes straight to the main queue.

mod lifetime;
mod memory_of;
mod own_queue;
mod shard;
mod table;
mod tables;
pub(crate) mod tags;
#[cfg(test)]
mod tests;

use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use seize::{Collector, LocalGuard};

use self::{lifetime::Care, shard::Shard, table::Look, tables::Tables, tags::Stamps};
pub(crate) use self::{
    lifetime::{Freshness, Lifetime},
    memory_of::{UNKNOWN, memory_of},
    shard::{RemovalCause, Slot},
    table::{AnyTable, Entry, Seen, Table},
};
use crate::{
    base::{
        clock::{Clock, NEVER},
        panic::PanicSafe,
        sync::{interleave, unpoisoned},
    },
    key::{Lookup, OwnedKey},
};

/// The limits of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) bytes: usize,
    pub(crate) entries: usize,
}

/// The memory of one cache. `X` is what else the locks of its shards guard.
pub(crate) struct Store<X = ()> {
    limits: Limits,
    clock: Clock,
    bytes: AtomicUsize,
    entries: AtomicUsize,
    shards: Box<[Padded<Mutex<Guarded<X>>>]>,
    tables: Tables,
    /// Shared by all tables, so that one guard defers the drops of any of them.
    collector: Arc<Collector>,
}

/// Keeps neighbouring locks on different cache lines.
#[repr(align(128))]
struct Padded<T>(T);

/// What the lock of a shard guards.
#[derive(Default)]
pub(crate) struct Guarded<X> {
    shard: Shard,
    /// What the store knows nothing of.
    pub(crate) beside: X,
}

/// A locked shard.
pub(crate) type Locked<'a, X> = MutexGuard<'a, Guarded<X>>;

/// Why there is no fresh value of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Absent {
    NeverSeen,
    Expired,
    Evicted,
    Invalidated,
}

/// What became of a value that was to be stored.
pub(crate) enum Put<V> {
    Stored,
    /// It is larger than the whole store.
    TooLarge(PanicSafe<V>),
    Refused(PanicSafe<V>),
}

impl<X> Guarded<X> {
    /// Why a table has no fresh value of `key`. None if it has one.
    pub(crate) fn why_absent(&self, id: u32, table: &dyn AnyTable, key: &Lookup<'_>, clock: &Clock) -> Option<Absent> {
        match table.is_usable(key, clock) {
            Some(true) => None,
            Some(false) if table.is_invalidated(key) => Some(Absent::Invalidated),
            Some(false) => Some(Absent::Expired),
            None => Some(match self.shard.removal_cause(Slot { hash: key.hash, table: id }) {
                Some(RemovalCause::Evicted) => Absent::Evicted,
                Some(RemovalCause::Invalidated) => Absent::Invalidated,
                None => Absent::NeverSeen,
            }),
        }
    }
}

impl<X: Default> Store<X> {
    pub(crate) fn new(limits: Limits, clock: Clock) -> Self {
        // More shards help only while each holds enough entries to choose from.
        let wanted = thread::available_parallelism().map_or(8, |cores| cores.get() * 4);
        let room = (limits.bytes / (1 << 20)).min(limits.entries / 256).max(1);
        let shards = wanted.min(room).next_power_of_two();
        Self {
            limits,
            clock,
            bytes: AtomicUsize::new(0),
            entries: AtomicUsize::new(0),
            shards: (0..shards).map(|_| Padded(Mutex::default())).collect(),
            tables: Tables::default(),
            collector: Arc::default(),
        }
    }

    /// Defers the dropping of values until the guard is dropped. Destructors are user code and may call annotated
    /// functions, so take this guard before any lock.
    pub(crate) fn defer_drops(&self) -> LocalGuard<'_> {
        self.collector.enter()
    }

    /// A new table whose entries count against this store's limits.
    pub(crate) fn table<V: Send + Sync + 'static>(&self) -> Arc<Table<V>> {
        self.bounded_table(usize::MAX)
    }

    /// A new table that has a limit of its own as well, of one entry at least.
    pub(crate) fn bounded_table<V: Send + Sync + 'static>(&self, max_entries: usize) -> Arc<Table<V>> {
        self.tables.add(|id| Table::new(id, max_entries, Arc::clone(&self.collector)))
    }

    /// Stores `value` for its `life`, replacing an older one, and evicts entries until the limits hold.
    ///
    /// `payload` is the size of the value in bytes; the entry's own overhead is added here. A value larger than the
    /// whole store is given back, and an older one is removed all the same.
    pub(crate) fn put<V: Send + Sync + 'static>(
        &self,
        table: &Table<V>,
        key: &Lookup<'_>,
        value: PanicSafe<V>,
        life: Lifetime,
        payload: usize,
    ) -> Result<(), PanicSafe<V>> {
        match self.put_if(table, key, value, (life, Stamps::default()), payload, |_| Some(key.words.into())) {
            Put::Stored => Ok(()),
            Put::TooLarge(value) | Put::Refused(value) => Err(value),
        }
    }

    /// Like [`put`](Self::put), if `may` returns the key to store, under the lock of the key's shard. It takes no other lock and calls no
    /// user code.
    pub(crate) fn put_if<V: Send + Sync + 'static>(
        &self,
        table: &Table<V>,
        key: &Lookup<'_>,
        value: PanicSafe<V>,
        (life, stamps): (Lifetime, Stamps),
        payload: usize,
        may: impl FnOnce(&mut X) -> Option<OwnedKey>,
    ) -> Put<V> {
        let (due, care) = Care::of(life, stamps, &self.clock);
        let overhead = Table::<V>::OVERHEAD + care.as_ref().map_or(0, |care| care.bytes());
        let weight = payload.saturating_add(OwnedKey::heap_bytes(key.words)).saturating_add(overhead);
        let weight = u32::try_from(weight).ok().filter(|_| weight <= self.limits.bytes);
        let slot = Slot { hash: key.hash, table: table.id };

        let deferred = self.defer_drops();
        let home = self.home(key.hash);
        let mut locked = self.lock(home);
        let Some(own) = may(&mut locked.beside) else { return Put::Refused(value) };
        let Some(weight) = weight else {
            // An older value must not outlive the one that does not fit.
            if let Some(removed) = table.remove(key) {
                self.note_removed(&mut locked.shard, slot, removed, RemovalCause::Evicted);
            }
            return Put::TooLarge(value);
        };
        let shard = &mut locked.shard;
        let queue = shard.queue_for(slot);
        match table.insert(own, key, Entry::new(value, due, care, weight, queue), &deferred) {
            Some(old) => {
                shard.reweigh(old.queue, old.weight, weight);
                self.bytes.fetch_sub(old.weight as usize, Ordering::Relaxed);
            }
            None => {
                shard.admit(slot, queue, weight);
                if table.is_bounded() {
                    shard.admit_own(slot, table);
                }
                self.entries.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.bytes.fetch_add(weight as usize, Ordering::Relaxed);
        if table.is_over() {
            self.make_room_in(table, home, locked, slot);
            locked = self.lock(home);
        }
        self.make_room(home, locked, slot);
        Put::Stored
    }

    /// Removes an entry and remembers the cause for the counters. Returns whether there was a fresh one.
    pub(crate) fn remove<V: Send + Sync + 'static>(
        &self,
        table: &Table<V>,
        key: &Lookup<'_>,
        cause: RemovalCause,
    ) -> bool {
        let _deferred = self.defer_drops();
        let mut locked = self.shard(key.hash);
        let Some(removed) = table.remove(key) else { return false };
        self.note_removed(&mut locked.shard, Slot { hash: key.hash, table: table.id }, removed, cause)
    }

    /// Declares a value stale: it may be returned while a new one is made, if its lifetime allows, or else is removed. Returns whether there
    /// was one.
    pub(crate) fn expire<V: Send + Sync + 'static>(&self, table: &Table<V>, key: &Lookup<'_>) -> bool {
        let _deferred = self.defer_drops();
        let mut locked = self.shard(key.hash);
        let was_usable = table.is_usable(key, &self.clock) == Some(true);
        // What may only stand in for an error is older than the invalidation, too.
        if !table.expire(key, self.clock.coarse())
            && let Some(removed) = table.remove(key)
        {
            let slot = Slot { hash: key.hash, table: table.id };
            self.note_removed(&mut locked.shard, slot, removed, RemovalCause::Invalidated);
        }
        was_usable
    }

    /// Removes all entries with the hash of `slot`, for callers that do not know the key. Returns whether one was
    /// fresh.
    pub(crate) fn remove_at(&self, slot: Slot, cause: RemovalCause) -> bool {
        let _deferred = self.defer_drops();
        let mut locked = self.shard(slot.hash);
        let mut was_fresh = false;
        loop {
            let removed = self.tables.get(slot.table).map(|table| table.evict_if(slot.hash, &mut |_| true));
            let Some(Ok(Some(removed))) = removed else { return was_fresh };
            was_fresh |= self.note_removed(&mut locked.shard, slot, removed, cause);
        }
    }

    /// Whether an entry has the hash of `slot`.
    pub(crate) fn holds(&self, slot: Slot) -> bool {
        self.tables.get(slot.table).is_some_and(|table| table.look(slot.hash).is_some())
    }

    /// Returns whether the removed entry was fresh.
    fn note_removed(&self, shard: &mut Shard, slot: Slot, removed: Look, cause: RemovalCause) -> bool {
        self.forget(removed.weight);
        shard.left(slot, removed, cause);
        if shard.is_mostly_stale() {
            shard.sweep(&self.tables);
        }
        removed.ends > self.clock.coarse()
    }

    /// Why a key was removed, if that is still remembered.
    #[cfg(test)]
    pub(crate) fn removal_cause(&self, table: u32, hash: u64) -> Option<RemovalCause> {
        self.shard(hash).shard.removal_cause(Slot { hash, table })
    }

    /// Removes everything.
    pub(crate) fn clear(&self) {
        let _deferred = self.defer_drops();
        for home in 0..self.shards.len() {
            let mut locked = self.lock(home);
            while let Some(removed) = locked.shard.evict(&self.tables, NEVER, None, RemovalCause::Invalidated) {
                self.forget(removed);
            }
        }
    }

    /// Removes all entries of one table.
    pub(crate) fn clear_table<V: Send + Sync + 'static>(&self, table: &Table<V>) {
        let _deferred = self.defer_drops();
        for home in 0..self.shards.len() {
            let (entries, bytes) = self.lock(home).shard.remove_all_of(table.id, table);
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.entries.fetch_sub(entries, Ordering::Relaxed);
        }
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// Bytes held, including the entries' overhead.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Entries held.
    pub(crate) fn entries(&self) -> usize {
        self.entries.load(Ordering::Relaxed)
    }

    /// Evicts entries of `table` until its own limit holds: first from the shard that has grown, then from the others, one lock at a
    /// time.
    fn make_room_in<'a, V: Send + Sync + 'static>(
        &'a self,
        table: &Table<V>,
        home: usize,
        mut locked: Locked<'a, X>,
        newest: Slot,
    ) {
        let now = self.clock.coarse();
        for next in 1..=self.shards.len() {
            while table.is_over()
                && let Some((slot, removed)) = locked.shard.evict_own(table, now, newest)
            {
                self.note_removed(&mut locked.shard, slot, removed, RemovalCause::Evicted);
            }
            drop(locked);
            if !table.is_over() {
                return;
            }
            locked = self.lock((home + next) % self.shards.len());
        }
    }

    /// Evicts until the limits hold: first from the shard that has grown, then from the others, one lock at a time.
    fn make_room<'a>(&'a self, home: usize, mut locked: Locked<'a, X>, newest: Slot) {
        if !self.is_over() {
            return;
        }
        let now = self.clock.coarse();
        let spared = (self.limits.entries > 0).then_some(newest);
        for next in 1..=self.shards.len() {
            while self.is_over()
                && let Some(removed) = locked.shard.evict(&self.tables, now, spared, RemovalCause::Evicted)
            {
                self.forget(removed);
            }
            drop(locked);
            if !self.is_over() {
                return;
            }
            locked = self.lock((home + next) % self.shards.len());
        }
    }

    fn is_over(&self) -> bool {
        self.bytes() > self.limits.bytes || self.entries() > self.limits.entries
    }

    fn forget(&self, weight: u32) {
        self.bytes.fetch_sub(weight as usize, Ordering::Relaxed);
        self.entries.fetch_sub(1, Ordering::Relaxed);
    }

    fn home(&self, hash: u64) -> usize {
        // The tables use the low bits of the hash, so the shards use others.
        (hash >> 40) as usize & (self.shards.len() - 1)
    }

    /// The shard of a key, locked.
    pub(crate) fn shard(&self, hash: u64) -> Locked<'_, X> {
        self.lock(self.home(hash))
    }

    /// Visits all shards, one lock at a time.
    pub(crate) fn each_shard(&self, mut visit: impl FnMut(&mut Guarded<X>)) {
        for shard in 0..self.shards.len() {
            visit(&mut self.lock(shard));
        }
    }

    fn lock(&self, shard: usize) -> Locked<'_, X> {
        interleave();
        unpoisoned(self.shards[shard].0.lock())
    }
}
