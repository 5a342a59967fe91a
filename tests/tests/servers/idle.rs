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

#[cache_request(timeout = 86400, idle = 80000)]
fn value() -> u32 {
    17
}

/// A value is read so late in its life that a touch leaves it to the server for a millisecond. Without the touch, the server would keep it for
/// most of a day.
fn the_server_is_told(backend: impl Backend) {
    let (backend, clock) = (Arc::new(backend), Clock::mock());
    let builder = Cache::builder().clock(&clock).soft_limit(PATIENCE).lease(PATIENCE);
    let cache = builder.backend(Arc::clone(&backend)).build().unwrap();
    scoped_sync(&cache, || {
        value();
        let key = value_cache().key().unwrap();
        clock.advance(Duration::from_secs(40_000));
        assert_eq!(value(), 17);
        assert!(block_on(backend.get(&key)).unwrap().is_some(), "it is kept for longer");
        clock.advance(Duration::from_secs(46_400) - Duration::from_millis(1));
        assert_eq!(value(), 17);
        wait_until("the server has no value", || block_on(backend.get(&key)).unwrap().is_none());
        assert_eq!((cache.stats().faults(), cache.stats().hits()), (0, 2), "{}", cache.stats());
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
