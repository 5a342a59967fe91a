//! Faults of a server under load. Each test prints its figures, which `--nocapture` shows.

use std::{
    thread,
    time::{Duration, Instant},
};

use cache_request::{
    Cache,
    backend::{Backend, RedisBackend},
};
use cache_request_tests::{
    load::during,
    outages,
    proxy::{Mode, Proxy},
    servers::{PATIENCE, redis::Redis},
};
use futures_lite::future::block_on;
use futures_util::future::join_all;

#[test]
fn a_server_that_is_absent_and_comes() {
    let mut redis = Redis::start(&[]);
    outages::is_absent_and_comes(&redis.url(), &mut redis.server, "not connected");
}

#[test]
fn a_server_that_cannot_be_reached_costs_the_soft_limit_once() {
    outages::never_answers(|address| format!("redis://{address}"));
}

#[test]
fn a_server_that_is_killed_under_load_and_restarted() {
    let mut redis = Redis::start(&[]);
    outages::is_killed_and_restarted(&redis.url(), &mut redis.server);
}

#[test]
fn a_server_that_is_stopped_and_goes_on() {
    let redis = Redis::start(&[]);
    outages::is_stopped_and_goes_on(&redis.url(), &redis.server);
}

#[test]
fn connections_that_the_server_ends_are_replaced() {
    let redis = Redis::start(&[]);
    outages::ends_its_connections(&redis.url(), || {
        redis.ask::<u64>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    });
}

/// Values that cannot be stored do not stop calls, and stored values are found.
#[test]
fn a_server_that_has_no_memory_left() {
    let redis = Redis::start(&["--maxmemory-policy", "noeviction"]);
    let cache = Cache::from_url(&redis.url()).unwrap();
    outages::cannot_work(
        "out of memory",
        &cache,
        || {
            redis.ask::<()>(&["SET", "another program's", &"x".repeat(2 << 20)]);
            redis.ask::<()>(&["CONFIG", "SET", "maxmemory", "1mb"]);
        },
        || redis.ask::<String>(&["INFO", "errorstats"]).contains("errorstat_OOM"),
        || redis.ask(&["CONFIG", "SET", "maxmemory", "0"]),
    );
}

#[test]
fn a_server_that_becomes_a_replica_and_is_promoted() {
    let (redis, master) = (Redis::start(&[]), Redis::start(&[]));
    let cache = Cache::from_url(&redis.url()).unwrap();
    outages::cannot_work(
        "a replica that is read only",
        &cache,
        || redis.ask(&["REPLICAOF", "127.0.0.1", &master.server.port.to_string()]),
        || redis.ask::<String>(&["INFO", "errorstats"]).contains("errorstat_READONLY"),
        || redis.ask(&["REPLICAOF", "NO", "ONE"]),
    );
}

#[test]
fn a_password_that_is_changed_and_changed_back() {
    let redis = Redis::start(&["--requirepass", "first"]);
    let cache = Cache::from_url(&format!("redis://:first@127.0.0.1:{}", redis.server.port)).unwrap();
    let ask = |password: &str, commands: &[&str]| {
        let mut connection = connect(&redis, password);
        for command in commands {
            let words: Vec<_> = command.split(' ').collect();
            redis::cmd(words[0]).arg(&words[1..]).exec(&mut connection).unwrap();
        }
    };
    outages::cannot_work(
        "another password",
        &cache,
        || ask("first", &["CONFIG SET requirepass second", "CLIENT KILL TYPE normal SKIPME yes"]),
        || {
            let refused: String = redis::cmd("INFO").arg("errorstats").query(&mut connect(&redis, "second")).unwrap();
            refused.contains("errorstat_WRONGPASS")
        },
        || ask("second", &["CONFIG SET requirepass first"]),
    );
}

fn connect(redis: &Redis, password: &str) -> redis::Connection {
    let address = format!("redis://:{password}@127.0.0.1:{}", redis.server.port);
    redis::Client::open(address).unwrap().get_connection().unwrap()
}

/// However many callers there are, a server that is down is asked a few times a second.
#[test]
fn there_is_no_storm_of_attempts() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    listener.set_nonblocking(true).unwrap();
    let cache = Cache::from_url(&url).unwrap();
    let (mut attempts, mut seconds) = (0, 0);
    let figures = during(&cache, || {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(3) || attempts < 2 {
            // Every connection is refused.
            match listener.accept() {
                Ok(_) => attempts += 1,
                Err(_) => thread::sleep(Duration::from_millis(1)),
            }
        }
        seconds = begun.elapsed().as_secs();
    });
    println!("sent away for {seconds} s: {attempts} attempts of two runtimes, {figures}");
    figures.are_good();
    // 0, 50, 150, 350, 750, 1550 ms at the soonest, and then once a second; once more where RESP2 is tried.
    assert!(attempts <= 2 * 2 * (7 + seconds), "{attempts} in {seconds} s");
}

/// An abandoned write may still be on its way. What is deleted after that stays deleted, whichever
/// connection the deletion takes, and whether the first one goes on or was given up meanwhile.
#[test]
fn a_late_write_does_not_undo_a_deletion() {
    let keys: Vec<_> = (0..100).map(|number| format!("key{number}")).collect();
    for stopped in [Duration::ZERO, Duration::from_millis(2500)] {
        let mut moment = Duration::from_millis(300);
        loop {
            let redis = Redis::start(&[]);
            let backend = RedisBackend::new(&redis.url()).unwrap();
            outages::are_stopped_while_keys_are_written_and_deleted(
                &[&redis.server],
                [stopped, moment],
                &backend,
                &keys,
            );
            assert_eq!(redis.ask::<Vec<String>>(&["KEYS", "*"]), [""; 0], "after {stopped:?} and {moment:?}");
            // Callers that came while the server was stopped have ended the connection.
            if redis.ask::<String>(&["INFO", "commandstats"]).contains("client|kill") {
                break;
            }
            moment *= 2;
            assert!(moment < PATIENCE, "a connection that does not answer is not ended");
        }
    }
}

/// The same, if the runtime that drives the write's connection is not entered for a while.
#[test]
fn a_write_that_a_runtime_has_not_sent_is_never_done() {
    let redis = Redis::start(&[]);
    let backend = RedisBackend::builder(&redis.url()).connect_limit(PATIENCE).build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        backend.get("key").await.unwrap();
        // The connection's task has the command and does not run any more.
        let mut set = Box::pin(backend.set("key", b"late", None));
        assert!(futures_lite::future::poll_once(&mut set).await.is_none());
    });
    assert!(!block_on(backend.delete("key")).unwrap());
    runtime.block_on(async { tokio::time::sleep(Duration::from_millis(100)).await });
    assert_eq!(redis.ask::<Option<String>>(&["GET", "cache-request:key"]), None);
    // It has another connection by now.
    runtime.block_on(async {
        while backend.set("key", b"value", None).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert_eq!(block_on(backend.get("key")).unwrap().as_deref(), Some(&b"value"[..]));
}

/// One answer was lost on the way, and each later request got the answer to another one. No value was wrong, as each is stored with its
/// key, but no value was found any more.
#[test]
fn a_connection_that_is_out_of_step_is_replaced() {
    /// How long each caller waits.
    const LIMIT: Duration = Duration::from_secs(1);

    let redis = Redis::start(&[]);
    let proxy = Proxy::of(redis.server.port);
    let backend = &RedisBackend::new(&format!("redis://127.0.0.1:{}", proxy.port)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        backend.set("first", b"value", None).await.unwrap();
        proxy.set(Mode::Loses(1));
        let lost = backend.set("lost", b"value", None);
        let losing = async {
            while proxy.harmed() == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            proxy.set(Mode::Passes);
            let begun = Instant::now();
            // Several at a time, so that none is the last request, whose timeout would be noticed.
            join_all((0..4).map(|caller| async move {
                let mut number = 0;
                loop {
                    let value = format!("{caller} {number}").into_bytes();
                    let key = format!("key{caller}");
                    let asked = async {
                        let set = backend.set(&key, &value, None).await;
                        set.is_ok() && backend.get(&key).await.is_ok_and(|found| found.as_ref() == Some(&value))
                    };
                    if tokio::time::timeout(LIMIT, asked).await == Ok(true) {
                        return;
                    }
                    assert!(begun.elapsed() < PATIENCE, "the connection is out of step for ever");
                    tokio::task::yield_now().await;
                    number += 1;
                }
            }))
            .await;
        };
        // Which answer it gets, if any, is not determined.
        let _ = futures_util::future::join(tokio::time::timeout(LIMIT, lost), losing).await;
    });
}
