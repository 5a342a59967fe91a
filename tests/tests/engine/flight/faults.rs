//! The user's code around the body panics: the answer is returned all the same, the fault is counted, and no caller hangs.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicBool, AtomicI32, Ordering::SeqCst},
    time::Duration,
};

use cache_request::{Cache, Clock, backend::MemoryBackend, cache_request, scoped, scoped_sync};
use cache_request_tests::logs;
use futures_lite::future::block_on;
use serde::{Deserialize, Serialize, Serializer};
use tracing::{
    Event, Metadata, Subscriber,
    span::{Attributes, Id, Record},
};

use crate::support::{Count, Gate, cache, ends, poll, stats};

fn on_a_backend() -> Cache {
    Cache::builder()
        .wait_limit(Duration::MAX)
        .backend(MemoryBackend::builder().clock(Clock::mock()).build().unwrap())
        .build()
        .unwrap()
}

/// Cannot be cloned, at times.
struct Fragile(u32);

static CLONES: AtomicI32 = AtomicI32::new(0);

impl Clone for Fragile {
    fn clone(&self) -> Self {
        assert!(CLONES.fetch_sub(1, SeqCst) > 0, "this value cannot be cloned");
        Self(self.0)
    }
}

/// In one test, as the clones are counted for all.
#[test]
fn clone_panics() {
    static BODIES: Count = Count::new();
    static LEAVE: Gate = Gate::new();
    #[cache_request(local)]
    async fn f() -> Fragile {
        LEAVE.passed().await;
        Fragile(BODIES.next())
    }
    ends(|| {
        let cache = cache();
        let answer = |cache: &Cache| block_on(scoped(cache, f())).0;
        let mut calls: Vec<_> = (0..3).map(|_| Box::pin(scoped(&cache, f()))).collect();
        for call in &mut calls {
            assert!(poll(call).is_none());
        }
        LEAVE.open();

        // When it is to be kept, and when it is to be shared.
        CLONES.store(0, SeqCst);
        for (call, body) in calls.into_iter().zip(1..) {
            CLONES.store(0, SeqCst);
            assert_eq!(block_on(call).0, body);
        }
        let stats = |calls| stats(&cache, calls);
        assert_eq!((stats(3).bodies, stats(3).misses.total(), stats(3).entries), (3, 3, 0));
        assert!(stats(3).faults.total() >= 4);

        // When it is remembered.
        CLONES.store(1, SeqCst);
        assert_eq!(answer(&cache), 4);
        CLONES.store(1, SeqCst);
        assert_eq!(answer(&cache), 4);
        let faults = stats(5).faults.total();
        CLONES.store(0, SeqCst);
        assert_eq!(answer(&cache), 5);
        assert!(stats(6).faults.total() > faults);
    });
}

#[test]
fn clone_panics_in_a_waiter() {
    static BODIES: Count = Count::new();
    static LEAVE: Gate = Gate::new();
    /// Its first clone is kept, the second one shared; the third is a waiter's.
    struct Thrice(u32);
    static MADE: Count = Count::new();
    impl Clone for Thrice {
        fn clone(&self) -> Self {
            assert!(MADE.next() != 3, "this value cannot be cloned");
            Self(self.0)
        }
    }
    #[cache_request(local, timeout = 0)]
    async fn f() -> Thrice {
        LEAVE.passed().await;
        Thrice(BODIES.next())
    }
    ends(|| {
        let cache = cache();
        MADE.next();
        let mut calls: Vec<_> = (0..2).map(|_| Box::pin(scoped(&cache, f()))).collect();
        for call in &mut calls {
            assert!(poll(call).is_none());
        }
        LEAVE.open();
        for (call, body) in calls.into_iter().zip(1..) {
            assert_eq!(block_on(call).0, body);
        }
        assert_eq!(stats(&cache, 2).faults.total(), 1);
    });
}

#[test]
fn a_key_panics() {
    static BODIES: Count = Count::new();
    struct Unkeyable;
    impl Serialize for Unkeyable {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            panic!("no key")
        }
    }
    #[cache_request]
    fn argument(_unkeyable: Unkeyable) -> u32 {
        BODIES.next()
    }
    #[cache_request(key = |_: &u32| -> String { panic!("no key") })]
    async fn own(_id: u32) -> u32 {
        BODIES.next()
    }
    ends(|| {
        for round in 0..2 {
            let cache = cache();
            let answer = || if round == 0 { argument(Unkeyable) } else { block_on(own(1)) };
            let first = scoped_sync(&cache, answer);
            assert_eq!(scoped_sync(&cache, answer), first + 1);
            let stats = stats(&cache, 2);
            assert_eq!((stats.uncached, stats.faults.key), (2, 2));
        }
    });
}

/// The waiters get the value, though it cannot be kept.
macro_rules! cannot_be_kept {
    ($($name:ident: #[$attribute:meta] $value:ty = $make:expr;)*) => {$(
        #[test]
        fn $name() {
            static BODIES: Count = Count::new();
            #[$attribute]
            fn f() -> $value {
                $make(BODIES.next())
            }
            ends(|| {
                let cache = on_a_backend();
                for calls in 1..=2 {
                    scoped_sync(&cache, f);
                    assert_eq!(BODIES.get(), u32::try_from(calls).unwrap());
                    let stats = stats(&cache, calls);
                    assert_eq!((stats.misses.total(), stats.faults.total(), stats.bodies), (calls, calls, calls));
                }
            });
        }
    )*};
}

#[derive(Clone, Deserialize)]
struct Unstorable(#[expect(dead_code, reason = "a value needs something in it")] u32);

impl Serialize for Unstorable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("this value cannot be serialised")
    }
}

#[derive(Clone, Deserialize)]
struct Refused(#[expect(dead_code, reason = "a value needs something in it")] u32);

impl Serialize for Refused {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("this value is not to be serialised"))
    }
}

cannot_be_kept! {
    serialize_panics: #[cache_request] Unstorable = Unstorable;
    serialize_fails: #[cache_request] Refused = Refused;
    when_panics: #[cache_request(when = |_| panic!("when"))] u32 = u32::from;
    timeout_with_panics: #[cache_request(timeout_with = |_| panic!("timeout"))] u32 = u32::from;
    timeout_panics: #[cache_request(timeout = timeout())] u32 = u32::from;
    weight_panics: #[cache_request(local, weight = |_| panic!("weight"))] u32 = u32::from;
}

fn timeout() -> Duration {
    panic!("timeout")
}

#[test]
fn deserialize_panics() {
    static BODIES: Count = Count::new();
    static READS: AtomicBool = AtomicBool::new(true);
    #[derive(Clone, Serialize)]
    struct Unreadable(u32);
    impl<'de> Deserialize<'de> for Unreadable {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            assert!(READS.load(SeqCst), "this value cannot be read");
            u32::deserialize(deserializer).map(Self)
        }
    }
    #[cache_request]
    fn f() -> Unreadable {
        Unreadable(BODIES.next())
    }
    ends(|| {
        let cache = on_a_backend();
        assert_eq!(scoped_sync(&cache, f).0, 1);
        READS.store(false, SeqCst);
        assert_eq!(scoped_sync(&cache, f).0, 2);
        let stats = stats(&cache, 2);
        // Of what was stored, and of what was not stored in its place.
        assert_eq!((stats.misses.undecodable, stats.faults.total()), (1, 2));
    });
}

/// What can never be read is not written: each body's value is one fault.
#[test]
fn deserialize_always_panics() {
    static BODIES: Count = Count::new();
    #[derive(Clone, Serialize)]
    struct Unreadable(u32);
    impl<'de> Deserialize<'de> for Unreadable {
        fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            panic!("this value cannot be read")
        }
    }
    #[cache_request]
    fn f() -> Unreadable {
        Unreadable(BODIES.next())
    }
    ends(|| {
        let cache = on_a_backend();
        assert_eq!([scoped_sync(&cache, f).0, scoped_sync(&cache, f).0], [1, 2]);
        let stats = stats(&cache, 2);
        assert_eq!((stats.misses.undecodable, stats.faults.total()), (0, 2));
    });
}

/// The payload of a panic is the user's code as well.
#[test]
fn the_payload_of_a_panic_panics() {
    struct Payload;
    static ARMED: AtomicBool = AtomicBool::new(true);
    impl Drop for Payload {
        fn drop(&mut self) {
            assert!(!ARMED.swap(false, SeqCst), "the payload's own panic");
        }
    }
    #[cache_request(when = |_| std::panic::panic_any(Payload))]
    fn f() -> u32 {
        7
    }
    ends(|| {
        let cache = cache();
        assert_eq!(scoped_sync(&cache, f), 7);
        assert_eq!(stats(&cache, 1).faults.total(), 1);
    });
}

/// Conditions, weights and clones may call annotated functions, even the very one.
#[test]
fn the_code_around_the_body_may_call_the_function() {
    static BODIES: Count = Count::new();
    #[cache_request(when = |value| *value > 1 || block_on(f()) > 1)]
    async fn f() -> u32 {
        BODIES.next()
    }
    ends(|| {
        let cache = cache();
        assert_eq!(block_on(scoped(&cache, f())), 1);
        assert_eq!(BODIES.get(), 2);
    });
}

/// The destructor of a value that is replaced, invalidated or evicted may call, on whichever thread it runs.
#[test]
fn a_value_that_is_dropped_may_call() {
    struct Calls(u32);
    impl Clone for Calls {
        fn clone(&self) -> Self {
            Self(self.0)
        }
    }
    impl Drop for Calls {
        fn drop(&mut self) {
            if self.0 < 1000 {
                for id in 0..100 {
                    other(id);
                }
                let _ = f_cache(self.0 + 1000).invalidate();
            }
        }
    }
    #[cache_request]
    fn other(id: u32) -> u32 {
        id
    }
    #[cache_request(local)]
    fn f(id: u32) -> Calls {
        Calls(id)
    }
    ends(|| {
        let cache = Cache::builder().wait_limit(Duration::MAX).max_entries(20).build().unwrap();
        scoped_sync(&cache, || {
            for id in 0..100 {
                f(id);
                f_cache(id).refresh();
                f_cache(id).put(&Calls(id)).unwrap();
                f_cache(id / 2).invalidate().unwrap();
            }
            block_on(cache.clear()).unwrap();
        });
    });
}

/// They waited for what it was about to leave to them.
#[test]
fn a_leader_whose_log_panicked_left_its_waiters_behind() {
    struct Broken;

    impl Subscriber for Broken {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, _: &Event<'_>) {
            panic!("this log is broken");
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    static LEAVE: Gate = Gate::new();
    #[cache_request]
    async fn f() -> Vec<u8> {
        LEAVE.passed().await;
        vec![0; 1 << 20]
    }
    ends(|| {
        // No callsite is left that no subscriber has asked for.
        logs::of(|| ());
        let cache = Cache::builder().wait_limit(Duration::MAX).max_bytes(1 << 16).build().unwrap();
        let [mut first, mut second] = [Box::pin(scoped(&cache, f())), Box::pin(scoped(&cache, f()))];
        assert_eq!((poll(&mut first), poll(&mut second)), (None, None));
        LEAVE.open();
        let led = catch_unwind(AssertUnwindSafe(|| tracing::subscriber::with_default(Broken, || poll(&mut first))));
        assert!(led.is_err(), "the value is too large to be kept, which is logged");
        assert_eq!(poll(&mut second).map(|value| value.len()), Some(1 << 20));
    });
}
