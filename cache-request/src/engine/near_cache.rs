//! Memory in front of a backend: what was read from there a short time ago stands in the functions' own tables, where
//! [`hit`](crate::engine::call::hit) finds it.
//!
//! What is in front must never be older than what this process has written or deleted behind it, nor, where the backend tells
//! of changes, than what anybody has. So a value is put in front only if nothing has changed since it was asked for:
//!
//! 1. [`NearCache::begin`] notes the state of the key's shard, before the backend is asked;
//! 2. [`NearCache::fill`] puts the value in, under the shard's lock, if the state is still the same;
//! 3. [`NearCache::invalidate`] makes that another one and removes the entry, under the same lock, after the backend was told, or
//!    when it tells.
//!
//! What the backend says names a key by its text, so a digest of that leads to the entry.

use std::{
    collections::HashMap,
    mem,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use foldhash::fast::RandomState;

use crate::{
    backend::{ChangeListener, Guarded},
    base::{
        clock::Nanos,
        panic::PanicSafe,
        sync::{Mutex, MutexGuard, lock},
    },
    key::Lookup,
    stats::{NearCacheStats, Tracking},
    store::{RemovalCause, Slot, Store, Table},
};

/// What is in front of one cache's backend.
pub(crate) struct NearCache {
    timeout: Duration,
    store: Arc<Store>,
    shards: Box<[Mutex<Shard>]>,
    tracking: Mutex<Tracking>,
    /// How often the backend has told of a change.
    told: AtomicU64,
    /// How often it could not tell any more.
    lost: AtomicU64,
}

/// So many that a change seldom keeps another key's value from being put in.
const SHARDS: usize = 64;

#[derive(Default)]
struct Shard {
    /// Whether values may be put in.
    open: bool,
    /// Another one after each invalidation.
    version: u64,
    /// Where the entries are; of some that have left the store as well.
    ///
    /// The hasher need not be a good one, but a seeded one: anybody can choose keys whose digests are much alike.
    entries: HashMap<Digest, Slot, RandomState>,
    /// So many are to be looked through for those that have left.
    sweep_at: usize,
}

/// Bytes that an entry takes in the index, which is between half and all full, and half of it of entries that have left.
const RECORD: usize = 2 * 2 * (size_of::<(Digest, Slot)>() + 1);

/// The first half of a BLAKE3 hash of a key's text.
type Digest = u128;

/// A write behind the front. However it ends, also if it is given up half way, what it is about may have changed.
pub(crate) struct BackendWrite<'a> {
    near: Option<&'a NearCache>,
    /// The key; `None` for all there are.
    text: Option<&'a str>,
}

impl<'a> BackendWrite<'a> {
    pub(crate) fn begin(near: Option<&'a Arc<NearCache>>, text: &'a str) -> Self {
        Self { near: near.map(|near| &**near), text: Some(text) }
    }

    pub(crate) fn begin_all(near: Option<&'a Arc<NearCache>>) -> Self {
        Self { near: near.map(|near| &**near), text: None }
    }

    /// The backend has answered. Says whether the key's value was in front.
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

/// A value that was asked for.
pub(crate) struct Reading {
    digest: Digest,
    version: u64,
}

impl NearCache {
    /// A front of `backend`, if that tells of changes; else one that goes by time.
    pub(crate) fn of(backend: &Guarded, timeout: Duration, store: &Arc<Store>) -> Arc<Self> {
        let tracked = Self::closed(timeout, store);
        // Where the backend is not to be heard, what it tells all the same is of a front that is gone.
        let listener = Arc::downgrade(&tracked);
        match backend.track(listener) {
            Some(true) => tracked,
            Some(false) => Self::by_time(timeout, store),
            None => {
                tracing::error!(backend = backend.name(), "nothing is kept in front: its `track` panicked");
                Self::closed(timeout, store)
            }
        }
    }

    /// Nothing is put in until the backend tells of changes.
    fn closed(timeout: Duration, store: &Arc<Store>) -> Arc<Self> {
        Arc::new(Self {
            timeout,
            store: Arc::clone(store),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            tracking: Mutex::new(Tracking::Suspended),
            told: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        })
    }

    /// Entries last until their timeout, whatever others do behind them.
    fn by_time(timeout: Duration, store: &Arc<Store>) -> Arc<Self> {
        let near = Self::closed(timeout, store);
        *lock(&near.tracking) = Tracking::ByTime;
        near.open();
        near
    }

    /// Whether the backend tells of changes.
    pub(crate) fn is_tracked(&self) -> bool {
        *lock(&self.tracking) != Tracking::ByTime
    }

    /// How long an entry may last.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// To be called before the value is asked for. `None` if it could not be put in.
    pub(crate) fn begin(&self, text: &str) -> Option<Reading> {
        let digest = digest(text);
        let shard = self.shard(digest);
        shard.open.then_some(Reading { digest, version: shard.version })
    }

    /// Puts a value in, unless it may have changed since it was asked for, or is too large.
    ///
    /// Have the store's drops deferred: this is done under a lock.
    pub(crate) fn fill<V: Send + Sync + 'static>(
        &self,
        reading: &Reading,
        table: &Table<V>,
        key: &Lookup<'_>,
        value: PanicSafe<V>,
        expires: Nanos,
        weight: usize,
    ) -> Result<(), PanicSafe<V>> {
        let mut shard = self.shard(reading.digest);
        if !shard.open || shard.version != reading.version {
            return Err(value);
        }
        shard.note(reading.digest, Slot { table: table.id, hash: key.hash }, &self.store);
        self.store.put(table, key, value, expires, weight.saturating_add(RECORD))
    }

    /// The value behind a key has changed, or may have. Says whether one was in front.
    pub(crate) fn invalidate(&self, text: &str) -> bool {
        let digest = digest(text);
        let _deferred = self.store.defer_drops();
        let mut shard = self.shard(digest);
        shard.version += 1;
        let entry = shard.entries.remove(&digest);
        entry.is_some_and(|slot| self.store.remove_at(slot, RemovalCause::Invalidated))
    }

    /// All values behind may have changed.
    pub(crate) fn invalidate_all(&self) {
        self.empty(|_| {});
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
    fn note(&mut self, digest: Digest, slot: Slot, store: &Store) {
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
        self.invalidate_all();
        self.open();
        *tracking = Tracking::Live;
    }

    fn changed(&self, key: &str) {
        self.told.fetch_add(1, Ordering::Relaxed);
        self.invalidate(key);
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
