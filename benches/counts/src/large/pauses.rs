//! A table of a million entries while it grows: the longest put.

use std::hint::black_box;

use cache_request::cache_request;

use crate::{in_child, install_large_cache, median, now};

const ENTRIES: u64 = 1_000_000;
const ROUNDS: usize = 5;

#[cache_request(timeout = 300)]
fn ours(key: u64) -> u64 {
    key
}

pub(crate) fn measure() {
    println!("{ENTRIES} misses of `fn(u64) -> u64`, each of which puts an entry; medians of {ROUNDS} runs\n");
    println!("| | median, µs | longest but a hundred, µs | longest, µs |\n| --- | ---: | ---: | ---: |");
    for contender in ["cache-request", "quick_cache"] {
        let runs: Vec<_> = (0..ROUNDS).map(|_| in_child("growth", contender)).collect();
        let of = |column: usize| median(runs.iter().map(|run| run[column]).collect());
        println!("| {contender} | {} | {} | {} |", of(0), of(1), of(2));
    }
}

pub(crate) fn child(contender: &str) {
    let call: Box<dyn Fn(u64)> = if contender == "quick_cache" {
        let cache = quick_cache::sync::Cache::new(2 * ENTRIES as usize);
        Box::new(move |key| cache.insert(key, key))
    } else {
        install_large_cache();
        Box::new(|key| _ = black_box(ours(key)))
    };
    let mut micros = Vec::with_capacity(ENTRIES as usize);
    for key in 0..ENTRIES {
        let start = now();
        call(key);
        micros.push((now() - start).as_secs_f64() * 1e6);
    }
    micros.sort_by(f64::total_cmp);
    let last = micros.len() - 1;
    println!("{} {} {}", micros[last / 2], micros[last - 100], micros[last]);
}
