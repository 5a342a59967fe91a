//! A cluster, and a master that sentinels name: all that have keys tell of changes, and those that follow them.

use cache_request::backend::Tracking;
use cache_request_tests::servers::{
    redis::{Cluster, Sentinels, ask as ask_server},
    wait_until,
};

use super::{
    source,
    tracked::{ask, front, have_in_front, other, tiered, try_put, until},
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
    is_followed(|sentinels| sentinels.servers[0].server.kill(), |sentinels| sentinels.servers[0].server.restart());
}

#[test]
fn a_master_that_is_stopped_is_followed_by_one_that_tells() {
    is_followed(|sentinels| sentinels.servers[0].server.stop(), |sentinels| sentinels.servers[0].server.go_on());
}

#[test]
fn a_master_that_steps_down_is_followed_by_one_that_tells() {
    is_followed(
        |sentinels| ask_server(sentinels.sentinels[0].port, &["SENTINEL", "FAILOVER", "main"]).unwrap(),
        |_| {},
    );
}
