//! A program that forks after it has used its cache.

use std::{
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use cache_request_tests::servers::{PATIENCE, redis::Redis};

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

#[test]
fn a_forked_child_read_its_parents_connection() {
    let redis = Redis::start(&[]);
    let printed = run(&["shared", &format!("{}?soft_limit=60s&connect_limit=60s", redis.url())]);
    let hits = |line: &str| line.split(['=', ' ']).nth(1).and_then(|hits| hits.parse::<u32>().ok());
    assert!(printed.lines().all(|line| hits(line) >= Some(300)), "{printed}");
}
