//! Two processes on one backend. Each is a cache of its own.

use std::collections::HashMap;

use shuttle::rand::Rng;

use super::*;
use crate::{
    Error,
    backend::{Claim, ClaimKind, Claimed, Fence, Right},
    base::sync::{Mutex, lock},
};

/// A backend with fences, at the end of a wire.
#[derive(Default)]
pub(super) struct Server(Mutex<HashMap<String, Record>>);

#[derive(Default)]
struct Record {
    value: Option<Vec<u8>>,
    fence: Option<Fence>,
}

impl Server {
    /// One step of the server, a while after it was asked, and a while before its answer comes.
    async fn step<T>(&self, key: &str, step: impl FnOnce(&mut Record) -> T) -> Result<T, Error> {
        future::yield_now().await;
        let outcome = step(lock(&self.0).entry(key.to_owned()).or_default());
        future::yield_now().await;
        Ok(outcome)
    }
}

impl Backend for Server {
    fn name(&self) -> &'static str {
        "server"
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.step(key, |record| record.value.clone()).await
    }

    async fn set(&self, _: &str, _: &[u8], _: Option<Duration>) -> Result<(), Error> {
        unreachable!("all values have a fence")
    }

    async fn add(&self, key: &str, value: &[u8], _: Option<Duration>) -> Result<bool, Error> {
        let step = |record: &mut Record| {
            let is_free = record.value.is_none();
            record.value.get_or_insert_with(|| value.to_owned());
            is_free
        };
        self.step(key, step).await
    }

    async fn delete(&self, _: &str) -> Result<bool, Error> {
        unreachable!("a deletion ends the fence")
    }

    async fn clear(&self) -> Result<(), Error> {
        future::yield_now().await;
        lock(&self.0).clear();
        future::yield_now().await;
        Ok(())
    }

    fn has_fences(&self) -> bool {
        true
    }

    async fn claim(&self, key: &str, claim: Claim) -> Result<Claimed, Error> {
        let step = |record: &mut Record| {
            let right = match (claim.kind, &record.value, record.fence) {
                (ClaimKind::Missing, Some(_), _) => Right::None,
                (ClaimKind::Missing | ClaimKind::Any, _, Some(fence)) => Right::Held(fence, claim.lease),
                _ => Right::Leased(*record.fence.insert(Fence::new(claim.token))),
            };
            Claimed { value: record.value.clone(), right }
        };
        self.step(key, step).await
    }

    async fn set_fenced(&self, key: &str, value: &[u8], _: Option<Duration>, fence: Fence) -> Result<bool, Error> {
        let step = |record: &mut Record| {
            let stands = record.fence == Some(fence);
            if stands {
                *record = Record { value: Some(value.to_owned()), fence: None };
            }
            stands
        };
        self.step(key, step).await
    }

    async fn renew(&self, _: &str, _: Fence, _: Duration) -> Result<bool, Error> {
        unreachable!("there is no time in a model")
    }

    async fn release(&self, key: &str, fence: Fence) -> Result<(), Error> {
        self.step(key, |record| _ = record.fence.take_if(|own| *own == fence)).await
    }

    async fn invalidate(&self, key: &str, _: Duration) -> Result<bool, Error> {
        self.step(key, |record| std::mem::take(record).value.is_some()).await
    }
}

/// Two processes.
struct Fleet([Arc<World>; 2]);

impl Fleet {
    fn new() -> Self {
        let server = Arc::new(Server::default());
        Self([World::on(Arc::clone(&server)), World::on(server)])
    }

    fn set_source(&self, number: u32) {
        self.0.iter().for_each(|world| world.source.store(number, SeqCst));
    }

    fn begun(&self) -> u32 {
        self.0.iter().map(|world| world.begun()).sum()
    }

    fn assert_quiet(&self) {
        self.0.iter().for_each(|world| world.assert_quiet());
    }
}

/// Callers of both processes come and go while the source changes and one process is told. After that, no caller of either gets the old
/// value, and no process has kept it.
fn check<T: Future<Output = ()>>(tell: impl Fn(Arc<World>) -> T + Send + Sync + 'static) {
    explore(move || {
        let fleet = Fleet::new();
        let [first, second] = &fleet.0;
        let thread = thread::spawn({
            let world = Arc::clone(first);
            move || world.call()
        });
        let task = future::spawn(Arc::clone(second).call_async());
        for _ in 0..shuttle::rand::thread_rng().gen_range(0..16) {
            thread::yield_now();
        }
        fleet.set_source(2);
        future::block_on(tell(Arc::clone(second)));
        assert_eq!(first.call(), 2, "the other process shares an older value, or has kept it");
        assert_eq!(second.call(), 2, "an older value is shared, or was kept");
        let early = [thread.join().unwrap(), future::block_on(task).unwrap()];
        assert!(early.iter().all(|answer| [1, 2].contains(answer)));
        for world in &fleet.0 {
            let kept = scoped_sync(&world.cache, || future::block_on(world.handle().peek()));
            assert_ne!(kept, Some(1), "an older value came back");
        }
        fleet.assert_quiet();
    });
}

#[test]
fn no_value_from_before_another_process_invalidated_is_kept() {
    check(|world| async move { drop(world.handle().invalidate().await.unwrap()) });
}

#[test]
fn no_value_from_before_another_process_cleared_is_kept() {
    check(|world| async move { world.cache.clear().await.unwrap() });
}

#[test]
fn no_value_replaces_what_another_process_has_put() {
    check(|world| async move { world.handle().put(&2).await.unwrap() });
}

#[test]
fn no_value_replaces_what_another_process_has_refreshed() {
    check(|world| async move { assert_eq!(world.handle().refresh().await, 2) });
}

#[test]
fn one_body_runs_in_all_processes() {
    explore(|| {
        let fleet = Fleet::new();
        let callers: Vec<_> = (0..4)
            .map(|caller| {
                let world = Arc::clone(&fleet.0[caller % 2]);
                thread::spawn(move || world.call())
            })
            .collect();
        callers.into_iter().for_each(|caller| assert_eq!(caller.join().unwrap(), 1));
        assert_eq!(fleet.begun(), 1);
        fleet.assert_quiet();
    });
}

/// No process waits for a caller that is gone. At no time do two bodies run.
#[test]
fn a_caller_that_goes_away_leaves_no_process_waiting() {
    for polls in 1..9 {
        explore(move || {
            let fleet = Fleet::new();
            let [first, second] = &fleet.0;
            let gone = future::spawn(cancelled(Arc::clone(first).call_async(), polls));
            let callers: Vec<_> = [first, second]
                .map(|world| {
                    let world = Arc::clone(world);
                    thread::spawn(move || world.call())
                })
                .into();
            callers.into_iter().for_each(|caller| assert_eq!(caller.join().unwrap(), 1));
            future::block_on(gone).unwrap();
            assert!(fleet.begun() <= 2, "one was dropped, and one took over");
            fleet.assert_quiet();
        });
    }
}
