//! The near cache: memory in front of a backend. Values that were read from the backend stay in the functions' own tables,
//! where [`hit`](super::call::hit) finds them.
//!
//! A value here is never older than what this process has written or deleted in the backend. If the backend tells of changes, it
//! is not older than any process's writes. So a value is put in only if its key has not changed since the backend was asked:
//!
//! 1. [`NearCache::begin`] notes the version of the key's shard before the backend is asked.
//! 2. [`NearCache::fill`] puts the value in under the shard's lock, if the version is still the same.
//! 3. [`NearCache::invalidate`] changes the version and removes the entry under the same lock, after the backend has answered a
//!    write, or when it tells of a change.
//!
//! A backend names a changed key by its text. A digest of the text finds the entry.

use std::{
    collections::HashMap,
    mem, process,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use foldhash::fast::RandomState;

use super::{
    awaited::{Awaited, Awaiting, Digest},
    flight::{Memory, Running},
    tagging::keys::TagKeys,
};
use crate::{
    backend::{ChangeListener, Guarded},
    base::{
        panic::PanicSafe,
        sync::{Mutex, MutexGuard, lock},
    },
    key::Lookup,
    stats::{NearCacheStats, Tracking},
    store::{
        Lifetime, Put, RemovalCause, Slot, Table,
        tags::{Stamps, Tags},
    },
};

/// The near cache of one cache's backend.
pub(crate) struct NearCache {
    timeout: Duration,
    store: Arc<Memory>,
    tags: Arc<Tags>,
    tag_keys: TagKeys,
    shards: Box<[Mutex<Shard>]>,
    tracking: Mutex<Tracking>,
    /// The process that the backend tells of changes.
    process: AtomicU32,
    /// Changes that the backend has told of.
    told: AtomicU64,
    /// How often changes may have been missed.
    lost: AtomicU64,
    awaited: Awaited,
}

/// Enough shards that a change of one key seldom keeps another key's value out.
const SHARDS: usize = 64;

#[derive(Default)]
struct Shard {
    /// Whether values may be put in.
    open: bool,
    /// Incremented by each invalidation.
    version: u64,
    /// Where the entries are, with some that have left the store already.
    ///
    /// The hasher is seeded, because clients can choose keys with similar digests.
    entries: HashMap<Digest, Slot, RandomState>,
    /// At this length, the records of entries that have left the store are removed.
    sweep_at: usize,
}

/// Bytes of the index per entry. The index is at least half full, and up to half of its records are of entries that have left.
const RECORD: usize = 2 * 2 * (size_of::<(Digest, Slot)>() + 1);

/// A write to the backend. However it ends, and also if it is dropped half way, the key may have changed, so its entry is removed.
pub(crate) struct BackendWrite<'a> {
    near: Option<&'a NearCache>,
    /// The key's text; `None` for all keys.
    text: Option<&'a str>,
}

impl<'a> BackendWrite<'a> {
    pub(crate) fn begin(near: Option<&'a Arc<NearCache>>, text: &'a str) -> Self {
        Self { near: near.map(|near| &**near), text: Some(text) }
    }

    pub(crate) fn begin_all(near: Option<&'a Arc<NearCache>>) -> Self {
        Self { near: near.map(|near| &**near), text: None }
    }

    /// The backend has answered. Returns whether the near cache held the key's value.
    pub(crate) fn end(mut self) -> bool {
        self.invalidate()
    }

    fn invalidate(&mut self) -> bool {
        match (self.near.take(), self.text) {
            (Some(near), Some(text)) => near.invalidate(text),
            (Some(near), None) => {
                near.invalidate_all();
                false
            }
            (None, _) => false,
        }
    }
}

impl Drop for BackendWrite<'_> {
    fn drop(&mut self) {
        self.invalidate();
    }
}

/// A read of the backend whose value may be put in.
pub(crate) struct Reading {
    digest: Digest,
    version: u64,
}

/// A value to be put in.
pub(crate) struct NearValue<V> {
    pub(crate) value: PanicSafe<V>,
    pub(crate) life: Lifetime,
    /// Bytes that it holds.
    pub(crate) weight: usize,
    pub(crate) stamps: Stamps,
}

impl NearCache {
    /// The near cache of `backend`: tracked if the backend tells of changes, else by time.
    pub(crate) fn of(
        backend: &Guarded,
        timeout: Duration,
        store: &Arc<Memory>,
        (tags, tag_keys): (&Arc<Tags>, TagKeys),
    ) -> Arc<Self> {
        let closed = || Self::closed(timeout, Arc::clone(store), Arc::clone(tags), tag_keys.clone());
        let tracked = closed();
        // An untracked backend may tell of changes all the same. They reach only the first near cache, which is dropped here.
        let listener = Arc::downgrade(&tracked);
        match backend.track(listener) {
            Some(true) => tracked,
            Some(false) => Self::by_time(closed()),
            None => {
                tracing::error!(backend = backend.name(), "the near cache stays empty: the backend's `track` panicked");
                closed()
            }
        }
    }

    /// A near cache that stays empty until the backend begins to tell of changes.
    fn closed(timeout: Duration, store: Arc<Memory>, tags: Arc<Tags>, tag_keys: TagKeys) -> Arc<Self> {
        Arc::new(Self {
            timeout,
            store,
            tags,
            tag_keys,
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            tracking: Mutex::new(Tracking::Suspended),
            process: AtomicU32::new(process::id()),
            told: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            awaited: Awaited::default(),
        })
    }

    /// A near cache whose entries last until their timeout, whatever changes in the backend.
    fn by_time(near: Arc<Self>) -> Arc<Self> {
        *lock(&near.tracking) = Tracking::ByTime;
        near.open();
        near
    }

    /// Whether the backend tells of changes.
    pub(crate) fn is_tracked(&self) -> bool {
        *lock(&self.tracking) != Tracking::ByTime
    }

    /// The longest time that an entry lasts.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Call it before the backend is asked. `None` if no value may be put in at present.
    pub(crate) fn begin(&self, text: &str) -> Option<Reading> {
        if self.process.load(Ordering::Relaxed) != process::id() {
            self.leave_parent_process();
        }
        let digest = digest(text);
        let shard = self.shard(digest);
        shard.open.then_some(Reading { digest, version: shard.version })
    }

    /// Closes a tracked near cache in a child process after a fork: the backend tells only the parent of changes.
    fn leave_parent_process(&self) {
        if self.is_tracked() && self.is_live() {
            ChangeListener::lost(self);
        }
    }

    /// Puts a value in, unless it is too large, its shard has changed since `reading` began, or `may` forbids it under the lock of the key.
    ///
    /// It holds a lock, so the caller defers the store's drops.
    pub(crate) fn fill<V: Send + Sync + 'static>(
        &self,
        reading: &Reading,
        table: &Table<V>,
        key: &Lookup<'_>,
        NearValue { value, life, weight, stamps }: NearValue<V>,
        may: impl FnOnce(&mut Running) -> bool,
    ) -> Put<V> {
        let mut shard = self.shard(reading.digest);
        if !shard.open || shard.version != reading.version {
            return Put::Refused(value);
        }
        shard.note(reading.digest, Slot { table: table.id, hash: key.hash }, &self.store);
        let may = |running: &mut Running| may(running).then(|| key.words.into());
        self.store.put_if(table, key, value, (life, stamps), weight.saturating_add(RECORD), may)
    }

    /// The value under a key has changed, or may have. Returns whether the near cache held it.
    pub(crate) fn invalidate(&self, text: &str) -> bool {
        let digest = digest(text);
        let was_near = self.remove(digest);
        self.awaited.tell(digest);
        was_near
    }

    fn remove(&self, digest: Digest) -> bool {
        let _deferred = self.store.defer_drops();
        let mut shard = self.shard(digest);
        shard.version += 1;
        let entry = shard.entries.remove(&digest);
        entry.is_some_and(|slot| self.store.remove_at(slot, RemovalCause::Invalidated))
    }

    /// All values may have changed.
    pub(crate) fn invalidate_all(&self) {
        self.empty(|_| {});
        self.awaited.tell_all();
    }

    /// Waits for a change of a key, from now on. `None` if the backend does not tell of changes at present.
    pub(super) fn wait_for_change(&self, text: &str) -> Option<Awaiting<'_>> {
        self.is_live().then(|| self.awaited.wait(digest(text)))
    }

    fn open(&self) {
        for shard in &self.shards {
            lock(shard).open = true;
        }
    }

    fn close(&self) {
        self.empty(|shard| shard.open = false);
    }

    fn empty(&self, then: impl Fn(&mut Shard)) {
        let _deferred = self.store.defer_drops();
        for shard in &self.shards {
            let mut shard = lock(shard);
            shard.version += 1;
            shard.sweep_at = 0;
            for (_, slot) in mem::take(&mut shard.entries) {
                self.store.remove_at(slot, RemovalCause::Invalidated);
            }
            then(&mut shard);
        }
    }

    fn shard(&self, digest: Digest) -> MutexGuard<'_, Shard> {
        lock(&self.shards[digest as usize % SHARDS])
    }

    pub(crate) fn stats(&self) -> NearCacheStats {
        NearCacheStats {
            tracking: *lock(&self.tracking),
            changed: self.told.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
        }
    }
}

impl Shard {
    fn note(&mut self, digest: Digest, slot: Slot, store: &Memory) {
        if self.entries.len() >= self.sweep_at {
            self.entries.retain(|_, slot| store.holds(*slot));
            self.sweep_at = (self.entries.len() * 2).max(64);
        }
        self.entries.insert(digest, slot);
    }
}

fn digest(text: &str) -> Digest {
    let mut digest = [0; 16];
    digest.copy_from_slice(&blake3::hash(text.as_bytes()).as_bytes()[..16]);
    Digest::from_le_bytes(digest)
}

impl ChangeListener for NearCache {
    fn begin(&self) {
        let _deferred = self.store.defer_drops();
        let mut tracking = lock(&self.tracking);
        // What was there before may have changed unnoticed.
        self.empty(|_| {});
        self.open();
        self.process.store(process::id(), Ordering::Relaxed);
        *tracking = Tracking::Live;
    }

    fn changed(&self, key: &str) {
        self.told.fetch_add(1, Ordering::Relaxed);
        match self.tag_keys.tag_of(key) {
            Some(tag) => self.tags.has_changed(tag),
            None => _ = self.invalidate(key),
        }
    }

    fn all_changed(&self) {
        self.told.fetch_add(1, Ordering::Relaxed);
        self.invalidate_all();
    }

    fn lost(&self) -> u64 {
        let _deferred = self.store.defer_drops();
        let mut tracking = lock(&self.tracking);
        self.close();
        *tracking = Tracking::Suspended;
        drop(tracking);
        self.lost.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn is_live(&self) -> bool {
        *lock(&self.tracking) == Tracking::Live
    }
}

impl std::fmt::Debug for NearCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NearCache").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}
