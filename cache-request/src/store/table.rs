//! One function's values: a lock-free map from keys to entries.

use std::{
    hash::BuildHasherDefault,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering},
    },
};

use papaya::Guard;
use seize::{Collector, LocalGuard};

use super::{
    lifetime::{Care, Freshness, Moments},
    tags::Stamps,
};
use crate::{
    base::{
        clock::{Clock, Nanos},
        panic::PanicSafe,
    },
    key::{ByHash, Lookup, OwnedKey, PassThrough},
};

/// One function's values.
///
/// Any thread may read at any time. Only the [`Store`](super::Store) writes, under the lock of the key's shard.
pub(crate) struct Table<V> {
    pub(crate) id: u32,
    /// How many entries it may have.
    max_entries: usize,
    map: papaya::HashMap<OwnedKey, Entry<V>, BuildHasherDefault<PassThrough>>,
    bytes: AtomicUsize,
    entries: AtomicUsize,
    /// The capacity that was last reserved in the map.
    places: AtomicUsize,
}

/// One value, with the store's data about it.
pub(crate) struct Entry<V> {
    /// The value is fresh before this moment, and a read has nothing else to do. From then on, `care` says more.
    due: AtomicU64,
    /// `None` if the value is gone then.
    care: Option<Box<Care>>,
    weight: u32,
    /// The number of reads since the queues last looked, up to [`MOST_VISITS`]. Concurrent reads may lose a count.
    visits: AtomicU8,
    /// Which queue holds its slot. Written under the shard's lock.
    queue: AtomicU8,
    value: PanicSafe<V>,
}

/// What a close look at a value sees beside how fresh it is.
#[derive(Clone, Copy)]
pub(crate) struct Seen<'a> {
    pub(crate) moments: Moments,
    pub(crate) stamps: Option<&'a Stamps>,
}

/// The queue of S3-FIFO that holds an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Queue {
    Small = 0,
    Main = 1,
}

/// The maximum of a two-bit counter. Beyond it, a read of a hot entry writes nothing, so its cache line stays shared.
pub(super) const MOST_VISITS: u8 = 3;

/// Entries of at least this many bytes are returned to the allocator at once. Smaller ones are collected in batches of
/// up to 32 per thread.
const LARGE: u32 = 4 * 1024;

impl<V> Entry<V> {
    pub(super) fn new(value: PanicSafe<V>, due: Nanos, care: Option<Box<Care>>, weight: u32, queue: Queue) -> Self {
        Self { due: due.into(), care, weight, visits: AtomicU8::new(0), queue: AtomicU8::new(queue as u8), value }
    }

    /// Reads a value for which there is more to do than to look at its timeout.
    #[inline(never)]
    fn read_closely<T>(&self, value: &V, now: Nanos, read: impl FnOnce(&V, Freshness<'_>) -> T) -> T {
        let Some(care) = &self.care else { return read(value, Freshness::Expired) };
        let due = self.due.load(Ordering::Acquire);
        let freshness = care.freshness(now);
        if !matches!(freshness, Freshness::Expired) {
            self.visit();
        }
        let moves = care.moves_due(freshness);
        let read = read(value, freshness);
        if moves {
            // The reader may have taken the replacement. If the value was declared stale meanwhile, that stays so.
            _ = self.due.compare_exchange(due, care.due(now), Ordering::Relaxed, Ordering::Relaxed);
        }
        read
    }

    fn stamps(&self) -> Option<&Stamps> {
        self.care.as_ref()?.stamps()
    }

    /// The tags of a value that is fresh, if it has any.
    #[inline(never)]
    fn fresh_tags(&self, now: Nanos) -> Option<&Stamps> {
        let care = self.care.as_ref()?;
        if care.is_fresh_by_tags(now) { care.stamps() } else { None }
    }

    fn end(&self) -> Nanos {
        self.care.as_ref().map_or_else(|| self.due.load(Ordering::Relaxed), |care| care.end())
    }

    #[inline]
    fn visit(&self) {
        let visits = self.visits.load(Ordering::Relaxed);
        if visits < MOST_VISITS {
            self.visits.store(visits + 1, Ordering::Relaxed);
        }
    }

    fn requeue(&self, queue: Queue, visits: u8) {
        self.queue.store(queue as u8, Ordering::Relaxed);
        self.visits.store(visits, Ordering::Relaxed);
    }

    fn look(&self) -> Look {
        let queue = if self.queue.load(Ordering::Relaxed) == Queue::Main as u8 { Queue::Main } else { Queue::Small };
        Look { ends: self.end(), weight: self.weight, visits: self.visits.load(Ordering::Relaxed), queue }
    }
}

/// An entry, without its value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// When its value is of no use any more.
    pub(super) ends: Nanos,
    pub(super) weight: u32,
    pub(super) visits: u8,
    pub(super) queue: Queue,
}

impl<V: Send + Sync + 'static> Table<V> {
    /// Bytes per entry besides the heap of its key and value: the node, its pointer and tag in the map (which is
    /// between a quarter and half full), its slot in a queue, its share of the remembered keys, and the allocator's
    /// header.
    pub(super) const OVERHEAD: usize = size_of::<(OwnedKey, Entry<V>)>() - size_of::<V>() + 27 + 18 + 6 + 8;

    pub(super) fn new(id: u32, max_entries: usize, collector: Arc<Collector>) -> Self {
        Self {
            id,
            max_entries,
            map: papaya::HashMap::builder().hasher(PassThrough::build()).shared_collector(collector).build(),
            bytes: AtomicUsize::new(0),
            entries: AtomicUsize::new(0),
            places: AtomicUsize::new(0),
        }
    }

    /// Keeps the map at most half full. By itself it fills up to nine tenths, where look-ups probe for long, and misses
    /// most of all.
    fn make_places(&self, entries: usize, guard: &impl Guard) {
        let places = self.places.load(Ordering::Relaxed);
        if entries * 2 > places {
            let wanted = (entries * 2).max(64).next_power_of_two();
            if self.places.compare_exchange(places, wanted, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                // The map reserves four thirds of the request, rounded up to a power of two.
                self.map.reserve((wanted * 3 / 4).saturating_sub(self.map.len()), guard);
            }
        }
    }

    /// Calls `read` with a fresh value and its tags, or with nothing if there is more to do with the value than to look at its timeout and
    /// its tags.
    #[inline]
    pub(crate) fn read_fresh(
        &self,
        key: &Lookup<'_>,
        now: impl FnOnce() -> Nanos,
        read: impl FnOnce(Option<(&V, Option<&Stamps>)>),
    ) {
        let guard = self.map.guard();
        let Some(entry) = self.map.get(key, &guard) else { return };
        let now = now();
        let mut stamps = None;
        if now >= entry.due.load(Ordering::Relaxed) {
            stamps = entry.fresh_tags(now);
            if stamps.is_none() {
                return read(None);
            }
        }
        entry.visit();
        read(entry.value.get().map(|value| (value, stamps)));
    }

    /// Calls `read` with the value and how fresh it is `now`. `None` if there is no value.
    #[inline]
    pub(crate) fn read<T>(
        &self,
        key: &Lookup<'_>,
        now: impl FnOnce() -> Nanos,
        read: impl FnOnce(&V, Freshness<'_>, Option<&Stamps>) -> T,
    ) -> Option<T> {
        let guard = self.map.guard();
        let entry = self.map.get(key, &guard)?;
        let value = entry.value.get()?;
        let now = now();
        if now >= entry.due.load(Ordering::Relaxed) {
            return Some(entry.read_closely(value, now, |value, freshness| read(value, freshness, entry.stamps())));
        }
        entry.visit();
        Some(read(value, Freshness::Fresh, None))
    }

    /// Like [`read`](Self::read), for a reader that would replace the value: one whose replacement is due is not called fresh, even if
    /// another reader has taken that.
    pub(crate) fn look_closely<T>(
        &self,
        key: &Lookup<'_>,
        now: Nanos,
        read: impl FnOnce(&V, Freshness<'_>, Seen<'_>) -> T,
    ) -> Option<T> {
        let guard = self.map.guard();
        let entry = self.map.get(key, &guard)?;
        let value = entry.value.get()?;
        let moments = match &entry.care {
            Some(care) => care.moments(),
            None => Moments { stored: None, fresh_until: entry.due.load(Ordering::Relaxed) },
        };
        let seen = Seen { moments, stamps: entry.stamps() };
        if entry.care.is_none() && now < moments.fresh_until {
            return Some(read(value, Freshness::Fresh, seen));
        }
        Some(entry.read_closely(value, now, |value, freshness| read(value, freshness, seen)))
    }

    /// Declares a value stale. Returns whether there is one that may still be returned then.
    pub(super) fn expire(&self, key: &Lookup<'_>, now: Nanos) -> bool {
        let guard = self.map.guard();
        let Some(entry) = self.map.get(key, &guard) else { return false };
        let may_be_returned = entry.care.as_ref().is_some_and(|care| care.expire(now));
        entry.due.store(0, Ordering::Release);
        may_be_returned
    }

    /// Inserts an entry and returns the one it replaces. The new one stays in the old one's queue and keeps its visits.
    pub(super) fn insert(
        &self,
        own: OwnedKey,
        key: &Lookup<'_>,
        entry: Entry<V>,
        guard: &LocalGuard<'_>,
    ) -> Option<Look> {
        self.bytes.fetch_add(entry.weight as usize, Ordering::Relaxed);
        let entries = self.entries.fetch_add(1, Ordering::Relaxed) + 1;
        self.make_places(entries, guard);
        let replaced = self.map.insert(own, entry, guard)?.look();
        if let Some(entry) = self.map.get(key, guard) {
            entry.requeue(replaced.queue, replaced.visits);
        }
        self.gone(replaced.weight, guard);
        Some(replaced)
    }

    pub(super) fn remove(&self, key: &Lookup<'_>) -> Option<Look> {
        let guard = self.map.guard();
        let removed = self.map.remove(key, &guard)?.look();
        self.gone(removed.weight, &guard);
        Some(removed)
    }

    pub(super) fn look(&self, hash: u64) -> Option<Look> {
        self.map.get(&ByHash(hash), &self.map.guard()).map(Entry::look)
    }

    fn gone(&self, weight: u32, guard: &impl Guard) {
        self.bytes.fetch_sub(weight as usize, Ordering::Relaxed);
        self.entries.fetch_sub(1, Ordering::Relaxed);
        if weight >= LARGE {
            guard.flush();
        }
    }

    /// Whether it has a limit of its own, besides the store's.
    pub(super) fn is_bounded(&self) -> bool {
        self.max_entries < usize::MAX
    }

    pub(super) fn is_over(&self) -> bool {
        self.entries() > self.max_entries
    }

    /// Bytes held, including the entries' overhead.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Entries held.
    pub(crate) fn entries(&self) -> usize {
        self.entries.load(Ordering::Relaxed)
    }
}

/// A table without its value type: the operations that eviction needs.
pub(crate) trait AnyTable: Send + Sync {
    /// Whether the value may be returned now. None if there is none.
    fn is_usable(&self, key: &Lookup<'_>, clock: &Clock) -> Option<bool>;
    /// Whether the value is gone because one of its tags was invalidated.
    fn is_invalidated(&self, key: &Lookup<'_>) -> bool;
    fn look(&self, hash: u64) -> Option<Look>;
    /// Moves an entry to `queue` and sets its visits.
    fn requeue(&self, hash: u64, queue: Queue, visits: u8);
    /// Removes an entry if `goes` agrees and returns it; otherwise returns the entry that stays as an error.
    fn evict_if(&self, hash: u64, goes: &mut dyn FnMut(Look) -> bool) -> Result<Option<Look>, Look>;
}

impl<V: Send + Sync + 'static> AnyTable for Table<V> {
    fn is_usable(&self, key: &Lookup<'_>, clock: &Clock) -> Option<bool> {
        let guard = self.map.guard();
        let entry = self.map.get(key, &guard)?;
        let now = clock.coarse();
        let closely = || entry.care.as_ref().is_some_and(|care| care.is_usable(now));
        Some(now < entry.due.load(Ordering::Relaxed) || closely())
    }

    fn is_invalidated(&self, key: &Lookup<'_>) -> bool {
        let guard = self.map.guard();
        self.map.get(key, &guard).and_then(|entry| entry.care.as_ref()).is_some_and(|care| care.is_invalidated())
    }

    fn look(&self, hash: u64) -> Option<Look> {
        self.look(hash)
    }

    fn requeue(&self, hash: u64, queue: Queue, visits: u8) {
        if let Some(entry) = self.map.get(&ByHash(hash), &self.map.guard()) {
            entry.requeue(queue, visits);
        }
    }

    fn evict_if(&self, hash: u64, goes: &mut dyn FnMut(Look) -> bool) -> Result<Option<Look>, Look> {
        let guard = self.map.guard();
        let removed = self.map.remove_if(&ByHash(hash), |_, entry| goes(entry.look()), &guard);
        let removed = removed.map_err(|(_, entry)| entry.look())?.map(|(_, entry)| entry.look());
        if let Some(removed) = removed {
            self.gone(removed.weight, &guard);
        }
        Ok(removed)
    }
}
