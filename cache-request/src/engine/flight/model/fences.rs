//! Fences: after a value was invalidated or replaced, no caller gets an older one.

use std::collections::HashMap;

use shuttle::rand::Rng;

use super::*;
use crate::{
    Error,
    backend::Changes,
    base::sync::{Mutex, lock},
};

/// A backend at the end of a wire.
#[derive(Default)]
struct Wire(Mutex<HashMap<String, Vec<u8>>>);

impl Backend for Wire {
    fn name(&self) -> &'static str {
        "wire"
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        future::yield_now().await;
        let found = lock(&self.0).get(key).cloned();
        future::yield_now().await;
        Ok(found)
    }

    async fn set(&self, key: &str, value: &[u8], _: Option<Duration>) -> Result<(), Error> {
        future::yield_now().await;
        lock(&self.0).insert(key.to_owned(), value.to_owned());
        future::yield_now().await;
        Ok(())
    }

    async fn add(&self, key: &str, value: &[u8], _: Option<Duration>) -> Result<bool, Error> {
        future::yield_now().await;
        let added = {
            let mut stored = lock(&self.0);
            let free = !stored.contains_key(key);
            stored.entry(key.to_owned()).or_insert_with(|| value.to_owned());
            free
        };
        future::yield_now().await;
        Ok(added)
    }

    async fn touch(&self, key: &str, _: Option<Duration>) -> Result<bool, Error> {
        future::yield_now().await;
        Ok(lock(&self.0).contains_key(key))
    }

    async fn delete(&self, key: &str) -> Result<bool, Error> {
        future::yield_now().await;
        let was_there = lock(&self.0).remove(key).is_some();
        future::yield_now().await;
        Ok(was_there)
    }

    async fn clear(&self) -> Result<(), Error> {
        future::yield_now().await;
        lock(&self.0).clear();
        future::yield_now().await;
        Ok(())
    }
}

/// A wire whose other end tells of changes, a while later.
#[derive(Clone, Default)]
struct Telling(Arc<(Wire, Mutex<Option<Arc<Changes>>>)>);

impl Telling {
    fn wire(&self) -> &Wire {
        &self.0.0
    }

    /// What others may do.
    fn delete_all(&self) {
        let keys: Vec<_> = lock(&self.wire().0).drain().map(|(key, _)| key).collect();
        keys.iter().for_each(|key| self.tell(key));
    }

    fn tell(&self, key: &str) {
        thread::yield_now();
        let changes = lock(&self.0.1).clone();
        changes.expect("a front").changed(key);
    }

    fn tell_later(&self, key: &str) {
        let (telling, key) = (self.clone(), key.to_owned());
        drop(thread::spawn(move || telling.tell(&key)));
    }
}

impl Backend for Telling {
    fn name(&self) -> &'static str {
        "telling"
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.wire().get(key).await
    }

    async fn set(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<(), Error> {
        let outcome = self.wire().set(key, value, timeout).await;
        self.tell_later(key);
        outcome
    }

    async fn add(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<bool, Error> {
        self.wire().add(key, value, timeout).await
    }

    async fn touch(&self, key: &str, timeout: Option<Duration>) -> Result<bool, Error> {
        self.wire().touch(key, timeout).await
    }

    async fn delete(&self, key: &str) -> Result<bool, Error> {
        let outcome = self.wire().delete(key).await;
        self.tell_later(key);
        outcome
    }

    async fn clear(&self) -> Result<(), Error> {
        self.wire().clear().await
    }

    fn track(&self, changes: Changes) -> bool {
        changes.begin();
        *lock(&self.0.1) = Some(Arc::new(changes));
        true
    }
}

/// Callers come and go while the source changes and `tell` tells the cache. After that, no caller gets the old value.
fn check<T: Future<Output = ()>>(
    world: impl Fn() -> Arc<World> + Send + Sync + 'static,
    warm: bool,
    tell: impl Fn(Arc<World>) -> T + Send + Sync + 'static,
) {
    explore(move || {
        let world = world();
        if warm {
            world.call();
        }
        let thread = thread::spawn({
            let world = Arc::clone(&world);
            move || world.call()
        });
        let task = future::spawn(Arc::clone(&world).call_async());
        // Neither kind of schedule would else often find them far on their way.
        for _ in 0..shuttle::rand::thread_rng().gen_range(0..12) {
            thread::yield_now();
        }
        world.source.store(2, SeqCst);
        future::block_on(tell(Arc::clone(&world)));
        assert_ne!(
            scoped_sync(&world.cache, || future::block_on(world.handle().peek())),
            Some(1),
            "an older value is kept"
        );
        assert_eq!(world.call(), 2, "an older value is shared");
        let early = [thread.join().unwrap(), future::block_on(task).unwrap()];
        assert!(early.iter().all(|answer| [1, 2].contains(answer)));
        assert_ne!(
            scoped_sync(&world.cache, || future::block_on(world.handle().peek())),
            Some(1),
            "an older value came back"
        );
        world.assert_quiet();
    });
}

async fn invalidate(world: Arc<World>) {
    world.handle().invalidate().await.unwrap();
}

/// The law holds for each of them, whatever the other one is at.
async fn two_invalidations(world: Arc<World>) {
    drop(future::spawn(invalidate(Arc::clone(&world))));
    invalidate(world).await;
}

async fn put(world: Arc<World>) {
    world.handle().put(&2).await.unwrap();
}

async fn refresh(world: Arc<World>) {
    assert_eq!(world.handle().refresh().await, 2);
}

async fn two_refreshes(world: Arc<World>) {
    let other = future::spawn(refresh(Arc::clone(&world)));
    refresh(world).await;
    other.await.unwrap();
}

async fn clear(world: Arc<World>) {
    world.cache.clear().await.unwrap();
}

macro_rules! fences {
    ($($name:ident)*) => {
        mod memory {
            use super::*;
            $(#[test]
            fn $name() {
                check(World::in_memory, false, super::$name);
                check(World::in_memory, true, super::$name);
            })*
        }
        mod backend {
            use super::*;
            $(#[test]
            fn $name() {
                check(|| World::on(Wire::default()), false, super::$name);
                check(|| World::on(Wire::default()), true, super::$name);
            })*
        }
        mod front {
            use super::*;
            $(#[test]
            fn $name() {
                check(|| World::in_front_of(Wire::default()), true, super::$name);
            })*
        }
        mod tracked_front {
            use super::*;
            $(#[test]
            fn $name() {
                check(|| World::in_front_of(Telling::default()), true, super::$name);
            })*
        }
    };
}

fences! { invalidate two_invalidations put refresh two_refreshes clear }

/// What was in front before `event`, or was being read meanwhile, is not there after it.
fn assert_nothing_older_is_in_front_after(event: impl Fn(&Telling) + Send + Sync + 'static) {
    explore(move || {
        let telling = Telling::default();
        let world = World::in_front_of(telling.clone());
        world.call();
        world.source.store(2, SeqCst);
        let thread = thread::spawn({
            let world = Arc::clone(&world);
            move || world.call()
        });
        for _ in 0..shuttle::rand::thread_rng().gen_range(0..12) {
            thread::yield_now();
        }
        event(&telling);
        assert!([1, 2].contains(&thread.join().unwrap()));
        assert_eq!(world.call(), 2, "an older value is in front");
        world.assert_quiet();
    });
}

#[test]
fn what_others_delete_is_not_in_front() {
    assert_nothing_older_is_in_front_after(Telling::delete_all);
}

#[test]
fn what_was_in_front_when_tracking_was_lost_is_gone() {
    assert_nothing_older_is_in_front_after(|telling| {
        let changes = lock(&telling.0.1).clone().unwrap();
        changes.lost(&Error::backend("cut"));
        lock(&telling.wire().0).clear();
        changes.begin();
    });
}

#[test]
fn a_leader_that_goes_away_while_it_stores_leaves_nothing_behind() {
    for polls in 3..9 {
        explore(move || {
            let world = World::on(Wire::default());
            let leader = future::spawn(cancelled(Arc::clone(&world).call_async(), polls));
            thread::yield_now();
            world.source.store(2, SeqCst);
            future::block_on(invalidate(Arc::clone(&world)));
            assert_eq!(world.call(), 2);
            future::block_on(leader).unwrap();
            world.assert_quiet();
        });
    }
}

#[test]
fn a_hit_does_not_wait_for_a_refresh() {
    explore(|| {
        let world = World::on(Wire::default());
        world.call();
        let handle = world.handle();
        future::block_on(async {
            let mut refresh = pin!(handle.refresh());
            // As far as into the body, and no further.
            for _ in 0..2 {
                assert!(futures_lite::future::poll_once(&mut refresh).await.is_none());
            }
            assert_eq!(future::spawn(Arc::clone(&world).call_async()).await.unwrap(), 1);
            assert_eq!(refresh.await, 1);
        });
        world.assert_quiet();
    });
}
