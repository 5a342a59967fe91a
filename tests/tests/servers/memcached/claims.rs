//! Claims and fences, where it matters how they stand on the server.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::Barrier,
    thread,
    time::Duration,
};

use cache_request::{
    ErrorKind,
    backend::{Backend, Claim, ClaimKind, Claimed, Fence, Item, MemcachedBackend, Right},
};
use cache_request_tests::servers::{PATIENCE, memcached::Memcached, wait_until};
use futures_lite::future::block_on;
use memcache::exp::{Delete, Set};

const HOUR: Duration = Duration::from_secs(60 * 60);
const NAMESPACE: &str = "claims";

fn backend(url: &str) -> MemcachedBackend {
    MemcachedBackend::builder(url).namespace(NAMESPACE).answer_limit(PATIENCE).build().unwrap()
}

fn stored(memcached: &Memcached, key: &str) -> String {
    format!("{NAMESPACE}:{:x}:{key}", memcached.generation(NAMESPACE))
}

fn claim(kind: ClaimKind) -> Claim {
    Claim { kind, token: 4711, lease: HOUR }
}

fn leased(claimed: &Claimed) -> Fence {
    if let Right::Leased(fence) = claimed.right { fence } else { panic!("{claimed:?}") }
}

async fn claims(backend: &MemcachedBackend, key: &str, kind: ClaimKind) -> Fence {
    leased(&backend.claim(key, claim(kind)).await.unwrap())
}

async fn stores(backend: &MemcachedBackend, key: &str, value: &[u8], fence: Fence) -> bool {
    backend.set_fenced(key, value, Some(HOUR), fence).await.unwrap()
}

/// How many commands of the meta protocol the server has run.
fn commands(memcached: &Memcached) -> u64 {
    let mut stream = TcpStream::connect(("127.0.0.1", memcached.server.port)).unwrap();
    stream.write_all(b"stats\r\nquit\r\n").unwrap();
    let mut stats = String::new();
    stream.read_to_string(&mut stats).unwrap();
    let count = |name: &str| -> u64 {
        let line = stats.lines().find_map(|line| line.strip_prefix(&format!("STAT {name} ")));
        line.unwrap().trim().parse().unwrap()
    };
    ["cmd_get", "cmd_set", "cmd_touch", "delete_hits", "delete_misses"].map(count).iter().sum()
}

/// The look-up is the claim, and the fence is compared by the command that stores.
#[test]
fn a_claim_of_a_missing_key_took_more_than_one_command() {
    const KEYS: u64 = 200;
    let memcached = Memcached::start(&[]);
    let backend = backend(&memcached.url());
    let keys: Vec<String> = (0..KEYS).map(|number| format!("key{number}")).collect();
    // Now and then, the backend asks for the generation meanwhile.
    let count = |what: &str, before: u64| {
        let commands = commands(&memcached) - before;
        assert!((KEYS..KEYS + KEYS / 2).contains(&commands), "{what} of {KEYS} keys took {commands} commands");
    };
    block_on(async {
        backend.get("other").await.unwrap();
        let before = commands(&memcached);
        let mut fences = Vec::new();
        for key in &keys {
            fences.push(claims(&backend, key, ClaimKind::Missing).await);
        }
        count("claim", before);
        let before = commands(&memcached);
        for (key, fence) in keys.iter().zip(&fences) {
            assert!(stores(&backend, key, b"value", *fence).await);
        }
        count("set_fenced", before);
        let before = commands(&memcached);
        for key in &keys {
            let claimed = backend.claim(key, claim(ClaimKind::Missing)).await.unwrap();
            assert_eq!((claimed.value.as_deref(), claimed.right), (Some(&b"value"[..]), Right::None));
        }
        count("claim of what is there", before);
    });
}

#[test]
fn a_claim_that_the_server_had_lost_stored_its_value() {
    let memcached = Memcached::start(&[]);
    let backend = backend(&memcached.url());
    let losses: [&dyn Fn(); 2] =
        [&|| assert!(memcached.client().run(Delete::new(stored(&memcached, "key"))).unwrap().applied()), &|| {
            let mut stream = TcpStream::connect(("127.0.0.1", memcached.server.port)).unwrap();
            stream.write_all(b"flush_all\r\nquit\r\n").unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert_eq!(answer, "OK\r\n");
        }];
    block_on(async {
        for lose in losses {
            for older_value in [None, Some(&b"oldest"[..])] {
                backend.invalidate("key", Duration::ZERO).await.unwrap();
                if let Some(value) = older_value {
                    backend.set("key", value, None).await.unwrap();
                }
                let older = claims(&backend, "key", ClaimKind::Any).await;
                lose();
                assert!(!stores(&backend, "key", b"older", older).await);
                assert!(!backend.renew("key", older, HOUR).await.unwrap());
                let newer = claims(&backend, "key", ClaimKind::Missing).await;
                assert!(!stores(&backend, "key", b"older", older).await);
                assert!(stores(&backend, "key", b"newer", newer).await);
                assert!(!stores(&backend, "key", b"older", older).await);
                assert_eq!(backend.get("key").await.unwrap().as_deref(), Some(&b"newer"[..]));
            }
        }
    });
}

/// Its numbers begin again, and the same commands get the same ones.
#[test]
fn a_server_that_restarted_gave_a_fence_again() {
    let mut memcached = Memcached::start(&[]);
    let claims_at_first = |memcached: &Memcached| {
        let backend = backend(&memcached.url());
        wait_until("it answers", || block_on(backend.get("key")).is_ok());
        let fence = block_on(claims(&backend, "key", ClaimKind::Missing));
        (memcached.look(&stored(memcached, "key")).item.cas.unwrap(), fence, backend)
    };
    let (older_number, older, _) = claims_at_first(&memcached);
    memcached.server.restart();
    let (newer_number, newer, backend) = claims_at_first(&memcached);
    assert_eq!(older_number, newer_number, "the server has not begun again");
    block_on(async {
        assert!(!stores(&backend, "key", b"older", older).await);
        assert_eq!(backend.get("key").await.unwrap(), None);
        assert!(stores(&backend, "key", b"newer", newer).await);
    });
}

/// Its chunks are written before it is known whether the claim stands.
#[test]
fn a_large_value_with_an_older_fence_left_half_a_value() {
    let memcached = Memcached::start(&[]);
    let backend = backend(&memcached.url());
    let large = |seed: u8| vec![seed; 2 << 20];
    block_on(async {
        for with_value in [false, true] {
            if with_value {
                backend.set("key", &large(1), None).await.unwrap();
            }
            let older = claims(&backend, "key", ClaimKind::Any).await;
            assert_eq!(backend.invalidate("key", Duration::ZERO).await.unwrap(), with_value);
            assert!(!stores(&backend, "key", &large(2), older).await);
            assert_eq!(backend.get("key").await.unwrap(), None);
            let newer = claims(&backend, "key", ClaimKind::Missing).await;
            let item = |value| Item { key: "key", value, timeout: Some(HOUR) };
            let (outdated, new) = (large(3), large(4));
            let stored = backend.set_fenced_many(&[(item(&outdated), older), (item(&new), newer)]).await;
            assert_eq!(stored.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [false, true]);
            assert!(backend.get("key").await.unwrap() == Some(new));
            backend.invalidate("key", Duration::ZERO).await.unwrap();
        }
    });
}

#[test]
fn a_large_value_that_was_evicted_in_part_could_not_be_claimed() {
    let memcached = Memcached::start(&[]);
    let backend = backend(&memcached.url());
    let (old, new) = (vec![1; 1 << 20], vec![2; 1 << 20]);
    block_on(async {
        for kind in [ClaimKind::Missing, ClaimKind::Any, ClaimKind::Anew] {
            backend.set("key", &old, None).await.unwrap();
            if kind != ClaimKind::Anew {
                let claimed = backend.claim("key", claim(ClaimKind::Missing)).await.unwrap();
                assert!(claimed.value.as_ref() == Some(&old) && claimed.right == Right::None);
            }
            let head = memcached.look(&stored(&memcached, "key")).value.unwrap();
            let id = u128::from_le_bytes(head[1..17].try_into().unwrap());
            assert!(memcached.client().run(Delete::new(format!("{NAMESPACE}!{id:032x}.1"))).unwrap().applied());
            let claimed = backend.claim("key", claim(kind)).await.unwrap();
            assert_eq!(claimed.value, None);
            assert!(stores(&backend, "key", &new, leased(&claimed)).await);
            assert!(backend.get("key").await.unwrap().as_ref() == Some(&new));
        }
        // What claims to be a head, and is none.
        let forged = Set::new(stored(&memcached, "key"), b"forged").client_flags(1 << 31);
        assert!(memcached.client().run(forged).unwrap().applied());
        let claimed = backend.claim("key", claim(ClaimKind::Missing)).await.unwrap();
        assert!(stores(&backend, "key", &new, leased(&claimed)).await);
    });
}

/// A touch cannot be bound to one item, and the value would have had the time of the lease.
#[test]
fn a_refused_value_left_the_older_one_and_its_claim() {
    let memcached = Memcached::small();
    let (little, large) = (vec![1; 500], vec![2; 600_000]);
    // The backend learns what the server takes from the first value, and sends no other one.
    let backend = backend(&memcached.url());
    block_on(async {
        for _ in 0..2 {
            for with_value in [false, true] {
                if with_value {
                    backend.set("b", b"older", None).await.unwrap();
                }
                let keys = ["a", "b", "c"];
                let claimed = backend.claim_many(&keys, claim(ClaimKind::Any)).await;
                let fences: Vec<Fence> = claimed.iter().map(|claimed| leased(claimed.as_ref().unwrap())).collect();
                let values = [&little, &large, &little];
                let items = [0, 1, 2].map(|number| {
                    (Item { key: keys[number], value: values[number], timeout: Some(HOUR) }, fences[number])
                });
                let stored = backend.set_fenced_many(&items).await;
                let kinds: Vec<_> =
                    stored.iter().map(|stored| stored.as_ref().map_err(cache_request::Error::kind)).collect();
                assert_eq!(kinds, [Ok(&true), Err(ErrorKind::TooLarge), Ok(&true)]);
                assert_eq!(backend.get("b").await.unwrap(), None);
                // A fence that stands no more removes nothing.
                backend.set("b", b"newer", None).await.unwrap();
                let stored = backend.set_fenced("b", &large, Some(HOUR), fences[1]).await;
                assert!(matches!(stored, Ok(false)), "{stored:?}");
                assert_eq!(backend.get("b").await.unwrap().as_deref(), Some(&b"newer"[..]));
                for key in keys {
                    backend.invalidate(key, Duration::ZERO).await.unwrap();
                }
                claims(&backend, "b", ClaimKind::Missing).await;
                backend.delete("b").await.unwrap();
            }
        }
    });
}

#[test]
fn a_late_renewal_lengthened_a_newer_value() {
    let memcached = Memcached::start(&[]);
    let backend = backend(&memcached.url());
    block_on(async {
        for kind in [ClaimKind::Missing, ClaimKind::Any] {
            let older = claims(&backend, "key", kind).await;
            backend.set("key", b"newer", Some(Duration::from_secs(60))).await.unwrap();
            assert!(!backend.renew("key", older, HOUR).await.unwrap());
            let left = memcached.look(&stored(&memcached, "key")).item.ttl.unwrap();
            assert!((1..=61).contains(&left), "{left} seconds are left of a minute");
            assert_eq!(backend.get("key").await.unwrap().as_deref(), Some(&b"newer"[..]));
        }
    });
}

#[test]
fn a_claim_was_in_the_way_of_other_writes() {
    let memcached = Memcached::start(&[]);
    let backend = backend(&memcached.url());
    let item = Item { key: "key", value: b"many", timeout: None };
    block_on(async {
        for is_renewed in [false, true] {
            for write in 0..5 {
                let fence = claims(&backend, "key", ClaimKind::Missing).await;
                if is_renewed {
                    assert!(backend.renew("key", fence, HOUR).await.unwrap());
                }
                assert!(!backend.touch("key", Some(HOUR)).await.unwrap());
                let is_written = match write {
                    0 => backend.add("key", b"added", None).await.unwrap(),
                    1 => backend.set("key", b"set", None).await.is_ok(),
                    2 => backend.set_many(&[item, item]).await.iter().all(Result::is_ok),
                    3 => !backend.delete("key").await.unwrap(),
                    _ => backend.delete_many(&["key"]).await.iter().all(|gone| matches!(gone, Ok(false))),
                };
                assert!(is_written, "write {write}, renewed: {is_renewed}");
                let found = backend.get("key").await.unwrap();
                assert_eq!(found.is_some(), write < 3, "write {write}, renewed: {is_renewed}");
                assert!(!stores(&backend, "key", b"older", fence).await, "write {write}, renewed: {is_renewed}");
                assert_eq!(backend.get("key").await.unwrap(), found);
                backend.invalidate("key", Duration::ZERO).await.unwrap();
            }
        }
    });
}

/// A value that was set beside the claim, or the claims of the key before, left a record that kept others out.
#[test]
fn the_record_of_a_value_that_is_gone_kept_claims_out() {
    let memcached = Memcached::start(&[]);
    let backend = backend(&memcached.url());
    block_on(async {
        for kind in [ClaimKind::Any, ClaimKind::Anew] {
            backend.set("key", b"one", None).await.unwrap();
            let older = claims(&backend, "key", kind).await;
            backend.set("key", b"two", None).await.unwrap();
            let claimed = backend.claim("key", claim(ClaimKind::Any)).await.unwrap();
            assert_eq!(claimed.value.as_deref(), Some(&b"two"[..]));
            let newer = leased(&claimed);
            assert!(!backend.renew("key", older, HOUR).await.unwrap());
            backend.release("key", older).await.unwrap();
            assert!(!stores(&backend, "key", b"older", older).await);
            assert!(backend.renew("key", newer, HOUR).await.unwrap());
            assert!(stores(&backend, "key", b"newer", newer).await);
        }
    });
}

#[test]
fn a_lost_server_took_the_claims_of_other_servers_along() {
    let (mut fleet, url) = Memcached::fleet(3);
    let backend = backend(&url);
    let keys: Vec<String> = (0..60).map(|number| format!("key{number}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    block_on(async {
        let before = backend.claim_many(&keys, claim(ClaimKind::Missing)).await;
        let fences: Vec<Fence> = before.iter().map(|claimed| leased(claimed.as_ref().unwrap())).collect();
        let is_lost = |key: &str| fleet[0].look(&stored(&fleet[0], key)).item.cas.is_some();
        let lost: Vec<bool> = keys.iter().map(|key| is_lost(key)).collect();
        assert!(lost.contains(&true) && lost.contains(&false));
        fleet[0].server.kill();
        let items: Vec<_> = keys
            .iter()
            .zip(fences)
            .map(|(key, fence)| (Item { key, value: key.as_bytes(), timeout: None }, fence))
            .collect();
        let stored = backend.set_fenced_many(&items).await;
        let claimed = backend.claim_many(&keys, claim(ClaimKind::Any)).await;
        for (number, key) in keys.iter().enumerate() {
            if lost[number] {
                let kinds = [stored[number].as_ref().err(), claimed[number].as_ref().err()];
                let kinds = kinds.map(|error| error.map(cache_request::Error::kind));
                assert_eq!(kinds, [Some(ErrorKind::Unavailable); 2], "{key}");
            } else {
                assert!(stored[number].as_ref().is_ok_and(|stored| *stored), "{key}: {:?}", stored[number]);
                let claimed = claimed[number].as_ref().unwrap();
                assert_eq!(claimed.value.as_deref(), Some(key.as_bytes()));
                leased(claimed);
            }
        }
    });
}

/// Each began a generation when it found none, and used its own for up to a second.
#[test]
fn processes_that_began_at_once_did_not_see_each_others_claims() {
    const PROCESSES: usize = 8;
    let (_fleet, url) = Memcached::fleet(3);
    for round in 0..10 {
        let together = Barrier::new(PROCESSES);
        let first = |_| {
            let builder = MemcachedBackend::builder(&url).namespace(format!("begun{round}")).answer_limit(PATIENCE);
            let (backend, together) = (builder.build().unwrap(), &together);
            move || {
                together.wait();
                matches!(block_on(backend.claim("key", claim(ClaimKind::Missing))).unwrap().right, Right::Leased(_))
            }
        };
        let leased = thread::scope(|threads| {
            let all: Vec<_> = (0..PROCESSES).map(first).map(|first| threads.spawn(first)).collect();
            all.into_iter().map(|one| usize::from(one.join().unwrap())).sum::<usize>()
        });
        assert_eq!(leased, 1, "so many of {PROCESSES} got the lease in round {round}");
    }
}

#[test]
fn a_batch_of_claims_mixed_its_kinds() {
    let memcached = Memcached::start(&[]);
    let backend = backend(&memcached.url());
    let large = vec![7; 1 << 20];
    block_on(async {
        backend.set("large", &large, None).await.unwrap();
        backend.set("small", b"small", None).await.unwrap();
        backend.invalidate("refused", HOUR).await.unwrap();
        backend.set("over", b"over", Some(Duration::from_millis(1))).await.unwrap();
        wait_until("it has ended", || block_on(backend.get("over")).unwrap().is_none());
        let held = claims(&backend, "held", ClaimKind::Missing).await;
        assert!(backend.renew("held", held, HOUR).await.unwrap());
        let keys = ["large", "small", "missing", "refused", "over", "held", "small"];
        for kind in [ClaimKind::Any, ClaimKind::Anew] {
            let claimed: Vec<Claimed> =
                backend.claim_many(&keys, claim(kind)).await.into_iter().map(Result::unwrap).collect();
            assert!(claimed[0].value.as_ref() == Some(&large));
            assert_eq!(claimed[1].value.as_deref(), Some(&b"small"[..]));
            assert!(claimed[2..6].iter().all(|claimed| claimed.value.is_none()));
            let fences: Vec<Fence> = [0, 1, 2, 4].map(|number| leased(&claimed[number])).into();
            assert!(matches!(claimed[3].right, Right::Refused(left) if left <= HOUR), "{:?}", claimed[3]);
            match kind {
                ClaimKind::Anew => {
                    assert_ne!(leased(&claimed[5]), held);
                    assert_ne!(leased(&claimed[6]), fences[1]);
                    assert!(!stores(&backend, "small", b"older", fences[1]).await);
                    assert!(stores(&backend, "small", b"newer", leased(&claimed[6])).await);
                }
                _ => {
                    assert!(matches!(claimed[5].right, Right::Held(fence, left) if fence == held && left <= HOUR));
                    assert!(matches!(claimed[6].right, Right::Held(fence, _) if fence == fences[1]));
                    backend.release("small", fences[1]).await.unwrap();
                    for (key, fence) in ["large", "missing", "over"].iter().zip([0, 2, 3]) {
                        assert!(backend.renew(key, fences[fence], HOUR).await.unwrap(), "{key}");
                        backend.release(key, fences[fence]).await.unwrap();
                    }
                }
            }
        }
    });
}
