//! The store: its limits, its accounts, what it evicts, and what it really takes.

mod accounts;
mod bounded;
mod busy;
mod expiry;
mod memory;
mod traces;

use std::sync::Arc;

use super::{Freshness, Lifetime, Limits, Locked, Store, Table};
use crate::{
    base::{
        clock::{Clock, MockClock, Nanos},
        panic::PanicSafe,
    },
    key::Key,
};

fn store(bytes: usize, entries: usize) -> (Store, MockClock) {
    let clock = Clock::mock();
    (Store::new(Limits { bytes, entries }, (&clock).into()), clock)
}

fn key(number: u64) -> Key {
    Key::build(|key| key.part(&number))
}

/// Returns whether it was kept.
fn put<V: Send + Sync + 'static>(
    store: &Store,
    table: &Table<V>,
    number: u64,
    value: V,
    expires: Nanos,
    payload: usize,
) -> bool {
    store.put(table, &key(number).lookup(), PanicSafe::new(value), Lifetime::until(expires), payload).is_ok()
}

fn read<V: Clone + Send + Sync + 'static>(table: &Table<V>, clock: &MockClock, number: u64) -> Option<V> {
    let fresh = |value: &V, freshness: Freshness<'_>, _: Option<&_>| {
        matches!(freshness, Freshness::Fresh).then(|| value.clone())
    };
    table.read(&key(number).lookup(), || Clock::from(clock).coarse(), fresh)?
}

fn shards(store: &Store) -> impl Iterator<Item = Locked<'_, ()>> {
    (0..store.shards.len()).map(|shard| store.lock(shard))
}

/// Checks that the store, its tables and its queues count the same.
fn consistent<V: Send + Sync + 'static>(store: &Store, tables: &[Arc<Table<V>>]) {
    fn same(one: usize, other: usize) {
        assert_eq!(one, other);
    }
    same(store.bytes(), tables.iter().map(|table| table.bytes()).sum());
    same(store.entries(), tables.iter().map(|table| table.entries()).sum());
    same(store.bytes(), shards(store).map(|locked| locked.shard.weight()).sum());
    assert!(shards(store).map(|locked| locked.shard.slots()).sum::<usize>() >= store.entries());
}
