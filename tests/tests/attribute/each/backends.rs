//! What a call asks its backend for: each thing once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use cache_request::{
    Backend, Cache, Clock, Error, ErrorKind, MockClock,
    backend::{Claim, ClaimKind, Claimed, Fence, Item, MemoryBackend, Right},
    cache_request, scoped, scoped_sync,
};
use cache_request_tests::delegate;
use futures_lite::future::block_on;

use super::Asked;
use crate::support::{ends, poll};

/// A backend, and what it was asked for.
struct Counted {
    memory: MemoryBackend,
    has_fences: bool,
    log: Mutex<Vec<(&'static str, usize)>>,
    fails: Mutex<Option<&'static str>>,
    /// The server of this key is down.
    unavailable: Mutex<Option<String>>,
}

impl Counted {
    fn new(clock: &MockClock, has_fences: bool) -> Arc<Self> {
        let memory = MemoryBackend::builder().clock(clock).build().unwrap();
        Arc::new(Self {
            memory,
            has_fences,
            log: Mutex::default(),
            fails: Mutex::default(),
            unavailable: Mutex::default(),
        })
    }

    fn note(&self, operation: &'static str, count: usize) -> Result<(), Error> {
        self.log.lock().unwrap().push((operation, count));
        match *self.fails.lock().unwrap() {
            Some(failing) if failing == operation => Err(Error::backend("down")),
            _ => Ok(()),
        }
    }

    /// The outcomes, without that of the key whose server is down.
    fn available<T>(&self, keys: &[&str], mut outcomes: Vec<Result<T, Error>>) -> Vec<Result<T, Error>> {
        let unavailable = self.unavailable.lock().unwrap();
        for (outcome, _) in outcomes.iter_mut().zip(keys).filter(|(_, key)| Some(**key) == unavailable.as_deref()) {
            *outcome = Err(Error::new(ErrorKind::Unavailable, "this server is down"));
        }
        outcomes
    }

    /// What it was asked for since the last look: the operations, and for how many keys.
    fn take(&self) -> Vec<(&'static str, usize)> {
        std::mem::take(&mut *self.log.lock().unwrap())
    }
}

impl Backend for Counted {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.note("get", 1)?;
        self.memory.get(key).await
    }

    async fn set(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<(), Error> {
        self.note("set", 1)?;
        self.memory.set(key, value, timeout).await
    }

    fn has_fences(&self) -> bool {
        self.has_fences
    }

    async fn claim(&self, key: &str, claim: Claim) -> Result<Claimed, Error> {
        self.note("claim", 1)?;
        self.memory.claim(key, claim).await
    }

    async fn set_fenced(
        &self,
        key: &str,
        value: &[u8],
        timeout: Option<Duration>,
        fence: Fence,
    ) -> Result<bool, Error> {
        self.note("set_fenced", 1)?;
        self.memory.set_fenced(key, value, timeout, fence).await
    }

    async fn get_many(&self, keys: &[&str]) -> Vec<Result<Option<Vec<u8>>, Error>> {
        if let Err(error) = self.note("get_many", keys.len()) {
            return vec![Err(error)];
        }
        let values = self.memory.get_many(keys).await;
        self.available(keys, values)
    }

    async fn set_many(&self, items: &[Item<'_>]) -> Vec<Result<(), Error>> {
        if self.note("set_many", items.len()).is_err() {
            return items.iter().map(|_| Err(Error::backend("down"))).collect();
        }
        self.memory.set_many(items).await
    }

    async fn claim_many(&self, keys: &[&str], claim: Claim) -> Vec<Result<Claimed, Error>> {
        if self.note("claim_many", keys.len()).is_err() {
            return keys.iter().map(|_| Err(Error::backend("down"))).collect();
        }
        // A server that is down claims nothing.
        let unavailable = self.unavailable.lock().unwrap().clone();
        let others: Vec<&str> = keys.iter().copied().filter(|key| Some(*key) != unavailable.as_deref()).collect();
        let mut claimed = self.memory.claim_many(&others, claim).await;
        if let Some(place) = keys.iter().position(|key| Some(*key) == unavailable.as_deref()) {
            claimed.insert(place, Err(Error::new(ErrorKind::Unavailable, "this server is down")));
        }
        claimed
    }

    async fn set_fenced_many(&self, items: &[(Item<'_>, Fence)]) -> Vec<Result<bool, Error>> {
        if self.note("set_fenced_many", items.len()).is_err() {
            return items.iter().map(|_| Err(Error::backend("down"))).collect();
        }
        self.memory.set_fenced_many(items).await
    }

    delegate!(self => self.memory; delete clear renew release invalidate);
}

#[cache_request(skip(asked), each(ids))]
async fn doubles(asked: &Asked, ids: &[u64]) -> HashMap<u64, u64> {
    asked.note(ids);
    ids.iter().map(|id| (*id, id * 2)).collect()
}

fn map(ids: &[u64]) -> HashMap<u64, u64> {
    ids.iter().map(|id| (*id, id * 2)).collect()
}

/// A process on the backend.
fn process(backend: &Arc<Counted>, clock: &MockClock) -> Cache {
    let builder = Cache::builder().clock(clock).wait_limit(Duration::MAX).soft_limit(Duration::MAX);
    builder.backend(Arc::clone(backend)).build().unwrap()
}

#[test]
fn a_cold_call_asked_more_than_once() {
    let clock = Clock::mock();
    let backend = Counted::new(&clock, true);
    let (cache, asked) = (process(&backend, &clock), Asked::default());
    let call = |ids: &[u64]| block_on(scoped(&cache, doubles(&asked, ids)));
    assert_eq!(call(&[1, 2, 3, 2]), map(&[1, 2, 3]));
    assert_eq!(backend.take(), [("claim_many", 3), ("set_fenced_many", 3)]);
    assert_eq!(call(&[3, 4, 1]), map(&[3, 4, 1]));
    assert_eq!(backend.take(), [("claim_many", 3), ("set_fenced_many", 1)]);
    assert_eq!(asked.take(), [vec![1, 2, 3], vec![4]]);
    assert_eq!(call(&[]), map(&[]));
    assert_eq!(call(&[1, 2, 3, 4]), map(&[1, 2, 3, 4]));
    assert_eq!(backend.take(), [("claim_many", 4)]);
    assert!(asked.take().is_empty());
}

/// Where values are mostly found, a plain look is cheaper.
#[test]
fn a_warm_call_claimed_what_is_there() {
    let clock = Clock::mock();
    let backend = Counted::new(&clock, true);
    let (cache, asked) = (process(&backend, &clock), Asked::default());
    let call = |ids: &[u64]| block_on(scoped(&cache, doubles(&asked, ids)));
    let ids: Vec<u64> = (0..100).collect();
    call(&ids);
    call(&ids);
    backend.take();
    let more: Vec<u64> = (5..105).collect();
    assert_eq!(call(&more), map(&more));
    assert_eq!(backend.take(), [("get_many", 100), ("claim_many", 5), ("set_fenced_many", 5)]);
}

#[test]
fn a_backend_without_fences_is_asked_once_as_well() {
    let clock = Clock::mock();
    let backend = Counted::new(&clock, false);
    let (cache, asked) = (process(&backend, &clock), Asked::default());
    let call = |ids: &[u64]| block_on(scoped(&cache, doubles(&asked, ids)));
    assert_eq!(call(&[1, 2, 3]), map(&[1, 2, 3]));
    assert_eq!(backend.take(), [("get_many", 3), ("set_many", 3)]);
    assert_eq!(call(&[2, 3, 4]), map(&[2, 3, 4]));
    assert_eq!(backend.take(), [("get_many", 3), ("set_many", 1)]);
    assert_eq!(asked.take(), [vec![1, 2, 3], vec![4]]);
}

#[test]
fn a_backend_that_fails_broke_a_call() {
    // The first one returns too few outcomes as well.
    for (failing, has_fences) in
        [("get_many", false), ("set_many", false), ("claim_many", true), ("set_fenced_many", true)]
    {
        let clock = Clock::mock();
        let backend = Counted::new(&clock, has_fences);
        let (cache, asked) = (process(&backend, &clock), Asked::default());
        let call = |ids: &[u64]| block_on(scoped(&cache, doubles(&asked, ids)));
        *backend.fails.lock().unwrap() = Some(failing);
        assert_eq!(call(&[1, 2]), map(&[1, 2]), "{failing}");
        assert_eq!(call(&[1, 2]), map(&[1, 2]), "{failing}");
        // Leases that are not back yet make two bodies of one.
        let mut elements = asked.take().concat();
        elements.sort_unstable();
        assert_eq!(elements, [1, 1, 2, 2], "{failing}");
        assert!(cache.stats().faults() >= 2, "{failing}");
        *backend.fails.lock().unwrap() = None;
        assert_eq!([call(&[1, 2]), call(&[1, 2])], [map(&[1, 2]), map(&[1, 2])], "{failing}");
        let mut elements = asked.take().concat();
        elements.sort_unstable();
        assert_eq!(elements, [1, 2], "{failing}");
    }
}

/// One of several servers.
#[test]
fn an_element_whose_server_is_down_was_taken_for_an_outdated_one() {
    for has_fences in [true, false] {
        let clock = Clock::mock();
        let backend = Counted::new(&clock, has_fences);
        let (cache, asked) = (process(&backend, &clock), Asked::default());
        let call = |ids: &[u64]| block_on(scoped(&cache, doubles(&asked, ids)));
        let key = scoped_sync(&cache, || doubles_cache(&asked, 2).key().unwrap());
        *backend.unavailable.lock().unwrap() = Some(key);
        assert_eq!(call(&[1, 2, 3]), map(&[1, 2, 3]));
        // Without fences, the value may be sent.
        let expected =
            if has_fences { [("claim_many", 3), ("set_fenced_many", 2)] } else { [("get_many", 3), ("set_many", 3)] };
        assert_eq!(backend.take(), expected);
        let stats = cache.stats();
        let function = &stats.functions[0];
        assert_eq!((stats.faults(), function.bodies, function.outdated), (1, 1, 0), "{stats}");
        assert_eq!(call(&[1, 3]), map(&[1, 3]));
        assert_eq!(asked.take(), [[1, 2, 3]]);
        *backend.unavailable.lock().unwrap() = None;
        assert_eq!([call(&[1, 2, 3]), call(&[1, 2, 3])], [map(&[1, 2, 3]), map(&[1, 2, 3])]);
        assert_eq!(asked.take(), if has_fences { vec![[2]] } else { vec![] });
    }
}

#[test]
fn a_value_that_expired_is_claimed_as_well() {
    let clock = Clock::mock();
    let backend = Counted::new(&clock, true);
    let (cache, asked) = (process(&backend, &clock), Asked::default());
    let call = |ids: &[u64]| block_on(scoped(&cache, doubles(&asked, ids)));
    call(&[1, 2]);
    // Bytes of another program.
    let key = scoped_sync(&cache, || doubles_cache(&asked, 1).key().unwrap());
    block_on(backend.memory.set(&key, b"foreign", None)).unwrap();
    backend.take();
    asked.take();
    assert_eq!(call(&[1, 2, 3]), map(&[1, 2, 3]));
    assert_eq!(asked.take(), [[1, 3]]);
    assert_eq!(backend.take(), [("claim_many", 3), ("claim_many", 1), ("set_fenced_many", 2)]);
    assert_eq!(call(&[1, 2, 3]), map(&[1, 2, 3]));
    assert!(asked.take().is_empty());
}

/// Another process, which dies without another word, or stores the value.
#[test]
fn elements_that_another_process_has_leased_are_waited_for() {
    ends(|| {
        for ends_how in ["stored", "died", "released"] {
            let clock = Clock::mock();
            let backend = Counted::new(&clock, true);
            let (cache, asked) = (process(&backend, &clock), Asked::default());
            let key = scoped_sync(&cache, || doubles_cache(&asked, 2).key().unwrap());
            let claim = Claim { kind: ClaimKind::Missing, token: 4711, lease: Duration::from_secs(3) };
            let Right::Leased(fence) = block_on(backend.memory.claim(&key, claim)).unwrap().right else { panic!() };
            let mut call = Box::pin(scoped(&cache, doubles(&asked, &[1, 2, 3])));
            assert!(poll(&mut call).is_none());
            assert_eq!(asked.take(), [[1, 3]], "its own elements come first: {ends_how}");
            match ends_how {
                "stored" => {
                    // What a process stores that is like this one.
                    let other = Counted::new(&clock, true);
                    block_on(scoped(&process(&other, &clock), doubles(&Asked::default(), &[2])));
                    let bytes = block_on(other.memory.get(&key)).unwrap().unwrap();
                    assert!(block_on(backend.memory.set_fenced(&key, &bytes, None, fence)).unwrap());
                }
                "died" => clock.advance(Duration::from_secs(3)),
                _ => block_on(backend.memory.release(&key, fence)).unwrap(),
            }
            assert_eq!(block_on(&mut call), map(&[1, 2, 3]), "{ends_how}");
            let expected = if ends_how == "stored" { vec![] } else { vec![vec![2]] };
            assert_eq!(asked.take(), expected, "{ends_how}");
            let stats = cache.stats();
            assert_eq!(stats.functions[0].lease_waits, 1, "{stats}");
            assert_eq!(block_on(scoped(&cache, doubles(&asked, &[1, 2, 3]))), map(&[1, 2, 3]));
            assert!(asked.take().is_empty(), "{ends_how}");
        }
    });
}

#[test]
fn a_body_that_failed_kept_its_leases() {
    #[cache_request(skip(asked), each(ids))]
    async fn failing(asked: &Asked, ids: &[u64]) -> Result<HashMap<u64, u64>, ()> {
        asked.note(ids);
        Err(())
    }
    ends(|| {
        let clock = Clock::mock();
        let backend = Counted::new(&clock, true);
        let asked = Asked::default();
        let call = |cache: &Cache| assert_eq!(block_on(scoped(cache, failing(&asked, &[1, 2]))), Err(()));
        call(&process(&backend, &clock));
        assert_eq!(asked.take(), [[1, 2]]);
        // The second process does not wait until the leases of the first one are over: the clock stands still. One may come back after it
        // has led the other.
        let (second, mut elements) = (process(&backend, &clock), Vec::new());
        while !(elements.contains(&1) && elements.contains(&2)) {
            call(&second);
            elements.extend(asked.take().concat());
        }
    });
}

#[test]
fn a_value_from_before_an_invalidation_was_kept_in_the_backend() {
    ends(|| {
        let clock = Clock::mock();
        let backend = Counted::new(&clock, true);
        let caches = [process(&backend, &clock), process(&backend, &clock)];
        let (asked, gate) = (Asked::default(), crate::support::Gate::new());
        let mut call = Box::pin(scoped(&caches[0], gated(&asked, &gate, &[1, 2])));
        assert!(poll(&mut call).is_none());
        let handle = scoped_sync(&caches[1], || gated_cache(&asked, &gate, 1));
        assert!(!block_on(handle.invalidate()).unwrap());
        gate.open();
        assert_eq!(block_on(&mut call), map(&[1, 2]));
        asked.take();
        assert_eq!(block_on(scoped(&caches[1], gated(&asked, &gate, &[1, 2]))), map(&[1, 2]));
        assert_eq!(asked.take(), [[1]], "2 is kept, and 1 is not");
        assert_eq!(caches[0].stats().functions[0].outdated, 1);
    });
}

#[cache_request(skip(asked, gate), each(ids))]
async fn gated(asked: &Asked, gate: &crate::support::Gate, ids: &[u64]) -> HashMap<u64, u64> {
    asked.note(ids);
    gate.passed().await;
    map(ids)
}

/// Another process's claim of a key that is free, or is about to be.
fn lease(backend: &Counted, key: &str, token: u64) -> Fence {
    let claim = Claim { kind: ClaimKind::Missing, token, lease: Duration::from_secs(3) };
    loop {
        match block_on(backend.memory.claim(key, claim)).unwrap().right {
            Right::Leased(fence) => return fence,
            _ => std::thread::yield_now(),
        }
    }
}

/// They make the value one after the other, and none of them keeps it.
#[test]
fn a_call_waited_on_for_processes_that_keep_nothing() {
    ends(|| {
        let clock = Clock::mock();
        let backend = Counted::new(&clock, true);
        let (cache, asked) = (process(&backend, &clock), Asked::default());
        let key = scoped_sync(&cache, || doubles_cache(&asked, 1).key().unwrap());
        let mut fence = lease(&backend, &key, 1);
        let mut call = Box::pin(scoped(&cache, doubles(&asked, &[1])));
        assert!(poll(&mut call).is_none());
        for token in 2..4 {
            block_on(backend.memory.release(&key, fence)).unwrap();
            fence = lease(&backend, &key, token);
            backend.take();
            while poll(&mut call).is_none() {
                let looks = backend.log.lock().unwrap().len();
                assert!(token == 2 || looks < 3, "it looks again and again");
                if token == 2 && looks > 0 {
                    break;
                }
                std::thread::yield_now();
            }
        }
        assert_eq!(asked.take(), [[1]]);
    });
}

/// The first one was waited for as long as may be.
#[test]
fn a_second_process_was_not_waited_for() {
    ends(|| {
        let (clock, limit) = (Clock::mock(), Duration::from_millis(50));
        let backend = Counted::new(&clock, true);
        let builder = Cache::builder().clock(&clock).wait_limit(limit).soft_limit(Duration::MAX);
        let cache = builder.backend(Arc::clone(&backend)).build().unwrap();
        let (asked, gate) = (Asked::default(), crate::support::Gate::new());
        let key = |id| scoped_sync(&cache, || gated_cache(&asked, &gate, id)).key().unwrap();
        lease(&backend, &key(1), 1);
        let mut other = Box::pin(scoped(&cache, gated(&asked, &gate, &[2])));
        assert!(poll(&mut other).is_none());
        let mut call = Box::pin(scoped(&cache, gated(&asked, &gate, &[1, 2])));
        assert!(poll(&mut call).is_none());
        let begun = std::time::Instant::now();
        drop(other);
        lease(&backend, &key(2), 2);
        gate.open();
        while begun.elapsed() < limit {
            std::thread::yield_now();
        }
        assert_eq!(block_on(&mut call), map(&[1, 2]));
        assert_eq!(asked.take(), [[2], [1], [2]]);
        assert_eq!(cache.stats().functions[0].lease_waits, 2);
    });
}
