//! What a miss costs that puts its value: while the table fills, and while it evicts.
//!
//! Each measurement runs in a process of its own, as a table fills only once. Time is that of the thread on its processor, so that other
//! work on the machine counts less.

use std::{env, hint::black_box, process::Command, time::Duration};

use cache_request::{Cache, cache_request, install};
use cache_request_benches::{bodies, quiet::Patience, rounds, samples::Samples, table::Table};
use rustix::time::{ClockId, clock_gettime};

/// Misses that are timed, and the entries that a table has room for which evicts.
const KEYS: u64 = 100_000;

/// While the table fills, at most so many times as long as `quick_cache`.
const GOAL: f64 = 1.5;

fn make(key: u64) -> u64 {
    bodies::ran_here();
    key
}

#[cache_request(timeout = 300)]
fn ours(key: u64) -> u64 {
    make(key)
}

const FILLS: &str = "filling";
const EVICTS: &str = "evicting";

const CONTENDERS: [&str; 2] = ["cache-request", "quick_cache, bare"];

/// What tells a child process what it measures.
const CHILD: &str = "CACHE_REQUEST_BENCHES_MISS";

fn main() {
    if let Ok(child) = env::var(CHILD) {
        let (contender, table) = child.split_once(';').expect("the parent says both");
        return println!("{}", nanos(contender, table));
    }
    println!("A miss of fn(u64) -> u64, {KEYS} in a row; each ratio is the median of those of the single rounds\n");
    let mut patience = Patience::new(Duration::from_secs(30));
    let mut report = Table::new(["", "ns a miss [min–max]", "ours ÷ it"]);
    for table in [FILLS, EVICTS] {
        let mut samples = CONTENDERS.map(|_| (Samples::default(), Samples::default()));
        for round in 0..rounds::count(25) {
            patience.wait();
            let mut nanos = CONTENDERS.map(|_| 0.0);
            for turn in rounds::turns(round, CONTENDERS.len()) {
                nanos[turn] = in_child(CONTENDERS[turn], table);
            }
            for ((of_it, ratio), nanos_of_it) in samples.iter_mut().zip(nanos) {
                of_it.push(nanos_of_it);
                ratio.push(nanos[0] / nanos_of_it);
            }
        }
        for (contender, (of_it, ratio)) in CONTENDERS.into_iter().zip(&samples) {
            // As it is printed, so that no figure seems to contradict its verdict.
            let shown = format!("{:.2}", ratio.median());
            let missed = table == FILLS && shown.parse().is_ok_and(|shown: f64| shown > GOAL);
            let verdict = if missed { " ✗" } else { "" };
            report.row([format!("{contender}, {table}"), format!("{of_it:.0}"), format!("{shown}{verdict}")]);
        }
    }
    println!("{report}\ngoal, filling: at most {GOAL}");
}

fn in_child(contender: &str, table: &str) -> f64 {
    let program = env::current_exe().expect("a program knows where it is");
    let output = Command::new(program).env(CHILD, format!("{contender};{table}")).output();
    let output = output.expect("it can be run once more");
    assert!(output.status.success(), "{contender}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number of nanoseconds")
}

/// Nanoseconds of one miss.
fn nanos(contender: &str, table: &str) -> f64 {
    let evicts = table == EVICTS;
    if contender == CONTENDERS[0] {
        let room = if evicts { KEYS } else { u64::MAX };
        let cache = Cache::builder().max_bytes(1 << 30).max_entries(room).build().expect("no option is wrong");
        install(cache).expect("this is the first use");
        timed(ours, evicts)
    } else {
        // Some more than there are entries, since what is divided into shards is not filled evenly.
        let cache = quick_cache::sync::Cache::new(if evicts { KEYS } else { 2 * KEYS } as usize);
        let call = |key| {
            cache.get(&key).unwrap_or_else(|| {
                let value = make(key);
                cache.insert(key, value);
                value
            })
        };
        timed(call, evicts)
    }
}

fn timed(call: impl Fn(u64) -> u64, evicts: bool) -> f64 {
    let calls = |first: u64| (first..first + KEYS).for_each(|key| _ = black_box(call(black_box(key))));
    if evicts {
        calls(0);
        calls(KEYS);
    } else {
        // The first call of a function prepares what all others use.
        black_box(call(u64::MAX));
    }
    let _ = bodies::take_here();
    let start = now();
    calls(2 * KEYS);
    let took = now() - start;
    assert_eq!(bodies::take_here(), KEYS, "each is a miss");
    took.as_secs_f64() * 1e9 / KEYS as f64
}

/// For how long this thread has run.
fn now() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}
