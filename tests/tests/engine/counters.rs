//! What is counted, and how it reads.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use cache_request::{
    Backend, Cache, Clock, Error, Faults, FunctionStats, Misses, MockClock, Stats, backend::MemoryBackend,
    cache_request, scoped, scoped_sync,
};
use cache_request_tests::delegate;
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
struct Shared {
    bytes: MemoryBackend,
    down: AtomicBool,
}

impl Shared {
    fn new(clock: &MockClock) -> Arc<Self> {
        Arc::new(Self { bytes: MemoryBackend::builder().clock(clock).build().unwrap(), down: AtomicBool::new(false) })
    }

    fn cache(self: &Arc<Self>, clock: &MockClock) -> Cache {
        Cache::builder().backend(Arc::clone(self)).clock(clock).build().unwrap()
    }

    fn reach(&self) -> Result<&MemoryBackend, Error> {
        if self.down.load(SeqCst) { Err(Error::backend("out of reach")) } else { Ok(&self.bytes) }
    }
}

impl Backend for Shared {
    fn name(&self) -> &'static str {
        "shared"
    }

    delegate!(self => self.reach()?);
}

#[test]
fn a_key_never_seen() {
    let cache = Cache::memory();
    scoped_sync(&cache, || drop([text(1), text(2), text(1)]));
    let stats = stats(&cache, 3);
    assert_eq!(misses(&stats.misses), [2, 0, 0, 0, 0, 0]);
    assert_eq!((stats.hits, stats.bodies, stats.entries, stats.faults.total()), (1, 2, 2, 0));
    assert!(stats.held_bytes > 200, "{stats:?}");
    assert_eq!(stats.written_bytes, 0);
}

#[test]
fn a_timeout_that_is_over() {
    let clock = Clock::mock();
    let cache = Cache::builder().clock(clock.clone()).build().unwrap();
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
    let cache = Cache::builder().max_entries(1).build().unwrap();
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
        block_on(shared.set(&f_cache().key().unwrap(), b"garbage", None)).unwrap();
        assert_eq!([f(), f()], ["five", "five"]);
    });
    let stats = stats(&after, 4);
    assert_eq!(misses(&stats.misses), [0, 0, 0, 0, 2, 0]);
    assert_eq!((stats.hits, stats.faults.corrupt, stats.faults.total()), (2, 2, 2));
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
    // A call that could not read does not try to write.
    assert_eq!((down.bodies, down.faults.backend, down.faults.total(), down.written_bytes), (2, 2, 2, 0));
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
        let cache = crate::support::cache();
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
    assert_eq!(
        stats.functions.iter().map(|function| &*function.name).collect::<Vec<_>>(),
        ["counters.unlike", "counters.text"]
    );
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
    assert_eq!(
        (&function["name"], &function["hits"], &function["bodies"]),
        (&"counters.unlike".into(), &2.into(), &2.into())
    );
    assert_eq!(
        function["misses"],
        serde_json::json!({
            "never_seen": 2, "expired": 0, "evicted": 0, "invalidated": 0, "undecodable": 0, "backend_fault": 0,
        })
    );
    assert_eq!(
        function["faults"],
        serde_json::json!({
            "timeout": 0, "unavailable": 0, "backend": 0, "codec": 0, "corrupt": 0, "forged": 0, "too_large": 0, "panic": 0,
            "key": 0,
        })
    );
    for name in ["coalesced", "uncached", "written_bytes"] {
        assert_eq!(function[name], 0, "{name}");
    }
    assert!(function["body_time"]["nanos"].is_u64());
}

/// The cells of a printed table, which stand below one another.
fn cells(table: &[&str]) -> Vec<Vec<String>> {
    let ends = |line: &str| -> Vec<usize> {
        let spaced: Vec<char> = line.chars().chain([' ', ' ']).collect();
        (1..spaced.len() - 1).filter(|&end| spaced[end - 1] != ' ' && spaced[end..end + 2] == [' ', ' ']).collect()
    };
    assert!(table.iter().all(|line| ends(line)[1..] == ends(table[0])[1..]), "{table:#?}");
    table
        .iter()
        .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(String::from).collect())
        .collect()
}

#[test]
fn they_print_as_a_table() {
    let table = two().to_string();
    let lines: Vec<_> = table.lines().collect();
    let [head, unlike, text, "", causes, missed, texts, "", sum] = lines[..] else { panic!("{table}") };
    let calls = cells(&[head, unlike, text]);
    assert_eq!(calls[0], ["function", "hits", "hit %", "misses", "bodies", "each", "entries", "held"]);
    assert_eq!(calls[1][..5], ["counters.unlike", "2", "50.0", "2", "2"]);
    assert_eq!(calls[2][..5], ["counters.text", "1", "50.0", "1", "1"]);
    assert_eq!(cells(&[causes, missed, texts]), [["misses", "new"], ["counters.unlike", "2"], ["counters.text", "1"]]);
    assert!(sum.starts_with("3 entries, ") && sum.ends_with(" in memory"), "{table}");
}

/// A third table, of those that had faults and with the causes that they had.
#[test]
fn faults_print_as_a_table_of_causes() {
    let mut stats = two();
    assert!(!stats.to_string().contains("faults"), "{stats}");
    stats.functions[1].faults.too_large = 3;
    stats.functions[1].faults.timeout = 12;
    let table = stats.to_string();
    let lines: Vec<_> = table.lines().collect();
    let [head, unlike, text, "", .., "", faults, texts, "", _] = lines[..] else { panic!("{table}") };
    let calls = cells(&[head, unlike, text]);
    assert_eq!(calls[0][..5], ["function", "hits", "hit %", "misses", "faults"]);
    assert_eq!((&*calls[1][4], &*calls[2][4]), ("0", "15"));
    assert_eq!(cells(&[faults, texts]), [["faults", "timeout", "too large"], ["counters.text", "12", "3"]]);
}

/// Nothing that is counted is hidden, and no line is much longer than a hundred characters.
#[test]
fn all_that_is_counted_is_in_the_table() {
    let mut function = FunctionStats::default();
    function.name = "a.name.of.some.length".to_owned();
    (function.hits, function.coalesced, function.uncached, function.bodies) = (123_451, 123_452, 123_453, 123_454);
    function.body_time = Duration::from_millis(100 * 123_454);
    (function.entries, function.held_bytes, function.written_bytes) = (123_455, 12_345, 12_355);
    let misses = &mut function.misses;
    (misses.never_seen, misses.expired, misses.evicted) = (123_457, 123_458, 123_459);
    (misses.invalidated, misses.undecodable, misses.backend_fault) = (123_460, 123_461, 123_462);
    let faults = &mut function.faults;
    (faults.timeout, faults.unavailable, faults.backend) = (123_463, 123_464, 123_465);
    (faults.codec, faults.corrupt, faults.forged) = (123_466, 123_467, 123_468);
    (faults.too_large, faults.panic, faults.key) = (123_469, 123_470, 123_471);
    let mut stats = Stats::default();
    stats.functions = vec![function];
    let table = stats.to_string();
    let sum = (123_463..=123_471).sum();
    for shown in (123_451..=123_455)
        .chain(123_457..=123_471)
        .chain([sum])
        .map(|count: u64| count.to_string())
        .chain(["100.0ms", "12.1 KiB"].map(String::from))
    {
        assert!(table.contains(&shown), "{shown}: {table}");
    }
    assert_eq!(table.matches("12.1 KiB").count(), 2, "{table}");

    // A function has entries in memory or writes to a backend, and seldom runs uncached or is at fault: then seldom in all
    // ways at once.
    assert!(table.lines().all(|line| line.chars().count() <= 120), "{table}");
    let function = &mut stats.functions[0];
    (function.written_bytes, function.uncached, function.faults) = (0, 0, Faults::default());
    let table = stats.to_string();
    assert!(table.lines().all(|line| line.chars().count() <= 100), "{table}");
    for left_out in ["written", "uncached", "faults"] {
        assert!(!table.contains(left_out), "{table}");
    }
}

#[test]
fn what_did_nothing_is_not_in_the_table() {
    let cache = Cache::memory();
    scoped_sync(&cache, || {
        assert_eq!(text_cache(1).peek(), None);
        text_cache(1).key().unwrap();
        assert_eq!(unlike_cache(1).refresh(), 1);
    });
    let stats = cache.stats();
    assert_eq!(stats.functions.len(), 2);
    let table = stats.to_string();
    assert!(!table.contains("text"), "{table}");
    // It was not called, but ran.
    let lines: Vec<_> = table.lines().collect();
    let [head, unlike, "", sum] = lines[..] else { panic!("{table}") };
    assert_eq!(cells(&[head, unlike])[0], ["function", "hits", "misses", "bodies", "each", "entries", "held"]);
    assert!(unlike.starts_with("counters.unlike ") && sum.starts_with("1 entry, "), "{table}");
}

#[test]
fn nothing_prints_as_well() {
    assert_eq!(Cache::memory().stats().to_string(), "0 entries, 0 B in memory");
}
