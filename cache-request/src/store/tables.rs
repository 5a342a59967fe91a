//! The tables of a store, by their ids.

use std::sync::{Arc, Mutex, OnceLock};

use super::table::AnyTable;
use crate::base::sync::unpoisoned;

/// All tables of a store. None is ever removed, so one is found without a lock, which each eviction would take.
#[derive(Default)]
pub(super) struct Tables {
    /// Each segment has twice the places of the one before.
    segments: [OnceLock<Segment>; SEGMENTS],
    /// How many there are.
    count: Mutex<u32>,
}

type Segment = Box<[OnceLock<Arc<dyn AnyTable>>]>;

/// The places of the first segment. They are a power of two, and the segments have room for all ids.
const FIRST: u64 = 32;
const SEGMENTS: usize = 28;

impl Tables {
    /// Adds the table that `make` makes for its id.
    pub(super) fn add<T: AnyTable + 'static>(&self, make: impl FnOnce(u32) -> T) -> Arc<T> {
        let mut count = unpoisoned(self.count.lock());
        let id = *count;
        let table = Arc::new(make(id));
        let (segment, place) = place(id);
        let places = self.segments[segment].get_or_init(|| (0..FIRST << segment).map(|_| OnceLock::new()).collect());
        places[place].get_or_init(|| Arc::clone(&table) as _);
        *count = id.checked_add(1).expect("fewer than four billion functions");
        table
    }

    /// The table with this id.
    pub(super) fn get(&self, id: u32) -> Option<&dyn AnyTable> {
        let (segment, place) = place(id);
        self.segments[segment].get()?[place].get().map(|table| &**table)
    }
}

/// The segment of an id, and its place there.
fn place(id: u32) -> (usize, usize) {
    let nth = u64::from(id) + FIRST;
    let segment = nth.ilog2() - FIRST.ilog2();
    (segment as usize, (nth - (FIRST << segment)) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_ids_share_a_place() {
        let places: Vec<_> = (0..10_000).map(place).collect();
        let sizes: Vec<_> = (0..SEGMENTS).map(|segment| (FIRST << segment) as usize).collect();
        let in_order =
            sizes.iter().enumerate().flat_map(|(segment, size)| (0..*size).map(move |place| (segment, place)));
        assert_eq!(places, in_order.take(places.len()).collect::<Vec<_>>());
        let (segment, place) = place(u32::MAX);
        assert!(place < sizes[segment]);
    }
}
