//! Keys under which another program has stored something of another type.

use std::time::Duration;

use cache_request::{
    Cache, ErrorKind,
    backend::{Backend, BreakerState, Item, RedisBackend},
    cache_request, scoped_sync,
};
use cache_request_tests::servers::redis::Redis;
use futures_lite::future::block_on;

#[cache_request]
fn square(number: u64) -> u64 {
    number * number
}

#[cache_request]
async fn cube(number: u64) -> u64 {
    number * number * number
}

#[test]
fn a_key_of_another_type_never_healed_and_closed_the_backend_to_all_functions() {
    let redis = Redis::start(&[]);
    let cache = Cache::from_url(&format!("{}?soft_limit=60s&breaker_faults=3", redis.url())).unwrap();
    scoped_sync(&cache, || {
        for number in 0..10 {
            for key in [square_cache(number).key(), cube_cache(number).key()] {
                redis.ask::<u32>(&["LPUSH", &format!("cache-request:{}", key.unwrap()), "another program's"]);
            }
            assert_eq!((square(number), block_on(cube(number))), (number.pow(2), number.pow(3)));
        }
        let stats = cache.stats();
        // The keys are claimed, so what is there counts as nothing.
        assert_eq!((stats.faults(), stats.bodies()), (0, 20), "{stats}");
        let backend = stats.backend.unwrap();
        assert_eq!((backend.reads.state, backend.writes.state), (BreakerState::Closed, BreakerState::Closed));
        for number in 0..10 {
            assert_eq!((square(number), block_on(cube(number))), (number.pow(2), number.pow(3)));
        }
        assert_eq!((cache.stats().bodies(), cache.stats().hits()), (20, 20));
    });
}

/// Commands that store something under a key, each of another type than a string.
const OTHER_TYPES: [&[&str]; 6] = [
    &["LPUSH", "KEY", "x"],
    &["HSET", "KEY", "field", "x"],
    &["SADD", "KEY", "x"],
    &["ZADD", "KEY", "1", "x"],
    &["XADD", "KEY", "*", "field", "x"],
    &["PFADD", "KEY", "x"],
];

#[test]
fn each_operation_on_a_key_of_another_type_is_about_that_key() {
    let redis = Redis::start(&[]);
    let backend = RedisBackend::builder(&redis.url()).namespace("types").build().unwrap();
    let item = Item { key: "key", value: b"value", timeout: None };
    block_on(async {
        // `PFADD` stores a string, which is a value like any other.
        for (command, is_string) in OTHER_TYPES.iter().map(|command| (command, command[0] == "PFADD")) {
            let store = || {
                redis.ask::<()>(&["DEL", "types:key"]);
                let command: Vec<_> =
                    command.iter().map(|word| if *word == "KEY" { "types:key" } else { word }).collect();
                redis.ask::<()>(&command);
            };
            store();
            let found = backend.get("key").await;
            assert_eq!(
                found.as_ref().err().map(cache_request::Error::kind),
                (!is_string).then_some(ErrorKind::Corrupt)
            );
            let many = backend.get_many(&["key", "missing"]).await;
            assert!(many.iter().all(Result::is_ok) && many[1].as_ref().unwrap().is_none(), "{many:?}");
            assert_eq!(many[0].as_ref().unwrap().is_some(), is_string);

            assert!(!backend.add("key", b"value", None).await.unwrap(), "there is something");
            assert!(backend.touch("key", Some(Duration::from_secs(60))).await.unwrap());
            assert!(backend.touch("key", None).await.unwrap());
            backend.set("key", b"value", None).await.unwrap();
            assert_eq!(backend.get("key").await.unwrap().as_deref(), Some(&b"value"[..]));
            store();
            assert!(backend.set_many(&[item]).await.iter().all(Result::is_ok));
            assert_eq!(backend.get("key").await.unwrap().as_deref(), Some(&b"value"[..]));
            store();
            assert!(backend.delete("key").await.unwrap());
            store();
            assert!(backend.delete_many(&["key"]).await.pop().unwrap().unwrap());
            store();
            backend.clear().await.unwrap();
            assert_eq!(redis.ask::<u64>(&["DBSIZE"]), 0, "{command:?}");
        }
    });
}
