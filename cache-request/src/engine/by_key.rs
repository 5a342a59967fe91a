//! Notes about single keys of functions, each until a moment.

use std::{
    hash::{BuildHasherDefault, Hash, Hasher},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use dashmap::{DashMap, Entry};

use super::flight::FlightKey;
use crate::{
    base::clock::Nanos,
    key::{OwnedKey, PassThrough},
};

/// The notes. Those that are over are removed when there are many.
pub(crate) struct ByKey<T> {
    notes: DashMap<NoteKey, Note<T>, BuildHasherDefault<PassThrough>>,
    /// So many were put in. Without any, there is nothing to look for.
    made: AtomicUsize,
    sweep_at: AtomicUsize,
}

/// One function's key.
#[derive(PartialEq, Eq)]
struct NoteKey {
    function: u32,
    hash: u64,
    key: OwnedKey,
}

impl From<FlightKey<'_>> for NoteKey {
    fn from(key: FlightKey<'_>) -> Self {
        Self { function: key.function, hash: key.key.hash, key: key.key.words.into() }
    }
}

impl Hash for NoteKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

#[derive(Clone, Copy)]
struct Note<T> {
    until: Nanos,
    what: T,
}

/// So few are not worth a sweep.
const FEW: usize = 1024;

impl<T> Default for ByKey<T> {
    fn default() -> Self {
        Self { notes: DashMap::default(), made: AtomicUsize::new(0), sweep_at: AtomicUsize::new(0) }
    }
}

impl<T: Clone> ByKey<T> {
    /// Notes something about `key`, in place of an older note.
    pub(super) fn put(&self, key: FlightKey<'_>, what: T, until: Nanos, now: Nanos) {
        self.sweep(now);
        self.notes.insert(key.into(), Note { until, what });
    }

    /// Notes something about `key`, unless an older note is not over. Returns whether it did.
    pub(super) fn put_if_none(&self, key: FlightKey<'_>, what: T, until: Nanos, now: Nanos) -> bool {
        self.sweep(now);
        let note = Note { until, what };
        match self.notes.entry(key.into()) {
            Entry::Occupied(entry) if now < entry.get().until => return false,
            Entry::Occupied(mut entry) => _ = entry.insert(note),
            Entry::Vacant(entry) => _ = entry.insert(note),
        }
        true
    }

    /// Notes something about `key` until that moment, or until that of an older note if that is later.
    pub(super) fn prolong(&self, key: FlightKey<'_>, what: T, until: Nanos, now: Nanos) {
        self.sweep(now);
        let mut note = self.notes.entry(key.into()).or_insert(Note { until, what });
        note.until = note.until.max(until);
    }

    /// What is noted about `key`, and until when, if that is not over. Without any notes, no clock is read.
    pub(super) fn get(&self, key: FlightKey<'_>, now: impl FnOnce() -> Nanos) -> Option<(T, Nanos)> {
        if self.made.load(Relaxed) == 0 {
            return None;
        }
        let note = self.notes.get(&key.into())?;
        (now() < note.until).then(|| (note.what.clone(), note.until))
    }

    /// What is noted about `key`, which is forgotten.
    pub(super) fn take(&self, key: FlightKey<'_>) -> Option<T> {
        if self.made.load(Relaxed) == 0 {
            return None;
        }
        self.notes.remove(&key.into()).map(|(_, note)| note.what)
    }

    #[cfg(all(test, not(shuttle)))]
    pub(super) fn is_empty(&self) -> bool {
        self.notes.is_empty()
    }

    fn sweep(&self, now: Nanos) {
        self.made.fetch_add(1, Relaxed);
        if self.notes.len() >= self.sweep_at.load(Relaxed).max(FEW) {
            self.notes.retain(|_, note| now < note.until);
            self.sweep_at.store(self.notes.len() * 2, Relaxed);
        }
    }
}
