//! Claims: their records on the server, and the scripts that read and write them.

use std::{collections::HashSet, time::Duration};

use cache_request::{
    Cache, ErrorKind,
    backend::{Backend, Claim, ClaimKind, Claimed, Fence, Item, RedisBackend, Right},
};
use cache_request_tests::servers::{
    redis::{Cluster, Redis},
    wait_until,
};
use futures_lite::future::block_on;

const HOUR: Duration = Duration::from_secs(60 * 60);

fn backend(redis: &Redis, namespace: &str) -> RedisBackend {
    RedisBackend::builder(&redis.url()).namespace(namespace).build().unwrap()
}

fn claim(kind: ClaimKind, token: u64) -> Claim {
    Claim { kind, token, lease: HOUR }
}

async fn leased(backend: &RedisBackend, key: &str, token: u64) -> Fence {
    let claimed = backend.claim(key, claim(ClaimKind::Any, token)).await.unwrap();
    assert_eq!(claimed.right, Right::Leased(Fence::new(token)), "{key}");
    Fence::new(token)
}

/// What a server was asked to run, and how often, also by scripts.
fn commands(redis: &Redis) -> String {
    let stats: String = redis.ask(&["INFO", "commandstats"]);
    let mut counts: Vec<_> = stats
        .lines()
        .filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(",usec"))
        .map(|(count, _)| count.replace(":calls=", " "))
        .filter(|count| !["config|resetstat", "client|", "hello"].iter().any(|own| count.starts_with(own)))
        .collect();
    counts.sort();
    counts.join(", ")
}

#[test]
fn a_claim_and_a_fenced_value_are_one_command_each() {
    let redis = Redis::start(&[]);
    let backend = backend(&redis, "count");
    block_on(async {
        // Now the server knows the scripts.
        let fence = leased(&backend, "key", 1).await;
        assert!(backend.set_fenced("key", b"value", None, fence).await.unwrap());
        backend.invalidate("key", Duration::ZERO).await.unwrap();
        let count = |expected: &str| {
            assert_eq!(commands(&redis), expected);
            redis.ask::<()>(&["CONFIG", "RESETSTAT"]);
        };
        redis.ask::<()>(&["CONFIG", "RESETSTAT"]);
        leased(&backend, "key", 2).await;
        count("evalsha 1, get 2, set 1");
        assert!(backend.set_fenced("key", b"value", Some(HOUR), Fence::new(2)).await.unwrap());
        count("evalsha 1, get 1, set 1, unlink 1");
        assert_eq!(backend.claim("key", claim(ClaimKind::Missing, 3)).await.unwrap().right, Right::None);
        count("evalsha 1, get 1");
        assert!(!backend.set_fenced("key", b"value", Some(HOUR), Fence::new(2)).await.unwrap());
        count("evalsha 1, get 1");
        assert!(backend.invalidate("key", Duration::ZERO).await.unwrap());
        count("evalsha 1, get 1, unlink 2");
    });
}

#[test]
fn scripts_that_the_server_has_forgotten_are_sent_again() {
    let redis = Redis::start(&[]);
    let backend = backend(&redis, "forgotten");
    let forget = || redis.ask::<()>(&["SCRIPT", "FLUSH"]);
    block_on(async {
        for token in 1..4 {
            let fence = leased(&backend, "key", token).await;
            forget();
            assert!(backend.renew("key", fence, HOUR).await.unwrap());
            forget();
            assert!(backend.set_fenced("key", b"value", None, fence).await.unwrap());
            forget();
            let fence = leased(&backend, "key", token + 10).await;
            forget();
            backend.release("key", fence).await.unwrap();
            let fence = leased(&backend, "key", token + 20).await;
            forget();
            assert!(backend.set_fenced("key", b"value", Some(Duration::ZERO), fence).await.unwrap());
            assert_eq!(backend.get("key").await.unwrap(), None);
            leased(&backend, "key", token + 30).await;
            forget();
            assert!(!backend.invalidate("key", Duration::ZERO).await.unwrap());
            forget();
            let keys = ["a", "b", "a", "c"];
            let outcomes = backend.claim_many(&keys, claim(ClaimKind::Missing, token)).await;
            let rights: Vec<_> = outcomes.into_iter().map(|outcome| outcome.unwrap().right).collect();
            let fence = Fence::new(token);
            assert!(matches!(rights[2], Right::Held(held, _) if held == fence), "{rights:?}");
            assert_eq!([rights[0], rights[1], rights[3]], [Right::Leased(fence); 3]);
            forget();
            let item = |key, value| (Item { key, value, timeout: Some(HOUR) }, fence);
            let items = [item("a", &b"1"[..]), item("b", b"2"), item("d", b"3"), item("c", b"4")];
            let stored: Vec<_> =
                backend.set_fenced_many(&items).await.into_iter().map(|outcome| outcome.unwrap()).collect();
            assert_eq!(stored, [true, true, false, true]);
            let found: Vec<_> = backend.get_many(&["a", "b", "d", "c"]).await.into_iter().map(Result::unwrap).collect();
            assert_eq!(found, [Some(b"1".into()), Some(b"2".into()), None, Some(b"4".into())]);
            backend.clear().await.unwrap();
        }
    });
}

/// Namespaces and keys whose braces and colons might be taken for those of a record.
const ODD: [(&str, &str); 12] = [
    ("shop", "key"),
    ("shop2", "key"),
    ("s*p", "key"),
    ("[a-z]hop", "key"),
    ("{shop", "key}"),
    ("{shop", "key}x"),
    ("{shop}", "key"),
    ("}", "a}b"),
    ("x", "a{}b{c}"),
    ("x", "{a}b}"),
    ("~x", "a{b"),
    ("{", "}"),
];

#[test]
fn clear_ends_the_claims_of_its_namespace_and_no_others() {
    let redis = Redis::start(&[]);
    redis.ask::<()>(&["SET", ":shop:key", "another program's"]);
    redis.ask::<()>(&["SET", "::", "another program's"]);
    block_on(async {
        let mut left: Vec<_> = ODD.iter().zip(1_u64..).collect();
        for ((namespace, key), token) in &left {
            leased(&backend(&redis, namespace), key, *token).await;
        }
        assert_eq!(redis.ask::<usize>(&["DBSIZE"]), ODD.len() + 2, "some share a record");
        while let Some(((namespace, _), _)) = left.first().copied() {
            let cleared = backend(&redis, namespace);
            cleared.clear().await.unwrap();
            let of_it = |((of, _), _): &(&(&str, &str), u64)| of == namespace;
            for ((_, key), token) in left.extract_if(.., |claimed| of_it(claimed)) {
                assert!(!cleared.set_fenced(key, b"late", None, Fence::new(token)).await.unwrap(), "{namespace} {key}");
            }
            assert_eq!(redis.ask::<usize>(&["DBSIZE"]), left.len() + 2, "after {namespace} was cleared");
            for ((namespace, key), token) in &left {
                let renewed = backend(&redis, namespace).renew(key, Fence::new(*token), HOUR).await.unwrap();
                assert!(renewed, "{namespace} {key}");
            }
        }
    });
}

/// If it were not, the server would refuse the script.
#[test]
fn a_record_is_in_the_slot_of_its_key() {
    let cluster = Cluster::new();
    let slots: HashSet<u64> = block_on(async {
        let mut slots = HashSet::new();
        for (number, (namespace, key)) in ODD.iter().enumerate() {
            let backend = RedisBackend::builder(&cluster.url()).namespace(*namespace).build().unwrap();
            for key in [(*key).to_owned(), format!("{key}{number}"), format!("{number}{key}"), format!("{{}}{key}")] {
                let fence = leased(&backend, &key, 7).await;
                let slot: u64 = cluster.nodes[0].ask(&["CLUSTER", "KEYSLOT", &format!("{namespace}:{key}")]);
                slots.insert(slot);
                let in_slot = || -> u64 {
                    let count = |node: &Redis| node.ask::<u64>(&["CLUSTER", "COUNTKEYSINSLOT", &slot.to_string()]);
                    cluster.masters().iter().map(|master| count(&cluster.nodes[*master])).sum()
                };
                assert_eq!(in_slot(), 1, "{namespace} {key}");
                assert!(backend.set_fenced(&key, b"value", None, fence).await.unwrap());
                assert_eq!(in_slot(), 1, "{namespace} {key}");
                assert!(backend.invalidate(&key, HOUR).await.unwrap());
                assert_eq!(in_slot(), 1, "{namespace} {key}");
                backend.clear().await.unwrap();
                assert_eq!(in_slot(), 0, "{namespace} {key}");
            }
        }
        slots
    });
    assert!(slots.len() > ODD.len(), "{slots:?}");
}

#[test]
fn near_caches_are_not_told_of_claims() {
    let redis = Redis::start(&[]);
    let cache = Cache::from_url(&format!("tiered+{}?near_timeout=1h&soft_limit=60s", redis.url())).unwrap();
    let told = || cache.stats().backend.unwrap().near.unwrap().changed;
    let backend = RedisBackend::new(&redis.url()).unwrap();
    wait_until("the near cache is told of changes", || {
        block_on(backend.set("probe", b"", None)).unwrap();
        told() > 0
    });
    // All that was told before came before this.
    let probed = told();
    block_on(backend.set("probe", b"", None)).unwrap();
    wait_until("it is told of the last probe", || told() > probed);
    block_on(async {
        let before = told();
        for number in 0..10 {
            let key = format!("key{number}");
            let fence = leased(&backend, &key, 1).await;
            assert!(backend.renew(&key, fence, HOUR).await.unwrap());
            backend.release(&key, fence).await.unwrap();
            let fence = leased(&backend, &key, 2).await;
            assert!(!backend.invalidate(&key, HOUR).await.unwrap());
            assert!(!backend.set_fenced(&key, b"value", None, fence).await.unwrap());
        }
        let fence = leased(&backend, "last", 1).await;
        assert!(backend.set_fenced("last", b"value", None, fence).await.unwrap());
        wait_until("it is told of a value", || told() > before);
        assert_eq!(told(), before + 1);
    });
}

#[test]
fn a_value_of_another_type_is_claimed_and_replaced() {
    let redis = Redis::shared();
    let backend = backend(&redis, "types");
    redis.ask::<()>(&["RPUSH", "types:key", "x"]);
    block_on(async {
        assert_eq!(backend.get("key").await.unwrap_err().kind(), ErrorKind::Corrupt);
        let claimed = backend.claim("key", claim(ClaimKind::Missing, 1)).await.unwrap();
        assert_eq!(claimed, Claimed { value: None, right: Right::Leased(Fence::new(1)) });
        assert!(backend.set_fenced("key", b"value", None, Fence::new(1)).await.unwrap());
        assert_eq!(backend.get("key").await.unwrap().as_deref(), Some(&b"value"[..]));
    });
}

/// The older value and the claim are gone.
async fn assert_gone(backend: &RedisBackend, key: &str) {
    assert_eq!(backend.get(key).await.unwrap(), None, "{key}");
    let renewed = backend.renew(key, Fence::new(1), HOUR).await.unwrap();
    assert!(!renewed, "the claim of {key}");
}

#[test]
fn a_fenced_value_over_the_servers_limit_is_too_large_and_leaves_nothing() {
    let redis = Redis::start(&["--proto-max-bulk-len", "1mb"]);
    let backend = backend(&redis, "large");
    // A server that does not tell what it takes.
    let redis_too = Redis::start(&["--proto-max-bulk-len", "1mb", "--rename-command", "CONFIG", ""]);
    let unknown = self::backend(&redis_too, "large");
    let (small, large) = (vec![1; 1 << 19], vec![2; 3 << 20]);
    block_on(async {
        for backend in [&unknown, &backend, &unknown] {
            backend.set("key", &small, None).await.unwrap();
            let fence = leased(backend, "key", 1).await;
            // The first server closes the connection, and its reason may be lost with that.
            wait_until("a value that is too large ends nothing without its fence", || {
                let stored = block_on(backend.set_fenced("key", &large, None, Fence::new(2)));
                assert!(!matches!(stored, Ok(true)));
                stored.is_ok()
            });
            let error = backend.set_fenced("key", &large, None, fence).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
            assert_gone(backend, "key").await;
            let item = |key, value| (Item { key, value, timeout: None }, Fence::new(1));
            for key in ["a", "key", "b"] {
                leased(backend, key, 1).await;
            }
            let outcomes = backend.set_fenced_many(&[item("a", &small), item("key", &large), item("b", &small)]).await;
            assert!(matches!([&outcomes[0], &outcomes[2]], [Ok(true), Ok(true)]), "{outcomes:?}");
            assert_eq!(outcomes[1].as_ref().unwrap_err().kind(), ErrorKind::TooLarge);
            assert_gone(backend, "key").await;
        }
    });
}

#[test]
fn a_fenced_value_that_the_server_has_no_memory_for_leaves_nothing() {
    let redis = Redis::start(&["--maxmemory-policy", "noeviction"]);
    let backend = backend(&redis, "memory");
    block_on(async {
        for key in ["key", "many", "gone", "refused"] {
            backend.set(key, b"older", None).await.unwrap();
            leased(&backend, key, 1).await;
        }
        redis.ask::<()>(&["CONFIG", "SET", "maxmemory", "1"]);
        let error = backend.set_fenced("key", b"newer", None, Fence::new(1)).await.unwrap_err();
        assert!(error.kind() == ErrorKind::Backend && error.to_string().contains("OOM"), "{error}");
        assert_gone(&backend, "key").await;
        let item = Item { key: "many", value: b"newer", timeout: Some(HOUR) };
        let outcomes = backend.set_fenced_many(&[(item, Fence::new(1))]).await;
        assert!(outcomes[0].as_ref().unwrap_err().to_string().contains("OOM"), "{outcomes:?}");
        assert_gone(&backend, "many").await;
        // What is there can still be read, and removed.
        let claimed = backend.claim("gone", claim(ClaimKind::Missing, 2)).await.unwrap();
        assert_eq!(claimed.value.as_deref(), Some(&b"older"[..]));
        assert!(backend.invalidate("gone", Duration::ZERO).await.unwrap());
        assert_gone(&backend, "gone").await;
        assert!(backend.invalidate("refused", HOUR).await.unwrap());
        redis.ask::<()>(&["CONFIG", "SET", "maxmemory", "0"]);
        let right = backend.claim("refused", claim(ClaimKind::Any, 3)).await.unwrap().right;
        assert!(matches!(right, Right::Refused(_)), "{right:?}");
    });
}
