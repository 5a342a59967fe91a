//! A cluster of three masters and their replicas: the whole suite, and what happens to its nodes.

use std::time::Duration;

use cache_request::{
    Cache, ErrorKind,
    backend::{Backend, Item, RedisBackend},
    conformance::failures,
    scoped_sync,
};
use cache_request_tests::{
    callers::double,
    certificates::Certificates,
    load::{during, until_it_works},
    outages,
    servers::{
        redis::{Cluster, Namespaces, Redis, ask},
        run, wait_until,
    },
};
use futures_lite::future::block_on;

/// In one test, as it takes some seconds until a cluster is ready.
#[test]
fn it_passes_the_suite_and_spreads_what_it_keeps() {
    let cluster = Cluster::new();
    let harness = Namespaces::new(&cluster, |cluster| cluster.url());
    assert_eq!(failures(&harness), [""; 0]);

    let sizes =
        || -> Vec<u64> { cluster.masters().iter().map(|master| cluster.nodes[*master].ask(&["DBSIZE"])).collect() };
    let before = sizes();
    let backend = RedisBackend::builder(&cluster.url()).namespace("many").build().unwrap();
    block_on(async {
        let keys: Vec<String> = (0..3000).map(|number| format!("key{number}")).collect();
        let items: Vec<_> = keys
            .iter()
            .map(|key| Item { key, value: key.as_bytes(), timeout: Some(Duration::from_secs(60)) })
            .collect();
        assert!(backend.set_many(&items).await.iter().all(Result::is_ok));
        let spread: Vec<_> = sizes().iter().zip(&before).map(|(after, before)| after - before).collect();
        assert!(spread.len() == 3 && spread.iter().all(|keys| *keys > 500), "{spread:?}");
        let names: Vec<_> = keys.iter().map(String::as_str).collect();
        let found = backend.get_many(&names).await;
        for (key, found) in keys.iter().zip(found) {
            assert_eq!(found.unwrap().as_deref(), Some(key.as_bytes()));
        }
        assert!(backend.delete_many(&names[..100]).await.into_iter().all(Result::unwrap));
        // The last item of a key stays.
        let twice = [b"1", b"2", b"3"].map(|value| Item { key: "twice", value, timeout: None });
        assert!(backend.set_many(&twice).await.iter().all(Result::is_ok));
        assert_eq!(backend.get("twice").await.unwrap().as_deref(), Some(&b"3"[..]));
        // A key of another type fails by itself, until it is replaced. Only the node that has its slot takes the command.
        let push = |node: &Redis| ask::<u64>(node.server.port, &["RPUSH", "many:list", "x"]).is_ok();
        assert!(cluster.nodes.iter().any(push));
        let found = backend.get_many(&["list", "twice"]).await;
        assert_eq!(found[0].as_ref().unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(found[1].as_ref().unwrap().as_deref(), Some(&b"3"[..]));
        backend.set("list", b"value", None).await.unwrap();
        assert_eq!(backend.get("list").await.unwrap().as_deref(), Some(&b"value"[..]));
        backend.clear().await.unwrap();
    });
    assert_eq!(sizes(), before);
}

#[test]
fn a_master_that_is_killed_is_followed_by_its_replica() {
    let mut cluster = Cluster::new();
    let cache = Cache::from_url(&cluster.url()).unwrap();
    let killed = *cluster.masters().iter().min().unwrap();
    outages::is_replaced(
        "killed",
        &cache,
        &mut cluster,
        |cluster| {
            cluster.replaces_soon();
            cluster.nodes[killed].server.kill();
        },
        |cluster| {
            wait_until("its replica is a master", || cluster.masters().len() == 3);
            until_all_work(cluster);
        },
        |cluster| cluster.nodes[killed].server.restart(),
    );
}

#[test]
fn a_master_that_is_stopped_is_followed_by_its_replica() {
    let mut cluster = Cluster::new();
    let cache = Cache::from_url(&cluster.url()).unwrap();
    let stopped = cluster.masters()[0];
    outages::is_replaced(
        "stopped",
        &cache,
        &mut cluster,
        |cluster| {
            cluster.replaces_soon();
            cluster.nodes[stopped].server.stop();
        },
        |cluster| {
            let others: Vec<_> = (0..6).filter(|node| *node != stopped).map(|node| &cluster.nodes[node]).collect();
            let is_master = |node: &&&Redis| node.ask::<String>(&["INFO", "replication"]).contains("role:master");
            wait_until("its replica is a master", || others.iter().filter(is_master).count() == 3);
        },
        |cluster| cluster.nodes[stopped].server.go_on(),
    );
}

#[test]
fn slots_may_move_while_calls_go_on() {
    let cluster = Cluster::new();
    // No call gives up, however slow the machine is: each fault is an error that the client has returned.
    let cache = Cache::from_url(&format!("{}?soft_limit=60s", cluster.url())).unwrap();
    let masters = cluster.masters();
    let id = |node: usize| cluster.nodes[node].ask::<String>(&["CLUSTER", "MYID"]);
    let (from, to) = (id(masters[0]), id(masters[1]));
    let slots_before = slots_of(&cluster.nodes[masters[1]]);
    let figures = during(&cache, || {
        until_it_works(&cache);
        let node = format!("127.0.0.1:{}", cluster.nodes[0].server.port);
        let dir = cluster.nodes[0].server.dir.path();
        #[rustfmt::skip]
        run("redis-cli", &[
            "--cluster", "reshard", &node, "--cluster-from", &from, "--cluster-to", &to, "--cluster-slots", "2000",
            "--cluster-yes",
        ], dir);
        until_it_works(&cache);
    });
    println!("2000 slots moved: {figures}");
    assert_eq!(slots_of(&cluster.nodes[masters[1]]), slots_before + 2000);
    figures.are_good();
    assert_eq!(figures.faults, 0, "{figures}");
}

/// How many slots a node has.
fn slots_of(node: &Redis) -> u16 {
    let nodes = node.ask::<String>(&["CLUSTER", "NODES"]);
    let line = nodes.lines().find(|line| line.contains("myself")).unwrap();
    let ranges = line.split_ascii_whitespace().skip(8).map(|range| range.split_once('-').unwrap_or((range, range)));
    let number = |slot: &str| slot.parse::<u16>().unwrap();
    ranges.map(|(first, last)| number(last) - number(first) + 1).sum()
}

/// An abandoned write may still be on its way. What is deleted after that stays deleted, whichever runtime
/// the caller is on.
#[test]
fn a_late_write_does_not_undo_a_deletion() {
    let cluster = Cluster::new();
    let backend = RedisBackend::new(&cluster.url()).unwrap();
    let keys: Vec<_> = (0..100).map(|number| format!("key{number}")).collect();
    let nodes: Vec<_> = cluster.nodes.iter().map(|node| &node.server).collect();
    const MOMENT: Duration = Duration::from_millis(300);
    outages::are_stopped_while_keys_are_written_and_deleted(&nodes, [Duration::ZERO, MOMENT], &backend, &keys);
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    let kept = block_on(backend.get_many(&keys)).into_iter().filter(|found| found.as_ref().unwrap().is_some()).count();
    assert_eq!(kept, 0, "of {} that were deleted", keys.len());
}

/// Waits until a new client reaches a master for every slot.
fn until_all_work(cluster: &Cluster) {
    wait_until("all slots are served", || {
        let backend = RedisBackend::builder(&cluster.url()).namespace("probe").build().unwrap();
        block_on(async {
            for number in 0..30 {
                if backend.set(&format!("key{number}"), b"", None).await.is_err() {
                    return false;
                }
            }
            true
        })
    });
}

#[test]
fn nodes_may_be_encrypted_and_strangers_are_not_trusted() {
    let certificates = Certificates::new();
    let cluster = Cluster::encrypted(&certificates);
    let url = format!("{}?connect=now&connect_limit=60s&soft_limit=60s&tls=true", cluster.url());
    let cache = Cache::from_url(&format!("{url}&tls_ca={}", certificates.authority().display())).unwrap();
    // Enough keys for all nodes.
    scoped_sync(&cache, || (0..200).for_each(|number| assert_eq!([double(number), double(number)], [number * 2; 2])));
    assert_eq!((cache.stats().hits(), cache.stats().faults()), (200, 0), "{}", cache.stats());
    let masters = cluster.masters();
    let spread: Vec<u64> = masters.iter().map(|master| cluster.nodes[*master].ask(&["DBSIZE"])).collect();
    assert!(spread.len() == 3 && spread.iter().all(|keys| *keys > 20), "{spread:?}");

    let error = Cache::from_url(&url).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Backend);
    let unencrypted = format!("{}?connect=now", cluster.url());
    assert_eq!(Cache::from_url(&unencrypted).unwrap_err().kind(), ErrorKind::Backend);
}
