//! A program that forks after it has used its cache.

use std::{
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use cache_request_tests::servers::{PATIENCE, memcached::Memcached, postgres::Postgres, redis::Redis};

/// Runs the forking program, and ends it if it hangs.
fn run(arguments: &[&str]) -> String {
    let mut parent = Command::new(env!("CARGO_BIN_EXE_child"))
        .arg("forks")
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program is built with the tests");
    let begun = Instant::now();
    while parent.try_wait().expect("its state").is_none() {
        if begun.elapsed() > PATIENCE {
            parent.kill().expect("it runs");
            panic!("{arguments:?}: the calls of the parent or of its child do not come back");
        }
        thread::sleep(Duration::from_millis(10));
    }
    let output = parent.wait_with_output().expect("it has ended");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{arguments:?}: {printed}");
    printed
}

#[test]
fn a_forked_child_waited_for_a_timer_that_only_its_parent_had() {
    assert_eq!(run(&["timeout"]).lines().count(), 3);
}

/// Runs the forking program on the backend at `address`, with limits that no slow machine reaches.
fn hits_of_all_processes(which: &str, address: &str, more: &str) -> Vec<u32> {
    let printed = run(&[which, &format!("{address}?soft_limit=60s{more}")]);
    let hits = |line: &str| line.split(['=', ' ']).nth(1).and_then(|hits| hits.parse().ok());
    printed.lines().map(|line| hits(line).unwrap_or_else(|| panic!("{printed}"))).collect()
}

/// Asserts that parent and child find what each of them has stored.
fn all_hit(which: &str, address: &str, more: &str) {
    let hits = hits_of_all_processes(which, address, more);
    assert!(hits.len() >= 2 && hits.iter().all(|hits| *hits >= 300), "{hits:?}");
}

#[test]
fn a_forked_child_read_its_parents_connection() {
    let redis = Redis::start(&[]);
    all_hit("shared", &redis.url(), "&connect_limit=60s");
}

#[test]
fn a_forked_child_used_its_parents_connection_to_postgres() {
    let postgres = Postgres::start(&[]);
    all_hit("shared", &postgres.url(), "&connect_limit=60s");
}

#[test]
fn a_forked_child_that_dropped_its_backend_cut_off_its_parents_connection_to_postgres() {
    let postgres = Postgres::start(&[]);
    run(&["dropped", &postgres.url()]);
}

#[test]
fn a_forked_child_that_dropped_its_backend_cut_off_its_parents_connection_to_memcached() {
    let memcached = Memcached::start(&[]);
    run(&["dropped", &memcached.url()]);
}

#[test]
fn a_forked_child_waited_for_the_threads_of_its_parents_files() {
    let directory = tempfile::tempdir().unwrap();
    all_hit("shared", &format!("file://{}", directory.path().display()), "");
}

/// SQLite keeps locks by process and remembers them in memory, so the child's own connections would hold none.
#[test]
fn a_forked_child_opened_the_sqlite_file_that_its_parent_had_open() {
    let directory = tempfile::tempdir().unwrap();
    let address = format!("sqlite://{}/cache.db", directory.path().display());
    let mut hits = hits_of_all_processes("shared", &address, "&connect_limit=60s");
    hits.sort_unstable();
    // The child's, which come back without the database, and those of the parent before and after the fork.
    assert!(hits[0] == 0 && hits[1..].iter().all(|hits| *hits >= 300), "{hits:?}");
}

#[test]
fn a_forked_child_opens_a_sqlite_file_that_its_parent_had_not_opened() {
    let directory = tempfile::tempdir().unwrap();
    all_hit("unused", &format!("sqlite://{}/cache.db", directory.path().display()), "&connect_limit=60s");
}

#[test]
fn a_forked_child_waited_for_a_body_that_only_its_parent_ran() {
    run(&["led"]);
}

#[test]
fn a_forked_child_waited_for_the_end_of_its_parents_background() {
    run(&["background"]);
}

#[test]
fn a_forked_child_kept_what_changed_after_the_fork() {
    let redis = Redis::start(&[]);
    run(&["told", &format!("tiered+{}?soft_limit=60s&connect_limit=60s&near_timeout=1h", redis.url())]);
}
