//! Values over the server's item limit, which stand there in chunks.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    thread,
    time::Duration,
};

use cache_request::{
    Cache,
    backend::{Backend, Item, MemcachedBackend},
    cache_request, scoped_sync,
};
use cache_request_tests::servers::{PATIENCE, delay::Delay, memcached::Memcached};
use futures_lite::{FutureExt as _, future::block_on};
use memcache::exp::{Delete, GetResult, Set};
use tokio::{runtime::Runtime, time::sleep};

/// The bytes of a chunk.
const CHUNK: usize = (512 << 10) - 512;

const NAMESPACE: &str = "large";
const HOUR: Duration = Duration::from_secs(60 * 60);

fn backend(url: &str) -> MemcachedBackend {
    MemcachedBackend::builder(url).namespace(NAMESPACE).answer_limit(PATIENCE).build().unwrap()
}

/// Bytes that differ from place to place and from seed to seed.
fn value(seed: u8, length: usize) -> Vec<u8> {
    (0..length).map(|place| ((place * 7919) >> 5) as u8 ^ seed).collect()
}

/// The item under a key.
fn head(memcached: &Memcached, key: &str) -> GetResult {
    memcached.look(&stored(memcached, key))
}

fn stored(memcached: &Memcached, key: &str) -> String {
    format!("{NAMESPACE}:{:x}:{key}", memcached.generation(NAMESPACE))
}

/// The keys of the chunks that belong to the head under a key.
fn chunks(memcached: &Memcached, key: &str) -> Vec<String> {
    let head = head(memcached, key).value.expect("a head");
    let id = u128::from_le_bytes(head[1..17].try_into().unwrap());
    let length = usize::try_from(u64::from_le_bytes(head[17..25].try_into().unwrap())).unwrap();
    (0..length.div_ceil(CHUNK)).map(|number| format!("{NAMESPACE}!{id:032x}.{number}")).collect()
}

/// Every operation, with values around the sizes of one and several chunks.
async fn come_back(backend: &MemcachedBackend) {
    for (seed, length) in (0..).zip([CHUNK, CHUNK + 1, 1 << 20, 2 * CHUNK, 2 * CHUNK + 1, 8 << 20]) {
        let (one, other) = (value(seed, length), value(seed + 100, length + 1));
        let key = format!("key{length}");
        for timeout in [None, Some(HOUR)] {
            backend.set(&key, &one, timeout).await.unwrap();
            assert!(backend.get(&key).await.unwrap().as_ref() == Some(&one), "{length}, {timeout:?}");
            assert!(!backend.add(&key, &other, timeout).await.unwrap());
            assert!(backend.touch(&key, timeout.map(|timeout| timeout / 2)).await.unwrap());
            assert!(backend.get(&key).await.unwrap().as_ref() == Some(&one), "{length}, touched");
            backend.set(&key, &other, timeout).await.unwrap();
            assert!(backend.get(&key).await.unwrap().as_ref() == Some(&other), "{length}, replaced");
            backend.set(&key, b"small", timeout).await.unwrap();
            assert_eq!(backend.get(&key).await.unwrap().as_deref(), Some(&b"small"[..]));
            assert!(backend.delete(&key).await.unwrap());
            assert!(backend.add(&key, &one, timeout).await.unwrap());
            assert!(backend.get(&key).await.unwrap().as_ref() == Some(&one), "{length}, added");
            assert!(backend.touch(&key, Some(Duration::ZERO)).await.unwrap());
            assert_eq!(backend.get(&key).await.unwrap(), None);
            assert!(!backend.delete(&key).await.unwrap());
        }
    }
    let entries: Vec<(String, Vec<u8>)> = (0..20)
        .map(|number| (format!("many{number}"), value(number, [10, 3 << 20, CHUNK][usize::from(number) % 3])))
        .collect();
    let items: Vec<_> = entries.iter().map(|(key, value)| Item { key, value, timeout: Some(HOUR) }).collect();
    // The later one of two items with one key stays.
    let (outdated, replaced) = (value(200, 2 << 20), value(201, 2 << 20));
    let twice = [&outdated, &replaced].map(|value| Item { key: "twice", value, timeout: None });
    let all: Vec<_> = twice[..1].iter().chain(&items).chain(&twice[1..]).copied().collect();
    assert!(backend.set_many(&all).await.iter().all(Result::is_ok));
    let keys: Vec<&str> = entries.iter().map(|(key, _)| key.as_str()).chain(["missing", "twice"]).collect();
    let found: Vec<_> = backend.get_many(&keys).await.into_iter().map(Result::unwrap).collect();
    let expected = entries.iter().map(|(_, value)| Some(value)).chain([None, Some(&replaced)]);
    assert!(found.iter().map(Option::as_ref).eq(expected));
    let gone: Vec<_> = backend.delete_many(&keys).await.into_iter().map(Result::unwrap).collect();
    assert!(keys.iter().zip(gone).all(|(key, gone)| gone == (*key != "missing")));
    assert!(backend.get_many(&keys).await.into_iter().all(|found| found.unwrap().is_none()));
    // All that is left are chunks.
    backend.set("cleared", &outdated, None).await.unwrap();
    backend.clear().await.unwrap();
    assert_eq!(backend.get("cleared").await.unwrap(), None);
}

#[test]
fn large_values_come_back_from_one_server_and_from_three() {
    let memcached = Memcached::start(&[]);
    block_on(come_back(&backend(&memcached.url())));
    let (_fleet, url) = Memcached::fleet(3);
    block_on(come_back(&backend(&url)));
    let without_cas = Memcached::start(&["-C"]);
    block_on(come_back(&backend(&without_cas.url())));
}

/// A lost server costs its own keys only, also those of large values.
#[test]
fn chunks_are_where_their_head_is() {
    let (fleet, url) = Memcached::fleet(3);
    let backend = backend(&url);
    let mut servers = Vec::new();
    for key in (0..20).map(|number| format!("key{number}")) {
        block_on(backend.set(&key, &value(1, 1 << 20), None)).unwrap();
        let has_head = |server: &&Memcached| head(server, &key).hit();
        let (position, server) = fleet.iter().enumerate().find(|(_, server)| has_head(server)).unwrap();
        assert!(chunks(server, &key).iter().all(|chunk| server.look(chunk).hit()), "{key}");
        servers.push(position);
    }
    assert!((0..3).all(|server| servers.contains(&server)), "{servers:?}");
}

#[test]
fn chunks_end_with_their_head_and_not_before() {
    let memcached = Memcached::start(&[]);
    let backend = backend(&memcached.url());
    let large = value(1, 2 << 20);
    let minutes = |minutes: u64| Some(Duration::from_secs(60 * minutes));
    let outlive = |seconds: Option<i64>| {
        let left = head(&memcached, "key").item.ttl.unwrap();
        assert!(seconds.is_none_or(|seconds| (seconds - 59..=seconds + 1).contains(&left)), "{left}");
        assert!(seconds.is_some() || left == -1, "{left}");
        for chunk in chunks(&memcached, "key") {
            let chunk = memcached.look(&chunk).item.ttl.unwrap();
            // One that is asked for at the next second has one second less.
            assert!(if left == -1 { chunk == -1 } else { (left - 1..=left + 6).contains(&chunk) }, "{chunk}, {left}");
        }
    };
    block_on(async {
        backend.set("key", &large, minutes(5)).await.unwrap();
        outlive(Some(5 * 60));
        assert!(backend.touch("key", minutes(90)).await.unwrap());
        outlive(Some(90 * 60));
        assert!(backend.touch("key", None).await.unwrap());
        outlive(None);
        assert!(backend.touch("key", minutes(2)).await.unwrap());
        outlive(Some(2 * 60));
        assert!(backend.touch("key", Some(Duration::MAX)).await.unwrap());
        assert!(backend.get("key").await.unwrap().as_ref() == Some(&large), "a longer timeout would be a date");
        let item = Item { key: "key", value: &large, timeout: minutes(7) };
        backend.set_many(&[item]).await.pop().unwrap().unwrap();
        outlive(Some(7 * 60));
        backend.delete("key").await.unwrap();
        assert!(backend.add("key", &large, minutes(9)).await.unwrap());
        outlive(Some(9 * 60));
    });
}

/// What may happen to the items of a large value: its name, and what does it to the chunks of these keys.
type Harm<'a> = (&'a str, &'a dyn Fn(&[String]));

#[test]
fn a_value_whose_chunks_are_not_its_own_is_a_miss_until_it_is_written_again() {
    let memcached = Memcached::start(&[]);
    let backend = backend(&memcached.url());
    let client = memcached.client();
    let (large, other) = (value(1, 2 << 20), value(2, 2 << 20));
    let set = |key: &str, value: &[u8]| assert!(client.run(Set::new(key, value)).unwrap().applied());
    let read = |key: &str| memcached.look(key).value.unwrap();
    let harms: [Harm<'_>; 7] = [
        ("one is gone", &|chunks| drop(client.run(Delete::new(&chunks[3])).unwrap())),
        ("all are gone", &|chunks| chunks.iter().for_each(|chunk| drop(client.run(Delete::new(chunk)).unwrap()))),
        ("one is empty", &|chunks| set(&chunks[0], b"")),
        ("one is short", &|chunks| set(&chunks[1], &read(&chunks[1])[1..])),
        ("the last is long", &|chunks| set(&chunks[4], &[read(&chunks[4]), vec![0]].concat())),
        ("one is another's", &|chunks| set(&chunks[2], &read(&self::chunks(&memcached, "other")[2]))),
        ("the head names another write", &|_| {
            let mut forged = head(&memcached, "key");
            let id = &head(&memcached, "other").value.unwrap()[1..17];
            forged.value.as_mut().unwrap()[1..17].copy_from_slice(id);
            let set = Set::new(stored(&memcached, "key"), forged.value.unwrap());
            assert!(client.run(set.client_flags(forged.client_flags.unwrap())).unwrap().applied());
        }),
    ];
    block_on(async {
        backend.set("other", &other, None).await.unwrap();
        for (harm, does) in harms {
            let item = Item { key: "key", value: &large, timeout: None };
            let harmed = async || {
                backend.set("key", &large, None).await.unwrap();
                does(&chunks(&memcached, "key"));
                assert_eq!(backend.get("key").await.unwrap(), None, "{harm}");
                let found = backend.get_many(&["other", "key"]).await;
                assert!(found[0].as_ref().unwrap().as_ref() == Some(&other), "{harm}");
                assert_eq!(found[1].as_ref().unwrap(), &None, "{harm}");
            };
            let is_healed = async || backend.get("key").await.unwrap().as_ref() == Some(&large);
            harmed().await;
            backend.set("key", &large, None).await.unwrap();
            assert!(is_healed().await, "{harm}, set");
            harmed().await;
            backend.set_many(&[item]).await.pop().unwrap().unwrap();
            assert!(is_healed().await, "{harm}, set_many");
            harmed().await;
            assert!(backend.add("key", &large, None).await.unwrap(), "{harm}");
            assert!(is_healed().await, "{harm}, add");
        }
        backend.set("key", &large, None).await.unwrap();
        harms[0].1(&chunks(&memcached, "key"));
        assert!(!backend.touch("key", Some(HOUR)).await.unwrap(), "a touch of nothing");
    });
}

/// Bytes that claim to be a head are none of this backend's, and the next write replaces them.
#[test]
fn a_head_that_no_backend_wrote_is_corrupt() {
    let memcached = Memcached::start(&[]);
    let backend = backend(&memcached.url());
    let large = value(1, 1 << 20);
    block_on(async {
        backend.set("key", &large, None).await.unwrap();
        let whole = head(&memcached, "key").value.unwrap();
        for length in 0..whole.len() {
            let set = Set::new(stored(&memcached, "key"), &whole[..length]).client_flags(1 << 31);
            assert!(memcached.client().run(set).unwrap().applied());
            let error = backend.get("key").await.unwrap_err();
            assert_eq!(error.kind(), cache_request::ErrorKind::Corrupt, "{error}");
        }
        backend.set("key", &large, None).await.unwrap();
        assert!(backend.get("key").await.unwrap().as_ref() == Some(&large));
    });
}

static BODIES: AtomicU32 = AtomicU32::new(0);

#[cache_request(timeout = 60)]
fn page() -> Vec<u8> {
    BODIES.fetch_add(1, SeqCst);
    value(3, 2 << 20)
}

#[test]
fn the_next_call_heals_what_was_evicted() {
    let memcached = Memcached::start(&[]);
    let cache = || Cache::from_url(&format!("{}?soft_limit=60s&answer_limit=60s", memcached.url())).unwrap();
    let calls = |cache: &Cache| scoped_sync(cache, || assert!(page() == value(3, 2 << 20)));
    let (one, two) = (cache(), cache());
    calls(&one);
    calls(&two);
    assert_eq!(BODIES.load(SeqCst), 1);
    let key = scoped_sync(&one, || page_cache().key().unwrap().to_string());
    let stored = format!("cache-request:{:x}:{key}", memcached.generation("cache-request"));
    let head = memcached.look(&stored).value.expect("a head");
    let id = u128::from_le_bytes(head[1..17].try_into().unwrap());
    assert!(memcached.client().run(Delete::new(format!("cache-request!{id:032x}.1"))).unwrap().applied());
    for _ in 0..2 {
        calls(&two);
        calls(&one);
        assert_eq!(BODIES.load(SeqCst), 2);
    }
    assert_eq!(one.stats().faults() + two.stats().faults(), 0);
}

#[test]
fn two_writers_mixed_their_chunks() {
    const ROUNDS: u8 = 15;

    let memcached = Memcached::start(&[]);
    // Of one length, so that no length tells them apart.
    let values: Vec<_> = (0..2 * ROUNDS).map(|seed| value(seed, 3 * CHUNK)).collect();
    let is_done = AtomicBool::new(false);
    block_on(backend(&memcached.url()).set("key", &values[0], None)).unwrap();
    let whole = thread::scope(|threads| {
        let reader = threads.spawn(|| {
            let backend = backend(&memcached.url());
            let mut whole = 0;
            while !is_done.load(SeqCst) {
                // The chunks of a head that is replaced meanwhile are still there.
                let found = block_on(backend.get("key")).unwrap().expect("mixed chunks are a miss");
                assert!(values.contains(&found), "a value that no writer wrote");
                whole += 1;
            }
            whole
        });
        let writers: Vec<_> = values
            .chunks(ROUNDS.into())
            .map(|values| {
                let backend = backend(&memcached.url());
                threads.spawn(move || {
                    for (number, value) in values.iter().enumerate() {
                        let item = Item { key: "key", value, timeout: Some(HOUR) };
                        let many = [item, Item { key: "other", ..item }];
                        let count = 1 + number % 2;
                        let set = block_on(backend.set_many(&many[..count]));
                        assert!(set.iter().all(Result::is_ok), "{set:?}");
                    }
                })
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        is_done.store(true, SeqCst);
        reader.join().unwrap()
    });
    let last = block_on(backend(&memcached.url()).get("key")).unwrap();
    assert!(values.chunks(ROUNDS.into()).any(|values| values.last() == last.as_ref()), "no writer's last value");
    println!("{whole} whole values read");
}

/// The heads come first, and then the chunks of all of them.
#[test]
fn a_batch_of_large_values_takes_one_trip_more() {
    let memcached = Memcached::start(&[]);
    let delay = Delay::before(memcached.server.port);
    let backend = backend(&format!("memcached://127.0.0.1:{}", delay.port));
    let keys: Vec<String> = (0..4).map(|number| format!("key{number}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let large = value(1, 600 << 10);
    let items: Vec<_> = keys.iter().map(|key| Item { key, value: &large, timeout: None }).collect();
    let within = async |trips: usize| {
        // A server that was held up for long counts as lost.
        while backend.get(keys[0]).await.is_err() {
            sleep(Duration::from_millis(5)).await;
        }
        delay.hold_after(trips);
        let is_held = async {
            while !delay.holds() {
                sleep(Duration::from_millis(5)).await;
            }
            false
        };
        let get = async {
            let found = backend.get_many(&keys).await;
            found.iter().all(|found| found.as_ref().is_ok_and(|found| found.as_ref() == Some(&large)))
        };
        let is_done = get.or(is_held).await;
        delay.hold_no_more();
        delay.let_go();
        is_done
    };
    Runtime::new().unwrap().block_on(async {
        assert!(backend.set_many(&items).await.iter().all(Result::is_ok));
        assert!(!within(1).await);
        // Now and then, the backend asks for the generation meanwhile, which is a trip as well.
        for _ in 0..20 {
            if within(2).await {
                return;
            }
        }
        panic!("it takes more than two trips");
    });
}
