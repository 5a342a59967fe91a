//! A table that has a limit of its own.

use std::sync::Arc;

use super::{accounts::fill, consistent, key, read, shards, store};
use crate::store::{RemovalCause, Table};

fn held(table: &Table<u64>, clock: &crate::base::clock::MockClock) -> Vec<u64> {
    (0..2000).filter(|&number| read(table, clock, number).is_some()).collect()
}

#[test]
fn it_evicts_its_own_entries_and_no_others() {
    // One shard, and many of them.
    for bytes in [1 << 20, 1 << 28] {
        let (store, clock) = store(bytes, usize::MAX);
        let tables: [Arc<Table<u64>>; 2] = [store.bounded_table(5), store.table()];
        fill(&store, &tables[1], 0..1000, 0);
        for number in 0..1000 {
            fill(&store, &tables[0], [number], 0);
            assert!(tables[0].entries() <= 5, "{} entries", tables[0].entries());
            assert_eq!(read(&tables[0], &clock, number), Some(number), "the newest is gone");
        }
        assert_eq!((tables[0].entries(), tables[1].entries()), (5, 1000));
        consistent(&store, &tables);
    }
}

#[test]
fn what_is_read_stays_and_what_has_expired_goes() {
    let (store, clock) = store(1 << 20, usize::MAX);
    let table = store.bounded_table(3);
    fill(&store, &table, [1, 2, 3], 0);
    assert_eq!(read(&table, &clock, 1), Some(1));
    fill(&store, &table, [4], 0);
    assert_eq!(held(&table, &clock), [1, 3, 4]);

    assert!(store.remove(&table, &key(3).lookup(), RemovalCause::Invalidated));
    assert!(super::put(
        &store,
        &table,
        5,
        5,
        crate::base::clock::Clock::from(&clock).after(std::time::Duration::from_millis(5)),
        0
    ));
    assert_eq!(held(&table, &clock), [1, 4, 5]);
    clock.advance(std::time::Duration::from_millis(5));
    fill(&store, &table, [6], 0);
    assert_eq!(held(&table, &clock), [1, 4, 6]);
}

#[test]
fn its_queue_does_not_lengthen_with_what_has_left() {
    let (store, _) = store(1 << 20, usize::MAX);
    let table = store.bounded_table(100);
    fill(&store, &table, 0..100, 0);
    for round in 0..10_000 {
        let number = round % 100;
        assert!(store.remove(&table, &key(number).lookup(), RemovalCause::Invalidated));
        fill(&store, &table, [number], 0);
        let slots: usize = shards(&store).map(|locked| locked.shard.own_slots()).sum();
        assert!(slots <= 400, "{slots} slots for 100 entries in round {round}");
    }
}

#[test]
fn one_table_is_cleared_and_the_others_stay() {
    let (store, clock) = store(1 << 28, usize::MAX);
    let tables: [Arc<Table<u64>>; 3] = [store.bounded_table(500), store.table(), store.table()];
    for table in &tables {
        fill(&store, table, 0..500, 100);
    }
    // Some have been read, and stand in the other queue once the store looks for room.
    assert_eq!(held(&tables[1], &clock).len(), 500);
    for table in &tables[..2] {
        store.clear_table(table);
        assert_eq!((table.entries(), table.bytes(), held(table, &clock)), (0, 0, Vec::new()));
        let cause = |number| store.removal_cause(table.id, key(number).hash());
        assert!((0..500).any(|number| cause(number) == Some(RemovalCause::Invalidated)));
    }
    assert_eq!(tables[2].entries(), 500);
    consistent(&store, &tables);
    fill(&store, &tables[0], 0..600, 0);
    assert_eq!(tables[0].entries(), 500);
    consistent(&store, &tables);
}
