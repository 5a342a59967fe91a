//! What it costs writes to tell near caches: writes a second to four tables, in turns. It prints medians.

use std::{
    thread,
    time::{Duration, Instant},
};

use cache_request::{
    Cache,
    backend::{Backend, SqlBackend, Tracking},
};
use cache_request_tests::servers::{postgres::Postgres, wait_until};
use futures_lite::future::block_on;

const ROUNDS: usize = 15;
const WRITES: usize = 1600;
const CALLERS: [usize; 2] = [1, 16];

/// What is done with a table before, and how many near caches are told of its changes.
const TABLES: [(&str, bool, usize); 4] = [
    ("no near cache was ever used", false, 0),
    ("none is told", true, 0),
    ("one is told", true, 1),
    ("eight are told", true, 8),
];

pub(crate) fn main() {
    for setting in ["fsync=off", "fsync=on"] {
        let postgres = Postgres::start(&[setting]);
        measure(&format!("PostgreSQL, {setting}"), |table| format!("{}?table=table{table}", postgres.url()));
    }
    let directory = tempfile::tempdir().expect("a directory");
    measure("SQLite", |table| format!("sqlite://{}/{table}.db", directory.path().display()));
}

fn measure(database: &str, url: impl Fn(usize) -> String) {
    let tables: Vec<_> = TABLES
        .iter()
        .enumerate()
        .map(|(number, (_, had_near, told))| {
            let url = url(number);
            let near = || {
                let sign = if url.contains('?') { '&' } else { '?' };
                let cache = Cache::from_url(&format!("tiered+{url}{sign}near_timeout=1h")).expect("a cache");
                wait_until("it is told", || {
                    cache
                        .stats()
                        .backend
                        .and_then(|backend| backend.near)
                        .is_some_and(|near| near.tracking == Tracking::Live)
                });
                cache
            };
            if *had_near {
                drop(near());
                // Its registration ends.
                thread::sleep(Duration::from_secs(3));
            }
            let near: Vec<_> = (0..*told).map(|_| near()).collect();
            let (address, options) = url.split_once('?').unwrap_or((&url, "table=cache_request"));
            let backend = SqlBackend::builder(address).table(options.trim_start_matches("table=")).build();
            (backend.expect("a backend"), near)
        })
        .collect();
    for callers in CALLERS {
        let mut rates = vec![Vec::new(); TABLES.len()];
        for round in 0..=ROUNDS {
            for turn in 0..TABLES.len() {
                let table = (turn + round) % TABLES.len();
                let rate = writes_a_second(&tables[table].0, callers);
                // The first round warms up.
                if round > 0 {
                    rates[table].push(rate);
                }
            }
        }
        let medians: Vec<f64> = rates.into_iter().map(median).collect();
        for ((what, ..), median) in TABLES.iter().zip(&medians) {
            println!("{database}, {callers} callers, {what}: {median:.0} writes a second, {:.2}", median / medians[0]);
        }
    }
}

fn writes_a_second(backend: &SqlBackend, callers: usize) -> f64 {
    let begun = Instant::now();
    thread::scope(|threads| {
        for caller in 0..callers {
            threads.spawn(move || {
                for write in 0..WRITES / callers {
                    let key = format!("function:{}:{}", caller, write % 100);
                    block_on(backend.set(&key, &[7; 200], None)).expect("a write");
                }
            });
        }
    });
    WRITES as f64 / begun.elapsed().as_secs_f64()
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}
