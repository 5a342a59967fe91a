//! The bytes that the store says it holds, beside those it has from the allocator.

use std::ops::Range;

use allocation_counter::measure;

use super::{key, put, store};
use crate::base::clock::NEVER;

/// Of this thread, which does all the work here.
fn live(work: impl FnOnce()) -> i64 {
    measure(work).bytes_current
}

/// What is counted for an entry is what it takes.
#[test]
fn the_overhead_of_an_entry_is_what_it_takes() {
    for (count, length) in [(100_000, 200), (100_000, 20), (70_000, 1000), (130_000, 0), (50_000, 0), (90_000, 0)] {
        let mut made = None;
        let mut taken = live(|| {
            let (store, _) = store(usize::MAX, count);
            let table = store.table();
            made = Some((store, table));
        });
        let (store, table) = made.expect("it was made");
        let put_all = |numbers: Range<usize>| {
            live(|| {
                for number in numbers {
                    let text = "x".repeat(length);
                    // The allocator's own header, which the counter does not see, is not to be seen in the sum either.
                    put(&store, &table, number as u64, text, NEVER, size_of::<String>() + length);
                }
            })
        };
        // More than there is room for, so that what is remembered of those that go is there as well.
        taken += put_all(0..2 * count);
        let mut least = taken;
        // The places of entries that went fill up, and then the map moves to a fresh table of the same size and has both for a while. At
        // which entry that begins hangs on the seed of the hashes. A move ends long before the next one begins.
        for number in (2 * count..3 * count).step_by(count / 5) {
            taken += put_all(number..number + count / 5);
            least = least.min(taken);
        }
        let (taken, counted) = (least, store.bytes() as i64 - 8 * i64::try_from(count).unwrap());
        let off = (taken - counted) * 100 / taken;
        // The map is between a quarter and half full, so the average that is counted is off by a few bytes an entry.
        assert!(off.abs() <= 12, "{count} of {length}: {taken} bytes taken, {counted} counted: {off} % off");
    }
}

/// What is evicted is given back, and not only when many are.
#[test]
fn what_is_evicted_is_given_back_at_once() {
    for (limit, length) in [(16 << 20, 1 << 20), (16 << 20, 100_000), (4 << 20, 15_000), (1 << 20, 3_000)] {
        let mut stores = None;
        let peak = measure(|| {
            let (store, _) = store(limit, usize::MAX);
            let table = store.table();
            for number in 0..(20 * limit / length) as u64 {
                put(&store, &table, number, vec![0_u8; length], NEVER, 24 + length);
            }
            assert!(store.bytes() <= limit && store.bytes() + 2 * length > limit);
            stores = Some((store, table));
        })
        .bytes_max;
        // The value that comes, what goes in one batch, and what the map holds on to while it tidies itself up.
        let room = limit as u64 + 8 * length.max(32 << 10) as u64;
        assert!(peak <= room, "{length} bytes each: {peak} at the most, where {room} are allowed");
    }
}

/// Also when each value has a table of its own.
#[test]
fn what_many_functions_evict_is_given_back_at_once() {
    let (limit, length) = (1 << 20, 10_000);
    let mut stores = None;
    let peak = measure(|| {
        let (store, _) = store(limit, usize::MAX);
        let tables: Vec<_> = (0..100).map(|_| store.table()).collect();
        for number in 0..2000 {
            let table = &tables[number as usize % tables.len()];
            put(&store, table, number, vec![0_u8; length], NEVER, 24 + length);
        }
        stores = Some((store, tables));
    })
    .bytes_max;
    assert!(peak <= limit as u64 + (512 << 10), "{peak}");
}

/// A value in the place of another one, again and again.
#[test]
fn what_is_replaced_or_removed_is_given_back_at_once() {
    let mut stores = None;
    let peak = measure(|| {
        let (store, _) = store(64 << 20, usize::MAX);
        let table = store.table();
        for round in 0..1000 {
            put(&store, &table, 1, vec![0_u8; 10_000], NEVER, 10_024);
            if round % 3 == 0 {
                store.remove(&table, &key(1).lookup(), crate::store::RemovalCause::Invalidated);
            }
        }
        stores = Some((store, table));
    })
    .bytes_max;
    assert!(peak <= 256 << 10, "{peak}");
}
