//! Many callers at once, of one cold key and of many; and a hit beside a body that runs.
//!
//! A body takes 50 ms. What is measured is how often it ran, and when the last of 64 callers had its answer.

use std::{
    sync::LazyLock,
    thread,
    time::{Duration, Instant},
};

use cache_request::cache_request;
use cache_request_benches::{bodies, poll, rounds, samples::Samples, table::Table};
use cached::macros::cached;
use futures_timer::Delay;

const CALLERS: u64 = 64;
const BODY: Duration = Duration::from_millis(50);

/// A key from here on answers `Err`.
const FAILING: u64 = 1 << 32;

/// `cached` has to read `Result` in the signature to know that an `Err` is not to be kept.
type Answer = Result<String, String>;

fn make(key: u64) -> Answer {
    bodies::ran();
    thread::sleep(BODY);
    answer(key)
}

async fn make_async(key: u64) -> Answer {
    bodies::ran();
    Delay::new(BODY).await;
    answer(key)
}

fn answer(key: u64) -> Answer {
    if key < FAILING { Ok(key.to_string()) } else { Err(key.to_string()) }
}

#[cache_request(timeout = 300)]
fn ours(key: u64) -> Answer {
    make(key)
}

#[cached(max_size = 100_000, ttl_secs = 300)]
fn cached_as_it_comes(key: u64) -> Result<String, String> {
    make(key)
}

#[cached(max_size = 100_000, ttl_secs = 300, sync_writes = "default")]
fn cached_synchronised(key: u64) -> Result<String, String> {
    make(key)
}

#[cached(max_size = 100_000, ttl_secs = 300, sync_writes = "by_key")]
fn cached_by_key(key: u64) -> Result<String, String> {
    make(key)
}

fn in_quick_cache(key: u64) -> Answer {
    static CACHE: LazyLock<quick_cache::sync::Cache<u64, String>> =
        LazyLock::new(|| quick_cache::sync::Cache::new(100_000));
    CACHE.get_or_insert_with(&key, || make(key))
}

fn in_moka(key: u64) -> Answer {
    static CACHE: LazyLock<moka::sync::Cache<u64, String>> = LazyLock::new(|| moka::sync::Cache::new(100_000));
    CACHE.try_get_with(key, || make(key)).map_err(|error| String::clone(&error))
}

fn in_dashmap(key: u64) -> Answer {
    static MAP: LazyLock<dashmap::DashMap<u64, String>> = LazyLock::new(dashmap::DashMap::new);
    match MAP.entry(key) {
        dashmap::Entry::Occupied(entry) => Ok(entry.get().clone()),
        dashmap::Entry::Vacant(entry) => Ok(entry.insert(make(key)?).clone()),
    }
}

#[cache_request(timeout = 300)]
async fn ours_async(key: u64) -> Answer {
    make_async(key).await
}

#[cached(max_size = 100_000, ttl_secs = 300, sync_writes = "by_key")]
async fn cached_by_key_async(key: u64) -> Result<String, String> {
    make_async(key).await
}

async fn in_quick_cache_async(key: u64) -> Answer {
    static CACHE: LazyLock<quick_cache::sync::Cache<u64, String>> =
        LazyLock::new(|| quick_cache::sync::Cache::new(100_000));
    CACHE.get_or_insert_async(&key, make_async(key)).await
}

async fn in_moka_async(key: u64) -> Answer {
    static CACHE: LazyLock<moka::future::Cache<u64, String>> = LazyLock::new(|| moka::future::Cache::new(100_000));
    CACHE.try_get_with(key, make_async(key)).await.map_err(|error| String::clone(&error))
}

struct Contender {
    name: &'static str,
    /// Calls the function once for each key, all at once.
    together: fn(&[u64]),
    /// Times the slowest hit of these warm keys while the body of another key runs.
    hit_beside: fn(&[u64], u64) -> Duration,
}

macro_rules! contender {
    ($name:literal, threads of $call:expr) => {
        Contender {
            name: $name,
            together: |keys| {
                thread::scope(|scope| {
                    for key in keys {
                        scope.spawn(|| drop($call(*key)));
                    }
                });
            },
            hit_beside: |warm, cold| {
                thread::scope(|scope| {
                    scope.spawn(move || drop($call(cold)));
                    thread::sleep(BODY / 5);
                    slowest(warm, |key| drop($call(key)))
                })
            },
        }
    };
    ($name:literal, tasks of $call:expr) => {
        Contender {
            name: $name,
            together: |keys| poll::together(keys.iter().map(|key| $call(*key))),
            hit_beside: |warm, cold| {
                thread::scope(|scope| {
                    scope.spawn(move || poll::together([$call(cold)]));
                    thread::sleep(BODY / 5);
                    slowest(warm, |key| poll::together([$call(key)]))
                })
            },
        }
    };
}

fn slowest(keys: &[u64], call: impl Fn(u64)) -> Duration {
    let timed = keys.iter().map(|key| {
        let start = Instant::now();
        call(*key);
        start.elapsed()
    });
    timed.max().unwrap_or_default()
}

/// What one contender did in all rounds.
#[derive(Default)]
struct Measured {
    one_key: Samples,
    one_key_bodies: Samples,
    many_keys: Samples,
    failing: Samples,
    failing_bodies: Samples,
    hit: Samples,
}

fn main() {
    let contenders = [
        contender!("cache-request", threads of ours),
        contender!("cached, as it comes", threads of cached_as_it_comes),
        contender!("cached, sync_writes = \"default\"", threads of cached_synchronised),
        contender!("cached, sync_writes = \"by_key\"", threads of cached_by_key),
        contender!("quick_cache, get_or_insert_with", threads of in_quick_cache),
        contender!("moka, try_get_with", threads of in_moka),
        contender!("DashMap, entry", threads of in_dashmap),
        contender!("cache-request, async", tasks of ours_async),
        contender!("cached, by_key, async", tasks of cached_by_key_async),
        contender!("quick_cache, get_or_insert_async", tasks of in_quick_cache_async),
        contender!("moka, try_get_with, async", tasks of in_moka_async),
    ];
    let mut measured: Vec<Measured> = contenders.iter().map(|_| Measured::default()).collect();
    let rounds = rounds::count(5);
    for round in 0..rounds {
        for turn in rounds::turns(round, contenders.len()) {
            measure(&contenders[turn], round as u64, &mut measured[turn]);
        }
    }
    report(&contenders, &measured);
}

fn measure(contender: &Contender, round: u64, measured: &mut Measured) {
    // Every round uses new keys.
    let fresh = 1000 * (round + 1);
    let timed = |keys: &[u64]| {
        bodies::take();
        let start = Instant::now();
        (contender.together)(keys);
        (start.elapsed().as_secs_f64() * 1e3, bodies::take() as f64)
    };
    let (time, bodies) = timed(&[fresh; CALLERS as usize]);
    measured.one_key.push(time);
    measured.one_key_bodies.push(bodies);
    let many: Vec<u64> = (1..=CALLERS).map(|key| fresh + key).collect();
    let (time, _) = timed(&many);
    measured.many_keys.push(time);
    let (time, bodies) = timed(&[FAILING + fresh; CALLERS as usize]);
    measured.failing.push(time);
    measured.failing_bodies.push(bodies);
    let slowest = (contender.hit_beside)(&many, fresh + 500);
    measured.hit.push(slowest.as_secs_f64() * 1e6);
}

fn report(contenders: &[Contender], measured: &[Measured]) {
    println!("{CALLERS} callers at once, bodies of {} ms; medians [min–max]\n", BODY.as_millis());
    println!(
        "goals: one body; 64 cold keys in one body's time; 64 bodies after an `Err` in at most ten bodies' time; a hit in microseconds\n"
    );
    let mut table = Table::new([
        "",
        "one cold key: bodies",
        "ms",
        "64 cold keys: ms",
        "one key that answers `Err`: bodies",
        "ms",
        "slowest of 64 hits beside a body: µs",
    ]);
    for (contender, measured) in contenders.iter().zip(measured) {
        table.row([
            contender.name.to_owned(),
            format!("{:.0}", measured.one_key_bodies),
            format!("{:.0}", measured.one_key),
            format!("{:.0}", measured.many_keys),
            format!("{:.0}", measured.failing_bodies),
            format!("{:.0}", measured.failing),
            format!("{:.0}", measured.hit),
        ]);
    }
    print!("{table}");
}
