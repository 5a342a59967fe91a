//! On a backend, where a value is on its way for a while.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use cache_request::{Backend, Cache, Error, cache_request, scoped, scoped_sync};
use futures_lite::future::block_on;

use crate::support::{Count, Gate, Held, ends, poll};

/// Keeps bytes; an operation that has a gate waits there before it does anything, or after.
#[derive(Default)]
struct Slow {
    stored: Mutex<HashMap<String, Vec<u8>>>,
    gates: Mutex<Vec<(&'static str, Arc<Gate>)>>,
}

impl Slow {
    /// The next operation of that name waits.
    fn hold(&self, operation: &'static str) -> Arc<Gate> {
        let gate = Arc::new(Gate::new());
        self.gates.lock().unwrap().push((operation, Arc::clone(&gate)));
        gate
    }

    async fn gate(&self, operation: &str) {
        let gate = {
            let mut gates = self.gates.lock().unwrap();
            gates.iter().position(|(held, _)| *held == operation).map(|held| gates.remove(held).1)
        };
        if let Some(gate) = gate {
            gate.passed().await;
        }
    }
}

impl Backend for Slow {
    fn name(&self) -> &'static str {
        "slow"
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.gate("before get").await;
        let got = self.stored.lock().unwrap().get(key).cloned();
        self.gate("after get").await;
        Ok(got)
    }

    async fn set(&self, key: &str, value: &[u8], _: Option<Duration>) -> Result<(), Error> {
        self.gate("before set").await;
        self.stored.lock().unwrap().insert(key.to_owned(), value.to_owned());
        self.gate("after set").await;
        Ok(())
    }

    async fn add(&self, key: &str, value: &[u8], _: Option<Duration>) -> Result<bool, Error> {
        self.gate("before add").await;
        let added = {
            let mut stored = self.stored.lock().unwrap();
            let free = !stored.contains_key(key);
            stored.entry(key.to_owned()).or_insert_with(|| value.to_owned());
            free
        };
        self.gate("after add").await;
        Ok(added)
    }

    async fn touch(&self, key: &str, _: Option<Duration>) -> Result<bool, Error> {
        Ok(self.stored.lock().unwrap().contains_key(key))
    }

    async fn delete(&self, key: &str) -> Result<bool, Error> {
        self.gate("before delete").await;
        let was_there = self.stored.lock().unwrap().remove(key).is_some();
        self.gate("after delete").await;
        Ok(was_there)
    }

    async fn clear(&self) -> Result<(), Error> {
        self.gate("before clear").await;
        self.stored.lock().unwrap().clear();
        self.gate("after clear").await;
        Ok(())
    }
}

fn slow() -> (Arc<Slow>, Cache) {
    let slow = Arc::new(Slow::default());
    let forever = Duration::MAX;
    let cache = Cache::builder().wait_limit(forever).soft_limit(forever).backend(Arc::clone(&slow)).build();
    (slow, cache)
}

/// As [`slow`], where nobody waits for an operation for long.
fn impatient() -> (Arc<Slow>, Cache) {
    let slow = Arc::new(Slow::default());
    let cache = Cache::builder().soft_limit(Duration::from_millis(20)).backend(Arc::clone(&slow)).build();
    (slow, cache)
}

fn begin<'a, T: Send + 'a>(call: impl Future<Output = T> + Send + 'a) -> Held<'a, T> {
    let mut call: Held<'a, T> = Box::pin(call);
    assert!(poll(&mut call).is_none());
    call
}

macro_rules! counted {
    ($function:ident) => {
        static BODIES: Count = Count::new();
        #[cache_request]
        async fn $function() -> u32 {
            BODIES.next()
        }
    };
}

#[test]
fn invalidate_comes_after_what_is_on_its_way() {
    counted!(f);
    ends(|| {
        let (slow, cache) = slow();
        let gate = slow.hold("before set");
        let leader = begin(scoped(&cache, f()));
        let handle = scoped_sync(&cache, f_cache);
        let mut invalidate = Box::pin(handle.invalidate());
        assert!(poll(&mut invalidate).is_none(), "it waits for the value to arrive");
        gate.open();
        assert_eq!(block_on(leader), 1);
        assert!(block_on(invalidate).unwrap(), "it had arrived");
        assert!(slow.stored.lock().unwrap().is_empty());
        assert_eq!(block_on(scoped(&cache, f())), 2);
    });
}

#[test]
fn a_caller_after_the_invalidation_does_not_wait_for_the_older_value() {
    counted!(f);
    ends(|| {
        let (slow, cache) = slow();
        let set = slow.hold("after set");
        let leader = begin(scoped(&cache, f()));
        let handle = scoped_sync(&cache, f_cache);
        let mut invalidate = Box::pin(handle.invalidate());
        assert!(poll(&mut invalidate).is_none());
        set.open();
        assert_eq!(block_on(leader), 1);
        block_on(invalidate).unwrap();
        assert_eq!(block_on(scoped(&cache, f())), 2);
        assert_eq!(block_on(scoped(&cache, f())), 2);
    });
}

/// It began to look after the fence, and found the value before the deletion.
#[test]
fn who_looks_while_it_is_deleted_shares_nothing_afterwards() {
    counted!(f);
    ends(|| {
        let (slow, cache) = slow();
        assert_eq!(block_on(scoped(&cache, f())), 1);
        for (operation, hold) in [("invalidate", "before delete"), ("clear", "before clear"), ("put", "before set")] {
            let handle = scoped_sync(&cache, f_cache);
            let deletion = slow.hold(hold);
            let mut tell: Held<'_, ()> = match operation {
                "invalidate" => Box::pin(async { handle.invalidate().await.map(drop).unwrap() }),
                "clear" => Box::pin(async { cache.clear().await.unwrap() }),
                _ => Box::pin(async { handle.put(&100).await.unwrap() }),
            };
            assert!(poll(&mut tell).is_none());
            let before = BODIES.get();
            let look = slow.hold("after get");
            let early = begin(scoped(&cache, f()));
            deletion.open();
            block_on(tell);
            let mut late = Box::pin(scoped(&cache, f()));
            let late =
                poll(&mut late).unwrap_or_else(|| panic!("after {operation}, it waits for who may have found it"));
            assert_eq!(late, if operation == "put" { 100 } else { before + 1 }, "after {operation}");
            look.open();
            assert!(block_on(early) <= before, "{operation}: it came before");
            assert_eq!(block_on(scoped(&cache, f())), late);
        }
    });
}

#[test]
fn put_comes_after_what_is_on_its_way() {
    counted!(f);
    ends(|| {
        let (slow, cache) = slow();
        let gate = slow.hold("before set");
        let leader = begin(scoped(&cache, f()));
        let handle = scoped_sync(&cache, f_cache);
        let mut put = Box::pin(handle.put(&9));
        assert!(poll(&mut put).is_none(), "it waits for the older value to arrive");
        // Callers wait for the put, or look for themselves; the older body is not theirs any more.
        gate.open();
        assert_eq!(block_on(leader), 1);
        block_on(put).unwrap();
        assert_eq!(block_on(scoped(&cache, f())), 9);
    });
}

#[test]
fn whoever_waits_for_a_put_gets_its_value() {
    counted!(f);
    ends(|| {
        let (slow, cache) = slow();
        let gate = slow.hold("before set");
        let handle = scoped_sync(&cache, f_cache);
        let mut put = Box::pin(handle.put(&9));
        assert!(poll(&mut put).is_none());
        let caller = begin(scoped(&cache, f()));
        gate.open();
        block_on(put).unwrap();
        assert_eq!(block_on(caller), 9);
        assert_eq!(BODIES.get(), 0);
    });
}

#[test]
fn the_later_of_two_refreshes_is_kept() {
    counted!(f);
    ends(|| {
        let (slow, cache) = slow();
        let gate = slow.hold("before set");
        let first = begin(scoped_sync(&cache, f_cache).refresh());
        let mut second: Held<'_, u32> = Box::pin(scoped_sync(&cache, f_cache).refresh());
        assert!(poll(&mut second).is_none(), "the older value is to arrive first");
        gate.open();
        assert_eq!([block_on(first), block_on(second)], [1, 2]);
        assert_eq!(block_on(scoped(&cache, f())), 2);
    });
}

#[test]
fn clear_comes_after_what_is_on_its_way() {
    counted!(f);
    ends(|| {
        let (slow, cache) = slow();
        let gate = slow.hold("before set");
        let leader = begin(scoped(&cache, f()));
        let mut clear = Box::pin(cache.clear());
        assert!(poll(&mut clear).is_none());
        gate.open();
        assert_eq!(block_on(leader), 1);
        block_on(clear).unwrap();
        assert!(slow.stored.lock().unwrap().is_empty());
    });
}

/// What it was about to store does not come later: its operation went with it.
#[test]
fn a_leader_dropped_while_it_stores() {
    counted!(f);
    ends(|| {
        let (slow, cache) = slow();
        let _gate = slow.hold("before set");
        let leader = begin(scoped(&cache, f()));
        let follower = begin(scoped(&cache, f()));
        let handle = scoped_sync(&cache, f_cache);
        let mut invalidate = Box::pin(handle.invalidate());
        assert!(poll(&mut invalidate).is_none());
        drop(leader);
        block_on(invalidate).unwrap();
        assert!(slow.stored.lock().unwrap().is_empty());
        assert_eq!(block_on(follower), 2, "it leads now");
        assert_eq!(block_on(scoped(&cache, f())), 2);
    });
}

/// The one who invalidates may be cancelled as well, and leaves nothing in the way.
#[test]
fn an_invalidation_dropped_half_way() {
    counted!(f);
    ends(|| {
        let (slow, cache) = slow();
        let gate = slow.hold("before set");
        let leader = begin(scoped(&cache, f()));
        let handle = scoped_sync(&cache, f_cache);
        let mut invalidate = Box::pin(handle.invalidate());
        assert!(poll(&mut invalidate).is_none());
        drop(invalidate);
        gate.open();
        assert_eq!(block_on(leader), 1);
        // In doubt the value is gone.
        assert_eq!(block_on(scoped(&cache, f())), 2);
        assert!(block_on(handle.invalidate()).unwrap());
    });
}

/// A set that fails is no reason for the deletion to wait.
#[test]
fn a_value_that_cannot_be_stored_is_nobodys_obstacle() {
    counted!(f);
    struct Refuses;
    impl Backend for Refuses {
        fn name(&self) -> &'static str {
            "refuses"
        }
        async fn get(&self, _: &str) -> Result<Option<Vec<u8>>, Error> {
            Ok(None)
        }
        async fn set(&self, _: &str, _: &[u8], _: Option<Duration>) -> Result<(), Error> {
            panic!("the backend's own panic")
        }
        async fn add(&self, _: &str, _: &[u8], _: Option<Duration>) -> Result<bool, Error> {
            panic!("the backend's own panic")
        }
        async fn touch(&self, _: &str, _: Option<Duration>) -> Result<bool, Error> {
            Ok(false)
        }
        async fn delete(&self, _: &str) -> Result<bool, Error> {
            Ok(false)
        }
        async fn clear(&self) -> Result<(), Error> {
            Ok(())
        }
    }
    ends(|| {
        let cache = Cache::builder().wait_limit(Duration::MAX).backend(Refuses).build();
        assert_eq!(block_on(scoped(&cache, f())), 1);
        assert!(!block_on(scoped_sync(&cache, f_cache).invalidate()).unwrap());
        assert!(block_on(scoped_sync(&cache, f_cache).put(&3)).is_err());
        assert_eq!(block_on(scoped(&cache, f())), 2);
        assert_eq!(cache.stats().faults(), 2);
    });
}

/// A leader that nobody polls is on its way for ever: no reason to wait for ever.
#[test]
fn nobody_waits_for_long_for_what_is_on_its_way() {
    counted!(f);
    ends(|| {
        let (slow, cache) = impatient();
        let _gate = slow.hold("before set");
        let handle = || scoped_sync(&cache, f_cache);
        let _leader = begin(scoped(&cache, f()));
        assert!(!block_on(handle().invalidate()).unwrap());
        block_on(cache.clear()).unwrap();
        block_on(handle().put(&7)).unwrap();
        assert_eq!(block_on(handle().refresh()), 2);
    });
}

/// If it gets there one day, it goes again.
#[test]
fn what_arrives_after_the_invalidation_goes_again() {
    counted!(f);
    ends(|| {
        let (slow, cache) = impatient();
        let gate = slow.hold("before set");
        let leader = begin(scoped(&cache, f()));
        assert!(!block_on(scoped_sync(&cache, f_cache).invalidate()).unwrap());
        gate.open();
        assert_eq!(block_on(leader), 1);
        assert!(slow.stored.lock().unwrap().is_empty());
        assert_eq!(block_on(scoped(&cache, f())), 2);
    });
}
