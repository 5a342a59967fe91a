//! The keys, values and timeouts on the server.

use std::time::Duration;

use cache_request::{
    Cache, ErrorKind,
    backend::{Backend, Item, RedisBackend},
};
use cache_request_tests::{
    servers::redis::Redis,
    sharing::{assert_each_clears_its_own, assert_processes_share},
};
use futures_lite::future::block_on;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn backend(redis: &Redis, namespace: &str) -> RedisBackend {
    RedisBackend::builder(&redis.url()).namespace(namespace).build().unwrap()
}

/// The milliseconds that are left, and how many may have passed while the server was asked.
fn assert_left(redis: &Redis, key: &str, milliseconds: i64, begun: std::time::Instant) {
    let left: i64 = redis.ask(&["PTTL", key]);
    let gone = i64::try_from(begun.elapsed().as_millis()).unwrap() + 1;
    assert!((milliseconds - gone..=milliseconds).contains(&left), "{key}: {left} of {milliseconds} left after {gone}");
}

#[test]
fn timeouts_are_exact_to_the_millisecond() {
    let redis = Redis::shared();
    let backend = backend(&redis, "exact");
    block_on(async {
        for (timeout, milliseconds) in [
            (Duration::from_secs(1), 1_000),
            (Duration::from_micros(1_000_500), 1_001),
            (Duration::from_millis(1_500), 1_500),
            (31 * DAY, 31 * 24 * 60 * 60 * 1000),
            (Duration::MAX, 1 << 62),
        ] {
            let begun = std::time::Instant::now();
            backend.set("set", b"", Some(timeout)).await.unwrap();
            assert_left(&redis, "exact:set", milliseconds, begun);

            backend.delete("add").await.unwrap();
            let begun = std::time::Instant::now();
            assert!(backend.add("add", b"", Some(timeout)).await.unwrap());
            assert_left(&redis, "exact:add", milliseconds, begun);

            backend.set("touch", b"", None).await.unwrap();
            let begun = std::time::Instant::now();
            assert!(backend.touch("touch", Some(timeout)).await.unwrap());
            assert_left(&redis, "exact:touch", milliseconds, begun);

            let begun = std::time::Instant::now();
            let item = Item { key: "many", value: b"", timeout: Some(timeout) };
            assert!(backend.set_many(&[item]).await.iter().all(Result::is_ok));
            assert_left(&redis, "exact:many", milliseconds, begun);
        }
        for timeout in [Duration::from_nanos(1), Duration::from_millis(1)] {
            backend.set("short", b"", Some(timeout)).await.unwrap();
            // It has one millisecond or is gone. -1 would mean that it has no timeout.
            let left: i64 = redis.ask(&["PTTL", "exact:short"]);
            assert!([1, 0, -2].contains(&left), "{left}");
        }
        for key in ["set", "add", "touch", "many"] {
            assert!(backend.touch(key, None).await.unwrap());
            assert!(backend.touch(key, None).await.unwrap(), "it has no timeout already, but it is there");
            assert_eq!(redis.ask::<i64>(&["PTTL", &format!("exact:{key}")]), -1);
        }
        assert!(!backend.touch("nothing", None).await.unwrap());
        backend.set("set", b"", None).await.unwrap();
        assert_eq!(redis.ask::<i64>(&["PTTL", "exact:set"]), -1);
    });
}

#[test]
fn an_annotated_function_keeps_its_answers_there() {
    let redis = Redis::start(&[]);
    let url = format!("{}?prefix=paint&soft_limit=60s&connect_limit=60s", redis.url());
    let begun = std::time::Instant::now();
    assert_processes_share(
        || Cache::from_url(&url).unwrap(),
        || {
            let [key]: [String; 1] = redis.ask::<Vec<String>>(&["KEYS", "*"]).try_into().unwrap();
            assert_eq!(key, "cache-request:paint..colour?name=red");
            assert_left(&redis, &key, 60_000, begun);
        },
    );
}

#[test]
fn namespaces_and_databases_are_apart() {
    let redis = Redis::start(&[]);
    let at = |namespace: &str, path: &str| {
        RedisBackend::builder(&format!("{}{path}", redis.url())).namespace(namespace).build().unwrap()
    };
    block_on(async {
        let backends = [
            at("shop", ""),
            at("shop2", ""),
            at("SHOP", ""),
            at("shop", "/3"),
            at("s*p", ""),
            at("s?op", ""),
            at("[a-z]hop", ""),
            at(r"sh\op", ""),
        ];
        redis.ask::<()>(&["SET", "shop", "another program's"]);
        redis.ask::<()>(&["SET", "other:key", "another program's"]);
        for (number, backend) in backends.iter().enumerate() {
            assert_eq!(backend.get("key").await.unwrap(), None, "{number}");
            backend.set("key", &[u8::try_from(number).unwrap()], None).await.unwrap();
        }
        assert_each_clears_its_own(&backends).await;
        assert_eq!(redis.ask::<u64>(&["DBSIZE"]), 2);
    });
    // If a namespace could end in a colon, two of them could share a key.
    for namespace in ["", "a:b", "a b", "ä", "a\n"] {
        let error = RedisBackend::builder("redis://h").namespace(namespace).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
    }
}

#[test]
fn many_are_cleared_and_others_are_answered_meanwhile() {
    let redis = Redis::start(&[]);
    let (many, other) = (backend(&redis, "many"), backend(&redis, "other"));
    block_on(async {
        let keys: Vec<String> = (0..50_000).map(|number| format!("key{number}")).collect();
        let item = |key: &'static [u8], text: &str| Item { key: Box::leak(text.into()), value: key, timeout: None };
        let items: Vec<_> = keys.iter().map(|key| item(b"value", key)).collect();
        assert!(many.set_many(&items).await.iter().all(Result::is_ok));
        assert_eq!(redis.ask::<u64>(&["DBSIZE"]), 50_000);
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let found = many.get_many(&keys).await;
        assert!(found.iter().all(|found| found.as_ref().is_ok_and(|found| found.as_deref() == Some(b"value"))));
        other.set("key", b"value", None).await.unwrap();
        let deleted = many.delete_many(&keys[..1000]).await;
        assert!(deleted.iter().all(|deleted| matches!(deleted, Ok(true))));
        many.clear().await.unwrap();
        assert_eq!(redis.ask::<u64>(&["DBSIZE"]), 1);
        let calls: String = redis.ask(&["INFO", "commandstats"]);
        assert!(!calls.contains("cmdstat_keys") && !calls.contains("cmdstat_flush"), "{calls}");
    });
}

#[test]
fn a_value_over_the_servers_limit_is_too_large_and_leaves_nothing() {
    let redis = Redis::start(&["--proto-max-bulk-len", "1mb"]);
    let backend = backend(&redis, "large");
    let (small, large) = (vec![1; 1 << 19], vec![2; 3 << 20]);
    block_on(async {
        for _ in 0..3 {
            backend.set("key", &small, None).await.unwrap();
            let error = backend.set("key", &large, None).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
            assert_eq!(backend.get("key").await.unwrap(), None);
            let error = backend.add("key", &large, None).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
        }
        // The limit is known now, so larger values no longer end the connection of other callers.
        let item = |key, value| Item { key, value, timeout: None };
        let outcomes = backend.set_many(&[item("a", &small), item("key", &large), item("b", &small)]).await;
        assert!(outcomes[0].is_ok() && outcomes[2].is_ok(), "{outcomes:?}");
        assert_eq!(outcomes[1].as_ref().unwrap_err().kind(), ErrorKind::TooLarge);
    });
}

#[test]
fn a_server_without_memory_refuses_and_keeps_nothing_older() {
    let redis = Redis::start(&["--maxmemory-policy", "noeviction"]);
    let backend = backend(&redis, "memory");
    block_on(async {
        backend.set("key", b"older", None).await.unwrap();
        backend.set("many", b"older", None).await.unwrap();
        redis.ask::<()>(&["CONFIG", "SET", "maxmemory", "1"]);
        let error = backend.set("key", b"newer", None).await.unwrap_err();
        assert!(error.kind() == ErrorKind::Backend && error.to_string().contains("OOM"), "{error}");
        assert_eq!(backend.get("key").await.unwrap(), None);
        let outcomes = backend.set_many(&[Item { key: "many", value: b"newer", timeout: None }]).await;
        assert!(outcomes[0].as_ref().unwrap_err().to_string().contains("OOM"), "{outcomes:?}");
        assert_eq!(backend.get("many").await.unwrap(), None);
        redis.ask::<()>(&["CONFIG", "SET", "maxmemory", "0"]);
        backend.set("key", b"newer", None).await.unwrap();
    });
}

#[test]
fn a_replica_that_is_read_only_is_an_error() {
    let master = Redis::shared();
    let replica = Redis::start(&["--replicaof", "127.0.0.1", &master.server.port.to_string()]);
    let backend = backend(&replica, "replica");
    block_on(async {
        let error = backend.set("key", b"value", None).await.unwrap_err();
        assert!(error.to_string().contains("READONLY"), "{error}");
    });
}
