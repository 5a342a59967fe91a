//! `Cache::report`: what was measured, and what follows. A mock clock tells how long bodies take, so all figures are exact.

use std::{sync::Mutex, time::Duration};

use cache_request::{
    Backend, Cache, CacheBuilder, Clock, Error, MockClock,
    backend::MemoryBackend,
    cache_request,
    report::{FunctionReport, Report, Verdict},
    scoped_sync,
};

const SECOND: Duration = Duration::from_secs(1);
const MS: fn(u64) -> Duration = Duration::from_millis;

fn measured() -> (CacheBuilder, MockClock) {
    let clock = Clock::mock();
    (Cache::builder().clock(&clock).measure(true), clock)
}

fn only(report: &Report) -> &FunctionReport {
    assert_eq!(report.functions.len(), 1, "{report}");
    &report.functions[0]
}

#[cache_request(timeout = 60, skip(clock))]
fn slow(key: u32, clock: &MockClock) -> u32 {
    clock.advance(MS(20));
    key
}

#[test]
fn what_hits_have_saved_is_the_time_of_their_bodies() {
    let (cache, clock) = measured();
    let cache = cache.build().unwrap();
    scoped_sync(&cache, || {
        for round in 0..20 {
            for key in 0..100 {
                assert_eq!(slow(key, &clock), key);
            }
            if round == 0 {
                clock.advance(MS(998_000));
            }
        }
    });
    let report = cache.report();
    let slow = only(&report);
    assert_eq!(slow.body_time.unwrap().count, 200, "the values of the first round have expired");
    assert_eq!(slow.body_time.unwrap().mean, MS(20));
    assert_eq!((slow.stats.hits, slow.saved), (1800, MS(20) * 1800));
    assert_eq!((slow.measured_for, slow.saved_per_hour()), (SECOND * 1002, SECOND * 36 * 3600 / 1002));
    assert_eq!(slow.verdict.to_string(), "keep (saves 129.3s an hour)");
    assert_eq!(report.saved(), slow.saved);
    // One hit of 64 on this thread, of which each has a value that is up to two seconds old.
    let ages = slow.age.unwrap();
    assert_eq!((ages.count, slow.hit_time.unwrap().count), (29, 29 * 64));
    assert!(ages.max <= SECOND * 2, "{ages:?}");
    let bytes = slow.value_bytes.unwrap();
    assert_eq!((bytes.count, bytes.mean), (200, 8), "without the overhead of an entry");
    // For a thousand seconds, and for two in which they came.
    let held = slow.stats.held_bytes as f64;
    assert!((998.0 * held..=1002.0 * held).contains(&slow.byte_seconds), "{} of {held}", slow.byte_seconds);
    assert_eq!(
        report.to_string().lines().next().unwrap().split_whitespace().collect::<Vec<_>>(),
        ["function", "calls", "hit", "%", "saved", "body", "p99", "hit", "age", "value", "held", "verdict"]
    );
}

#[test]
fn a_body_as_quick_as_the_cache_was_said_to_be_worth_it() {
    #[cache_request]
    fn quick(key: u32) -> u32 {
        key
    }

    let (cache, clock) = measured();
    let cache = cache.build().unwrap();
    scoped_sync(&cache, || {
        for call in 0..2000 {
            quick(call % 10);
            if call == 998 {
                assert_eq!(only(&cache.report()).verdict.to_string(), "not enough calls to say (999 of 1000)");
            }
        }
    });
    clock.advance(SECOND);
    let report = cache.report();
    let words = only(&report).verdict.to_string();
    assert!(words.starts_with("not worth it (saves 0.0ns an hour, holds "), "{words}");
    let json = serde_json::to_value(&report).unwrap();
    let function = &json["functions"][0];
    assert_eq!((&function["verdict"]["kind"], &function["verdict"]["words"]), (&"not_worth_it".into(), &words.into()));
    assert_eq!((&function["stats"]["hits"], &function["hit_time"]["count"]), (&1990.into(), &(32 * 64).into()));
    assert_eq!(function["wait_time"], serde_json::Value::Null);
}

/// Twenty keys, one after the other, with room for half of them, and one that stays as it is asked for all the time.
#[test]
fn memory_that_is_too_small_was_not_named() {
    #[cache_request(timeout = never, max_entries = 10, skip(clock))]
    fn crowded(key: u32, clock: &MockClock) -> u32 {
        clock.advance(SECOND);
        key
    }

    let (cache, clock) = measured();
    let cache = cache.build().unwrap();
    scoped_sync(&cache, || (0..2000).for_each(|call| _ = (crowded(call % 20, &clock), crowded(20, &clock))));
    let report = cache.report();
    let crowded = only(&report);
    assert!(crowded.stats.misses.evicted > 500, "{}", crowded.stats.misses.evicted);
    assert!(matches!(crowded.verdict, Verdict::MoreMemory { evicted, .. } if evicted > 0.25), "{}", crowded.verdict);
}

#[test]
fn a_cache_that_does_not_measure_says_so() {
    let cache = Cache::builder().build().unwrap();
    scoped_sync(&cache, || (0..2000).for_each(|call| _ = slow(call % 10, &Clock::mock())));
    let report = cache.report();
    let slow = only(&report);
    assert_eq!((slow.verdict, slow.saved, slow.body_time), (Verdict::NotMeasured, Duration::ZERO, None));
    assert!(report.to_string().contains("not measured: make the cache with `measure`"), "{report}");
    assert_eq!(Cache::memory().report().to_string(), "0.0ns saved in all");
}

/// Takes five seconds for each look.
struct Distant(MemoryBackend, Mutex<MockClock>);

impl Backend for Distant {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.1.lock().unwrap().advance(SECOND * 5);
        self.0.get(key).await
    }

    async fn set(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<(), Error> {
        self.0.set(key, value, timeout).await
    }

    async fn delete(&self, key: &str) -> Result<bool, Error> {
        self.0.delete(key).await
    }

    async fn clear(&self) -> Result<(), Error> {
        self.0.clear().await
    }
}

#[test]
fn a_hit_in_a_backend_takes_the_time_of_the_way() {
    #[cache_request(timeout = 600, skip(clock))]
    fn far(clock: &MockClock) -> String {
        clock.advance(SECOND * 7);
        "x".repeat(1000)
    }

    let (cache, clock) = measured();
    let backend = Distant(MemoryBackend::builder().clock(&clock).build().unwrap(), Mutex::new(clock.clone()));
    let cache = cache.soft_limit(Duration::MAX).backend(backend).build().unwrap();
    scoped_sync(&cache, || (0..4).for_each(|_| _ = far(&clock)));
    let report = cache.report();
    let far = only(&report);
    let (hits, ages, bodies) = (far.hit_time.unwrap(), far.age.unwrap(), far.body_time.unwrap());
    assert_eq!((hits.count, hits.mean, hits.max), (3, SECOND * 5, SECOND * 5));
    assert_eq!((bodies.count, bodies.mean), (1, SECOND * 7));
    assert_eq!((ages.mean, ages.max), (SECOND * 10, SECOND * 15));
    assert_eq!(far.saved, SECOND * 2 * 3);
    assert!((1000..1200).contains(&far.value_bytes.unwrap().mean), "{:?}", far.value_bytes);
}

/// It has seen no body, and does not know what its hits have saved.
#[test]
fn what_a_process_has_only_read_was_not_worth_it() {
    let (cache, clock) = measured();
    let memory = std::sync::Arc::new(MemoryBackend::builder().clock(&clock).build().unwrap());
    let first = cache.backend(std::sync::Arc::clone(&memory)).build().unwrap();
    let second = Cache::builder().clock(&clock).measure(true).backend(memory).build().unwrap();
    scoped_sync(&first, || slow(1, &clock));
    scoped_sync(&second, || (0..1000).for_each(|_| _ = slow(1, &clock)));
    let report = second.report();
    assert_eq!((only(&report).verdict, only(&report).stats.hits), (Verdict::Unknown, 1000));
}

#[test]
fn hits_that_may_be_stale_were_not_measured() {
    #[cache_request(timeout = 10, stale = 10)]
    fn stale() -> u32 {
        1
    }

    let (cache, clock) = measured();
    let cache = cache.build().unwrap();
    scoped_sync(&cache, || {
        stale();
        clock.advance(SECOND * 3);
        (0..65).for_each(|_| _ = stale());
    });
    let report = cache.report();
    let stale = only(&report);
    assert_eq!((stale.hit_time.unwrap().count, stale.age.unwrap().count, stale.age.unwrap().max), (128, 2, SECOND * 3));
}

/// The time of a body for a list counts for each of its elements.
#[test]
fn a_body_for_many_keys_is_divided_among_them() {
    #[cache_request(timeout = 60, each(keys), skip(clock))]
    fn many(keys: &[u32], clock: &MockClock) -> Vec<u32> {
        clock.advance(SECOND);
        keys.to_vec()
    }

    let (cache, clock) = measured();
    let cache = cache.build().unwrap();
    let keys: Vec<_> = (0..10).collect();
    scoped_sync(&cache, || (0..3).for_each(|_| _ = many(&keys, &clock)));
    let report = cache.report();
    let many = only(&report);
    assert_eq!((many.stats.hits, many.body_time.unwrap().mean, many.saved), (20, MS(100), MS(100) * 20));
}

#[test]
fn an_address_may_say_that_calls_are_measured() {
    let cache = Cache::from_url("memory://?measure=true").unwrap();
    scoped_sync(&cache, || slow(1, &Clock::mock()));
    assert_ne!(only(&cache.report()).verdict, Verdict::NotMeasured);
}
