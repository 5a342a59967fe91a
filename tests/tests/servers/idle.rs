//! `idle` on real servers: what a reader touches there.

use std::{sync::Arc, time::Duration};

use cache_request::{
    Backend, Cache, Clock,
    backend::{FileBackend, MemcachedBackend, RedisBackend, SqlBackend},
    cache_request, scoped_sync,
};
use cache_request_tests::servers::{
    PATIENCE,
    memcached::Memcached,
    postgres::Postgres,
    redis::{Cluster, Redis},
    wait_until,
};
use futures_lite::future::block_on;

/// One value by two functions, in two caches: one keeps it for a day, and the other one for as long as it is read.
#[cache_request(timeout = 86400, name = "idle")]
fn kept() -> u32 {
    17
}

#[cache_request(timeout = 86400, idle = "2ms", name = "idle")]
fn read() -> u32 {
    18
}

/// A touch leaves the value to the server for two milliseconds. Without it, the server would keep it for a day.
fn the_server_is_told(backend: impl Backend) {
    let (backend, clock) = (Arc::new(backend), Clock::mock());
    let cache = || {
        let builder = Cache::builder().clock(&clock).soft_limit(PATIENCE).lease(PATIENCE);
        builder.backend(Arc::clone(&backend)).build().unwrap()
    };
    let (keeps, reads) = (cache(), cache());
    scoped_sync(&keeps, kept);
    clock.advance(Duration::from_secs(1));
    scoped_sync(&reads, || {
        let key = read_cache().key().unwrap();
        assert!(block_on(backend.get(&key)).unwrap().is_some(), "both have one key");
        assert_eq!(read(), 17);
        wait_until("the server has no value", || block_on(backend.get(&key)).unwrap().is_none());
        assert_eq!((reads.stats().faults(), reads.stats().hits()), (0, 1), "{}", reads.stats());
    });
}

#[test]
fn a_value_in_redis_was_not_touched() {
    let redis = Redis::start(&[]);
    the_server_is_told(RedisBackend::builder(&redis.url()).connect_limit(PATIENCE).build().unwrap());
}

#[test]
fn a_value_in_a_cluster_was_not_touched() {
    let cluster = Cluster::new();
    the_server_is_told(RedisBackend::builder(&cluster.url()).connect_limit(PATIENCE).build().unwrap());
}

#[test]
fn a_value_in_memcached_was_not_touched() {
    let (_servers, url) = Memcached::fleet(2);
    the_server_is_told(MemcachedBackend::builder(&url).answer_limit(PATIENCE).build().unwrap());
}

#[test]
fn a_value_in_postgres_was_not_touched() {
    let postgres = Postgres::start(&[]);
    the_server_is_told(SqlBackend::builder(&postgres.url()).connect_limit(PATIENCE).build().unwrap());
}

#[test]
fn a_value_in_sqlite_was_not_touched() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/cache.db", directory.path().display());
    the_server_is_told(SqlBackend::builder(&url).connect_limit(PATIENCE).build().unwrap());
}

#[test]
fn a_value_in_files_was_not_touched() {
    let directory = tempfile::tempdir().unwrap();
    the_server_is_told(FileBackend::builder(directory.path()).build().unwrap());
}
