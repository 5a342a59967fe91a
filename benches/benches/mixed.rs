//! Reads and inserts over more keys than there is room for: throughput and hit ratio.
//!
//! A million keys, zipf(0.99), room for 100,000 entries. 95 of 100 operations call the function (a miss runs its body and
//! inserts), 5 insert outright.

use std::{
    hint::black_box,
    num::NonZero,
    sync::{
        LazyLock, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use cache_request::{Cache, cache_request, install};
use cache_request_benches::{
    bodies,
    quiet::Patience,
    rounds,
    samples::Samples,
    streams::{Draw, Random},
    table::Table,
};
use cached::macros::concurrent_cached;
use foldhash::fast::RandomState;

const KEYS: u32 = 1_000_000;
const ROOM: usize = 100_000;
const THREADS: [usize; 3] = [1, 2, 4];

/// Operations a thread does in one round, and before the first one.
const OPERATIONS: usize = 1 << 17;
const WARM_UP: usize = 1 << 21;

/// The least share of `quick_cache`'s rate.
const GOAL: f64 = 0.8;

/// What marks an operation as an insert.
const INSERT: u32 = 1 << 31;

fn make(key: u64) -> String {
    bodies::ran_here();
    let mut value = "x".repeat(192);
    value.extend(key.to_ne_bytes().map(|byte| char::from(byte & 0x7f)));
    value
}

#[cache_request(timeout = 300)]
fn ours(key: u64) -> String {
    make(key)
}

#[concurrent_cached(max_size = 100_000)]
fn concurrent(key: u64) -> String {
    make(key)
}

static QUICK: LazyLock<quick_cache::sync::Cache<u64, String>> = LazyLock::new(|| quick_cache::sync::Cache::new(ROOM));
static MOKA: LazyLock<moka::sync::Cache<u64, String, RandomState>> =
    LazyLock::new(|| moka::sync::Cache::builder().max_capacity(ROOM as u64).build_with_hasher(RandomState::default()));
static LRU: LazyLock<Mutex<lru::LruCache<u64, String, RandomState>>> = LazyLock::new(|| {
    let room = NonZero::new(ROOM).expect("there is room");
    Mutex::new(lru::LruCache::with_hasher(room, RandomState::default()))
});

fn in_quick_cache(key: u64) -> String {
    QUICK.get(&key).unwrap_or_else(|| {
        let value = make(key);
        QUICK.insert(key, value.clone());
        value
    })
}

fn in_moka(key: u64) -> String {
    MOKA.get(&key).unwrap_or_else(|| {
        let value = make(key);
        MOKA.insert(key, value.clone());
        value
    })
}

fn in_lru(key: u64) -> String {
    let known = LRU.lock().expect("no panic").get(&key).cloned();
    known.unwrap_or_else(|| {
        let value = make(key);
        LRU.lock().expect("no panic").put(key, value.clone());
        value
    })
}

struct Contender {
    name: &'static str,
    read: fn(u64) -> String,
    /// Inserts the value of a key, which it makes first.
    insert: fn(u64),
    /// Nanoseconds an operation, for each number of threads.
    nanos: [Samples; 3],
    /// Reads and hits, for each number of threads.
    counts: [(u64, u64); 3],
}

impl Contender {
    fn new(name: &'static str, read: fn(u64) -> String, insert: fn(u64)) -> Self {
        Self { name, read, insert, nanos: Default::default(), counts: Default::default() }
    }

    /// Reads and hits.
    fn run(&self, operations: &[u32]) -> (u64, u64) {
        let mut inserts = 0;
        let _ = bodies::take_here();
        for operation in operations {
            let key = u64::from(*operation & !INSERT);
            if *operation & INSERT == 0 {
                black_box((self.read)(key));
            } else {
                inserts += 1;
                (self.insert)(key);
            }
        }
        let reads = operations.len() as u64 - inserts;
        (reads, operations.len() as u64 - bodies::take_here())
    }
}

fn main() {
    install(Cache::builder().max_bytes(4 << 30).max_entries(ROOM as u64).build().expect("no option is wrong"))
        .expect("this is the first use");
    let rounds = rounds::count(11);
    let mut patience = Patience::new(Duration::from_secs(60));
    let streams: Vec<Vec<u32>> =
        (0..4).map(|thread| operations(thread, WARM_UP + rounds * THREADS.len() * OPERATIONS)).collect();
    let mut contenders = [
        Contender::new("cache-request", ours, |key| ours_cache(key).put(&make(key)).expect("it fits")),
        Contender::new("quick_cache", in_quick_cache, |key| QUICK.insert(key, make(key))),
        Contender::new("moka", in_moka, |key| MOKA.insert(key, make(key))),
        Contender::new("lru in a mutex", in_lru, |key| {
            LRU.lock().expect("no panic").put(key, make(key));
        }),
        Contender::new("concurrent_cached, max_size", concurrent, |key| {
            concurrent_prime_cache(key);
        }),
    ];
    for contender in &contenders {
        contender.run(&streams[0][..WARM_UP]);
    }
    for round in 0..rounds {
        for (column, threads) in THREADS.into_iter().enumerate() {
            patience.wait();
            for turn in rounds::turns(round, contenders.len()) {
                let contender = &contenders[turn];
                let (reads, hits) = (AtomicU64::new(0), AtomicU64::new(0));
                let time = rounds::on_threads(
                    threads,
                    |_| {},
                    |thread| {
                        // No part of a stream comes twice: who has just seen it would have the best of memories.
                        let start = WARM_UP + (round * THREADS.len() + column) * OPERATIONS;
                        let counted = contender.run(&streams[thread][start..start + OPERATIONS]);
                        reads.fetch_add(counted.0, Ordering::Relaxed);
                        hits.fetch_add(counted.1, Ordering::Relaxed);
                    },
                );
                let contender = &mut contenders[turn];
                contender.nanos[column].push(time.as_secs_f64() * 1e9 / (threads * OPERATIONS) as f64);
                contender.counts[column].0 += reads.into_inner();
                contender.counts[column].1 += hits.into_inner();
            }
        }
    }
    report(&contenders);
}

fn operations(seed: u64, length: usize) -> Vec<u32> {
    let mut random = Random::new(seed ^ 0x5eed);
    let keys = Draw::Zipf(KEYS).stream(seed, length);
    keys.into_iter().map(|key| if random.unit() < 0.05 { key | INSERT } else { key }).collect()
}

fn report(contenders: &[Contender]) {
    println!("95 % reads, 5 % inserts, a million keys by zipf(0.99), room for 100,000");
    println!("goals: the hit ratio no less than that of the best, the rate at least {GOAL} of quick_cache's");
    let ideal = Draw::Zipf(KEYS).share_of_the(ROOM);
    println!("who always holds the 100,000 most frequent keys hits {ideal:.3} of the reads");
    for (column, threads) in THREADS.into_iter().enumerate() {
        println!("\n{threads} thread{}\n", if threads == 1 { "" } else { "s" });
        let mut table = Table::new(["", "hit ratio", "ns an operation [min–max]", "M/s", "its rate ÷ quick_cache's"]);
        let quick = contenders[1].nanos[column].median();
        // As they are printed, so that no figure seems to contradict its verdict.
        let ratio = |contender: &Contender| {
            let (reads, hits) = contender.counts[column];
            format!("{:.3}", hits as f64 / reads as f64)
        };
        let best = contenders.iter().map(ratio).max().expect("there are contenders");
        for contender in contenders {
            let nanos = &contender.nanos[column];
            let (mut hits, mut rate) = (ratio(contender), format!("{:.2}", quick / nanos.median()));
            if contender.name == contenders[0].name {
                hits += if hits < best { " ✗" } else { "" };
                rate += if rate.parse().is_ok_and(|rate: f64| rate < GOAL) { " ✗" } else { "" };
            }
            table.row([
                contender.name.to_owned(),
                hits,
                format!("{nanos:.0}"),
                format!("{:.2}", 1e3 / nanos.median()),
                rate,
            ]);
        }
        print!("{table}");
    }
}
