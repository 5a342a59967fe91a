//! The master that sentinels name: the whole suite, and failovers.

use std::time::Duration;

use cache_request::{
    Cache, ErrorKind,
    backend::{Backend, RedisBackend},
    conformance::failures,
    scoped_sync,
};
use cache_request_tests::{
    callers::double,
    certificates::Certificates,
    load::{during, until_it_works},
    outages,
    servers::{
        redis::{Namespaces, Sentinels, ask},
        wait_until,
    },
};
use futures_lite::future::block_on;

/// In one test, as it takes some seconds until sentinels are ready.
#[test]
fn it_passes_the_suite() {
    let sentinels = Sentinels::new();
    let harness = Namespaces::new(&sentinels, |sentinels| sentinels.url());
    assert_eq!(failures(&harness), [""; 0]);

    // The second part of the path is the database.
    let backend = RedisBackend::new(&format!("{}/5", sentinels.url())).unwrap();
    block_on(backend.set("key", b"value", None)).unwrap();
    assert!(ask::<String>(sentinels.master(), &["INFO", "keyspace"]).unwrap().contains("db5:keys=1"));

    let unknown = format!("{}?connect=now", sentinels.url().replace("/main", "/unknown"));
    let error = Cache::from_url(&unknown).unwrap_err();
    assert!(error.to_string().contains("not found"), "{error}");
}

/// Takes the master away under load, waits for another one, and brings it back.
fn is_replaced(how: &str, lose: impl FnOnce(&mut Sentinels), bring_back: impl FnOnce(&mut Sentinels)) {
    let mut sentinels = Sentinels::new();
    let cache = Cache::from_url(&sentinels.url()).unwrap();
    let first = sentinels.master();
    let until_replaced = |sentinels: &Sentinels| wait_until("there is another master", || sentinels.master() != first);
    outages::is_replaced(how, &cache, &mut sentinels, lose, until_replaced, bring_back);
}

#[test]
fn a_master_that_is_killed_is_replaced() {
    is_replaced(
        "killed",
        |sentinels| {
            sentinels.replaces_soon();
            sentinels.servers[0].server.kill();
        },
        |sentinels| {
            // It comes back as a replica, and one of the sentinels leaves.
            sentinels.servers[0].server.restart();
            sentinels.sentinels[0].kill();
        },
    );
}

#[test]
fn a_master_that_is_stopped_is_replaced_and_then_left_alone() {
    is_replaced(
        "stopped",
        |sentinels| {
            sentinels.replaces_soon();
            sentinels.servers[0].server.stop();
        },
        |sentinels| sentinels.servers[0].server.go_on(),
    );
}

/// The connection to the old master stays open, but refuses writes.
#[test]
fn a_master_that_steps_down_is_left() {
    let sentinels = Sentinels::new();
    let cache = Cache::from_url(&sentinels.url()).unwrap();
    let first = sentinels.master();
    let mut took = Duration::ZERO;
    let figures = during(&cache, || {
        until_it_works(&cache);
        sentinels.replace_now();
        wait_until("there is another master", || sentinels.master() != first);
        took = until_it_works(&cache);
    });
    println!("master steps down: {figures}, works {took:.1?} after that");
    figures.are_good();
}

#[test]
fn sentinels_and_servers_may_be_encrypted_and_strangers_are_not_trusted() {
    let certificates = Certificates::new();
    let sentinels = Sentinels::encrypted(&certificates);
    let url = format!("{}?connect=now&connect_limit=60s&soft_limit=60s&tls=true", sentinels.url());
    let cache = Cache::from_url(&format!("{url}&tls_ca={}", certificates.authority().display())).unwrap();
    scoped_sync(&cache, || assert_eq!([double(1), double(1)], [2, 2]));
    assert_eq!((cache.stats().hits(), cache.stats().faults()), (1, 0), "{}", cache.stats());
    assert_eq!(sentinels.servers[0].ask::<u64>(&["DBSIZE"]), 1);

    let error = Cache::from_url(&url).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Backend);
    let unencrypted = format!("{}?connect=now", sentinels.url());
    assert_eq!(Cache::from_url(&unencrypted).unwrap_err().kind(), ErrorKind::Backend);
}
