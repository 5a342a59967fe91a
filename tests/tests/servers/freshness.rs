//! What is returned beyond a timeout, on real servers: by two caches on one of them, as by two processes.
//!
//! Until when a value is fresh is in its bytes, by the clock of the cache, which a test moves. The servers themselves keep all values for
//! much longer than a test takes.

mod bodies;
mod near;
mod older;
mod times;

use std::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use cache_request::{
    Cache, CacheBuilder, Clock, FunctionStats, MockClock,
    backend::{FileBackend, MemcachedBackend, RedisBackend, SqlBackend},
};
use cache_request_tests::servers::{
    PATIENCE,
    memcached::Memcached,
    postgres::Postgres,
    redis::{Cluster, Redis},
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// A backend that processes share.
struct Place {
    open: Box<dyn Fn(CacheBuilder) -> CacheBuilder>,
    _servers: Box<dyn std::any::Any>,
}

impl Place {
    fn new<S: 'static>(servers: S, open: impl Fn(CacheBuilder) -> CacheBuilder + 'static) -> Self {
        Self { open: Box::new(open), _servers: Box::new(servers) }
    }

    fn redis() -> Self {
        let redis = Redis::start(&[]);
        let url = redis.url();
        Self::new(redis, move |builder| builder.backend(redis_at(&url)))
    }

    fn cluster() -> Self {
        let cluster = Cluster::new();
        let url = cluster.url();
        Self::new(cluster, move |builder| builder.backend(redis_at(&url)))
    }

    fn memcached() -> Self {
        let (servers, url) = Memcached::fleet(2);
        let open = move || MemcachedBackend::builder(&url).answer_limit(PATIENCE).build().unwrap();
        Self::new(servers, move |builder| builder.backend(open()))
    }

    fn postgres() -> Self {
        let postgres = Postgres::start(&[]);
        let url = postgres.url();
        Self::new(postgres, move |builder| builder.backend(sql_at(&url)))
    }

    fn sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/cache.db", directory.path().display());
        Self::new(directory, move |builder| builder.backend(sql_at(&url)))
    }

    fn file() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cache");
        Self::new(directory, move |builder| builder.backend(FileBackend::new(&path).unwrap()))
    }

    /// The cache of one process.
    fn cache(&self, clock: &MockClock) -> Cache {
        self.cache_with(clock, |builder| builder)
    }

    fn cache_with(&self, clock: &MockClock, set: impl FnOnce(CacheBuilder) -> CacheBuilder) -> Cache {
        // So patient that no call goes on without its backend, and no lease ends.
        let builder = Cache::builder().clock(clock).soft_limit(PATIENCE).lease(PATIENCE).wait_limit(Duration::MAX);
        set((self.open)(builder)).build().unwrap()
    }

    /// The caches of two processes, whose clocks go together.
    fn two(&self) -> ([Cache; 2], MockClock) {
        let clock = Clock::mock();
        ([self.cache(&clock), self.cache(&clock)], clock)
    }
}

fn redis_at(url: &str) -> RedisBackend {
    RedisBackend::builder(url).connect_limit(PATIENCE).build().unwrap()
}

fn sql_at(url: &str) -> SqlBackend {
    SqlBackend::builder(url).connect_limit(PATIENCE).build().unwrap()
}

/// What the bodies of one scenario share. Body number `n` returns `n`.
#[derive(Default)]
struct World {
    bodies: AtomicU32,
    /// These fail.
    fails: Mutex<Vec<u32>>,
    /// This one waits.
    held: Mutex<Option<u32>>,
    is_free: Condvar,
}

type Bodies = Arc<World>;

impl World {
    fn body(&self) -> Result<u32, String> {
        let body = self.bodies.fetch_add(1, SeqCst) + 1;
        drop(self.is_free.wait_while(self.held.lock().unwrap(), |held| *held == Some(body)).unwrap());
        if self.fails.lock().unwrap().contains(&body) { Err("down".to_owned()) } else { Ok(body) }
    }

    fn get(&self) -> u32 {
        self.bodies.load(SeqCst)
    }

    fn hold(&self, body: u32) {
        *self.held.lock().unwrap() = Some(body);
    }

    fn let_go(&self) {
        *self.held.lock().unwrap() = None;
        self.is_free.notify_all();
    }

    fn fail(&self, bodies: &[u32]) {
        *self.fails.lock().unwrap() = bodies.to_vec();
    }

    /// Waits until so many have begun.
    fn reaches(&self, bodies: u32) {
        while self.get() < bodies {
            thread::yield_now();
        }
    }
}

/// What the one function of a scenario did, without a fault.
fn stats(cache: &Cache) -> FunctionStats {
    let stats = cache.stats();
    let [function] = &stats.functions[..] else { panic!("not one function: {stats}") };
    assert_eq!(function.faults.total(), 0, "{stats}");
    function.clone()
}

macro_rules! on {
    ($($place:ident)+) => {$(
        mod $place {
            use super::*;

            #[test]
            fn an_older_value_was_awaited_or_replaced_twice() {
                let place = Place::$place();
                older::a_stale_value_is_replaced_by_one_process(&place);
                older::a_value_in_use_is_replaced_early_by_one_process(&place);
                older::a_soft_invalidation_leaves_the_value_to_all(&place);
            }

            #[test]
            fn an_older_value_did_not_stand_in() {
                let place = Place::$place();
                older::a_value_stands_in_for_errors(&place);
                older::a_value_stands_in_for_a_slow_body(&place);
                older::callers_get_a_new_value_that_comes_in_time(&place);
            }

            #[test]
            fn a_value_had_other_times_in_another_process() {
                let place = Place::$place();
                times::a_look_tells_them(&place);
                times::an_err_has_its_own(&place);
                times::jitter_shortens_them(&place);
            }

            #[test]
            fn a_body_did_not_build_on_what_another_process_had_made() {
                let place = Place::$place();
                bodies::it_has_the_older_value(&place);
                bodies::it_keeps_the_older_value(&place);
                bodies::it_runs_for_the_missing_elements(&place);
            }
        }
    )+};
}

on! { redis cluster memcached postgres sqlite file }
