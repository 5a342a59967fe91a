//! What happens to a server, while calls go on. Each test prints its figures: `--nocapture` shows them.

use std::{
    thread,
    time::{Duration, Instant},
};

use cache_request::{Cache, ErrorKind, cache_request, scoped_sync};
use cache_request_tests::{
    load::{during, until_it_works},
    servers::{free_port, redis::Redis},
};

const SOFT_LIMIT: Duration = Duration::from_millis(250);

/// What a call may wait in all. Where it has waited to look, it does not wait again to store.
const LIMIT: Duration = SOFT_LIMIT;

#[cache_request(timeout = 60)]
fn double(number: u32) -> u32 {
    number * 2
}

#[test]
fn a_server_that_is_absent_and_comes() {
    let port = free_port();
    let url = format!("redis://127.0.0.1:{port}");
    let cache = Cache::from_url(&url).unwrap();
    let begun = Instant::now();
    scoped_sync(&cache, || assert_eq!(double(1), 2));
    let first = begun.elapsed();
    let error = Cache::from_url(&format!("{url}?connect=now")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Backend);
    assert!(error.to_string().contains("not connected"), "{error}");

    let mut redis = None;
    let mut recovered = Duration::ZERO;
    let figures = during(&cache, || {
        thread::sleep(Duration::from_millis(500));
        redis = Some(Redis::start_at(port));
        recovered = until_it_works(&cache);
    });
    println!("absent, then started: first call {first:.1?}, {figures}, works {recovered:.1?} after the start");
    figures.are_good(LIMIT);
    assert!(first < LIMIT);
}

#[test]
fn a_server_that_nobody_can_reach_costs_the_soft_limit_once() {
    // Nobody answers here: the connection is neither accepted nor refused.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let cache = Cache::from_url(&url).unwrap();
    let figures = during(&cache, || thread::sleep(Duration::from_secs(3)));
    println!("never answers: {figures}");
    figures.are_good(LIMIT);
    assert!(figures.calls > 200, "calls wait for attempts to connect: {figures}");
}

#[test]
fn a_server_that_is_killed_under_load_and_restarted() {
    let mut redis = Redis::start(&[]);
    let cache = Cache::from_url(&redis.url()).unwrap();
    let mut recovered = Vec::new();
    let figures = during(&cache, || {
        for _ in 0..3 {
            until_it_works(&cache);
            thread::sleep(Duration::from_millis(300));
            redis.server.kill();
            thread::sleep(Duration::from_millis(700));
            redis.restart();
            recovered.push(until_it_works(&cache));
        }
    });
    println!("killed and restarted three times: {figures}, works {recovered:.0?} after the restarts");
    figures.are_good(LIMIT);
}

#[test]
fn a_server_that_is_stopped_and_goes_on() {
    let redis = Redis::start(&[]);
    let cache = Cache::from_url(&redis.url()).unwrap();
    let mut recovered = Vec::new();
    let figures = during(&cache, || {
        // Shorter and longer than what it takes to give the connection up.
        for stopped in [Duration::from_millis(600), Duration::from_secs(4)] {
            until_it_works(&cache);
            redis.server.stop();
            thread::sleep(stopped);
            redis.server.go_on();
            recovered.push(until_it_works(&cache));
        }
    });
    println!("stopped and gone on twice: {figures}, works {recovered:.0?} after that");
    figures.are_good(LIMIT);
}

#[test]
fn connections_that_the_server_ends_are_replaced() {
    let redis = Redis::start(&[]);
    let cache = Cache::from_url(&redis.url()).unwrap();
    let figures = during(&cache, || {
        for _ in 0..10 {
            until_it_works(&cache);
            redis.ask::<u64>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
            thread::sleep(Duration::from_millis(100));
        }
        until_it_works(&cache);
    });
    println!("connections ended ten times: {figures}");
    figures.are_good(LIMIT);
}

/// However many callers there are, a server that is down is asked a few times a second.
#[test]
fn there_is_no_storm_of_attempts() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    listener.set_nonblocking(true).unwrap();
    let cache = Cache::from_url(&url).unwrap();
    let mut attempts = 0;
    let figures = during(&cache, || {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(3) {
            // Whoever comes is sent away.
            match listener.accept() {
                Ok(_) => attempts += 1,
                Err(_) => thread::sleep(Duration::from_millis(1)),
            }
        }
    });
    println!("sent away for 3 s: {attempts} attempts of two runtimes, {figures}");
    figures.are_good(LIMIT);
    // 0, 100, 300, 700, 1500 ms and so on, or up to twice as often by chance; once more where RESP2 is tried.
    assert!((2..=60).contains(&attempts), "{attempts}");
}
