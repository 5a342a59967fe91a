//! What the store holds is within its limits, and it knows how much that is.

use std::{collections::HashMap, sync::Arc, thread, time::Duration};

use proptest::{collection::vec, prelude::*};

use super::{consistent, key, read, shards, store};
use crate::{
    base::clock::{Clock, NEVER},
    store::{RemovalCause, Store, Table},
};

/// Bytes that an entry of these tests takes beside its payload.
const OVERHEAD: usize = Table::<u64>::OVERHEAD;

#[derive(Debug, Clone)]
enum Step {
    Put { table: usize, number: u64, payload: usize, millis: u64 },
    Remove { table: usize, number: u64 },
    Read { table: usize, number: u64 },
    Advance { millis: u64 },
    Clear,
    ClearTable { table: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let (table, number) = (0..3_usize, 0..12_u64);
    let at = (table, number);
    prop_oneof![
        6 => (at.clone(), prop_oneof![0..100_usize, 0..2000_usize], 1..40_u64)
            .prop_map(|((table, number), payload, millis)| Step::Put { table, number, payload, millis }),
        3 => at.clone().prop_map(|(table, number)| Step::Remove { table, number }),
        5 => at.prop_map(|(table, number)| Step::Read { table, number }),
        2 => (0..20_u64).prop_map(|millis| Step::Advance { millis }),
        1 => Just(Step::Clear),
        1 => (0..3_usize).prop_map(|table| Step::ClearTable { table }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..ProptestConfig::default() })]

    /// Whatever is done: the limits hold, the accounts agree, and what is read is what was put last and is not expired.
    #[test]
    fn a_store_is_a_forgetful_map(bytes in 0..3000_usize, entries in 0..8_usize, steps in vec(step(), 1..200)) {
        let (store, clock) = store(bytes, entries);
        let tables: [Arc<Table<u64>>; 3] = [store.table(), store.table(), store.bounded_table(3)];
        let mut model = HashMap::new();
        let mut now = 0;
        for (value, step) in (0_u64..).zip(steps) {
            match step {
                Step::Put { table, number, payload, millis } => {
                    let expires = Clock::from(&clock).after(Duration::from_millis(millis));
                    let put = super::put(&store, &tables[table], number, value, expires, payload);
                    let fits = payload + OVERHEAD <= bytes;
                    prop_assert_eq!(put, fits);
                    if !fits || entries == 0 {
                        prop_assert_eq!(read(&tables[table], &clock, number), None, "an older value outlived a newer one");
                        model.remove(&(table, number));
                    } else {
                        prop_assert_eq!(read(&tables[table], &clock, number), Some(value), "the newest is gone");
                        model.insert((table, number), (value, now + millis));
                    }
                }
                Step::Remove { table, number } => {
                    let held = read(&tables[table], &clock, number).is_some();
                    prop_assert_eq!(store.remove(&tables[table], &key(number).lookup(), RemovalCause::Invalidated), held);
                    prop_assert_eq!(read(&tables[table], &clock, number), None);
                    model.remove(&(table, number));
                }
                Step::Read { table, number } => {
                    if let Some(value) = read(&tables[table], &clock, number) {
                        let (newest, expires) = model[&(table, number)];
                        prop_assert_eq!(value, newest);
                        prop_assert!(now < expires);
                    }
                }
                Step::Advance { millis } => {
                    clock.advance(Duration::from_millis(millis));
                    now += millis;
                }
                Step::Clear => {
                    store.clear();
                    model.clear();
                    prop_assert_eq!((store.bytes(), store.entries()), (0, 0));
                }
                Step::ClearTable { table } => {
                    store.clear_table(&tables[table]);
                    model.retain(|(of, _), _| *of != table);
                    prop_assert_eq!((tables[table].bytes(), tables[table].entries()), (0, 0));
                }
            }
            prop_assert!(store.bytes() <= bytes && store.entries() <= entries && tables[2].entries() <= 3);
            consistent(&store, &tables);
        }
    }
}

pub(super) fn fill(store: &Store, table: &Table<u64>, numbers: impl IntoIterator<Item = u64>, payload: usize) {
    for number in numbers {
        assert!(super::put(store, table, number, number, NEVER, payload));
    }
}

#[test]
fn a_function_knows_what_it_holds() {
    let (store, _) = store(1 << 20, usize::MAX);
    let [one, other] = [store.table(), store.table()];
    fill(&store, &one, 0..10, 100);
    fill(&store, &other, 0..5, 1000);
    assert_eq!((one.entries(), one.bytes()), (10, 10 * (OVERHEAD + 100)));
    assert_eq!((other.entries(), other.bytes()), (5, 5 * (OVERHEAD + 1000)));
    // A value in the place of another one.
    fill(&store, &other, 0..5, 10);
    assert_eq!((other.entries(), other.bytes()), (5, 5 * (OVERHEAD + 10)));
    assert_eq!((store.entries(), store.bytes()), (15, one.bytes() + other.bytes()));
}

/// The key that was put last is not evicted for its own sake. Here it stands in its queue twice and alone: the slot that it
/// left behind when it was removed, and its new one.
#[test]
fn a_key_that_was_removed_and_put_again_is_not_passed_over_for_ever() {
    let (store, clock) = store(usize::MAX, 2);
    let table = store.table();
    fill(&store, &table, [1, 2], 0);
    // Read, so that they go to the main queue.
    assert_eq!([1, 2].map(|number| read(&table, &clock, number)), [Some(1), Some(2)]);
    fill(&store, &table, [3, 4], 0);
    assert!(store.remove(&table, &key(4).lookup(), RemovalCause::Invalidated));
    // It was evicted not long ago, and so goes to the main queue, too.
    fill(&store, &table, [3], 0);
    fill(&store, &table, [4], 0);
    assert_eq!((store.entries(), read(&table, &clock, 4)), (2, Some(4)));
    consistent(&store, &[table]);
}

#[test]
fn removing_and_putting_again_does_not_lengthen_the_queues() {
    let (store, _) = store(1 << 20, usize::MAX);
    let table = store.table();
    fill(&store, &table, 0..100, 0);
    for round in 0..10_000 {
        let number = round % 100;
        assert!(store.remove(&table, &key(number).lookup(), RemovalCause::Invalidated));
        fill(&store, &table, [number], 0);
        let slots: usize = shards(&store).map(|locked| locked.shard.slots()).sum();
        assert!(slots <= 400, "{slots} slots for 100 entries in round {round}");
    }
}

#[test]
fn why_a_key_is_gone_is_remembered_for_a_while() {
    let (store, clock) = store(usize::MAX, 10);
    let table = store.table();
    let cause = |number| store.removal_cause(table.id, key(number).hash());
    fill(&store, &table, 0..10, 0);
    store.remove(&table, &key(5).lookup(), RemovalCause::Invalidated);
    assert_eq!((cause(5), cause(6), cause(77)), (Some(RemovalCause::Invalidated), None, None));
    fill(&store, &table, 100..103, 0);
    let gone: Vec<_> = (0..10).filter(|&number| number != 5 && read(&table, &clock, number).is_none()).collect();
    assert_eq!(gone.len(), 2);
    // Two keys may have one place among the remembered.
    assert!(gone.iter().any(|&number| cause(number) == Some(RemovalCause::Evicted)));
    // As long as a shard has few entries, it remembers few.
    fill(&store, &table, 1000..2000, 0);
    assert_eq!(cause(5), None);

    let held: Vec<_> = (0..2000).filter(|&number| read(&table, &clock, number).is_some()).collect();
    assert_eq!(held.len(), 10);
    store.clear();
    let invalidated = held.iter().filter(|&&number| cause(number) == Some(RemovalCause::Invalidated)).count();
    assert!(invalidated >= 3, "who clears the cache has invalidated what it held: {invalidated} of 10");
}

/// Reads, writes and removals from all sides.
#[test]
fn threads_keep_the_accounts() {
    let (store, clock) = store(1 << 20, 3000);
    let tables: [Arc<Table<u64>>; 3] = [store.table(), store.table(), store.bounded_table(100)];
    thread::scope(|scope| {
        for thread in 0..8_u64 {
            let (store, clock, tables) = (&store, &clock, &tables);
            scope.spawn(move || {
                let mut random = thread + 1;
                for _ in 0..20_000 {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    let (number, table) = (random >> 40 & 0xfff, &tables[(random >> 33) as usize % 3]);
                    match random >> 60 {
                        0..8 => {
                            let payload = (random >> 20) as usize % 1000;
                            assert!(super::put(store, table, number, number, NEVER, payload));
                        }
                        8..10 => _ = store.remove(table, &key(number).lookup(), RemovalCause::Invalidated),
                        10 if random >> 50 & 0x3ff == 0 => store.clear(),
                        10 if random >> 50 & 0x3ff == 1 => store.clear_table(table),
                        _ => assert!(read(table, clock, number).is_none_or(|value| value == number)),
                    }
                }
            });
        }
    });
    consistent(&store, &tables);
    assert!(store.bytes() <= 1 << 20 && store.entries() <= 3000 && tables[2].entries() <= 100);
    assert!(store.entries() > 0);
    store.clear();
    consistent(&store, &tables);
    assert_eq!((store.bytes(), store.entries()), (0, 0));
    for table in &tables {
        assert_eq!((table.bytes(), table.entries()), (0, 0));
        assert!(table.read(&key(1).lookup(), || 0, |_, _, _| ()).is_none());
    }
}
