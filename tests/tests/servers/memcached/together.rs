//! Batched gets, and callers that give up meanwhile.

use std::{
    io::{Read, Write},
    net::TcpStream,
    pin::pin,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use cache_request::backend::{Backend, MemcachedBackend};
use cache_request_tests::{
    callers::current_thread,
    proxy::{Mode, Proxy},
    servers::{PATIENCE, memcached::Memcached},
};
use futures_util::future::join_all;
use tokio::time::sleep;

const KEYS: usize = 500;

fn keys() -> Vec<String> {
    (0..KEYS).map(|number| format!("key{number}")).collect()
}

/// A backend that holds each key as its own value.
async fn filled(memcached: &Memcached) -> MemcachedBackend {
    let backend = MemcachedBackend::builder(&memcached.url()).answer_limit(PATIENCE).build().unwrap();
    for key in keys() {
        backend.set(&key, key.as_bytes(), None).await.unwrap();
    }
    backend
}

async fn all_are_found(backend: &MemcachedBackend) {
    let keys = keys();
    let found = join_all(keys.iter().map(|key| backend.get(key))).await;
    for (key, found) in keys.iter().zip(found) {
        assert_eq!(found.unwrap().as_deref(), Some(key.as_bytes()));
    }
}

fn connections(memcached: &Memcached) -> u64 {
    let mut stream = TcpStream::connect(("127.0.0.1", memcached.server.port)).unwrap();
    stream.write_all(b"stats\r\nquit\r\n").unwrap();
    let mut stats = String::new();
    stream.read_to_string(&mut stats).unwrap();
    let line = stats.lines().find_map(|line| line.strip_prefix("STAT total_connections "));
    line.unwrap().trim().parse().unwrap()
}

#[test]
fn many_take_few_connections() {
    let memcached = Memcached::start(&[]);
    current_thread().block_on(async {
        let backend = filled(&memcached).await;
        let before = connections(&memcached);
        all_are_found(&backend).await;
        // Unbatched, each get would take one of 32 connections.
        assert!(connections(&memcached) - before <= 6);
    });
}

/// Also if the connection serves many gets, and more of them than connections may be closed in a row before the server counts as lost.
#[test]
fn a_lost_connection_costs_no_caller_the_answer() {
    let memcached = Memcached::start(&[]);
    let proxy = Proxy::of(memcached.server.port);
    current_thread().block_on(async {
        filled(&memcached).await;
        let address = format!("memcached://127.0.0.1:{}", proxy.port);
        let backend = MemcachedBackend::builder(&address).answer_limit(PATIENCE).build().unwrap();
        for round in 1..20 {
            all_are_found(&backend).await;
            proxy.set(Mode::CutsOnce);
            all_are_found(&backend).await;
            assert_eq!(proxy.harmed(), round);
        }
    });
}

#[test]
fn each_gets_its_own() {
    let memcached = Memcached::start(&[]);
    current_thread().block_on(async {
        let backend = filled(&memcached).await;
        for _ in 0..20 {
            all_are_found(&backend).await;
        }
    });
}

/// The first get is sent alone, the second by a task, and the others together with the second.
#[test]
fn a_caller_that_is_never_polled_again_holds_no_other_up() {
    let memcached = Memcached::start(&[]);
    current_thread().block_on(async {
        let backend = filled(&memcached).await;
        let mut context = Context::from_waker(Waker::noop());
        let mut stuck = Vec::new();
        for key in ["key0", "key1", "key2"] {
            let mut get = Box::pin(backend.get(key));
            assert!(get.as_mut().poll(&mut context).is_pending());
            stuck.push(get);
            all_are_found(&backend).await;
        }
        // One of the stuck callers gives up, and the others go on.
        drop(stuck.pop());
        for (key, get) in ["key0", "key1"].into_iter().zip(stuck) {
            assert_eq!(get.await.unwrap().as_deref(), Some(key.as_bytes()));
        }
        all_are_found(&backend).await;
    });
}

#[test]
fn a_caller_that_gives_up_in_a_batch_takes_no_other_along() {
    /// A caller that gives up sooner than this tells nothing about the server.
    const LATE: Duration = Duration::from_millis(90);

    let memcached = Memcached::start(&[]);
    current_thread().block_on(async {
        let backend = filled(&memcached).await;
        for given_up in 1..20 {
            let begun = Instant::now();
            let mut context = Context::from_waker(Waker::noop());
            let keys = keys();
            let mut gets: Vec<_> = keys.iter().take(20).map(|key| Box::pin(backend.get(key))).collect();
            for get in &mut gets {
                assert!(matches!(pin!(get).poll(&mut context), Poll::Pending));
            }
            // Also the get that is sent alone.
            gets.drain(..given_up);
            let took = begun.elapsed();
            for (key, found) in keys[given_up..].iter().zip(join_all(gets).await) {
                match found {
                    Ok(found) => assert_eq!(found.as_deref(), Some(key.as_bytes())),
                    // On a slow machine, a caller gives up so late that the server counts as lost.
                    Err(error) => assert!(took >= LATE, "{error}"),
                }
            }
            while took >= LATE && backend.get("key0").await.is_err() {
                sleep(Duration::from_millis(5)).await;
            }
        }
    });
}
