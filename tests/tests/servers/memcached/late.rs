//! Abandoned writes that the server executes later.

use std::time::{Duration, Instant};

use cache_request::backend::{Backend, Claim, ClaimKind, Claimed, Item, MemcachedBackend, Right};
use cache_request_tests::servers::{PATIENCE, delay::Delay, memcached::Memcached};
use futures_lite::FutureExt;
use tokio::{runtime::Runtime, time::sleep};

/// The items of such a server have no numbers, and are still stored, replaced and found.
#[test]
fn a_server_without_cas_is_good_enough() {
    let memcached = Memcached::start(&["-C"]);
    let backend = MemcachedBackend::builder(&memcached.url()).answer_limit(PATIENCE).build().unwrap();
    Runtime::new().unwrap().block_on(async {
        for value in [&b"one"[..], b"two"] {
            backend.set("key", value, None).await.unwrap();
            assert_eq!(backend.get("key").await.unwrap().as_deref(), Some(value));
        }
        let items = ["key", "other"].map(|key| Item { key, value: b"three", timeout: None });
        assert!(backend.set_many(&items).await.iter().all(Result::is_ok));
        assert!(!backend.add("key", b"four", None).await.unwrap());
        assert!(backend.touch("key", Some(Duration::from_secs(60))).await.unwrap());
        assert_eq!(backend.get("key").await.unwrap().as_deref(), Some(&b"three"[..]));
        assert!(backend.delete("key").await.unwrap());
        assert!(backend.add("key", b"five", None).await.unwrap());
        assert_eq!(backend.get("key").await.unwrap().as_deref(), Some(&b"five"[..]));
        backend.clear().await.unwrap();
        assert_eq!(backend.get("key").await.unwrap(), None);
        for kind in [ClaimKind::Missing, ClaimKind::Any, ClaimKind::Anew] {
            let claim = Claim { kind, token: 4711, lease: Duration::from_secs(60) };
            let Right::Leased(fence) = backend.claim("key", claim).await.unwrap().right else { panic!("{kind:?}") };
            assert!(backend.renew("key", fence, Duration::from_secs(60)).await.unwrap());
            assert!(backend.set_fenced("key", b"six", None, fence).await.unwrap());
            assert_eq!(backend.get("key").await.unwrap().as_deref(), Some(&b"six"[..]));
            if kind == ClaimKind::Missing {
                assert!(backend.invalidate("key", Duration::ZERO).await.unwrap());
                assert!(!backend.set_fenced("key", b"seven", None, fence).await.unwrap());
            }
        }
    });
}

/// An item that was only claimed is a miss for every reader.
#[test]
fn a_write_that_was_only_begun_is_nothing() {
    for newer in [0, 1, 2, 3] {
        let left = late(Write::Set, OUTDATED, 1, None, &async |backend: &MemcachedBackend| {
            assert_eq!(backend.get("key").await.unwrap(), None);
            match newer {
                0 => assert!(!backend.delete("key").await.unwrap()),
                1 => assert!(!backend.touch("key", None).await.unwrap()),
                2 => assert!(backend.add("key", b"newer", None).await.unwrap()),
                _ => backend.set("key", b"newer", None).await.unwrap(),
            }
        });
        let left = left.expect("a write takes two trips");
        assert_eq!(left.as_deref(), [None, Some(&b"outdated"[..]), Some(b"newer"), Some(b"newer")][newer]);
    }
}

/// The writes that a caller may abandon.
#[derive(Debug, Clone, Copy)]
enum Write {
    Set,
    SetMany,
    Add,
    Touch,
    SetFenced,
    SetFencedMany,
    Renew,
}

const OUTDATED: &[u8] = b"outdated";

/// Stored in chunks, and nearly as small as can be: few pieces on their way.
const LARGE: &[u8] = &[b'l'; 530_000];

impl Write {
    async fn begin(self, backend: &MemcachedBackend, value: &[u8]) {
        match self {
            Self::Set => drop(backend.set("key", value, None).await),
            Self::SetMany => {
                let items = ["key", "other"].map(|key| Item { key, value, timeout: None });
                backend.set_many(&items).await;
            }
            Self::Add => drop(backend.add("key", value, None).await),
            Self::Touch => drop(backend.touch("key", Some(Duration::from_secs(60))).await),
            Self::SetFenced | Self::SetFencedMany | Self::Renew => {
                let claim = Claim { kind: ClaimKind::Any, token: 4711, lease: Duration::from_secs(60) };
                let Ok(Claimed { right: Right::Leased(fence), .. }) = backend.claim("key", claim).await else { return };
                match self {
                    Self::SetFenced => drop(backend.set_fenced("key", value, None, fence).await),
                    Self::Renew => drop(backend.renew("key", fence, Duration::from_secs(120)).await),
                    _ => {
                        let items = ["key", "other"].map(|key| (Item { key, value, timeout: None }, fence));
                        backend.set_fenced_many(&items).await;
                    }
                }
            }
        }
    }
}

/// Abandons a write after so many round trips, runs `newer`, and then lets the server receive the abandoned command. Returns the value of the
/// key after that, or `None` if the write takes no more round trips than that.
///
/// Tries again if the write was abandoned before it was sent, because another command was held up.
fn late(
    write: Write,
    value: &[u8],
    trips: usize,
    older: Option<&[u8]>,
    newer: &impl AsyncFn(&MemcachedBackend),
) -> Option<Option<Vec<u8>>> {
    let outcome = (0..5).find_map(|_| late_or_not(write, value, trips, older, newer).ok());
    outcome.expect("the server has done all that was held up")
}

struct NotSent;

fn late_or_not(
    write: Write,
    value: &[u8],
    trips: usize,
    older: Option<&[u8]>,
    newer: &impl AsyncFn(&MemcachedBackend),
) -> Result<Option<Option<Vec<u8>>>, NotSent> {
    let memcached = Memcached::start(&[]);
    let delay = Delay::before(memcached.server.port);
    let address = format!("memcached://127.0.0.1:{}", delay.port);
    let backend = MemcachedBackend::builder(&address).answer_limit(Duration::from_secs(10)).build().unwrap();
    Runtime::new().unwrap().block_on(async {
        assert_eq!(backend.get("key").await.unwrap(), None);
        if let Some(older) = older {
            backend.set("key", older, None).await.unwrap();
        }
        delay.hold_after(trips);
        let is_held = async {
            while !delay.holds() {
                sleep(Duration::from_millis(5)).await;
            }
            // Long enough for the server to count as lost.
            sleep(Duration::from_millis(150)).await;
            false
        };
        let is_done = async {
            write.begin(&backend, value).await;
            true
        };
        if is_done.or(is_held).await {
            return Ok(None);
        }
        delay.hold_no_more();
        // Until the server is asked again.
        while backend.get("key").await.is_err() {
            sleep(Duration::from_millis(5)).await;
        }
        newer(&backend).await;
        delay.let_go();
        let begun = Instant::now();
        while delay.ended() == 0 {
            if begun.elapsed() > PATIENCE / 4 {
                return Err(NotSent);
            }
            sleep(Duration::from_millis(5)).await;
        }
        Ok(Some(backend.get("key").await.unwrap()))
    })
}

/// Abandons a write after each of its round trips.
fn always_late(write: Write, older: Option<&[u8]>, newer: &impl AsyncFn(&MemcachedBackend), left: Option<&[u8]>) {
    let mut trips = 0;
    while let Some(found) = late(write, OUTDATED, trips, older, newer) {
        assert_eq!(found.as_deref(), left, "{write:?} over {older:?}, given up after {trips} trips");
        trips += 1;
    }
    assert!(trips > 0, "{write:?} was never held up");
}

/// As [`always_late`], with a large value. It goes in many pieces, and may be held up after any.
fn a_large_one_is_always_late(
    write: Write,
    older: Option<&[u8]>,
    newer: &impl AsyncFn(&MemcachedBackend),
    left: Option<&[u8]>,
) {
    let mut trips = 0;
    while let Some(found) = late(write, LARGE, trips, older, newer) {
        assert!(found.as_deref() == left, "{write:?}, given up after {trips} pieces");
        trips += 1;
    }
    assert!(trips > 2, "{write:?} took {trips} pieces: chunks, claim and head");
}

#[test]
fn a_late_write_does_not_undo_a_deletion() {
    let delete = &async |backend: &MemcachedBackend| _ = backend.delete("key").await.unwrap();
    for write in [Write::Set, Write::SetMany, Write::Add] {
        always_late(write, None, delete, None);
    }
    for write in [Write::Set, Write::SetMany, Write::Touch] {
        always_late(write, Some(b"older"), delete, None);
    }
}

#[test]
fn a_late_write_does_not_replace_a_newer_value() {
    let set = &async |backend: &MemcachedBackend| backend.set("key", b"newer", None).await.unwrap();
    for write in [Write::Set, Write::SetMany, Write::Add] {
        always_late(write, None, set, Some(b"newer"));
    }
    for write in [Write::Set, Write::SetMany, Write::Touch] {
        always_late(write, Some(b"older"), set, Some(b"newer"));
    }
}

/// Nor does a claim, or what is done with its fence.
#[test]
fn a_late_fenced_write_does_not_undo_an_invalidation() {
    let invalidate = &async |backend: &MemcachedBackend| {
        backend.invalidate("key", Duration::ZERO).await.unwrap();
    };
    let set = &async |backend: &MemcachedBackend| backend.set("key", b"newer", None).await.unwrap();
    for write in [Write::SetFenced, Write::SetFencedMany, Write::Renew] {
        for older in [None, Some(&b"older"[..])] {
            always_late(write, older, invalidate, None);
            always_late(write, older, set, Some(b"newer"));
        }
    }
    a_large_one_is_always_late(Write::SetFenced, None, invalidate, None);
    a_large_one_is_always_late(Write::SetFenced, Some(LARGE), invalidate, None);
}

/// It has looked at its record before the claim anew took that, and the value is still the same.
#[test]
fn a_late_fenced_write_is_not_stored_after_a_claim_anew() {
    let anew = &async |backend: &MemcachedBackend| {
        let claim = Claim { kind: ClaimKind::Anew, token: 4712, lease: Duration::from_secs(60) };
        let claimed = backend.claim("key", claim).await.unwrap();
        assert!(matches!(claimed.right, Right::Leased(_)), "{claimed:?}");
    };
    for write in [Write::SetFenced, Write::SetFencedMany] {
        for older in [None, Some(&b"older"[..])] {
            always_late(write, older, anew, older);
        }
    }
}

/// Neither the head nor a chunk of it that comes late is a value.
#[test]
fn a_late_head_does_not_undo_a_deletion() {
    let delete = &async |backend: &MemcachedBackend| _ = backend.delete("key").await.unwrap();
    for write in [Write::Set, Write::SetMany, Write::Add] {
        a_large_one_is_always_late(write, None, delete, None);
    }
    for write in [Write::Set, Write::Touch] {
        a_large_one_is_always_late(write, Some(LARGE), delete, None);
    }
}

#[test]
fn a_late_head_does_not_replace_a_newer_value() {
    let newer = &[b'n'; 600_000];
    let set = &async |backend: &MemcachedBackend| backend.set("key", newer, None).await.unwrap();
    a_large_one_is_always_late(Write::Set, None, set, Some(newer));
    a_large_one_is_always_late(Write::Touch, Some(LARGE), set, Some(newer));
}
