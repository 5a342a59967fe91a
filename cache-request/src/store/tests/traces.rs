//! What is evicted: the share of reads that find their value, on traces that are the same in every run.

use std::collections::{HashMap, VecDeque};

use super::{read, store};
use crate::base::clock::NEVER;

/// A deterministic source of randomness.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// Numbers from 0 to `keys`, the lower the more frequent.
pub(super) fn zipf(keys: usize, exponent: f64, length: usize, seed: u64) -> Vec<u64> {
    let mut sum = 0.0;
    let cumulated: Vec<f64> = (1..=keys)
        .map(|rank| {
            sum += (rank as f64).powf(-exponent);
            sum
        })
        .collect();
    let mut random = Random(seed);
    let mut draw = || {
        let point = random.next() as f64 / u64::MAX as f64 * sum;
        cumulated.partition_point(|&until| until < point) as u64
    };
    (0..length).map(|_| draw()).collect()
}

/// The same, with runs of keys that are read once each, as a crawler or an export reads them.
fn with_scans(trace: &[u64], every: usize, length: usize) -> Vec<u64> {
    let mut scanned = 1 << 40;
    let mut mixed = Vec::new();
    for chunk in trace.chunks(every) {
        mixed.extend_from_slice(chunk);
        mixed.extend(scanned..scanned + length as u64);
        scanned += length as u64;
    }
    mixed
}

/// A set that shifts: what was hot grows cold.
fn drifting(trace: &[u64], every: usize, by: u64) -> Vec<u64> {
    trace.iter().enumerate().map(|(nth, number)| number + (nth / every) as u64 * by).collect()
}

fn hit_ratio(trace: &[u64], room: usize) -> f64 {
    let (store, clock) = store(usize::MAX, room);
    let table = store.table();
    let mut hits = 0;
    // The first half warms it up.
    for (nth, &number) in trace.iter().enumerate() {
        if read(&table, &clock, number).is_some() {
            hits += usize::from(nth >= trace.len() / 2);
        } else {
            super::put(&store, &table, number, number, NEVER, 0);
        }
    }
    hits as f64 / (trace.len() / 2) as f64
}

/// What the least recently used entry's eviction comes to, for comparison.
fn lru_hit_ratio(trace: &[u64], room: usize) -> f64 {
    let mut newest = HashMap::new();
    let mut order = VecDeque::new();
    let mut hits = 0;
    for (time, &number) in trace.iter().enumerate() {
        hits += usize::from(newest.insert(number, time).is_some() && time >= trace.len() / 2);
        order.push_back((number, time));
        while newest.len() > room {
            let (oldest, time) = order.pop_front().unwrap();
            if newest.get(&oldest) == Some(&time) {
                newest.remove(&oldest);
            }
        }
    }
    hits as f64 / (trace.len() / 2) as f64
}

#[test]
fn popular_keys_stay() {
    let trace = zipf(100_000, 0.99, 1_000_000, 1);
    let (ours, lru) = (hit_ratio(&trace, 10_000), lru_hit_ratio(&trace, 10_000));
    assert!(ours >= lru + 0.04, "{ours} beside {lru} of an LRU");
}

#[test]
fn a_scan_drives_out_little() {
    let trace = with_scans(&zipf(100_000, 0.99, 500_000, 2), 10_000, 5_000);
    let (ours, lru) = (hit_ratio(&trace, 10_000), lru_hit_ratio(&trace, 10_000));
    assert!(ours >= lru + 0.05, "{ours} beside {lru} of an LRU");
}

#[test]
fn what_grows_popular_comes_in() {
    let trace = drifting(&zipf(100_000, 0.99, 500_000, 3), 100_000, 1000);
    let (ours, lru) = (hit_ratio(&trace, 10_000), lru_hit_ratio(&trace, 10_000));
    assert!(ours >= lru, "{ours} beside {lru} of an LRU");
}

#[test]
fn hot_entries_survive_a_scan() {
    let (store, clock) = store(usize::MAX, 1000);
    let table = store.table();
    let mut put = |number| _ = super::put(&store, &table, number, number, NEVER, 0);
    (0..500).for_each(&mut put);
    for _ in 0..2 {
        (0..500).for_each(|number| assert_eq!(read(&table, &clock, number), Some(number)));
    }
    (10_000..20_000).for_each(&mut put);
    let survived = (0..500).filter(|&number| read(&table, &clock, number).is_some()).count();
    assert_eq!(survived, 500);
}

/// What is computed anew when its timeout is over is as popular as it was.
#[test]
fn hot_entries_survive_their_replacement() {
    let (store, clock) = store(usize::MAX, 1000);
    let table = store.table();
    let mut put = |number| _ = super::put(&store, &table, number, number, NEVER, 0);
    (0..500).for_each(&mut put);
    (0..500).for_each(|number| assert_eq!(read(&table, &clock, number), Some(number)));
    (0..500).for_each(&mut put);
    (10_000..20_000).for_each(&mut put);
    let survived = (0..500).filter(|&number| read(&table, &clock, number).is_some()).count();
    assert_eq!(survived, 500);
}

/// What comes back soon after it was evicted is kept longer than what comes for the first time.
#[test]
fn what_comes_back_is_kept() {
    let (store, clock) = store(usize::MAX, 1000);
    let table = store.table();
    let mut put = |number| _ = super::put(&store, &table, number, number, NEVER, 0);
    (0..1500).for_each(&mut put);
    let gone: Vec<u64> = (0..1500).filter(|&number| read(&table, &clock, number).is_none()).take(50).collect();
    assert_eq!(gone.len(), 50);
    gone.iter().copied().for_each(&mut put);
    // They are not read in the meantime.
    (10_000..10_800).for_each(&mut put);
    let kept = gone.iter().filter(|&&number| read(&table, &clock, number).is_some()).count();
    assert_eq!(kept, 50);
}
