//! The keys that one call asks for.

use hashbrown::HashTable;

use crate::key::Key;

/// Different keys, in the order in which they were added.
#[derive(Default)]
pub(crate) struct Keys {
    keys: Vec<Key>,
    places: HashTable<usize>,
}

impl Keys {
    /// Adds a key, unless it is there. Returns its place.
    ///
    /// A key that could not be made has meaningless words, so it is equal to none.
    pub(crate) fn add(&mut self, key: Key) -> usize {
        let (place, hash) = (self.keys.len(), key.hash());
        if key.error().is_none() {
            let same = |other: &usize| self.keys[*other].words() == key.words();
            if let Some(known) = self.places.find(hash, same) {
                return *known;
            }
            self.places.insert_unique(hash, place, |other| self.keys[*other].hash());
        }
        self.keys.push(key);
        place
    }

    pub(crate) fn as_slice(&self) -> &[Key] {
        &self.keys
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}
