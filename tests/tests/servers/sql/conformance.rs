//! The suite that every backend runs: by the machine's clock, by a mock clock, and below a near cache that is told of changes.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use cache_request::{
    Cache, Clock, MockClock,
    backend::{SqlBackend, SqlBackendBuilder, Tracking},
    conformance::Harness,
};
use cache_request_tests::servers::{postgres::Postgres, wait_until};
use tempfile::TempDir;

cache_request::conformance! { name: sqlite, harness: Namespaces::of_sqlite(Clock::system()) }
cache_request::conformance! { name: sqlite_to_the_millisecond, harness: MockTime::new(Namespaces::of_sqlite) }
cache_request::conformance! { name: postgres, harness: Namespaces::of_postgres(Clock::system()) }
cache_request::conformance! {
    name: postgres_to_the_millisecond,
    harness: MockTime::new(Namespaces::of_postgres)
}
cache_request::conformance! { name: sqlite_below_a_near_cache, harness: Told::new(Namespaces::of_sqlite(Clock::system())) }
cache_request::conformance! {
    name: postgres_below_a_near_cache,
    harness: Told::new(Namespaces::of_postgres(Clock::system()))
}

/// Namespaces of one table.
struct Namespaces<P> {
    place: P,
    clock: Clock,
    begin: fn(&P) -> SqlBackendBuilder,
}

impl Namespaces<TempDir> {
    fn of_sqlite(clock: Clock) -> Self {
        let begin =
            |directory: &TempDir| SqlBackend::builder(&format!("sqlite://{}/cache.db", directory.path().display()));
        Self { place: tempfile::tempdir().unwrap(), clock, begin }
    }
}

impl Namespaces<Arc<Postgres>> {
    fn of_postgres(clock: Clock) -> Self {
        Self { place: Postgres::shared(), clock, begin: |postgres| SqlBackend::builder(&postgres.url()) }
    }
}

impl<P: Sync> Namespaces<P> {
    fn build(&self) -> SqlBackend {
        static NAMESPACE: AtomicU64 = AtomicU64::new(0);

        let namespace = format!("suite{}", NAMESPACE.fetch_add(1, Ordering::Relaxed));
        // Many tests run at the same time, so each uses few connections.
        (self.begin)(&self.place)
            .namespace(namespace)
            .max_connections(3)
            .clock(self.clock.clone())
            .connect_limit(Duration::from_secs(60))
            .build()
            .unwrap()
    }
}

impl<P: Sync> Harness for Namespaces<P> {
    type Backend = SqlBackend;

    async fn backend(&self) -> SqlBackend {
        self.build()
    }
}

/// A harness with a mock clock.
struct MockTime<P> {
    namespaces: Namespaces<P>,
    clock: MockClock,
}

impl<P> MockTime<P> {
    fn new(namespaces: impl FnOnce(Clock) -> Namespaces<P>) -> Self {
        let clock = Clock::mock();
        Self { namespaces: namespaces((&clock).into()), clock }
    }
}

impl<P: Sync> Harness for MockTime<P> {
    type Backend = SqlBackend;

    async fn backend(&self) -> SqlBackend {
        self.namespaces.build()
    }

    async fn advance(&self, time: Duration) {
        self.clock.advance(time);
    }

    fn time_stands_still(&self) -> bool {
        true
    }
}

/// A harness whose tables have triggers that tell near caches of each change.
struct Told<P> {
    namespaces: Namespaces<P>,
    near: Mutex<Vec<Cache>>,
}

impl<P> Told<P> {
    fn new(namespaces: Namespaces<P>) -> Self {
        Self { namespaces, near: Mutex::default() }
    }
}

impl<P: Send + Sync> Harness for Told<P> {
    type Backend = SqlBackend;

    async fn backend(&self) -> SqlBackend {
        let backend = self.namespaces.build();
        let near = Cache::builder().backend(backend.clone()).near_timeout(Duration::from_secs(60)).build().unwrap();
        wait_until("it is told", || near.stats().backend.unwrap().near.unwrap().tracking == Tracking::Live);
        self.near.lock().unwrap().push(near);
        backend
    }
}
