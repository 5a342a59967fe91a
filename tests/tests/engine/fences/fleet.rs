//! Several processes on one backend. Each is a cache of its own, which shares nothing else with the others.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use cache_request::{
    Backend, Cache, CacheBuilder, Clock, Error, FunctionStats, MockClock,
    backend::{Claim, ClaimKind, Claimed, Fence, MemoryBackend, Right},
    cache_request, scoped, scoped_sync,
};
use cache_request_tests::delegate;
use futures_lite::future::block_on;

use crate::support::{Count, Gate, Held, ends, poll};

/// The backend of all processes, and what it was asked for.
struct Shared {
    memory: MemoryBackend,
    gets: Count,
    claims: Count,
    sets: Count,
    renewals: Count,
    /// Holds up the next claim after it has looked.
    held: Mutex<Option<Arc<Gate>>>,
    /// What fails at present.
    fails: Mutex<Option<&'static str>>,
    /// Values that were stored without a fence.
    unfenced: Count,
}

impl Shared {
    fn new(clock: &MockClock) -> Arc<Self> {
        let memory = MemoryBackend::builder().clock(clock).build().unwrap();
        let [gets, claims, sets, renewals] = [const { Count::new() }; 4];
        let unfenced = Count::new();
        Arc::new(Self {
            memory,
            gets,
            claims,
            sets,
            renewals,
            held: Mutex::default(),
            fails: Mutex::default(),
            unfenced,
        })
    }

    fn may(&self, operation: &'static str) -> Result<(), Error> {
        if *self.fails.lock().unwrap() == Some(operation) { Err(Error::backend("down")) } else { Ok(()) }
    }
}

impl Backend for Shared {
    fn name(&self) -> &'static str {
        "shared"
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.gets.next();
        self.memory.get(key).await
    }

    async fn claim(&self, key: &str, claim: Claim) -> Result<Claimed, Error> {
        self.claims.next();
        self.may("claim")?;
        let claimed = self.memory.claim(key, claim).await;
        let held = self.held.lock().unwrap().take();
        if let Some(gate) = held {
            gate.passed().await;
        }
        claimed
    }

    async fn set_fenced(
        &self,
        key: &str,
        value: &[u8],
        timeout: Option<Duration>,
        fence: Fence,
    ) -> Result<bool, Error> {
        self.sets.next();
        self.may("set_fenced")?;
        self.memory.set_fenced(key, value, timeout, fence).await
    }

    async fn renew(&self, key: &str, fence: Fence, lease: Duration) -> Result<bool, Error> {
        let renewed = self.memory.renew(key, fence, lease).await;
        self.renewals.next();
        renewed
    }

    delegate!(self => self.memory; delete clear has_fences release invalidate);

    async fn set(&self, _: &str, _: &[u8], _: Option<Duration>) -> Result<(), Error> {
        self.unfenced.next();
        Ok(())
    }
}

/// What the bodies of all processes share. Body number `n` returns `n`.
struct World {
    clock: MockClock,
    shared: Arc<Shared>,
    caches: [Cache; 2],
    began: Count,
    gate: Gate,
    /// The bodies from this one on do not wait for the gate.
    free: AtomicU32,
    fails: AtomicU32,
}

/// The first bodies wait for the gate.
#[cache_request(skip(world))]
async fn f(world: &World) -> Result<u32, ()> {
    body(world).await
}

/// The same, and answers stale values for a minute.
#[cache_request(timeout = 10, stale = 60, skip(world), foreground)]
async fn with_stale(world: &World) -> Result<u32, ()> {
    body(world).await
}

#[cache_request(skip(world), coalesce = false)]
async fn apart(world: &World) -> Result<u32, ()> {
    body(world).await
}

/// Calls itself once, with the same key.
#[cache_request(skip(world, depth))]
async fn inward(world: &World, depth: u32) -> u32 {
    world.began.next();
    if depth == 0 { 7 } else { Box::pin(inward(world, depth - 1)).await }
}

async fn body(world: &World) -> Result<u32, ()> {
    let number = world.began.next();
    if number < world.free.load(SeqCst) {
        world.gate.passed().await;
    }
    if number <= world.fails.load(SeqCst) { Err(()) } else { Ok(number) }
}

impl World {
    /// Two processes, whose first body waits for the gate.
    fn new() -> Self {
        Self::with(|builder| builder)
    }

    fn with(set: impl Fn(CacheBuilder) -> CacheBuilder) -> Self {
        let clock = Clock::mock();
        let shared = Shared::new(&clock);
        let cache = || {
            let builder = Cache::builder().clock(&clock).wait_limit(Duration::MAX).soft_limit(Duration::MAX);
            set(builder).backend(Arc::clone(&shared)).build().unwrap()
        };
        let caches = [cache(), cache()];
        let (began, gate) = (Count::new(), Gate::new());
        Self { clock, shared, caches, began, gate, free: AtomicU32::new(2), fails: AtomicU32::new(0) }
    }

    /// The cache of one process, which calls.
    fn call(&self, process: usize) -> impl Future<Output = Result<u32, ()>> + Send + '_ {
        scoped(&self.caches[process], f(self))
    }

    /// The same, of a function whose callers run their own bodies.
    fn call_apart(&self, process: usize) -> impl Future<Output = Result<u32, ()>> + Send + '_ {
        scoped(&self.caches[process], apart(self))
    }

    fn stats(&self, process: usize) -> FunctionStats {
        let stats = self.caches[process].stats();
        let [function] = &stats.functions[..] else { panic!("not one function: {stats}") };
        assert_eq!(function.faults.total(), 0, "{stats}");
        function.clone()
    }

    fn key(&self) -> String {
        scoped_sync(&self.caches[0], || f_cache(self).key().unwrap())
    }

    fn stored(&self) -> bool {
        block_on(self.shared.memory.get(&self.key())).unwrap().is_some()
    }

    /// Another process, which dies without another word: claims the key.
    fn claimed_by_another(&self, key: &str, kind: ClaimKind) -> Fence {
        let claim = Claim { kind, token: 4711, lease: Duration::from_secs(3) };
        match block_on(self.shared.memory.claim(key, claim)).unwrap().right {
            Right::Leased(fence) => fence,
            right => panic!("{right:?}"),
        }
    }
}

/// Polls it once, which is not enough.
fn begin<'a, T: Send + 'a>(future: impl Future<Output = T> + Send + 'a) -> Held<'a, T> {
    let mut future: Held<'a, T> = Box::pin(future);
    assert!(poll(&mut future).is_none(), "it has waited for nothing");
    future
}

#[test]
fn a_value_from_before_another_process_invalidated_was_kept() {
    ends(|| {
        type Change = fn(&World);
        let changes: [(&str, Change); 2] = [
            ("invalidate", |world| {
                let handle = scoped_sync(&world.caches[1], || f_cache(world));
                assert!(!block_on(handle.invalidate()).unwrap());
            }),
            ("clear", |world| block_on(world.caches[1].clear()).unwrap()),
        ];
        for (change, make) in changes {
            let world = World::new();
            let mut early = begin(world.call(0));
            make(&world);
            world.gate.open();
            assert_eq!(block_on(&mut early), Ok(1), "who called before may have it: {change}");
            assert!(!world.stored(), "{change}");
            assert_eq!(world.stats(0).outdated, 1, "{change}");
            assert_eq!([block_on(world.call(1)), block_on(world.call(0))], [Ok(2), Ok(2)], "{change}");
        }
    });
}

/// No caller waits for the body of another one, so each has a claim of its own.
#[test]
fn a_value_from_before_another_process_invalidated_was_kept_where_callers_run_their_own_bodies() {
    type Call = fn(&World, usize) -> Held<'_, Result<u32, ()>>;
    type Invalidate = fn(&World, usize) -> bool;
    ends(|| {
        let coalesced: (Call, Invalidate) = (
            |world, process| Box::pin(world.call(process)),
            |world, process| block_on(scoped_sync(&world.caches[process], || f_cache(world)).invalidate()).unwrap(),
        );
        let apart: (Call, Invalidate) = (
            |world, process| Box::pin(world.call_apart(process)),
            |world, process| block_on(scoped_sync(&world.caches[process], || apart_cache(world)).invalidate()).unwrap(),
        );
        let ways = [("without leases", false, coalesced), ("coalesce = false", true, apart), ("both", false, apart)];
        for (way, leases, (call, invalidate)) in ways {
            // By the other process, and by its own.
            for by in [1, 0] {
                let world = World::with(|builder| builder.leases(leases));
                let mut early = begin(call(&world, 0));
                assert!(!invalidate(&world, by), "{way}, by {by}");
                world.gate.open();
                assert_eq!(block_on(&mut early), Ok(1), "who called before may have it: {way}, by {by}");
                assert!(by == 0 || world.stats(0).outdated == 1, "{way}");
                assert_eq!(block_on(call(&world, 1)), Ok(2), "{way}, by {by}");
                assert_eq!(block_on(call(&world, 0)), Ok(2), "{way}, by {by}");
            }
            // Another one runs beside it, in the same process or in the other one.
            for process in [0, 1] {
                let world = World::with(|builder| builder.leases(leases));
                let mut early = begin(call(&world, 0));
                world.free.store(3, SeqCst);
                let mut beside = begin(call(&world, process));
                if world.began.get() == 1 {
                    assert_eq!((way, process), ("without leases", 0), "those of one process share a body");
                    continue;
                }
                invalidate(&world, 1 - process);
                assert_eq!(block_on(call(&world, 1 - process)), Ok(3), "{way}, {process}");
                world.gate.open();
                assert_eq!([block_on(&mut early), block_on(&mut beside)], [Ok(1), Ok(2)], "{way}, {process}");
                for process in [0, 1] {
                    assert_eq!(block_on(call(&world, process)), Ok(3), "{way}, {process}");
                }
            }
        }
    });
}

/// The value could be returned for a minute after its timeout, by both.
#[test]
fn a_stale_value_was_returned_after_another_process_had_invalidated_it() {
    #[cache_request(timeout = 10, stale = 60, skip(world))]
    async fn in_background(world: &Arc<World>) -> Result<u32, ()> {
        body(world).await
    }

    ends(|| {
        let world = Arc::new(World::new());
        world.free.store(0, SeqCst);
        let call = |process: usize| block_on(scoped(&world.caches[process], in_background(&world)));
        assert_eq!([call(0), call(1)], [Ok(1); 2]);
        world.clock.advance(Duration::from_secs(11));
        world.free.store(3, SeqCst);
        assert_eq!(call(0), Ok(1), "the second body runs in the background");
        world.began.reaches(2);
        let handle = scoped_sync(&world.caches[1], || in_background_cache(&world));
        assert!(block_on(handle.invalidate()).unwrap());
        assert_eq!([call(1), call(0)], [Ok(3); 2]);
        world.gate.open();
        world.caches[0].shutdown_sync();
        assert_eq!(world.stats(0).outdated, 1, "what was made from before it is not kept");
        assert_eq!([call(0), call(1)], [Ok(3); 2]);
        assert_eq!(world.began.get(), 3);
    });
}

#[test]
fn a_value_took_the_place_of_a_newer_one_of_another_process() {
    ends(|| {
        for refresh in [true, false] {
            let world = World::new();
            let mut early = begin(world.call(0));
            let handle = scoped_sync(&world.caches[1], || f_cache(&world));
            let newer = if refresh {
                block_on(handle.refresh()).unwrap()
            } else {
                block_on(handle.put(&Ok(100))).unwrap();
                100
            };
            world.gate.open();
            assert_eq!(block_on(&mut early), Ok(1));
            assert_eq!([block_on(world.call(1)), block_on(world.call(0))], [Ok(newer); 2], "refresh: {refresh}");
        }
    });
}

/// It joined a body of its own process that had begun before.
#[test]
fn a_caller_after_the_invalidation_by_another_process_got_a_body_from_before() {
    ends(|| {
        let world = World::new();
        let mut early = begin(world.call(0));
        let mut earlier_waiter = begin(world.call(0));
        let handle = scoped_sync(&world.caches[1], || f_cache(&world));
        assert!(!block_on(handle.invalidate()).unwrap());
        let mut late = begin(world.call(0));
        world.gate.open();
        assert_eq!(block_on(&mut early), Ok(1));
        assert_eq!(block_on(&mut late), Ok(2));
        assert_eq!(block_on(&mut earlier_waiter), Ok(2));
        assert_eq!(world.began.get(), 2);
    });
}

/// It joined a caller of its own process that had looked before.
#[test]
fn a_caller_after_the_invalidation_by_another_process_got_a_value_read_before() {
    ends(|| {
        let world = World::new();
        world.free.store(0, SeqCst);
        assert_eq!(block_on(world.call(1)), Ok(1));
        let gate = Arc::new(Gate::new());
        *world.shared.held.lock().unwrap() = Some(Arc::clone(&gate));
        let mut early = begin(world.call(0));
        let handle = scoped_sync(&world.caches[1], || f_cache(&world));
        assert!(block_on(handle.invalidate()).unwrap());
        let mut late = [begin(world.call(0)), begin(world.call(0))];
        gate.open();
        assert_eq!(block_on(&mut early), Ok(1), "it called before");
        assert_eq!(late.each_mut().map(block_on), [Ok(2); 2]);
        assert_eq!(world.began.get(), 2);
    });
}

/// Callers that come while a value is read share the next reading.
#[test]
fn each_of_many_callers_read_the_backend() {
    ends(|| {
        let world = World::new();
        world.free.store(0, SeqCst);
        assert_eq!(block_on(world.call(1)), Ok(1));
        let gate = Arc::new(Gate::new());
        *world.shared.held.lock().unwrap() = Some(Arc::clone(&gate));
        let before = world.shared.claims.get();
        let mut callers: Vec<_> = (0..64).map(|_| begin(world.call(0))).collect();
        gate.open();
        for caller in &mut callers {
            assert_eq!(block_on(caller), Ok(1));
        }
        assert_eq!(world.shared.claims.get() - before, 2);
    });
}

#[test]
fn each_process_ran_a_body_for_one_cold_key() {
    ends(|| {
        let world = World::new();
        let mut first = begin(world.call(0));
        let mut second = begin(world.call(1));
        world.gate.open();
        assert_eq!(block_on(&mut first), Ok(1));
        assert_eq!(block_on(&mut second), Ok(1));
        assert_eq!(world.began.get(), 1);
        let waited = world.stats(1);
        assert_eq!((waited.lease_waits, waited.hits, waited.misses.total(), waited.bodies), (1, 1, 0, 0));
        assert_eq!(world.stats(0).lease_waits, 0);
    });
}

#[test]
fn a_body_that_failed_left_the_callers_of_other_processes_waiting() {
    ends(|| {
        for how in ["err", "cancelled"] {
            let world = World::new();
            world.fails.store(1, SeqCst);
            let mut first = begin(world.call(0));
            let mut second = begin(world.call(1));
            if how == "cancelled" {
                drop(first);
            } else {
                world.gate.open();
                assert_eq!(block_on(&mut first), Err(()));
            }
            assert_eq!(block_on(&mut second), Ok(2), "{how}");
            assert_eq!(world.began.get(), 2, "{how}");
            assert!(world.stored(), "{how}");
        }
    });
}

/// Its lease ends by itself. Of the callers that wait, one takes over.
#[test]
fn a_process_that_died_left_the_others_waiting() {
    ends(|| {
        let world = World::new();
        world.free.store(0, SeqCst);
        let dead = world.claimed_by_another(&world.key(), ClaimKind::Missing);
        let mut waiting = [begin(world.call(0)), begin(world.call(1))];
        world.clock.advance(Duration::from_millis(2999));
        assert!(waiting.iter_mut().all(|call| poll(call).is_none()), "the lease is not over");
        world.clock.advance(Duration::from_millis(1));
        assert_eq!(waiting.map(block_on), [Ok(1), Ok(1)]);
        assert_eq!(world.began.get(), 1, "one took over");
        let late = block_on(world.shared.memory.set_fenced(&world.key(), b"late", None, dead)).unwrap();
        assert!(!late, "what the dead one sent arrives too late");
    });
}

#[test]
fn a_caller_waited_for_another_process_though_it_must_not() {
    ends(|| {
        // Without leases, each process runs its own body, and the first value that is stored stays.
        let world = World::with(|builder| builder.leases(false));
        let mut first = begin(world.call(0));
        assert_eq!(block_on(world.call(1)), Ok(2));
        world.gate.open();
        assert_eq!(block_on(&mut first), Ok(1));
        assert_eq!([block_on(world.call(0)), block_on(world.call(1))], [Ok(2); 2]);
        // Nor do those wait that do not even share the bodies of their own process.
        let world = World::new();
        let mut first = begin(scoped(&world.caches[0], apart(&world)));
        assert_eq!(block_on(scoped(&world.caches[1], apart(&world))), Ok(2));
        world.gate.open();
        assert_eq!(block_on(&mut first), Ok(1));
        // Nor longer than the limit.
        let world = World::with(|builder| builder.wait_limit(Duration::from_millis(1)));
        let _first = begin(world.call(0));
        assert_eq!(block_on(world.call(1)), Ok(2));
        assert_eq!(world.stats(1).lease_waits, 1);
    });
}

#[test]
fn a_body_waited_for_the_lease_that_it_runs_under() {
    ends(|| {
        let world = World::new();
        assert_eq!(block_on(scoped(&world.caches[0], inward(&world, 1))), 7);
        assert_eq!(world.began.get(), 2);
    });
}

#[test]
fn a_stale_value_was_waited_for_while_another_process_replaces_it() {
    ends(|| {
        let world = World::new();
        world.free.store(0, SeqCst);
        let call = || block_on(scoped(&world.caches[0], with_stale(&world)));
        assert_eq!(call(), Ok(1));
        world.clock.advance(Duration::from_secs(11));
        let key = scoped_sync(&world.caches[0], || with_stale_cache(&world).key().unwrap());
        let other = world.claimed_by_another(&key, ClaimKind::Any);
        assert_eq!([call(), call()], [Ok(1); 2], "the other one replaces it");
        block_on(world.shared.memory.release(&key, other)).unwrap();
        // The next attempt of this process is a second later.
        world.clock.advance(Duration::from_secs(1));
        assert_eq!([call(), call()], [Ok(2); 2]);
    });
}

#[test]
fn a_lease_ended_while_its_body_ran() {
    ends(|| {
        let world = World::with(|builder| builder.lease(Duration::from_millis(30)));
        let mut first = begin(world.call(0));
        for half in 1..=4 {
            world.shared.renewals.reaches(world.shared.renewals.get() + 2);
            world.clock.advance(Duration::from_millis(15));
            assert!(poll(&mut first).is_none(), "{half}");
        }
        world.gate.open();
        assert_eq!(block_on(&mut first), Ok(1));
        assert!(world.stored(), "its lease was renewed");
        let renewals = world.shared.renewals.get();
        assert_eq!(block_on(world.call(1)), Ok(1));
        assert!(world.shared.renewals.get() <= renewals + 1, "one may have been on its way");
    });
}

/// A miss asks twice, as without leases: it looks and stores. A function that mostly finds its values looks without a claim.
#[test]
fn a_lease_cost_a_further_round_trip() {
    let world = World::new();
    world.free.store(0, SeqCst);
    let asked = || [&world.shared.gets, &world.shared.claims, &world.shared.sets].map(Count::get);
    assert_eq!(block_on(world.call(0)), Ok(1));
    assert_eq!(asked(), [0, 1, 1], "a miss");
    for _ in 0..32 {
        assert_eq!(block_on(world.call(0)), Ok(1));
    }
    let [gets, claims, _] = asked();
    assert_eq!((gets, claims), (0, 33), "hits after a miss");
    assert_eq!(block_on(world.call(0)), Ok(1));
    assert_eq!(asked(), [1, 33, 1], "hits after many hits");
    let handle = scoped_sync(&world.caches[0], || f_cache(&world));
    assert!(block_on(handle.invalidate()).unwrap());
    assert_eq!(block_on(world.call(0)), Ok(2));
    assert_eq!(asked(), [2, 34, 2], "a miss after many hits");
}

/// Bodies of other processes from before are fenced, too.
#[test]
fn a_soft_invalidation_removed_the_value() {
    ends(|| {
        let world = World::new();
        world.free.store(0, SeqCst);
        let call = |process: usize| block_on(scoped(&world.caches[process], with_stale(&world)));
        assert_eq!(call(0), Ok(1));
        let handle = scoped_sync(&world.caches[1], || with_stale_cache(&world));
        assert!(block_on(handle.invalidate_soft()).unwrap());
        // This call replaces it, as it is the first one to find it stale.
        let looked = scoped_sync(&world.caches[0], || with_stale_cache(&world));
        assert!(block_on(looked.lookup()).unwrap().is_stale);
        assert_eq!([call(0), call(1), call(0)], [Ok(2); 3]);
        assert!(!block_on(looked.lookup()).unwrap().is_stale);
    });
}

/// A replica of the database that the body reads lags behind.
#[test]
fn a_value_was_kept_while_values_are_refused() {
    ends(|| {
        let world = World::new();
        world.free.store(0, SeqCst);
        let in_memory = Cache::builder().clock(&world.clock).build().unwrap();
        let caches = [&world.caches[0], &world.caches[1], &in_memory];
        for (refuser, others) in [(0, &[0, 1][..]), (2, &[2])] {
            let call = |process: usize| block_on(scoped(caches[process], f(&world))).unwrap();
            let first = call(refuser);
            assert_eq!(call(refuser), first);
            let handle = scoped_sync(caches[refuser], || f_cache(&world));
            assert!(block_on(handle.invalidate_for(Duration::from_secs(5))).unwrap());
            // A shorter one does not end it.
            assert!(!block_on(handle.invalidate()).unwrap());
            assert!(!block_on(handle.invalidate_for(Duration::from_secs(1))).unwrap());
            let began = world.began.get();
            for (number, process) in others.iter().cycle().take(4).enumerate() {
                assert_eq!(call(*process), began + 1 + number as u32, "kept by {process}");
                block_on(handle.put(&Ok(100))).unwrap();
            }
            world.clock.advance(Duration::from_secs(4));
            call(refuser);
            assert_ne!(call(refuser), call(refuser));
            world.clock.advance(Duration::from_secs(2));
            let kept = call(refuser);
            assert!(others.iter().all(|process| call(*process) == kept));
        }
    });
}

/// It did while its writes were refused, as they had failed, and stored what came of it when they were tried again.
#[test]
fn a_value_was_stored_without_a_fence() {
    ends(|| {
        let world = World::with(|builder| builder.breaker_faults(1).breaker_pause(Duration::from_secs(5)));
        *world.shared.fails.lock().unwrap() = Some("set_fenced");
        let other = scoped(&world.caches[0], with_stale(&world));
        world.free.store(0, SeqCst);
        assert_eq!(block_on(other), Ok(1), "the write fails, and those of the next five seconds are refused");
        *world.shared.fails.lock().unwrap() = None;
        world.free.store(3, SeqCst);
        let mut early = begin(world.call(0));
        let handle = scoped_sync(&world.caches[1], || f_cache(&world));
        block_on(handle.invalidate()).unwrap();
        world.clock.advance(Duration::from_secs(6));
        world.gate.open();
        assert_eq!(block_on(&mut early), Ok(2));
        assert_eq!(world.shared.unfenced.get(), 0);
        assert!(!world.stored(), "a value from before the invalidation is kept");
    });
}

/// An older value, which another process has invalidated meanwhile.
#[test]
fn a_stand_in_from_before_an_invalidation_went_to_a_caller_from_after_it() {
    #[cache_request(timeout = 10, stale_if_error = 60, skip(world))]
    async fn stands_in(world: &World) -> Result<u32, ()> {
        body(world).await
    }

    ends(|| {
        let world = World::new();
        world.free.store(0, SeqCst);
        let call = |process: usize| scoped(&world.caches[process], stands_in(&world));
        assert_eq!(block_on(call(0)), Ok(1));
        world.clock.advance(Duration::from_secs(11));
        world.free.store(3, SeqCst);
        world.fails.store(2, SeqCst);
        let mut early = begin(call(0));
        let handle = scoped_sync(&world.caches[1], || stands_in_cache(&world));
        block_on(handle.invalidate()).unwrap();
        let mut late = begin(call(0));
        world.gate.open();
        assert_eq!(block_on(&mut early), Ok(1), "it called before");
        assert_eq!(block_on(&mut late), Ok(3));
    });
}

#[test]
fn callers_ran_one_body_after_another_while_values_are_refused() {
    ends(|| {
        let world = World::new();
        let handle = scoped_sync(&world.caches[1], || f_cache(&world));
        block_on(handle.invalidate_for(Duration::from_secs(60))).unwrap();
        let mut callers: Vec<_> = (0..32).map(|_| begin(world.call(0))).collect();
        world.gate.open();
        let answers: Vec<_> = callers.iter_mut().map(block_on).collect();
        assert!(answers.iter().all(Result::is_ok));
        assert_eq!(world.began.get(), 2, "those who came while the first one ran share the second");
    });
}

/// Each released the key without a value, and the next process took it.
#[test]
fn a_caller_waited_for_one_process_after_another() {
    ends(|| {
        let world = World::new();
        world.free.store(0, SeqCst);
        let key = world.key();
        world.claimed_by_another(&key, ClaimKind::Missing);
        let mut waiting = begin(world.call(0));
        for token in 1..4 {
            let claim = Claim { kind: ClaimKind::Anew, token, lease: Duration::from_secs(60) };
            block_on(world.shared.memory.claim(&key, claim)).unwrap();
            let looks = world.shared.claims.get() + 2;
            while world.shared.claims.get() < looks {
                if let Some(answer) = poll(&mut waiting) {
                    assert_eq!((answer, token), (Ok(1), 2), "it waits for two bodies, and not for a third");
                    return;
                }
                std::thread::yield_now();
            }
        }
        panic!("it waits on");
    });
}

#[test]
fn a_put_that_could_not_claim_said_that_it_had_stored() {
    let world = World::new();
    *world.shared.fails.lock().unwrap() = Some("claim");
    let handle = scoped_sync(&world.caches[0], || f_cache(&world));
    block_on(handle.put(&Ok(100))).unwrap_err();
    assert!(!world.stored());
}
