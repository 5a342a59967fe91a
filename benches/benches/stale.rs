//! A hit on a stale value, whose replacement is under way, beside one on a fresh value of the same function.

use std::{
    hint::black_box,
    thread,
    time::{Duration, Instant},
};

use cache_request::{Cache, Reason, cache_request, install, this_call};
use cache_request_benches::{quiet::Patience, rounds, samples::Samples};

/// At most so many times as long.
const GOAL: f64 = 1.2;

const KEYS: u64 = 1_000;
const CALLS: u64 = 200_000;

/// Values from here on are fresh.
const FRESH: u64 = KEYS;

/// A day's replacement ends without a value, so the older one stays.
#[cache_request(timeout_with = lasts, stale = "1day", retry = "1day")]
fn ours(key: u64) -> Result<u64, ()> {
    if this_call().reason() == Reason::Stale { Err(()) } else { Ok(key) }
}

fn lasts(key: &u64) -> Duration {
    if *key < FRESH { Duration::from_millis(1) } else { Duration::from_secs(86400) }
}

fn hits(first: u64) -> f64 {
    let begun = Instant::now();
    for call in 0..CALLS {
        assert_eq!(black_box(ours(first + call % KEYS)), Ok(first + call % KEYS));
    }
    begun.elapsed().as_secs_f64() * 1e9 / CALLS as f64
}

fn main() {
    let cache = Cache::builder().build().expect("no option is wrong");
    install(cache.clone()).expect("this is the first use");
    (0..2 * KEYS).for_each(|key| _ = ours(key));
    thread::sleep(Duration::from_millis(50));
    (0..KEYS).for_each(|key| _ = ours(key));
    cache.shutdown_sync();
    let mut patience = Patience::new(Duration::from_secs(30));
    let (mut fresh, mut stale, mut ratio) = (Samples::default(), Samples::default(), Samples::default());
    hits(0);
    hits(FRESH);
    for round in 0..rounds::count(100) {
        patience.wait();
        let mut times = [0.0; 2];
        for turn in rounds::turns(round, 2) {
            times[turn] = hits([FRESH, 0][turn]);
        }
        fresh.push(times[0]);
        stale.push(times[1]);
        ratio.push(times[1] / times[0]);
    }
    let counted = cache.stats().functions[0].stale;
    assert!(counted >= CALLS, "the stale ones are stale: {counted}");
    println!("a fresh hit, ns: {fresh:.1}\na stale hit, ns: {stale:.1}");
    let verdict = if ratio.median() > GOAL { " ✗" } else { "" };
    println!("times as long (goal: at most {GOAL}): {:.2}{verdict}", ratio.median());
}
