//! Applications and clients on one server, of every kind that several may share.

use cache_request_tests::{
    isolation::applications_and_clients_are_apart,
    servers::{memcached::Memcached, postgres::Postgres, redis::Redis},
};

#[test]
fn on_redis() {
    let redis = Redis::start(&[]);
    applications_and_clients_are_apart(&format!("{}?soft_limit=60s&connect_limit=60s", redis.url()));
}

#[test]
fn on_memcached() {
    let memcached = Memcached::start(&[]);
    applications_and_clients_are_apart(&format!("{}?soft_limit=60s&answer_limit=60s", memcached.url()));
}

#[test]
fn in_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cache.db");
    applications_and_clients_are_apart(&format!("sqlite://{}?soft_limit=60s&connect_limit=60s", file.display()));
}

#[test]
fn in_postgres() {
    let postgres = Postgres::start(&[]);
    applications_and_clients_are_apart(&format!("{}?soft_limit=60s&connect_limit=60s", postgres.url()));
}
