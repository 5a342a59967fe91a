//! The keys, values and timeouts on the servers.

use std::{
    sync::atomic::{AtomicU32, Ordering::SeqCst},
    thread::sleep,
    time::{Duration, Instant},
};

use cache_request::{
    Cache, ErrorKind,
    backend::{Backend, Item, MemcachedBackend},
    cache_request, scoped_sync,
};
use cache_request_tests::servers::{PATIENCE, memcached::Memcached, wait_until};
use futures_lite::future::block_on;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn backend(url: &str, namespace: &str) -> MemcachedBackend {
    MemcachedBackend::builder(url).namespace(namespace).answer_limit(PATIENCE).build().unwrap()
}

/// A key on the server.
fn stored(memcached: &Memcached, namespace: &str, key: &str) -> String {
    format!("{namespace}:{:016x}:{key}", memcached.generation(namespace))
}

#[test]
fn the_server_keeps_it_a_little_longer_and_never_for_ever() {
    let memcached = Memcached::shared();
    let backend = backend(&memcached.url(), "longer");
    block_on(async {
        for (timeout, seconds) in [
            (Duration::from_millis(1), 1..=2),
            (Duration::from_secs(1), 1..=2),
            (Duration::from_secs(60), 60..=61),
            // A longer one would be a date by this machine's clock.
            (30 * DAY, 2_592_000..=2_592_000),
            (31 * DAY, 2_592_000..=2_592_000),
            (3650 * DAY, 2_592_000..=2_592_000),
            (Duration::MAX, 2_592_000..=2_592_000),
        ] {
            let begun = Instant::now();
            backend.set("set", b"value", Some(timeout)).await.unwrap();
            backend.delete("add").await.unwrap();
            assert!(backend.add("add", b"value", Some(timeout)).await.unwrap());
            backend.set("touch", b"value", None).await.unwrap();
            assert!(backend.touch("touch", Some(timeout)).await.unwrap());
            let many = ["many", "more"].map(|key| Item { key, value: b"value", timeout: Some(timeout) });
            assert!(backend.set_many(&many).await.iter().all(Result::is_ok));
            for key in ["set", "add", "touch", "many", "more"] {
                let found = memcached.look(&stored(&memcached, "longer", key));
                // On a slow machine, the shortest may have ended.
                if found.hit() || timeout > Duration::from_secs(1) {
                    let left = found.item.ttl.unwrap();
                    let gone = i64::try_from(begun.elapsed().as_secs()).unwrap() + 2;
                    let soonest = (seconds.start() - gone).max(1);
                    assert!((soonest..=*seconds.end()).contains(&left), "{key} for {timeout:?}: {left} s left");
                    assert_eq!(found.value.as_deref(), Some(&b"value"[..]), "values stand there as they are");
                }
            }
        }
        backend.set("set", b"", None).await.unwrap();
        assert_eq!(memcached.look(&stored(&memcached, "longer", "set")).item.ttl, Some(-1));
        assert_eq!(backend.get("set").await.unwrap(), Some(Vec::new()));
    });
}

/// Reads miss while the server still has the item.
#[test]
fn it_ends_before_the_server_lets_it_go() {
    let memcached = Memcached::shared();
    let backend = backend(&memcached.url(), "exact");
    let mut rounds = 0;
    let is_kept = || {
        block_on(async {
            backend.set("key", b"value", Some(Duration::from_millis(30))).await.unwrap();
            sleep(Duration::from_millis(31));
            assert_eq!(backend.get("key").await.unwrap(), None);
            assert!(backend.get_many(&["key"]).await.pop().unwrap().unwrap().is_none());
            let is_kept = memcached.look(&stored(&memcached, "exact", "key")).hit();
            assert!(!backend.touch("key", None).await.unwrap());
            assert!(!backend.delete("key").await.unwrap());
            is_kept
        })
    };
    wait_until("the server has kept it longer", || {
        rounds += 1;
        is_kept() && rounds >= 10
    });
}

static BODIES: AtomicU32 = AtomicU32::new(0);

#[cache_request(timeout = 60)]
fn long_arguments(text: &str, list: Vec<u64>) -> usize {
    BODIES.fetch_add(1, SeqCst);
    text.len() + list.len()
}

#[test]
fn no_argument_is_too_long_for_a_key() {
    let memcached = Memcached::start(&[]);
    let namespace = "n".repeat(100);
    for more in [String::new(), format!("&namespace={namespace}")] {
        let cache = Cache::from_url(&format!("{}?soft_limit=60s&answer_limit=60s{more}", memcached.url())).unwrap();
        BODIES.store(0, SeqCst);
        scoped_sync(&cache, || {
            for text in
                ["ü".repeat(100_000), "x".repeat(100_000), format!("{}y", "x".repeat(99_999)), " \r\n\0".repeat(1000)]
            {
                for _ in 0..2 {
                    assert_eq!(long_arguments(&text, (0..10_000).collect()), text.len() + 10_000);
                }
            }
        });
        assert_eq!((BODIES.load(SeqCst), cache.stats().faults(), cache.stats().hits()), (4, 0, 4), "{}", cache.stats());
    }
    for refused in ["", "a b", "a:b", "é", &"n".repeat(101)] {
        let error = MemcachedBackend::builder("memcached://h").namespace(refused).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
    }
}

/// It counted as a fault of the server.
#[test]
fn a_key_that_is_too_long_is_at_fault_itself() {
    let memcached = Memcached::shared();
    let backend = backend(&memcached.url(), "long");
    let long = "k".repeat(backend.max_key_bytes() + 1);
    let item = Item { key: &long, value: b"value", timeout: None };
    let kind = |error: cache_request::Error| error.kind();
    block_on(async {
        let outcomes = [
            backend.get(&long).await.map(drop),
            backend.set(&long, b"value", None).await,
            backend.add(&long, b"value", None).await.map(drop),
            backend.touch(&long, None).await.map(drop),
            backend.delete(&long).await.map(drop),
            backend.get_many(&[&long]).await.pop().unwrap().map(drop),
            backend.set_many(&[item]).await.pop().unwrap(),
            backend.delete_many(&[&long]).await.pop().unwrap().map(drop),
        ];
        assert_eq!(outcomes.map(|outcome| outcome.map_err(kind)), [Err(ErrorKind::Key); 8]);
        // Other keys of the batch are not affected.
        let items = [Item { key: "one", ..item }, item, Item { key: "two", ..item }];
        let stored = backend.set_many(&items).await;
        assert_eq!(
            stored.into_iter().map(|outcome| outcome.map_err(kind)).collect::<Vec<_>>(),
            [Ok(()), Err(ErrorKind::Key), Ok(())]
        );
        let found = backend.get_many(&["one", &long, "two"]).await;
        let found: Vec<_> =
            found.into_iter().map(|outcome| outcome.map_err(kind).map(|found| found.is_some())).collect();
        assert_eq!(found, [Ok(true), Err(ErrorKind::Key), Ok(true)]);
        let longest = "k".repeat(backend.max_key_bytes());
        backend.set(&longest, b"value", None).await.unwrap();
        assert_eq!(backend.get(&longest).await.unwrap().as_deref(), Some(&b"value"[..]));
    });
}

#[cache_request(timeout = 60)]
fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|number| ((number * 7919) >> 3) as u8).collect()
}

#[test]
fn what_is_too_large_is_counted_and_not_sent_again() {
    let memcached = Memcached::small();
    let cache = Cache::from_url(&format!("{}?soft_limit=60s&answer_limit=60s", memcached.url())).unwrap();
    scoped_sync(&cache, || {
        for _ in 0..5 {
            assert_eq!(bytes(3_000_000).len(), 3_000_000);
        }
        assert_eq!(bytes(50_000), bytes(50_000));
    });
    let stats = cache.stats();
    println!("{stats}");
    let too_large = stats.functions[0].faults.too_large;
    assert_eq!((too_large, stats.faults(), stats.hits(), stats.bodies()), (5, 5, 1, 6), "{stats}");
    assert_eq!(stats.backend.as_ref().map(|backend| backend.writes.opened), Some(0), "{stats}");

    // The backend learns any limit, and the older value is removed.
    let small = Memcached::small();
    let backend = backend(&small.url(), "small");
    block_on(async {
        let (little, large) = (vec![1; 500], vec![2; 600_000]);
        let item = |key, value| Item { key, value, timeout: None };
        backend.set("b", b"older", None).await.unwrap();
        for _ in 0..2 {
            let items = [item("a", &little), item("b", &large), item("c", &little), item("d", &little)];
            let outcomes = backend.set_many(&items).await;
            let kinds: Vec<_> =
                outcomes.iter().map(|outcome| outcome.as_ref().err().map(cache_request::Error::kind)).collect();
            assert_eq!(kinds, [None, Some(ErrorKind::TooLarge), None, None], "{outcomes:?}");
            let found: Vec<_> = backend.get_many(&["a", "b", "c", "d"]).await.into_iter().map(Result::unwrap).collect();
            assert_eq!(found, [Some(little.clone()), None, Some(little.clone()), Some(little.clone())]);
        }
        assert_eq!(backend.add("e", &large, None).await.unwrap_err().kind(), ErrorKind::TooLarge);
        backend.set("b", b"older", None).await.unwrap();
        assert_eq!(backend.set("b", &large, None).await.unwrap_err().kind(), ErrorKind::TooLarge);
        assert_eq!(backend.get("b").await.unwrap(), None);
    });
}

#[test]
fn a_cleared_namespace_is_cleared_for_all() {
    let (fleet, url) = Memcached::fleet(3);
    let (one, two, other) = (backend(&url, "shared"), backend(&url, "shared"), backend(&url, "other"));
    let keys: Vec<String> = (0..30).map(|number| format!("key{number}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let items: Vec<_> = keys.iter().map(|key| Item { key, value: b"value", timeout: None }).collect();
    let count = |backend: &MemcachedBackend| {
        block_on(backend.get_many(&keys)).into_iter().filter(|found| found.as_ref().unwrap().is_some()).count()
    };
    block_on(async {
        for backend in [&one, &other] {
            assert!(backend.set_many(&items).await.iter().all(Result::is_ok));
        }
        assert_eq!([count(&one), count(&two), count(&other)], [30, 30, 30]);
        one.clear().await.unwrap();
        assert_eq!(count(&one), 0);
        sleep(Duration::from_millis(1001));
        assert_eq!([count(&one), count(&two), count(&other)], [0, 0, 30], "noticed within a second");
        assert!(one.set_many(&items).await.iter().all(Result::is_ok));
        assert_eq!([count(&one), count(&two)], [30, 30]);

        // One server has lost its generation, and the others have it.
        let generation = fleet[0].generation("shared");
        fleet[0].client().delete("shared!generation").send().unwrap();
        sleep(Duration::from_millis(1001));
        assert_eq!([count(&one), count(&two)], [30, 30]);
        assert_eq!(fleet[0].generation("shared"), generation);
        // All have lost it, and no older value comes back.
        wait_until("all have lost it", || {
            // A background task may meanwhile have told a server that had lost it.
            sleep(Duration::from_millis(300));
            for memcached in &fleet {
                memcached.client().delete("shared!generation").send().unwrap();
            }
            fleet.iter().all(|memcached| !memcached.look("shared!generation").hit())
        });
        sleep(Duration::from_millis(1001));
        assert_eq!([count(&two), count(&one)], [0, 0]);
        assert!(fleet.iter().all(|memcached| memcached.generation("shared") > generation));
        assert_eq!(count(&backend(&url, "shared")), 0);
        assert_eq!(count(&other), 30);

        // A process whose clock is ahead has begun the last generation.
        let ahead = u64::MAX / 2;
        for memcached in &fleet {
            memcached.client().set("shared!generation", ahead.to_string()).send().unwrap();
        }
        sleep(Duration::from_millis(1001));
        assert!(one.set_many(&items).await.iter().all(Result::is_ok));
        assert_eq!([count(&one), count(&two)], [30, 30]);
        let new = backend(&url, "shared");
        new.clear().await.unwrap();
        assert_eq!(count(&new), 0);
        sleep(Duration::from_millis(1001));
        assert_eq!([count(&one), count(&two)], [0, 0]);
    });
}

#[test]
fn a_million_bytes_in_many_pieces_take_one_trip_to_each() {
    let (_fleet, url) = Memcached::fleet(3);
    let backend = backend(&url, "many");
    let entries: Vec<(String, Vec<u8>)> = (0..5000_u32)
        .map(|number| (format!("{number}{}", "k".repeat(100)), number.to_le_bytes().repeat(500)))
        .collect();
    let items: Vec<_> = entries.iter().map(|(key, value)| Item { key, value, timeout: Some(DAY) }).collect();
    let keys: Vec<&str> = entries.iter().map(|(key, _)| key.as_str()).collect();
    block_on(async {
        let begun = Instant::now();
        assert!(backend.set_many(&items).await.iter().all(Result::is_ok));
        let set = begun.elapsed();
        let found = backend.get_many(&keys).await;
        let got = begun.elapsed() - set;
        assert!(found.into_iter().zip(&entries).all(|(found, (_, value))| found.unwrap().as_ref() == Some(value)));
        assert!(backend.delete_many(&keys).await.into_iter().all(Result::unwrap));
        println!("5000 values of 2000 bytes: set in {set:.1?}, got in {got:.1?}");
    });
}
