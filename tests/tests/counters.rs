//! What is counted, and how it reads.

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use cache_request::{
    Backend, Cache, Clock, Error, FunctionStats, Misses, Stats, backend::MemoryBackend, cache_request, scoped,
    scoped_sync,
};
use futures_lite::future::block_on;

use crate::support::{Count, Gate, ends, poll, stats};

#[cache_request(timeout = 60)]
fn text(id: u32) -> String {
    format!("{id:0100}")
}

/// The misses as they are listed: new, expired, evicted, invalidated, undecodable, backend.
fn misses(misses: &Misses) -> [u64; 6] {
    let Misses { never_seen, expired, evicted, invalidated, undecodable, backend_fault, .. } = *misses;
    let all = [never_seen, expired, evicted, invalidated, undecodable, backend_fault];
    assert_eq!(all.iter().sum::<u64>(), misses.total());
    all
}

/// Bytes shared by several caches, which can be out of reach.
#[derive(Clone)]
struct Shared {
    bytes: Arc<MemoryBackend>,
    down: Arc<AtomicBool>,
}

impl Shared {
    fn new(clock: &Clock) -> Self {
        Self { bytes: Arc::new(MemoryBackend::new(1 << 20, clock.clone())), down: Arc::default() }
    }

    fn cache(&self, clock: &Clock) -> Cache {
        Cache::builder().backend(self.clone()).clock(clock.clone()).build()
    }

    fn reach(&self) -> Result<&MemoryBackend, Error> {
        if self.down.load(SeqCst) { Err(Error::backend("out of reach")) } else { Ok(&self.bytes) }
    }
}

impl Backend for Shared {
    fn name(&self) -> &'static str {
        "shared"
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.reach()?.get(key).await
    }

    async fn set(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<(), Error> {
        self.reach()?.set(key, value, timeout).await
    }

    async fn add(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<bool, Error> {
        self.reach()?.add(key, value, timeout).await
    }

    async fn touch(&self, key: &str, timeout: Option<Duration>) -> Result<bool, Error> {
        self.reach()?.touch(key, timeout).await
    }

    async fn delete(&self, key: &str) -> Result<bool, Error> {
        self.reach()?.delete(key).await
    }

    async fn clear(&self) -> Result<(), Error> {
        self.reach()?.clear().await
    }
}

#[test]
fn a_key_never_seen() {
    let cache = Cache::memory();
    scoped_sync(&cache, || drop([text(1), text(2), text(1)]));
    let stats = stats(&cache, 3);
    assert_eq!(misses(&stats.misses), [2, 0, 0, 0, 0, 0]);
    assert_eq!((stats.hits, stats.bodies, stats.entries, stats.faults), (1, 2, 2, 0));
    assert!(stats.held_bytes > 200, "{stats:?}");
    assert_eq!(stats.written_bytes, 0);
}

#[test]
fn a_timeout_that_is_over() {
    let clock = Clock::mock();
    let cache = Cache::builder().clock(clock.clone()).build();
    scoped_sync(&cache, || {
        for _ in 0..3 {
            drop([text(1), text(1)]);
            clock.advance(Duration::from_secs(60));
        }
    });
    let stats = stats(&cache, 6);
    assert_eq!(misses(&stats.misses), [1, 2, 0, 0, 0, 0]);
    assert_eq!((stats.hits, stats.bodies), (3, 3));
}

#[test]
fn a_timeout_that_is_over_in_stored_bytes() {
    // The cache that reads is ahead of the backend, which still returns them.
    let clock = Clock::mock();
    let shared = Shared::new(&Clock::mock());
    let cache = shared.cache(&clock);
    scoped_sync(&cache, || {
        text(1);
        clock.advance(Duration::from_secs(60));
        text(1);
    });
    assert_eq!(misses(&stats(&cache, 2).misses), [1, 1, 0, 0, 0, 0]);
}

#[test]
fn a_key_that_made_room() {
    let cache = Cache::builder().max_entries(1).build();
    scoped_sync(&cache, || drop([text(1), text(2), text(1), text(2)]));
    let stats = stats(&cache, 4);
    let [new, expired, evicted, rest @ ..] = misses(&stats.misses);
    assert_eq!((new, expired, rest), (2, 0, [0, 0, 0]));
    assert!(evicted >= 1, "{stats:?}");
    assert_eq!((stats.hits + evicted, stats.entries), (2, 1));
}

#[test]
fn a_key_that_was_invalidated() {
    let cache = Cache::memory();
    scoped_sync(&cache, || {
        text(1);
        assert!(text_cache(1).invalidate().unwrap());
        drop([text(1), text(1)]);
    });
    assert_eq!(misses(&stats(&cache, 3).misses), [1, 0, 0, 1, 0, 0]);
}

#[test]
fn bytes_of_another_type() {
    mod earlier {
        use cache_request::cache_request;

        #[cache_request(name = "migrated")]
        pub(super) fn f() -> u32 {
            5
        }
    }
    #[cache_request(name = "migrated")]
    fn f() -> String {
        "five".to_owned()
    }
    let clock = Clock::mock();
    let shared = Shared::new(&clock);
    let (before, after) = (shared.cache(&clock), shared.cache(&clock));
    assert_eq!(scoped_sync(&before, earlier::f), 5);
    scoped_sync(&after, || {
        assert_eq!([f(), f()], ["five", "five"]);
        // And bytes that are none of ours at all.
        block_on(shared.set(&f_cache().key(), b"garbage", None)).unwrap();
        assert_eq!([f(), f()], ["five", "five"]);
    });
    let stats = stats(&after, 4);
    assert_eq!(misses(&stats.misses), [0, 0, 0, 0, 2, 0]);
    assert_eq!((stats.hits, stats.faults), (2, 2));
    assert!(stats.written_bytes > 0);
}

#[test]
fn a_backend_out_of_reach() {
    let clock = Clock::mock();
    let shared = Shared::new(&clock);
    let cache = shared.cache(&clock);
    shared.down.store(true, SeqCst);
    scoped_sync(&cache, || {
        assert_eq!(text(1), text(1));
        assert!(text_cache(1).invalidate().is_err());
        assert!(text_cache(1).put(&String::new()).is_err());
    });
    let down = stats(&cache, 2);
    assert_eq!(misses(&down.misses)[5], 2);
    // What could not be read, and what could not be kept.
    assert_eq!((down.bodies, down.faults, down.written_bytes), (2, 4, 0));
}

#[test]
fn what_runs_uncached() {
    for (cache, calls) in [(Cache::null(), 3), (Cache::memory(), 0)] {
        scoped_sync(&cache, || {
            for id in 0..calls {
                text(id);
            }
            let _ = text_cache(9).uncached();
            assert_eq!(text_cache(9).peek(), None);
        });
        let stats = stats(&cache, u64::from(calls));
        assert_eq!((stats.uncached, stats.misses.total(), stats.bodies), (u64::from(calls), 0, 0));
        assert_eq!(stats.hit_ratio(), (calls > 0).then_some(0.0));
        assert_eq!(stats.mean_body_time(), None);
    }
}

#[test]
fn callers_that_join_are_counted_once_each() {
    static LEAVE: Gate = Gate::new();
    static BODIES: Count = Count::new();
    #[cache_request]
    async fn f(id: u32) -> u32 {
        LEAVE.passed().await;
        BODIES.next() + id
    }
    ends(|| {
        let cache = support::cache();
        let mut calls: Vec<_> = (0..10).map(|call| Box::pin(scoped(&cache, f(call % 2 * 100)))).collect();
        for call in &mut calls {
            assert!(poll(call).is_none());
        }
        LEAVE.open();
        let answers: Vec<_> = calls.into_iter().map(block_on).collect();
        assert!(answers.iter().zip(&answers[2..]).all(|(one, next)| one == next), "{answers:?}");
        assert_eq!(BODIES.get(), 2);
        block_on(scoped(&cache, f(0)));

        let function = stats(&cache, 11);
        assert_eq!((function.hits, function.coalesced, function.misses.total(), function.bodies), (1, 8, 2, 2));
        assert_eq!(function.hit_ratio(), Some(9.0 / 11.0));
        assert_eq!(function.mean_body_time(), Some(function.body_time / 2));
    });
}

#[cache_request]
fn unlike(id: u32) -> u32 {
    id
}

/// Two functions: one called four times, one twice.
fn two() -> Stats {
    let cache = Cache::memory();
    scoped_sync(&cache, || {
        drop([text(1), text(1)]);
        assert_eq!([unlike(1), unlike(1), unlike(1), unlike(2)], [1, 1, 1, 2]);
    });
    cache.stats()
}

#[test]
fn sums_and_names() {
    let stats = two();
    assert_eq!((stats.hits(), stats.misses(), stats.bodies(), stats.faults(), stats.entries), (3, 3, 3, 0, 3));
    assert_eq!(stats.functions.iter().map(|function| &*function.name).collect::<Vec<_>>(), ["unlike", "text"]);
    assert_eq!(stats.functions.iter().map(|function| function.entries).sum::<u64>(), stats.entries);
    assert_eq!(stats.function("text").map(FunctionStats::calls), Some(2));
    // Only whole parts of a name count.
    assert!(stats.function("like").is_none() && stats.function("").is_none());
}

#[test]
fn they_serialise() {
    let json = serde_json::to_value(two()).unwrap();
    assert_eq!(json["entries"], 3);
    assert!(json["held_bytes"].as_u64().unwrap() > 0);
    let function = &json["functions"][0];
    assert_eq!((&function["name"], &function["hits"], &function["bodies"]), (&"unlike".into(), &2.into(), &2.into()));
    assert_eq!(
        function["misses"],
        serde_json::json!({
            "never_seen": 2, "expired": 0, "evicted": 0, "invalidated": 0, "undecodable": 0, "backend_fault": 0,
        })
    );
    for name in ["coalesced", "uncached", "faults", "written_bytes"] {
        assert_eq!(function[name], 0, "{name}");
    }
    assert!(function["body_time"]["nanos"].is_u64());
}

#[test]
fn they_print_as_a_table() {
    let table = two().to_string();
    let lines: Vec<_> = table.lines().collect();
    let [head, unlike, text, sum] = lines[..] else { panic!("{table}") };
    assert!(head.starts_with("function  ") && unlike.starts_with("unlike  ") && text.starts_with("text  "), "{table}");
    assert!(sum.starts_with("3 entries, ") && sum.ends_with(" in memory"), "{table}");

    // All columns but the first end where their heading ends.
    let width = |line: &str| line.chars().count();
    assert_eq!((width(unlike), width(text)), (width(head), width(head)), "{table}");
    let at = |line: &str, heading: &str| {
        let end = width(&head[..head.find(heading).expect(heading) + heading.len()]);
        let cell: String = line.chars().take(end).collect();
        assert!(line.chars().nth(end).is_none_or(|next| next == ' '), "{heading}: {table}");
        cell.rsplit(' ').next().unwrap().to_owned()
    };
    for (heading, cells) in [
        (" hits", ["2", "1"]),
        ("hit %", ["50.0", "50.0"]),
        ("new", ["2", "1"]),
        ("expired", ["0", "0"]),
        ("evicted", ["0", "0"]),
        ("invalid.", ["0", "0"]),
        ("undecod.", ["0", "0"]),
        ("backend", ["0", "0"]),
        ("coalesced", ["0", "0"]),
        ("uncached", ["0", "0"]),
        ("faults", ["0", "0"]),
        ("entries", ["2", "1"]),
    ] {
        assert_eq!([at(unlike, heading), at(text, heading)], cells, "{heading}: {table}");
    }
}

#[test]
fn nothing_prints_as_well() {
    let table = Cache::memory().stats().to_string();
    assert_eq!(table.lines().count(), 2, "{table}");
    assert!(table.ends_with("0 entries, 0 B in memory"), "{table}");
}
