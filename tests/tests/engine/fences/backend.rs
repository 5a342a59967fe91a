//! On a backend, where a value is on its way for a while.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use cache_request::{Backend, Cache, CacheBuilder, Clock, Error, cache_request, scoped, scoped_sync};
use cache_request_tests::backends::{Bend, Bends, Bent};
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

/// Says how many of its bodies have begun.
#[cache_request(skip(bodies))]
async fn f(bodies: &Count) -> u32 {
    bodies.next()
}

/// A cache on a slow backend, and what its function has done.
struct World {
    slow: Arc<Slow>,
    cache: Cache,
    bodies: Count,
}

impl World {
    /// With a soft limit that never ends.
    fn patient() -> Self {
        Self::of(Cache::builder().wait_limit(Duration::MAX).soft_limit(Duration::MAX))
    }

    /// With a short soft limit.
    fn impatient() -> Self {
        Self::of(Cache::builder().soft_limit(Duration::from_millis(20)))
    }

    fn of(builder: CacheBuilder) -> Self {
        let slow = Arc::new(Slow::default());
        Self { cache: builder.backend(Arc::clone(&slow)).build().unwrap(), slow, bodies: Count::new() }
    }

    fn call(&self) -> impl Future<Output = u32> + Send {
        scoped(&self.cache, f(&self.bodies))
    }

    fn answer(&self) -> u32 {
        block_on(self.call())
    }

    fn refresh(&self) -> impl Future<Output = u32> + Send {
        scoped_sync(&self.cache, || f_cache(&self.bodies)).refresh()
    }

    fn put(&self, value: u32) -> impl Future<Output = Result<(), Error>> + Send {
        let handle = scoped_sync(&self.cache, || f_cache(&self.bodies));
        async move { handle.put(&value).await }
    }

    fn invalidate(&self) -> impl Future<Output = Result<bool, Error>> + Send {
        let handle = scoped_sync(&self.cache, || f_cache(&self.bodies));
        async move { handle.invalidate().await }
    }

    /// A call whose value is on its way to the backend, and what holds it up.
    fn storing(&self, held: &'static str) -> (Arc<Gate>, Held<'_, u32>) {
        let gate = self.slow.hold(held);
        (gate, begin(self.call()))
    }

    fn is_empty(&self) -> bool {
        self.slow.stored.lock().unwrap().is_empty()
    }
}

/// Polls it once, which is not enough.
fn begin<'a, T: Send + 'a>(future: impl Future<Output = T> + Send + 'a) -> Held<'a, T> {
    let mut future: Held<'a, T> = Box::pin(future);
    assert!(poll(&mut future).is_none(), "it has waited for nothing");
    future
}

#[test]
fn invalidate_comes_after_what_is_on_its_way() {
    ends(|| {
        let world = World::patient();
        let (gate, leader) = world.storing("before set");
        let invalidate = begin(world.invalidate());
        gate.open();
        assert_eq!(block_on(leader), 1);
        assert!(block_on(invalidate).unwrap(), "it had arrived");
        assert!(world.is_empty());
        assert_eq!(world.answer(), 2);
    });
}

#[test]
fn a_caller_after_the_invalidation_does_not_wait_for_the_older_value() {
    ends(|| {
        let world = World::patient();
        let (gate, leader) = world.storing("after set");
        let invalidate = begin(world.invalidate());
        gate.open();
        assert_eq!(block_on(leader), 1);
        block_on(invalidate).unwrap();
        assert_eq!([world.answer(), world.answer()], [2, 2]);
    });
}

/// It began to look after the fence, and found the value before the deletion.
#[test]
fn who_looks_while_it_is_deleted_shares_nothing_afterwards() {
    ends(|| {
        let world = World::patient();
        assert_eq!(world.answer(), 1);
        for (operation, hold) in [("invalidate", "before delete"), ("clear", "before clear"), ("put", "before set")] {
            let deletion = world.slow.hold(hold);
            let tell: Held<'_, ()> = match operation {
                "invalidate" => begin(async { world.invalidate().await.map(drop).unwrap() }),
                "clear" => begin(async { world.cache.clear().await.unwrap() }),
                _ => begin(async { world.put(100).await.unwrap() }),
            };
            let before = world.bodies.get();
            let look = world.slow.hold("after get");
            let early = begin(world.call());
            deletion.open();
            block_on(tell);
            let late = poll(&mut Box::pin(world.call()));
            let late = late.unwrap_or_else(|| panic!("after {operation}, it waits for who may have found it"));
            assert_eq!(late, if operation == "put" { 100 } else { before + 1 }, "after {operation}");
            look.open();
            assert!(block_on(early) <= before, "{operation}: it came before");
            assert_eq!(world.answer(), late);
        }
    });
}

#[test]
fn put_comes_after_what_is_on_its_way() {
    ends(|| {
        let world = World::patient();
        let (gate, leader) = world.storing("before set");
        let put = begin(world.put(9));
        // Callers wait for the put, or look for themselves; the older body is not theirs any more.
        gate.open();
        assert_eq!(block_on(leader), 1);
        block_on(put).unwrap();
        assert_eq!(world.answer(), 9);
    });
}

#[test]
fn a_caller_that_waits_for_a_put_gets_its_value() {
    ends(|| {
        let world = World::patient();
        let gate = world.slow.hold("before set");
        let put = begin(world.put(9));
        let caller = begin(world.call());
        gate.open();
        block_on(put).unwrap();
        assert_eq!(block_on(caller), 9);
        assert_eq!(world.bodies.get(), 0);
    });
}

#[test]
fn the_later_of_two_refreshes_is_kept() {
    ends(|| {
        let world = World::patient();
        let gate = world.slow.hold("before set");
        let first = begin(world.refresh());
        // The older value is to arrive first.
        let second = begin(world.refresh());
        gate.open();
        assert_eq!([block_on(first), block_on(second)], [1, 2]);
        assert_eq!(world.answer(), 2);
    });
}

#[test]
fn clear_comes_after_what_is_on_its_way() {
    ends(|| {
        let world = World::patient();
        let (gate, leader) = world.storing("before set");
        let clear = begin(world.cache.clear());
        gate.open();
        assert_eq!(block_on(leader), 1);
        block_on(clear).unwrap();
        assert!(world.is_empty());
    });
}

/// What it was about to store does not come later: its operation went with it.
#[test]
fn a_leader_dropped_while_it_stores() {
    ends(|| {
        let world = World::patient();
        let (_gate, leader) = world.storing("before set");
        let follower = begin(world.call());
        let invalidate = begin(world.invalidate());
        drop(leader);
        block_on(invalidate).unwrap();
        assert!(world.is_empty());
        assert_eq!(block_on(follower), 2, "it leads now");
        assert_eq!(world.answer(), 2);
    });
}

/// The one who invalidates may be cancelled as well, and leaves nothing in the way.
#[test]
fn an_invalidation_dropped_half_way() {
    ends(|| {
        let world = World::patient();
        let (gate, leader) = world.storing("before set");
        drop(begin(world.invalidate()));
        gate.open();
        assert_eq!(block_on(leader), 1);
        // In doubt the value is gone.
        assert_eq!(world.answer(), 2);
        assert!(block_on(world.invalidate()).unwrap());
    });
}

/// A set that fails is no reason for the deletion to wait.
#[test]
fn a_value_that_cannot_be_stored_hinders_no_caller() {
    ends(|| {
        let (bodies, clock) = (Count::new(), Clock::mock());
        let refuses = Bent::new(&clock);
        refuses.bend(Bends { set: Bend::PanicsLater, ..Bends::default() });
        let cache = Cache::builder().wait_limit(Duration::MAX).clock(clock).backend(refuses).build().unwrap();
        assert_eq!(block_on(scoped(&cache, f(&bodies))), 1);
        let handle = scoped_sync(&cache, || f_cache(&bodies));
        assert!(!block_on(handle.invalidate()).unwrap());
        assert!(block_on(handle.put(&3)).is_err());
        assert_eq!(block_on(scoped(&cache, f(&bodies))), 2);
        assert_eq!(cache.stats().faults(), 2);
    });
}

/// A leader that is not polled is on its way for ever. That is no reason to wait for ever.
#[test]
fn no_caller_waits_long_for_a_value_on_its_way() {
    ends(|| {
        let world = World::impatient();
        let (_gate, _leader) = world.storing("before set");
        assert!(!block_on(world.invalidate()).unwrap());
        block_on(world.cache.clear()).unwrap();
        block_on(world.put(7)).unwrap();
        assert_eq!(block_on(world.refresh()), 2);
    });
}

/// If it gets there one day, it goes again.
#[test]
fn what_arrives_after_the_invalidation_goes_again() {
    ends(|| {
        let world = World::impatient();
        let (gate, leader) = world.storing("before set");
        assert!(!block_on(world.invalidate()).unwrap());
        gate.open();
        assert_eq!(block_on(leader), 1);
        assert!(world.is_empty());
        assert_eq!(world.answer(), 2);
    });
}
