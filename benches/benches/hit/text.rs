//! The contenders for `fn(&str, u32, &str) -> Vec<u64>`.

use std::{
    hash::{Hash, Hasher},
    hint::black_box,
    sync::{Arc, LazyLock},
    time::Duration,
};

use cache_request::cache_request;
use cache_request_benches::{poll::poll_now, values};
use cached::macros::{cached, concurrent_cached};
use foldhash::fast::RandomState;
use memoize::memoize;
use quick_cache::Equivalent;

use crate::contender::{Contender, ROOM, TIMEOUT};

type Owned = (String, u32, String);

fn make(origin: &str, day: u32, carrier: &str) -> Vec<u64> {
    values::numbers(u64::from(day) + origin.len() as u64 + carrier.len() as u64)
}

#[cache_request(timeout = 300)]
fn ours(origin: &str, day: u32, carrier: &str) -> Vec<u64> {
    make(origin, day, carrier)
}

#[cached(max_size = 200_000, ttl_secs = 300)]
fn cached_with_both(origin: &str, day: u32, carrier: &str) -> Vec<u64> {
    make(origin, day, carrier)
}

#[cached(max_size = 200_000)]
fn cached_bounded(origin: &str, day: u32, carrier: &str) -> Vec<u64> {
    make(origin, day, carrier)
}

#[cached]
fn cached_unbounded(origin: &str, day: u32, carrier: &str) -> Vec<u64> {
    make(origin, day, carrier)
}

#[concurrent_cached(max_size = 200_000, ttl_secs = 300)]
fn concurrent_with_both(origin: &str, day: u32, carrier: &str) -> Vec<u64> {
    make(origin, day, carrier)
}

/// It takes owned arguments only.
#[expect(clippy::needless_pass_by_value)]
#[memoize(SharedCache, Capacity: 200_000, TimeToLive: Duration::from_secs(300))]
fn memoized(origin: String, day: u32, carrier: String) -> Vec<u64> {
    make(&origin, day, &carrier)
}

/// The arguments as they are, to look up what is kept under their owned form.
struct Borrowed<'a>(&'a str, u32, &'a str);

impl Hash for Borrowed<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.0, self.1, self.2).hash(state);
    }
}

impl Equivalent<Owned> for Borrowed<'_> {
    fn equivalent(&self, key: &Owned) -> bool {
        self.0 == key.0 && self.1 == key.1 && self.2 == key.2
    }
}

impl Borrowed<'_> {
    fn owned(&self) -> Owned {
        (self.0.to_owned(), self.1, self.2.to_owned())
    }
}

fn in_moka(origin: &str, day: u32, carrier: &str) -> Vec<u64> {
    static CACHE: LazyLock<moka::sync::Cache<Owned, Vec<u64>, RandomState>> = LazyLock::new(|| {
        moka::sync::Cache::builder().max_capacity(ROOM).time_to_live(TIMEOUT).build_with_hasher(RandomState::default())
    });
    let key = Borrowed(origin, day, carrier);
    CACHE.get(&key).unwrap_or_else(|| CACHE.get_with(key.owned(), || make(origin, day, carrier)))
}

type Quick = quick_cache::sync::Cache<Owned, Vec<u64>>;

fn in_quick_cache(origin: &str, day: u32, carrier: &str) -> Vec<u64> {
    static CACHE: LazyLock<Quick> = LazyLock::new(|| Quick::new(ROOM as usize));
    let key = Borrowed(origin, day, carrier);
    CACHE.get(&key).unwrap_or_else(|| {
        let value = make(origin, day, carrier);
        CACHE.insert(key.owned(), value.clone());
        value
    })
}

/// It looks up by what the owned key borrows as, so that the two strings have to be made.
fn in_dashmap(origin: &str, day: u32, carrier: &str) -> Vec<u64> {
    static MAP: LazyLock<dashmap::DashMap<Owned, Vec<u64>, RandomState>> = LazyLock::new(dashmap::DashMap::default);
    let key = Borrowed(origin, day, carrier).owned();
    if let Some(value) = MAP.get(&key) {
        return value.clone();
    }
    let value = make(origin, day, carrier);
    MAP.insert(key, value.clone());
    value
}

#[cache_request(timeout = 300)]
async fn ours_async(origin: &str, day: u32, carrier: &str) -> Vec<u64> {
    make(origin, day, carrier)
}

#[cached(max_size = 200_000, ttl_secs = 300)]
async fn cached_with_both_async(origin: &str, day: u32, carrier: &str) -> Vec<u64> {
    make(origin, day, carrier)
}

#[cached]
async fn cached_unbounded_async(origin: &str, day: u32, carrier: &str) -> Vec<u64> {
    make(origin, day, carrier)
}

#[concurrent_cached(max_size = 200_000, ttl_secs = 300)]
async fn concurrent_with_both_async(origin: &str, day: u32, carrier: &str) -> Vec<u64> {
    make(origin, day, carrier)
}

async fn in_moka_async(origin: &str, day: u32, carrier: &str) -> Vec<u64> {
    static CACHE: LazyLock<moka::future::Cache<Owned, Vec<u64>, RandomState>> = LazyLock::new(|| {
        let builder = moka::future::Cache::builder().max_capacity(ROOM).time_to_live(TIMEOUT);
        builder.build_with_hasher(RandomState::default())
    });
    let key = Borrowed(origin, day, carrier);
    match CACHE.get(&key).await {
        Some(value) => value,
        None => CACHE.get_with(key.owned(), async { make(origin, day, carrier) }).await,
    }
}

async fn in_quick_cache_async(origin: &str, day: u32, carrier: &str) -> Vec<u64> {
    in_quick_cache(origin, day, carrier)
}

/// The arguments of every key: texts of 21 and 4 bytes with a number between.
fn arguments() -> Arc<[Owned]> {
    (0..100_000_u32)
        .map(|key| (format!("airport of origin {:03}", key % 1000), key, format!("C{:03}", key % 7)))
        .collect()
}

/// No cache: a value, cloned.
fn a_clone() -> Contender {
    let values: Vec<Vec<u64>> = (0..1000).map(values::numbers).collect();
    Contender::new("clone alone", move |keys| {
        for key in keys {
            black_box(values[black_box(*key) as usize % values.len()].clone());
        }
    })
}

macro_rules! contender {
    ($name:literal, $arguments:expr, |$origin:ident, $day:ident, $carrier:ident| $call:expr) => {{
        let arguments = Arc::clone($arguments);
        Contender::new($name, move |keys| {
            for key in keys {
                let ($origin, $day, $carrier) = black_box(&arguments[*key as usize]);
                black_box($call);
            }
        })
    }};
}

pub(crate) fn plain() -> Vec<Contender> {
    let of = &arguments();
    vec![
        contender!("cache-request", of, |a, b, c| ours(a, *b, c)),
        contender!("cached, max_size and ttl", of, |a, b, c| cached_with_both(a, *b, c)),
        contender!("quick_cache, bare", of, |a, b, c| in_quick_cache(a, *b, c)),
        contender!("cached, max_size", of, |a, b, c| cached_bounded(a, *b, c)),
        contender!("cached, unbounded", of, |a, b, c| cached_unbounded(a, *b, c)),
        contender!("concurrent_cached, both", of, |a, b, c| concurrent_with_both(a, *b, c)),
        contender!("memoize, both", of, |a, b, c| memoized(a.clone(), *b, c.clone())),
        contender!("moka, both", of, |a, b, c| in_moka(a, *b, c)),
        contender!("DashMap", of, |a, b, c| in_dashmap(a, *b, c)),
        a_clone(),
    ]
}

pub(crate) fn asynchronous() -> Vec<Contender> {
    let of = &arguments();
    vec![
        contender!("cache-request", of, |a, b, c| poll_now(ours_async(a, *b, c))),
        contender!("cached, max_size and ttl", of, |a, b, c| poll_now(cached_with_both_async(a, *b, c))),
        contender!("quick_cache, bare", of, |a, b, c| poll_now(in_quick_cache_async(a, *b, c))),
        contender!("cached, unbounded", of, |a, b, c| poll_now(cached_unbounded_async(a, *b, c))),
        contender!("concurrent_cached, both", of, |a, b, c| poll_now(concurrent_with_both_async(a, *b, c))),
        contender!("moka, both", of, |a, b, c| poll_now(in_moka_async(a, *b, c))),
        contender!("the poll alone", of, |_a, b, _c| poll_now(async move { *b })),
        a_clone(),
    ]
}
