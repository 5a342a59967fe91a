//! What happens to servers while calls go on that have memory in front of them. Each test prints its figures: `--nocapture`
//! shows them.

use cache_request_tests::{
    outages,
    servers::{memcached::Memcached, postgres::Postgres, redis::Redis},
};

/// So short that most calls ask the server.
fn brief(url: &str) -> String {
    format!("tiered+{url}?near_timeout=50ms")
}

#[test]
fn a_redis_server_that_is_absent_and_comes() {
    let mut redis = Redis::start(&[]);
    outages::is_absent_and_comes(&format!("tiered+{}", redis.url()), &mut redis.server, "not connected");
}

#[test]
fn a_redis_server_that_cannot_be_reached() {
    outages::never_answers(|address| format!("tiered+redis://{address}"));
}

#[test]
fn a_redis_server_that_is_killed_and_restarted() {
    let mut redis = Redis::start(&[]);
    outages::is_killed_and_restarted(&format!("tiered+{}", redis.url()), &mut redis.server);
}

#[test]
fn a_redis_server_that_is_stopped_and_goes_on() {
    let redis = Redis::start(&[]);
    outages::is_stopped_and_goes_on(&format!("tiered+{}", redis.url()), &redis.server);
}

#[test]
fn a_redis_server_that_ends_its_connections() {
    let redis = Redis::start(&[]);
    outages::ends_its_connections(&format!("tiered+{}", redis.url()), || {
        redis.ask::<u64>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    });
}

#[test]
fn a_memcached_server_that_is_killed_and_restarted() {
    let mut memcached = Memcached::start(&[]);
    outages::is_killed_and_restarted(&brief(&memcached.url()), &mut memcached.server);
}

#[test]
fn a_memcached_server_that_is_stopped_and_goes_on() {
    let memcached = Memcached::start(&[]);
    outages::is_stopped_and_goes_on(&brief(&memcached.url()), &memcached.server);
}

#[test]
fn a_postgres_server_that_is_killed_and_restarted() {
    let mut postgres = Postgres::start(&[]);
    outages::is_killed_and_restarted(&brief(&postgres.url()), &mut postgres.server);
}

#[test]
fn a_postgres_server_that_is_stopped_and_goes_on() {
    let postgres = Postgres::start(&[]);
    outages::is_stopped_and_goes_on(&brief(&postgres.url()), &postgres.server);
}
