//! A backend that is slow, or a near cache in front of one.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use cache_request::{Backend, Cache, Clock, Error, http::CachePage};
use http::Method;
use tower_layer::Layer as _;

use super::support::{Bench, FRESH, Gate, Origin, numbered, ok, request, settle};

/// Keeps bytes. A deletion waits at a gate.
struct Slow {
    stored: Mutex<HashMap<String, Vec<u8>>>,
    gate: Gate,
}

impl Backend for Slow {
    fn name(&self) -> &'static str {
        "slow"
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.stored.lock().unwrap().get(key).cloned())
    }

    async fn set(&self, key: &str, value: &[u8], _: Option<Duration>) -> Result<(), Error> {
        self.stored.lock().unwrap().insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    async fn delete(&self, key: &str) -> Result<bool, Error> {
        self.gate.pass().await;
        Ok(self.stored.lock().unwrap().remove(key).is_some())
    }

    async fn clear(&self) -> Result<(), Error> {
        self.stored.lock().unwrap().clear();
        Ok(())
    }
}

/// The service has made the change and has answered.
#[tokio::test]
async fn a_client_that_went_away_after_its_change_left_the_old_page() {
    let gate = Gate::closed();
    let slow = Slow { stored: Mutex::default(), gate: gate.clone() };
    let cache = Cache::builder().backend(slow).soft_limit(Duration::MAX).build().unwrap();
    let origin = numbered(&[]);
    let pages = CachePage::new().cache(&cache).layer(origin.clone());
    let bench = Bench { clock: Clock::mock(), cache, origin, pages };
    bench.get("/").await;
    assert!(bench.get("/").await.is_hit());
    let client = bench.begin(request(Method::POST, "/", &[]));
    settle().await;
    assert_eq!(bench.origin.last().method, Method::POST);
    client.abort();
    settle().await;
    gate.open(9);
    settle().await;
    assert!(!bench.get("/").await.is_hit());
}

/// The newer response is too large for the near cache, and the older one is there. Without a near cache the newer one is found.
#[tokio::test]
async fn a_near_cache_answered_with_an_older_variant() {
    let gate = Gate::closed();
    gate.open(100);
    let slow = Arc::new(Slow { stored: Mutex::default(), gate });
    let origin = Origin::new(|_, number| match number {
        0 => ok(&[FRESH, ("vary", "a")], "old"),
        _ => ok(&[FRESH, ("vary", "b")], "new".repeat(1 << 17)),
    });
    let bench = |is_near: bool| {
        let cache = Cache::builder().backend(Arc::clone(&slow)).soft_limit(Duration::MAX);
        let cache = if is_near { cache.near_bytes(1 << 17) } else { cache };
        let cache = cache.build().unwrap();
        let pages = CachePage::new().name("near").cache(&cache).layer(origin.clone());
        Bench { clock: Clock::mock(), cache, origin: origin.clone(), pages }
    };
    let (near, far) = (bench(true), bench(false));
    assert_eq!(near.get("/").await.text(), "old");
    assert!(near.get("/").await.is_hit());
    assert!(near.get_with("/", &[("cache-control", "no-cache")]).await.text().starts_with("new"));
    for (bench, place) in [(far, "far"), (near, "near")] {
        let answer = bench.get("/").await;
        assert_eq!((&answer.text()[..3], answer.is_hit()), ("new", true), "{place}");
    }
}

/// Another process purges a page that has variants. This one still has the list of them near, adds a new one, and stores the list.
#[tokio::test]
async fn a_purged_variant_came_back_when_another_process_stored_a_new_one() {
    let gate = Gate::closed();
    gate.open(100);
    let slow = Arc::new(Slow { stored: Mutex::default(), gate });
    let origin = numbered(&[("vary", "a")]);
    let bench = |is_near: bool| {
        let cache = Cache::builder().backend(Arc::clone(&slow)).soft_limit(Duration::MAX);
        let cache = if is_near { cache.near_timeout(Duration::from_secs(60)) } else { cache };
        let cache = cache.build().unwrap();
        let pages = CachePage::new().name("shared").cache(&cache).layer(origin.clone());
        Bench { clock: Clock::mock(), cache, origin: origin.clone(), pages }
    };
    let (near, far) = (bench(true), bench(false));
    assert_eq!(near.get_with("/", &[("a", "1")]).await.text(), "response 0");
    assert!(near.get_with("/", &[("a", "1")]).await.is_hit());
    far.post("/").await;
    assert_eq!(near.get_with("/", &[("a", "2")]).await.text(), "response 2");
    let answer = far.get_with("/", &[("a", "1")]).await;
    assert_eq!(answer.text(), "response 3", "the process that has purged it gets it again");
}

/// A deletion that the server has made, and whose answer is late, while a request of the same process stores another variant.
struct Late {
    stored: Mutex<HashMap<String, Vec<u8>>>,
    deletes: Gate,
    deleted: Gate,
    sets: Gate,
}

impl Backend for Late {
    fn name(&self) -> &'static str {
        "late"
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.stored.lock().unwrap().get(key).cloned())
    }

    async fn set(&self, key: &str, value: &[u8], _: Option<Duration>) -> Result<(), Error> {
        self.sets.pass().await;
        self.stored.lock().unwrap().insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    async fn delete(&self, key: &str) -> Result<bool, Error> {
        self.deletes.pass().await;
        let was_there = self.stored.lock().unwrap().remove(key).is_some();
        self.deleted.pass().await;
        Ok(was_there)
    }

    async fn clear(&self) -> Result<(), Error> {
        unreachable!()
    }
}

#[tokio::test]
async fn a_purged_variant_came_back_with_one_that_was_stored_before_the_purge_was_answered() {
    let late = Arc::new(Late {
        stored: Mutex::default(),
        deletes: Gate::closed(),
        deleted: Gate::closed(),
        sets: Gate::closed(),
    });
    late.sets.open(2);
    let cache = Cache::builder().backend(Arc::clone(&late)).soft_limit(Duration::MAX).build().unwrap();
    let origin = numbered(&[("vary", "a")]);
    let pages = CachePage::new().cache(&cache).layer(origin.clone());
    let bench = Bench { clock: Clock::mock(), cache, origin, pages };
    bench.get_with("/", &[("a", "1")]).await;
    assert!(bench.get_with("/", &[("a", "1")]).await.is_hit());

    let change = bench.begin(request(Method::POST, "/", &[]));
    settle().await;
    // The page of the other scheme.
    late.deletes.open(1);
    late.deleted.open(1);
    settle().await;
    // It has read the list of variants, and waits to store its own.
    assert_eq!(bench.get_with("/", &[("a", "2")]).await.text(), "response 2");
    late.deletes.open(9);
    settle().await;
    late.sets.open(9);
    settle().await;
    late.deleted.open(9);
    change.await.unwrap().unwrap();
    settle().await;
    assert_eq!(bench.get_with("/", &[("a", "1")]).await.text(), "response 3");
}

/// Answers each `get` late, with what was there when it was asked.
struct LateGets {
    stored: Mutex<HashMap<String, Vec<u8>>>,
    gets: Gate,
}

impl Backend for LateGets {
    fn name(&self) -> &'static str {
        "late gets"
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let found = self.stored.lock().unwrap().get(key).cloned();
        self.gets.pass().await;
        Ok(found)
    }

    async fn set(&self, key: &str, value: &[u8], _: Option<Duration>) -> Result<(), Error> {
        self.stored.lock().unwrap().insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    async fn delete(&self, _: &str) -> Result<bool, Error> {
        unreachable!()
    }

    async fn clear(&self) -> Result<(), Error> {
        unreachable!()
    }
}

/// The first of them finds the page when it looks again. The others wait for it, and learn nothing.
#[tokio::test]
async fn all_but_the_first_asked_the_service_for_a_page_that_was_stored_meanwhile() {
    let (gets, made) = (Gate::closed(), Gate::closed());
    let backend = Arc::new(LateGets { stored: Mutex::default(), gets: gets.clone() });
    let cache = Cache::builder().backend(Arc::clone(&backend)).soft_limit(Duration::MAX).build().unwrap();
    let origin = Origin::later({
        let made = made.clone();
        move |_, number| {
            let made = made.clone();
            async move {
                made.pass().await;
                Ok(ok(&[FRESH], number.to_string()))
            }
        }
    });
    let pages = CachePage::new().cache(&cache).layer(origin.clone());
    let bench = Bench { clock: Clock::mock(), cache, origin, pages };
    let get = || bench.begin(request(Method::GET, "/", &[]));
    let first = get();
    gets.open(2);
    settle().await;
    let others: Vec<_> = (0..9).map(|_| get()).collect();
    settle().await;
    made.open(99);
    first.await.unwrap().unwrap();
    settle().await;
    gets.open(99);
    for other in others {
        assert_eq!(other.await.unwrap().unwrap().text(), "0");
    }
    assert_eq!(bench.origin.count(), 1);
}

/// Fails the first deletion.
struct FailsOnce {
    slow: Slow,
    failed: AtomicBool,
}

impl Backend for FailsOnce {
    fn name(&self) -> &'static str {
        "fails once"
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.slow.get(key).await
    }

    async fn set(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<(), Error> {
        self.slow.set(key, value, timeout).await
    }

    async fn delete(&self, key: &str) -> Result<bool, Error> {
        // All of one change, as it concerns several keys.
        if self.slow.stored.lock().unwrap().contains_key(key) && !self.failed.swap(true, Ordering::SeqCst) {
            return Err(Error::backend("on purpose"));
        }
        self.slow.delete(key).await
    }

    async fn clear(&self) -> Result<(), Error> {
        self.slow.clear().await
    }
}

#[tokio::test]
async fn a_change_that_the_backend_could_not_be_told_of_left_the_page_for_good() {
    let gate = Gate::closed();
    gate.open(100);
    let backend = FailsOnce { slow: Slow { stored: Mutex::default(), gate }, failed: AtomicBool::new(false) };
    let cache = Cache::builder().backend(backend).soft_limit(Duration::MAX).build().unwrap();
    let origin = Origin::new(|_, number| ok(&[("cache-control", "max-age=86400")], number.to_string()));
    let pages = CachePage::new().cache(&cache).layer(origin.clone());
    let bench = Bench { clock: Clock::mock(), cache, origin, pages };
    bench.get("/").await;
    assert!(bench.get("/").await.is_hit());
    bench.post("/").await;
    while bench.get("/").await.is_hit() {
        tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(20))).await.unwrap();
    }
}
