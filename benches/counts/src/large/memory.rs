//! Ten million entries: live bytes of each, and what the process holds.

use std::hint::black_box;

use cache_request::cache_request;

use crate::{in_child, install_large_cache};

const ENTRIES: u64 = 10_000_000;
const TEXT: usize = 200;

#[cache_request(timeout = 3600)]
fn number(key: u64) -> u64 {
    key
}

#[cache_request(timeout = 3600)]
fn text(key: u64) -> String {
    format!("{key:0>TEXT$}")
}

pub(crate) fn measure() {
    println!("{ENTRIES} entries: bytes of each\n");
    println!("| | payload | live, as requested | resident |\n| --- | ---: | ---: | ---: |");
    for (function, payload) in
        [("fn(u64) -> u64", 2 * size_of::<u64>()), ("fn(u64) -> String", size_of::<(u64, String)>() + TEXT)]
    {
        for contender in ["cache-request", "quick_cache"] {
            let name = format!("{contender}, {function}");
            let measured = in_child("entries", &name);
            println!("| {name} | {payload} | {:.1} | {:.1} |", measured[0], measured[1]);
        }
    }
}

pub(crate) fn child(contender: &str) {
    match contender {
        "cache-request, fn(u64) -> u64" => ours(|key| _ = black_box(number(key))),
        "cache-request, fn(u64) -> String" => ours(|key| drop(black_box(text(key)))),
        "quick_cache, fn(u64) -> u64" => quick(|key| key),
        _ => quick(|key| format!("{key:0>TEXT$}")),
    }
}

fn ours(call: impl Fn(u64)) {
    let before = resident();
    let used = allocation_counter::measure(|| {
        install_large_cache();
        (0..ENTRIES).for_each(call);
    });
    println!("{} {}", used.bytes_current as f64 / ENTRIES as f64, (resident() - before) / ENTRIES as f64);
}

fn quick<V: Clone>(make: impl Fn(u64) -> V) {
    let before = resident();
    // Some more than there are entries, as the shards are not filled evenly.
    let room = ENTRIES as usize + ENTRIES as usize / 50;
    let mut cache = None;
    let used = allocation_counter::measure(|| {
        let cache = cache.insert(quick_cache::sync::Cache::new(room));
        (0..ENTRIES).for_each(|key| cache.insert(key, make(key)));
    });
    println!("{} {}", used.bytes_current as f64 / ENTRIES as f64, (resident() - before) / ENTRIES as f64);
    assert!(cache.is_some_and(|cache| cache.len() as u64 == ENTRIES), "all are there");
}

/// The bytes of this process in memory.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("it is Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it says what is resident");
    let kilobytes = line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number");
    kilobytes * 1024.0
}
