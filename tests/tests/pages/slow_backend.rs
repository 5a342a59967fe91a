//! A backend that is slow, or a near cache in front of one.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
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

    async fn add(&self, key: &str, value: &[u8], _: Option<Duration>) -> Result<bool, Error> {
        let mut stored = self.stored.lock().unwrap();
        let free = !stored.contains_key(key);
        stored.entry(key.to_owned()).or_insert_with(|| value.to_owned());
        Ok(free)
    }

    async fn touch(&self, key: &str, _: Option<Duration>) -> Result<bool, Error> {
        Ok(self.stored.lock().unwrap().contains_key(key))
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
