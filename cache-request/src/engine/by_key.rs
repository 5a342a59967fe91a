//! Notes about single keys of functions, each until a moment.

use std::{
    hash::{BuildHasherDefault, Hash, Hasher},
    sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
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
    /// By then all of them are over. Zero if there is nothing to look for.
    over_at: AtomicU64,
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
        Self { notes: DashMap::default(), over_at: AtomicU64::new(0), sweep_at: AtomicUsize::new(0) }
    }
}

impl<T: Clone> ByKey<T> {
    /// Notes something about `key`, in place of an older note.
    pub(super) fn put(&self, key: FlightKey<'_>, what: T, until: Nanos, now: Nanos) {
        self.expect(until, now);
        self.notes.insert(key.into(), Note { until, what });
    }

    /// Notes something about `key`, unless an older note is not over. Returns whether it did.
    pub(super) fn put_if_none(&self, key: FlightKey<'_>, what: T, until: Nanos, now: Nanos) -> bool {
        self.expect(until, now);
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
        self.expect(until, now);
        let mut note = self.notes.entry(key.into()).or_insert(Note { until, what });
        note.until = note.until.max(until);
    }

    /// What is noted about `key`, and until when, if that is not over. While there is nothing to look for, no clock is read.
    pub(super) fn get(&self, key: FlightKey<'_>, now: impl FnOnce() -> Nanos) -> Option<(T, Nanos)> {
        let over_at = self.over_at.load(Relaxed);
        if over_at == 0 {
            return None;
        }
        let now = now();
        // If it has grown meanwhile, there is a newer note.
        if over_at <= now && self.over_at.compare_exchange(over_at, 0, Relaxed, Relaxed).is_ok() {
            return None;
        }
        let note = self.notes.get(&key.into())?;
        (now < note.until).then(|| (note.what.clone(), note.until))
    }

    /// Forgets all notes if there are so many.
    pub(super) fn forget_all_beyond(&self, most: usize) {
        if self.notes.len() >= most {
            self.notes.clear();
        }
    }

    /// What is noted about `key`, which is forgotten.
    pub(super) fn take(&self, key: FlightKey<'_>) -> Option<T> {
        self.notes.remove(&key.into()).map(|(_, note)| note.what)
    }

    #[cfg(all(test, not(shuttle)))]
    pub(super) fn is_empty(&self) -> bool {
        self.notes.is_empty()
    }

    /// There is about to be a note until that moment.
    fn expect(&self, until: Nanos, now: Nanos) {
        self.over_at.fetch_max(until, Relaxed);
        if self.notes.len() >= self.sweep_at.load(Relaxed).max(FEW) {
            self.notes.retain(|_, note| now < note.until);
            self.sweep_at.store(self.notes.len() * 2, Relaxed);
        }
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use super::*;
    use crate::key::Key;

    #[test]
    fn a_clock_was_read_for_notes_that_were_over() {
        let (notes, key, other) = (ByKey::default(), Key::of_text("one"), Key::of_text("other"));
        let [key, other] = [&key, &other].map(|key| FlightKey { function: 0, key: key.lookup() });
        let unread = || panic!("there is nothing to look for");
        assert_eq!(notes.get(key, unread), None);
        notes.put(key, 'a', 10, 0);
        notes.put(other, 'b', 20, 0);
        assert_eq!((notes.get(key, || 9), notes.get(key, || 10)), (Some(('a', 10)), None));
        assert_eq!((notes.get(other, || 19), notes.get(other, || 20)), (Some(('b', 20)), None));
        assert_eq!((notes.get(key, unread), notes.get(other, unread)), (None, None));
        notes.prolong(key, 'c', 30, 20);
        assert_eq!(notes.get(key, || 29).map(|(_, until)| until), Some(30));
        assert!(!notes.put_if_none(key, 'd', 40, 29) && notes.put_if_none(other, 'd', 40, 29));
        assert_eq!((notes.get(key, || 30), notes.get(other, || 39)), (None, Some(('d', 40))));
    }
}
