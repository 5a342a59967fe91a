//! Values, keys and conditions whose own code fails.

use cache_request::{Cache, Clock, ErrorKind, backend::MemoryBackend, cache_request, scoped_sync};
use cache_request_tests::logs;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use super::{bodies, body_runs};

fn in_memory() -> Cache {
    Cache::memory()
}

fn in_backend() -> Cache {
    let clock = Clock::mock();
    Cache::builder()
        .backend(MemoryBackend::builder().clock(clock.clone()).build().unwrap())
        .clock(clock)
        .build()
        .unwrap()
}

/// Calls twice in either kind of cache, and says what was logged and how many bodies ran.
fn twice<T: PartialEq + std::fmt::Debug>(cache: &Cache, call: impl Fn() -> T, right: &T) -> (u32, Vec<String>) {
    let (((), ran), lines) = logs::of(|| {
        scoped_sync(cache, || {
            bodies(|| {
                assert_eq!(&call(), right);
                assert_eq!(&call(), right);
            })
        })
    });
    (ran, lines)
}

fn logged(lines: &[String], what: &str) {
    assert!(lines.iter().any(|line| line.contains(what)), "no `{what}` in {lines:#?}");
}

#[derive(Debug, PartialEq)]
struct Uncloneable;

impl Clone for Uncloneable {
    fn clone(&self) -> Self {
        panic!("no clones");
    }
}

#[test]
fn a_value_whose_clone_panics_is_not_kept() {
    #[cache_request(local)]
    fn f() -> Uncloneable {
        body_runs();
        Uncloneable
    }
    let (ran, lines) = twice(&in_memory(), f, &Uncloneable);
    assert_eq!(ran, 2);
    logged(&lines, "cause=the value's `Clone`");
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Stubborn {
    writes: bool,
    reads: bool,
    panics: bool,
}

impl Serialize for Stubborn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert!(self.writes || !self.panics, "no bytes");
        if !self.writes {
            return Err(ser::Error::custom("it will not be written"));
        }
        (self.reads, self.panics).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Stubborn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (reads, panics) = <(bool, bool)>::deserialize(deserializer)?;
        assert!(reads || !panics, "no value");
        if reads { Ok(Self { writes: true, reads, panics }) } else { Err(de::Error::custom("it will not be read")) }
    }
}

#[cache_request]
fn stubborn(writes: bool, reads: bool, panics: bool) -> Stubborn {
    body_runs();
    Stubborn { writes, reads, panics }
}

#[test]
fn a_value_that_cannot_be_encoded_or_decoded_is_computed_anew() {
    for (writes, reads, panics, cause) in [
        (false, true, false, "`engine::never_broken::values::Stubborn` cannot be encoded: it will not be written"),
        (false, true, true, "the value's `Serialize`"),
        (true, false, false, "`engine::never_broken::values::Stubborn` would not be read back: it will not be read"),
        (
            true,
            false,
            true,
            "`engine::never_broken::values::Stubborn` would not be read back: its `Deserialize` panicked",
        ),
    ] {
        let right = Stubborn { writes, reads, panics };
        let cache = in_backend();
        let (ran, lines) = twice(&cache, || stubborn(writes, reads, panics), &right);
        assert_eq!(ran, 2, "{cause}");
        logged(&lines, cause);
        let stats = cache.stats();
        let function = stats.function("values.stubborn").unwrap();
        // Nothing is stored, so nothing is found corrupt.
        assert_eq!(
            (function.written_bytes, function.misses.undecodable, function.faults.total()),
            (0, 0, 2),
            "{cause}"
        );
        // Memory has no use for bytes; but it asks `Serialize` how much the value holds, and keeps nothing of unknown size.
        let (ran, lines) = twice(&in_memory(), || stubborn(writes, reads, panics), &right);
        assert_eq!(ran, if writes { 1 } else { 2 }, "{cause}");
        if !writes && !panics {
            logged(&lines, "a value of unknown size: its `Serialize` fails, or it is nested too deeply");
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Size {
    Flat { width: u32 },
    Deep { width: u32, depth: u32 },
}

#[cache_request]
fn size(depth: Option<u32>) -> Vec<Size> {
    body_runs();
    vec![depth.map_or(Size::Flat { width: 1 }, |depth| Size::Deep { width: 1, depth })]
}

/// Of two variants that look alike to serde the first one comes back.
#[test]
fn a_value_that_would_come_back_as_another_is_computed_anew() {
    let cache = in_backend();
    let deep = vec![Size::Deep { width: 1, depth: 2 }];
    let (ran, lines) = twice(&cache, || size(Some(2)), &deep);
    assert_eq!(ran, 2);
    logged(
        &lines,
        "a value could not be kept function=never_broken.values.size cause=a value of type \
         `alloc::vec::Vec<engine::never_broken::values::Size>` would be read back as another value: ",
    );
    let stats = cache.stats();
    let function = stats.function("values.size").unwrap();
    assert_eq!((function.faults.codec, function.bodies, function.misses.undecodable), (2, 2, 0));
    let error = scoped_sync(&cache, || size_cache(Some(2)).put(&deep)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Codec);

    assert_eq!(twice(&cache, || size(None), &vec![Size::Flat { width: 1 }]).0, 1);
    // Memory has no use for bytes.
    assert_eq!(twice(&in_memory(), || size(Some(2)), &deep).0, 1);
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all(deserialize = "camelCase"))]
struct Flight {
    gate_number: Option<u8>,
}

#[cache_request]
fn flight(gate_number: Option<u8>) -> Flight {
    body_runs();
    Flight { gate_number }
}

/// It came back without its gate.
#[test]
fn a_value_whose_field_is_read_by_another_name_is_computed_anew() {
    let cache = in_backend();
    assert_eq!(twice(&cache, || flight(None), &Flight { gate_number: None }).0, 1);
    let (ran, lines) = twice(&cache, || flight(Some(7)), &Flight { gate_number: Some(7) });
    assert_eq!(ran, 2);
    logged(
        &lines,
        "cause=a value of type `engine::never_broken::values::Flight` would be read back as another value: ",
    );
    let stats = cache.stats();
    let function = stats.function("values.flight").unwrap();
    assert_eq!((function.faults.codec, function.hits, function.misses.undecodable), (2, 1, 0));
}

#[cache_request]
fn nickname(user: u32) -> Option<Option<String>> {
    body_runs();
    (user < 10).then(|| (user < 5).then(|| format!("nick-{user}")))
}

#[cache_request]
fn is_member(user: u32) -> Option<()> {
    body_runs();
    (user < 10).then_some(())
}

/// A user without a nickname is no missing user.
#[test]
fn some_of_nothing_is_remembered_as_that() {
    for cache in [in_memory(), in_backend()] {
        for (user, right) in [(1, Some(Some("nick-1".to_owned()))), (5, Some(None)), (10, None)] {
            assert_eq!(twice(&cache, || nickname(user), &right).0, 1);
        }
        for (user, right) in [(1, Some(())), (10, None)] {
            assert_eq!(twice(&cache, || is_member(user), &right).0, 1);
        }
        assert_eq!(cache.stats().function("values.nickname").unwrap().faults.total(), 0);
    }
}

#[test]
fn conditions_that_panic_keep_nothing() {
    #[cache_request(when = |value| *value == 0 || panic!("no condition"))]
    fn when(value: u8) -> u8 {
        body_runs();
        value
    }
    #[cache_request(timeout_with = |_| panic!("no timeout"))]
    fn timeout(value: u8) -> u8 {
        body_runs();
        value
    }
    #[cache_request(weight = |_| panic!("no weight"))]
    fn weight(value: u8) -> u8 {
        body_runs();
        value
    }
    for cache in [in_memory(), in_backend()] {
        let (ran, lines) = twice(&cache, || when(1), &1);
        assert_eq!(ran, 2);
        logged(&lines, "cause=`when`, the timeout or the weight panicked");
        assert_eq!(twice(&cache, || timeout(1), &1).0, 2);
    }
    let (ran, lines) = twice(&in_memory(), || weight(1), &1);
    assert_eq!(ran, 2);
    logged(&lines, "cause=`when`, the timeout or the weight panicked");
}

struct Unkeyable(bool);

impl Serialize for Unkeyable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        assert!(!self.0, "no key");
        Err(ser::Error::custom("it is no key"))
    }
}

#[test]
fn arguments_of_which_no_key_can_be_made_run_the_body() {
    #[cache_request]
    fn f(argument: Unkeyable) -> bool {
        body_runs();
        argument.0
    }
    for panics in [true, false] {
        let cache = in_memory();
        let (ran, lines) = twice(&cache, || f(Unkeyable(panics)), &panics);
        assert_eq!(ran, 2);
        logged(&lines, if panics { "building the key panicked: no key" } else { "it is no key" });
        let stats = cache.stats();
        let function = stats.function("f").unwrap();
        assert_eq!((function.uncached, function.faults.key, function.misses.total()), (2, 2, 0));
        scoped_sync(&cache, || {
            let error = f_cache(Unkeyable(panics)).key().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Key);
            assert!(error.to_string().contains("no key"), "{error}");
            assert_eq!(f_cache(Unkeyable(panics)).peek(), None);
            assert!(f_cache(Unkeyable(panics)).put(&true).unwrap_err().to_string().contains("no key"));
            assert!(f_cache(Unkeyable(panics)).invalidate().unwrap_err().to_string().contains("no key"));
        });
    }
}

/// What a value does when it is dropped may be a call of its own, of the very cache that drops it.
#[test]
fn a_value_may_call_the_cache_while_it_is_dropped() {
    #[cache_request]
    fn inner(number: u64) -> u64 {
        number
    }
    #[derive(Clone)]
    struct Calls(u64);
    impl Drop for Calls {
        fn drop(&mut self) {
            inner(self.0);
        }
    }
    #[cache_request(local)]
    fn f(number: u64) -> Calls {
        Calls(number)
    }
    let cache = Cache::builder().max_entries(10).build().unwrap();
    scoped_sync(&cache, || {
        for number in 0..1000 {
            f(number);
            f_cache(number / 2).invalidate().unwrap();
        }
        cache.clear_sync().unwrap();
    });
}

/// The cache drops values at times of its own choosing: their panics are not the caller's.
#[test]
fn a_value_may_panic_while_it_is_dropped() {
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
    static ARMED: AtomicBool = AtomicBool::new(false);
    #[derive(Clone, Debug)]
    struct Bomb(u64);
    impl Drop for Bomb {
        fn drop(&mut self) {
            if ARMED.load(SeqCst) && !std::thread::panicking() {
                std::panic::resume_unwind(Box::new("a bomb"));
            }
        }
    }
    #[cache_request(local)]
    fn f(number: u64) -> Bomb {
        Bomb(number)
    }
    let cache = Cache::builder().max_entries(10).build().unwrap();
    scoped_sync(&cache, || {
        for number in 0..1000 {
            ARMED.store(true, SeqCst);
            let answer = f(number);
            ARMED.store(false, SeqCst);
            assert_eq!(answer.0, number);
        }
        let stats = cache.stats();
        assert_eq!(stats.entries, stats.function("f").unwrap().entries);
        assert!(stats.entries <= 10);
    });
}
