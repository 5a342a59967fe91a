//! Memory in front of a backend: what was read from there a short time ago stands in the functions' own tables, where
//! [`hit`](crate::call::hit) finds it.
//!
//! What is in front must never be older than what this process has written or deleted behind it, nor, where the backend tells
//! of changes, than what anybody has. So a value is put in front only if nothing has changed since it was asked for:
//!
//! 1. [`Front::begin`] notes the state of the key's shard, before the backend is asked;
//! 2. [`Front::fill`] puts the value in, under the shard's lock, if the state is still the same;
//! 3. [`Front::invalidate`] makes that another one and removes the entry, under the same lock, after the backend was told, or
//!    when it tells.
//!
//! What the backend says names a key by its text, so a digest of that leads to the entry.

use std::{
    collections::HashMap,
    mem,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use foldhash::fast::RandomState;
use serde::Serialize;

use crate::{
    Error,
    backend::Guarded,
    clock::Nanos,
    contained::Contained,
    key::Lookup,
    shim::{Mutex, MutexGuard, lock},
    stats::FrontStats,
    store::{Farewell, Slot, Store, Table},
};

/// What is in front of one cache's backend.
pub(crate) struct Front {
    timeout: Duration,
    store: Arc<Store>,
    shards: Box<[Mutex<Shard>]>,
    tracking: Mutex<Tracking>,
    /// How often the backend has told of a change.
    told: AtomicU64,
    /// How often it could not tell any more.
    lost: AtomicU64,
}

/// Whether the memory in front of a backend hears of what others change there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Tracking {
    /// Of nothing: entries last until their timeout.
    ByTime,
    /// Of all changes.
    Live,
    /// Not at the moment, and so nothing is in front.
    Suspended,
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
pub(crate) struct Write<'a> {
    front: Option<&'a Front>,
    /// The key; `None` for all there are.
    text: Option<&'a str>,
}

impl<'a> Write<'a> {
    pub(crate) fn begin(front: Option<&'a Arc<Front>>, text: &'a str) -> Self {
        Self { front: front.map(|front| &**front), text: Some(text) }
    }

    pub(crate) fn begin_all(front: Option<&'a Arc<Front>>) -> Self {
        Self { front: front.map(|front| &**front), text: None }
    }

    /// The backend has answered. Says whether the key's value was in front.
    pub(crate) fn end(mut self) -> bool {
        self.invalidate()
    }

    fn invalidate(&mut self) -> bool {
        match (self.front.take(), self.text) {
            (Some(front), Some(text)) => front.invalidate(text),
            (Some(front), None) => {
                front.invalidate_all();
                false
            }
            (None, _) => false,
        }
    }
}

impl Drop for Write<'_> {
    fn drop(&mut self) {
        self.invalidate();
    }
}

/// A value that was asked for.
pub(crate) struct Reading {
    digest: Digest,
    version: u64,
}

impl Front {
    /// A front of `backend`, if that tells of changes; else one that goes by time.
    pub(crate) fn of(backend: &Guarded, timeout: Duration, store: &Arc<Store>) -> Arc<Self> {
        let tracked = Self::closed(timeout, store);
        // Where the backend is not to be heard, what it tells all the same is of a front that is gone.
        match backend.track(&tracked) {
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
        let front = Self::closed(timeout, store);
        *lock(&front.tracking) = Tracking::ByTime;
        front.open();
        front
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
        value: Contained<V>,
        expires: Nanos,
        weight: usize,
    ) -> Result<(), Contained<V>> {
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
        entry.is_some_and(|slot| self.store.remove_at(slot, Farewell::Invalidated))
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
                self.store.remove_at(slot, Farewell::Invalidated);
            }
            then(&mut shard);
        }
    }

    fn shard(&self, digest: Digest) -> MutexGuard<'_, Shard> {
        lock(&self.shards[digest as usize % SHARDS])
    }

    pub(crate) fn stats(&self) -> FrontStats {
        FrontStats {
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

/// By which a backend tells the memory in front of it what changes: see [`Backend::track`](crate::Backend::track).
///
/// It does not keep the cache alive. Dropped, it says that changes may be missed from now on.
#[derive(Debug)]
pub struct Changes {
    front: Weak<Front>,
    /// What the log calls the backend.
    name: &'static str,
}

impl Changes {
    pub(crate) fn new(front: &Arc<Front>, name: &'static str) -> Self {
        Self { front: Arc::downgrade(front), name }
    }

    /// From now on all changes are told, by whoever's doing: what is read from the backend may be put in front.
    pub fn begin(&self) {
        let Some(front) = self.front.upgrade() else { return };
        let _deferred = front.store.defer_drops();
        let mut tracking = lock(&front.tracking);
        // What was there before may have changed unheard.
        front.invalidate_all();
        front.open();
        *tracking = Tracking::Live;
    }

    /// The value under `key` has changed, has expired or is gone: `key` is as the backend was given it.
    pub fn changed(&self, key: &str) {
        if let Some(front) = self.front.upgrade() {
            front.told.fetch_add(1, Ordering::Relaxed);
            front.invalidate(key);
        }
    }

    /// All values have changed or are gone.
    pub fn all_changed(&self) {
        if let Some(front) = self.front.upgrade() {
            front.told.fetch_add(1, Ordering::Relaxed);
            front.invalidate_all();
        }
    }

    /// Changes may have been missed, and may be until [`begin`](Self::begin): all that is in front is dropped, and nothing put
    /// there until then. It is logged with the cause, the first time, the second, the fourth, and so on.
    pub fn lost(&self, cause: &Error) {
        let Some(front) = self.front.upgrade() else { return };
        {
            let _deferred = front.store.defer_drops();
            let mut tracking = lock(&front.tracking);
            front.close();
            *tracking = Tracking::Suspended;
        }
        let count = front.lost.fetch_add(1, Ordering::Relaxed) + 1;
        if count.is_power_of_two() {
            tracing::warn!(
                backend = self.name,
                cause = %format_args!("{cause:#}"),
                count,
                "memory in front is dropped: changes behind it may have been missed"
            );
        }
    }

    /// Whether there is nobody to tell any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.front.strong_count() == 0
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        let is_live = |front: Arc<Front>| *lock(&front.tracking) == Tracking::Live;
        if self.front.upgrade().is_some_and(is_live) {
            self.lost(&Error::backend("the backend tells of changes no more"));
        }
    }
}

impl std::fmt::Debug for Front {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Front").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}
