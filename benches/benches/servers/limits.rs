//! The limits of the servers: pipelines, in which no client waits for an answer before its next request.

use std::{
    fmt::Write as _,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::Command,
    time::{Duration, Instant},
};

use crate::{
    contender::Contender,
    load::{KEYS, Load},
    memcached, redis,
    server::{memcached_address, ports},
};

/// How many questions are sent at a time.
const BATCH: usize = 64;

pub(crate) fn of_redis() -> Vec<Contender> {
    vec![
        redis::cache_request(),
        redis::raw_client(),
        Contender::new("redis-benchmark -P 16", |load| redis_benchmark(load, "16")),
        Contender::new("redis-benchmark -P 64", |load| redis_benchmark(load, "64")),
    ]
}

/// 64 connections of the server's own benchmark, whatever the number of callers. It asks for what the bare client has stored.
fn redis_benchmark(load: Load, pipeline: &str) -> Duration {
    let (port, keys) = (ports().redis.to_string(), KEYS.to_string());
    // What one run costs beside its gets it does not count.
    let gets = load.gets().max(20_000).to_string();
    let key = format!("plain:{}:__rand_int__", load.bytes);
    #[rustfmt::skip]
    let arguments = [
        "-p", &port, "-c", "64", "-P", pipeline, "-n", &gets, "-r", &keys, "--csv", "GET", &key,
    ];
    let output = Command::new("redis-benchmark").args(arguments).output();
    let output = output.unwrap_or_else(|cause| panic!("redis-benchmark: {cause}; redis-tools has it"));
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let rate = told.lines().last().and_then(|line| line.split(',').nth(1)?.trim_matches('"').parse::<f64>().ok());
    Duration::from_secs_f64(load.gets() as f64 / rate.unwrap_or_else(|| panic!("no rate in {told}")))
}

pub(crate) fn of_memcached() -> Vec<Contender> {
    vec![
        memcached::cache_request(),
        memcached::raw_client(),
        Contender::new("`mg` in batches of 64, one connection", meta_gets),
    ]
}

/// The meta protocol over a socket, by hand: as little as a client can do. It asks for what the bare client has stored.
fn meta_gets(load: Load) -> Duration {
    let mut connection = TcpStream::connect(memcached_address()).expect("a connection");
    connection.set_nodelay(true).expect("an option of sockets");
    let mut answers = BufReader::with_capacity(64 << 10, connection.try_clone().expect("the same socket"));
    let keys: Vec<u64> = Load { callers: 1, each: load.gets(), ..load }.keys(0).collect();
    let batches: Vec<(String, usize)> = keys.chunks(BATCH).map(|keys| (questions(keys), keys.len())).collect();
    let mut value = vec![0; load.bytes + 2];
    let mut line = String::new();
    let start = Instant::now();
    for (questions, count) in &batches {
        connection.write_all(questions.as_bytes()).expect("it is sent");
        for _ in 0..*count {
            line.clear();
            answers.read_line(&mut line).expect("an answer");
            assert!(line.starts_with("VA "), "{line}");
            answers.read_exact(&mut value).expect("a value");
        }
    }
    start.elapsed()
}

fn questions(keys: &[u64]) -> String {
    let mut questions = String::new();
    for key in keys {
        write!(questions, "mg {} v\r\n", memcached::plain_key(*key)).expect("room");
    }
    questions
}
