//! A cluster, and a master that sentinels name: all that have keys tell of changes, and those that follow them.

use std::{thread, time::Duration};

use cache_request::backend::Tracking;
use cache_request_tests::{
    certificates::Certificates,
    servers::{
        Server,
        redis::{Cluster, Redis, Sentinels},
        wait_until,
    },
};
use redis::{FromRedisValue, Value};

use super::{
    source,
    tracked::{ask, front, have_in_front, invalidate, other, stored, tiered, try_put, until},
};

/// So many that each of three masters has some.
const MANY: u32 = 60;

/// What is behind is changed by another process, and that is seen.
fn changes_are_seen(url: &str, cache: &cache_request::Cache, says: u32) {
    let another = other(url);
    for question in 0..MANY {
        wait_until("it is stored", || try_put(&another, question, says).is_ok());
    }
    wait_until("all changes are seen", || (0..MANY).all(|question| ask(cache, question) == says));
}

#[test]
fn all_masters_of_a_cluster_tell_and_those_that_follow_them() {
    let mut cluster = Cluster::new();
    let url = cluster.url();
    let cache = tiered(&url);
    until(&cache, Tracking::Live);
    source(1);
    have_in_front(&cache, 0..MANY);
    let masters = cluster.masters();
    let sizes: Vec<u64> = masters.iter().map(|master| cluster.nodes[*master].ask(&["DBSIZE"])).collect();
    assert!(sizes.len() == 3 && sizes.iter().all(|size| *size > 0), "{sizes:?}");
    changes_are_seen(&url, &cache, 2);

    let lost = front(&cache).lost;
    cluster.replaces_soon();
    cluster.nodes[masters[0]].server.kill();
    wait_until("it is noticed", || front(&cache).lost > lost);
    wait_until("its replica is a master", || cluster.masters().len() == 3);
    until(&cache, Tracking::Live);
    source(3);
    have_in_front(&cache, 0..MANY);
    changes_are_seen(&url, &cache, 4);

    // It comes back, as a replica that may become a master again.
    cluster.nodes[masters[0]].server.restart();
    have_in_front(&cache, 0..MANY);
    changes_are_seen(&url, &cache, 5);
}

/// Nodes may know themselves by a name, or leave it to clients where they are.
#[test]
fn nodes_may_say_otherwise_where_they_are() {
    let cluster = Cluster::new();
    let url = cluster.url();
    for (shape, name) in [("unknown-endpoint", ""), ("hostname", "localhost")] {
        for node in &cluster.nodes {
            node.ask::<()>(&["CONFIG", "SET", "cluster-announce-hostname", name]);
            node.ask::<()>(&["CONFIG", "SET", "cluster-preferred-endpoint-type", shape]);
        }
        let says = |node: &Redis, name: &str| {
            let ranges: Vec<Vec<Value>> = node.ask(&["CLUSTER", "SLOTS"]);
            ranges.into_iter().all(|range| {
                let Some(Value::Array(master)) = range.into_iter().nth(2) else { return false };
                Option::<String>::from_redis_value(master[0].clone()).unwrap().unwrap_or_default() == name
            })
        };
        wait_until("all know", || cluster.nodes.iter().all(|node| says(node, name)));

        let cache = tiered(&url);
        until(&cache, Tracking::Live);
        source(1);
        have_in_front(&cache, 0..MANY);
        changes_are_seen(&url, &cache, 2);
        other(&url).clear_sync().unwrap();
        wait_until("all are gone", || cache.stats().entries == 0);
        let sizes: Vec<u64> = cluster.masters().iter().map(|master| cluster.nodes[*master].ask(&["DBSIZE"])).collect();
        assert_eq!(sizes, [0; 3], "{shape}");
    }
}

/// Keys arrive before the slot does, so that no node tells of their changes: the near cache must be empty meanwhile.
#[test]
fn a_slot_may_move_to_a_master_that_had_none() {
    let mut cluster = Cluster::new();
    cluster.add_master();
    let url = cluster.url();
    let cache = tiered(&format!("{url}?soft_limit=60s"));
    until(&cache, Tracking::Live);
    source(1);
    have_in_front(&cache, 0..MANY);

    let key = stored(&cache, 0);
    let new = cluster.nodes.len() - 1;
    let holder = *cluster.masters().iter().find(|master| holds(&cluster.nodes[**master], &key)).unwrap();
    let [old, new] = [holder, new].map(|node| &cluster.nodes[node]);
    let [old_id, new_id]: [String; 2] = [old, new].map(|node| node.ask(&["CLUSTER", "MYID"]));
    let slot = old.ask::<u64>(&["CLUSTER", "KEYSLOT", &key]).to_string();
    new.ask::<()>(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &old_id]);
    old.ask::<()>(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &new_id]);
    until(&cache, Tracking::Suspended);
    let port = new.server.port.to_string();
    old.ask::<()>(&["MIGRATE", "127.0.0.1", &port, &key, "0", "10000"]);
    assert!(holds(new, &key));
    let another = other(&url);
    // Values can be read and invalidated meanwhile. What has to be claimed cannot be stored.
    for says in 2..5 {
        assert_eq!(ask(&cache, 0), says - 1);
        source(says);
        invalidate(&another, 0).unwrap();
        assert_eq!(ask(&cache, 0), says, "while the slot is on its way");
    }
    assert_eq!((front(&cache).tracking, cache.stats().entries), (Tracking::Suspended, 0));

    for node in [new, old] {
        node.ask::<()>(&["CLUSTER", "SETSLOT", &slot, "NODE", &new_id]);
    }
    until(&cache, Tracking::Live);
    source(9);
    have_in_front(&cache, 0..MANY);
    assert_eq!(ask(&cache, 0), 9);
    changes_are_seen(&url, &cache, 10);
}

/// Each of them tells, but one answers for a slot that another one has as well.
#[test]
fn nodes_that_do_not_agree_are_doubted() {
    let cluster = Cluster::new();
    let cache = tiered(&cluster.url());
    until(&cache, Tracking::Live);
    let masters: Vec<_> = cluster.masters().into_iter().map(|master| &cluster.nodes[master]).collect();
    let ids: Vec<String> = masters.iter().map(|node| node.ask(&["CLUSTER", "MYID"])).collect();
    wait_until("it is noticed", || {
        // It is the first one's, and that says so again.
        masters[2].ask::<()>(&["CLUSTER", "SETSLOT", "0", "NODE", &ids[1]]);
        front(&cache).lost > 0
    });
    until(&cache, Tracking::Live);
}

/// Has a master know nothing of the others, while its replica takes its place.
fn cut_off(cluster: &Cluster, master: usize) {
    let id = |node: &Redis| node.ask::<String>(&["CLUSTER", "MYID"]);
    assert!(cluster.masters().contains(&master));
    let cut_off = &cluster.nodes[master];
    let others = || cluster.nodes.iter().filter(|node| node.server.port != cut_off.server.port);
    let replicas: Vec<String> = cluster.nodes[4].ask(&["CLUSTER", "REPLICAS", &id(cut_off)]);
    let replica = others().find(|node| replicas[0].starts_with(&id(node))).unwrap();
    for other in others() {
        cut_off.ask::<()>(&["CLUSTER", "FORGET", &id(other)]);
    }
    replica.ask::<()>(&["CLUSTER", "FAILOVER", "TAKEOVER"]);
}

/// It answers with what it knew before it was cut off, and another one has its slots.
#[test]
fn a_master_that_the_others_have_replaced_unheard_is_doubted() {
    let cluster = Cluster::new();
    let cache = tiered(&format!("{}?soft_limit=60s", cluster.url()));
    until(&cache, Tracking::Live);
    source(1);
    have_in_front(&cache, 0..MANY);

    // The address names it.
    cut_off(&cluster, 0);
    until(&cache, Tracking::Suspended);
    for _ in 0..30 {
        (0..MANY).for_each(|question| _ = ask(&cache, question));
        assert_eq!((front(&cache).tracking, cache.stats().entries), (Tracking::Suspended, 0));
        thread::sleep(Duration::from_millis(100));
    }
    let info: String = cluster.nodes[0].ask(&["CLUSTER", "INFO"]);
    assert!(info.contains("cluster_state:ok"), "it has a cluster of its own");

    for other in &cluster.nodes[1..] {
        let port = other.server.port.to_string();
        cluster.nodes[0].ask::<()>(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus_of(other)]);
    }
    until(&cache, Tracking::Live);
    have_in_front(&cache, 0..MANY);
    changes_are_seen(&cluster.url(), &cache, 2);
}

/// It would go on answering the calls of those that take it for the master.
#[test]
fn a_master_that_no_node_names_any_more_is_left() {
    let cluster = Cluster::new();
    let cache = tiered(&format!("{}?soft_limit=60s", cluster.url()));
    until(&cache, Tracking::Live);
    source(1);
    have_in_front(&cache, 0..MANY);
    cut_off(&cluster, 1);
    wait_until("it is noticed", || front(&cache).lost > 0);
    until(&cache, Tracking::Live);
    changes_are_seen(&cluster.url(), &cache, 2);
    have_in_front(&cache, 0..MANY);
    changes_are_seen(&cluster.url(), &cache, 3);
}

/// Where a node listens to those of its cluster.
fn bus_of(node: &Redis) -> String {
    let config: Vec<String> = node.ask(&["CONFIG", "GET", "cluster-port"]);
    config[1].clone()
}

/// Whether a node has the key itself.
fn holds(node: &Redis, key: &str) -> bool {
    // It would say of those that others have where they are.
    node.ask::<Vec<String>>(&["KEYS", "*"]).iter().any(|held| held == key)
}

/// Takes the master away, until there is another one that tells.
fn is_followed(lose: impl FnOnce(&mut Sentinels), bring_back: impl FnOnce(&mut Sentinels)) {
    let mut sentinels = Sentinels::new();
    let url = sentinels.url();
    let cache = tiered(&url);
    until(&cache, Tracking::Live);
    source(1);
    have_in_front(&cache, 0..MANY);
    changes_are_seen(&url, &cache, 2);

    let first = sentinels.master();
    lose(&mut sentinels);
    wait_until("there is another master", || sentinels.master() != first);
    wait_until("it has nothing of the first one's in front", || front(&cache).lost > 0);
    until(&cache, Tracking::Live);
    source(3);
    have_in_front(&cache, 0..MANY);
    changes_are_seen(&url, &cache, 4);

    bring_back(&mut sentinels);
    have_in_front(&cache, 0..MANY);
    changes_are_seen(&url, &cache, 5);
}

#[test]
fn a_master_that_is_killed_is_followed_by_one_that_tells() {
    let lose = |sentinels: &mut Sentinels| {
        sentinels.replaces_soon();
        sentinels.servers[0].server.kill();
    };
    is_followed(lose, |sentinels| sentinels.servers[0].server.restart());
}

#[test]
fn a_master_that_is_stopped_is_followed_by_one_that_tells() {
    let lose = |sentinels: &mut Sentinels| {
        sentinels.replaces_soon();
        sentinels.servers[0].server.stop();
    };
    is_followed(lose, |sentinels| sentinels.servers[0].server.go_on());
}

#[test]
fn a_master_that_steps_down_is_followed_by_one_that_tells() {
    is_followed(|sentinels| sentinels.replace_now(), |_| {});
}

/// As where the network between has failed: it answers us, and takes itself for the master, and the sentinels have another one.
#[test]
fn a_master_that_only_the_sentinels_have_lost_is_left() {
    let mut sentinels = Sentinels::new();
    for server in &sentinels.servers {
        server.ask::<()>(&["ACL", "SETUSER", "cache", "on", ">secret", "~*", "&*", "+@all"]);
    }
    let url = sentinels.url().replace("://", "://cache:secret@");
    let cache = tiered(&format!("{url}?soft_limit=60s"));
    until(&cache, Tracking::Live);
    source(1);
    have_in_front(&cache, 0..MANY);
    sentinels.replaces_soon();
    // One that is down is not needed.
    sentinels.sentinels[0].kill();

    let [first, second] = [&sentinels.servers[0], &sentinels.servers[1]].map(|server| server.server.port);
    assert_eq!(sentinels.master(), first);
    sentinels.servers[0].ask::<()>(&["ACL", "SETUSER", "default", "-@all"]);
    wait_until("there is another master", || sentinels.master() == second);
    let another = other(&format!("redis://cache:secret@127.0.0.1:{second}"));
    try_put(&another, 0, 2).unwrap();
    wait_until("it is noticed", || ask(&cache, 0) == 2);
    until(&cache, Tracking::Live);
    have_in_front(&cache, 0..MANY);
    try_put(&another, 0, 3).unwrap();
    wait_until("the new one tells", || ask(&cache, 0) == 3);
    let role: Vec<Value> = ask_as_cache(first, "ROLE");
    assert_eq!(role[0], Value::BulkString(b"master".to_vec()), "the first one knows nothing of that");
}

fn ask_as_cache<T: FromRedisValue>(port: u16, command: &str) -> T {
    let client = redis::Client::open(format!("redis://cache:secret@127.0.0.1:{port}")).unwrap();
    redis::cmd(command).query(&mut client.get_connection().unwrap()).unwrap()
}

/// Without a sentinel the master is unknown. With one that does not answer beside others it is known.
#[test]
fn one_sentinel_has_to_answer() {
    let sentinels = Sentinels::new();
    let cache = tiered(&sentinels.url());
    until(&cache, Tracking::Live);
    source(1);
    have_in_front(&cache, 0..MANY);
    let [last, silent @ ..] = &sentinels.sentinels[..] else { unreachable!() };
    silent.iter().for_each(Server::stop);
    thread::sleep(Duration::from_secs(4));
    until(&cache, Tracking::Live);
    // Also where it is only connected to now.
    until(&tiered(&sentinels.url()), Tracking::Live);
    last.stop();
    until(&cache, Tracking::Suspended);
    silent[0].go_on();
    until(&cache, Tracking::Live);
}

#[test]
fn encrypted_fleets_tell_as_well() {
    let certificates = Certificates::new();
    let authority = certificates.authority();
    let (cluster, sentinels) = (Cluster::encrypted(&certificates), Sentinels::encrypted(&certificates));
    for url in [cluster.url(), sentinels.url()] {
        let url = format!("{url}?tls=true&tls_ca={}", authority.display());
        let cache = tiered(&format!("{url}&connect_limit=60s"));
        until(&cache, Tracking::Live);
        source(1);
        have_in_front(&cache, 0..MANY);
        changes_are_seen(&url, &cache, 2);
    }
}
