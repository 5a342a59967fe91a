//! The steps that behaviours are made of: operations that must not fail, and checks of what they left.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::Poll,
    time::{Duration, Instant},
};

use futures_lite::future::block_on;

use super::harness::{HOUR, Harness, MILLISECOND};
use crate::{
    Error, ErrorKind,
    backend::{
        contract::{Backend, Item},
        fencing::{Claim, ClaimKind, Claimed, Fence, Right},
    },
    base::{random, timer::sleep},
};

pub(super) async fn get(backend: &impl Backend, key: &str) -> Option<Vec<u8>> {
    let found = backend.get(key).await.unwrap_or_else(|error| panic!("get of {key:?}: {error:?}"));
    if let Some(blocking) = backend.get_blocking(key, HOUR) {
        assert_eq!(blocking.ok().as_ref(), Some(&found), "get_blocking of {key:?} finds something else than get");
    }
    found
}

pub(super) async fn set(backend: &impl Backend, key: &str, value: &[u8], timeout: Option<Duration>) {
    let done = backend.set(key, value, timeout).await;
    done.unwrap_or_else(|error| panic!("set of {key:?}, {} bytes for {timeout:?}: {error:?}", value.len()));
}

/// Whether the backend has `add`. If not, it stores nothing, as with a timeout of zero it would not either.
pub(super) async fn has_add(backend: &impl Backend) -> bool {
    !is_unsupported(&backend.add("add", b"value", Some(Duration::ZERO)).await)
}

/// Whether the backend has `touch`. If so, it is of a key that is missing.
pub(super) async fn has_touch(backend: &impl Backend) -> bool {
    !is_unsupported(&backend.touch("touch", None).await)
}

pub(super) fn is_unsupported(outcome: &Result<bool, Error>) -> bool {
    outcome.as_ref().is_err_and(|error| error.kind() == ErrorKind::Unsupported)
}

pub(super) async fn adds_or_not(backend: &impl Backend, key: &str, value: &[u8], timeout: Option<Duration>) -> bool {
    let done = backend.add(key, value, timeout).await;
    done.unwrap_or_else(|error| panic!("add of {key:?}, {} bytes for {timeout:?}: {error:?}", value.len()))
}

pub(super) async fn adds(
    backend: &impl Backend,
    key: &str,
    value: &[u8],
    timeout: Option<Duration>,
    nothing_was_there: bool,
) {
    let says = adds_or_not(backend, key, value, timeout).await;
    assert_eq!(says, nothing_was_there, "what add of {key:?} for {timeout:?} says");
}

pub(super) async fn touches_or_not(backend: &impl Backend, key: &str, timeout: Option<Duration>) -> bool {
    let done = backend.touch(key, timeout).await;
    done.unwrap_or_else(|error| panic!("touch of {key:?} for {timeout:?}: {error:?}"))
}

pub(super) async fn touches(backend: &impl Backend, key: &str, timeout: Option<Duration>, was_there: bool) {
    assert_eq!(touches_or_not(backend, key, timeout).await, was_there, "what touch of {key:?} for {timeout:?} says");
}

pub(super) async fn deletes_or_not(backend: &impl Backend, key: &str) -> bool {
    backend.delete(key).await.unwrap_or_else(|error| panic!("delete of {key:?}: {error:?}"))
}

pub(super) async fn deletes(backend: &impl Backend, key: &str, was_there: bool) {
    assert_eq!(deletes_or_not(backend, key).await, was_there, "what delete of {key:?} says");
}

pub(super) async fn clear(backend: &impl Backend) {
    backend.clear().await.unwrap_or_else(|error| panic!("clear: {error:?}"));
}

pub(super) async fn holds(backend: &impl Backend, key: &str, value: &[u8]) {
    let found = get(backend, key).await;
    let found = found.unwrap_or_else(|| panic!("get of {key:?} found nothing instead of {} bytes", value.len()));
    // Not `assert_eq`, which would print megabytes.
    assert!(
        found == value,
        "get of {key:?} found {:?}… ({} bytes) instead of {:?}… ({} bytes)",
        found[..found.len().min(30)].escape_ascii().to_string(),
        found.len(),
        value[..value.len().min(30)].escape_ascii().to_string(),
        value.len(),
    );
}

pub(super) async fn get_many(backend: &impl Backend, keys: &[&str]) -> Vec<Option<Vec<u8>>> {
    outcomes("get_many", keys, backend.get_many(keys).await)
}

pub(super) async fn set_many(backend: &impl Backend, items: &[Item<'_>]) {
    let keys: Vec<&str> = items.iter().map(|item| item.key).collect();
    outcomes("set_many", &keys, backend.set_many(items).await);
}

pub(super) async fn delete_many(backend: &impl Backend, keys: &[&str]) -> Vec<bool> {
    outcomes("delete_many", keys, backend.delete_many(keys).await)
}

/// Checks that there are as many outcomes as keys, and no errors.
pub(super) fn outcomes<T>(operation: &str, keys: &[&str], outcomes: Vec<Result<T, Error>>) -> Vec<T> {
    assert_eq!(outcomes.len(), keys.len(), "how many outcomes {operation} has for its keys");
    let checked = outcomes.into_iter().zip(keys);
    checked.map(|(done, key)| done.unwrap_or_else(|error| panic!("{operation}, of {key:?}: {error:?}"))).collect()
}

/// Checks what `get_many` finds under each key.
pub(super) async fn holds_many(backend: &impl Backend, keys: &[&str], values: &[Option<&[u8]>]) {
    for ((key, value), found) in keys.iter().zip(values).zip(get_many(backend, keys).await) {
        // Not `assert_eq`, as above.
        assert!(
            found.as_deref() == *value,
            "get_many found {:?} bytes under {key:?} instead of {:?}, or others",
            found.as_ref().map(Vec::len),
            value.map(<[u8]>::len),
        );
    }
}

pub(super) async fn missing(backend: &impl Backend, key: &str) {
    let found = get(backend, key).await.map(|found| found.len());
    assert_eq!(found, None, "get of {key:?} found a value of so many bytes where there is none");
}

/// Sets all keys, each to its own value, and checks all of them before and after half of them are removed.
pub(super) async fn stay_apart(backend: &impl Backend, keys: &[String]) {
    for key in keys {
        missing(backend, key).await;
        set(backend, key, key.as_bytes(), None).await;
    }
    for key in keys {
        holds(backend, key, key.as_bytes()).await;
    }
    for (number, key) in keys.iter().enumerate() {
        if number % 2 == 0 {
            deletes(backend, key, true).await;
        }
    }
    for (number, key) in keys.iter().enumerate() {
        if number % 2 == 0 {
            missing(backend, key).await;
        } else {
            holds(backend, key, key.as_bytes()).await;
        }
    }
}

/// Checks that a value with this timeout is there until its end, and not after. In real time, a machine may be too slow to see it
/// before its end, so that is checked with a long timeout.
pub(super) async fn ends<H: Harness>(harness: &H, backend: &H::Backend, timeout: Duration) {
    set(backend, "timeout", b"value", Some(timeout)).await;
    if harness.time_stands_still() {
        holds(backend, "timeout", b"value").await;
        harness.advance(timeout - MILLISECOND).await;
        holds(backend, "timeout", b"value").await;
        harness.advance(MILLISECOND).await;
    } else {
        set(backend, "longer", b"value", Some(HOUR)).await;
        after(harness, timeout).await;
        holds(backend, "longer", b"value").await;
    }
    missing(backend, "timeout").await;
}

pub(super) async fn claims(backend: &impl Backend, key: &str, kind: ClaimKind, lease: Duration) -> Claimed {
    let claimed = backend.claim(key, Claim { kind, token: random::number(), lease }).await;
    claimed.unwrap_or_else(|error| panic!("claim of {key:?}, {kind:?}: {error:?}"))
}

/// Claims a key, and returns the fence. The lease must be free.
pub(super) async fn leased(backend: &impl Backend, key: &str, kind: ClaimKind, lease: Duration) -> Fence {
    match claims(backend, key, kind, lease).await.right {
        Right::Leased(fence) => fence,
        right => panic!("claim of {key:?}, {kind:?}, gets {right:?} where the lease is free"),
    }
}

/// Checks whether a claim gets the lease.
pub(super) async fn claims_or_not(backend: &impl Backend, key: &str, kind: ClaimKind, lease: Duration, gets_it: bool) {
    let right = claims(backend, key, kind, lease).await.right;
    assert_eq!(matches!(right, Right::Leased(_)), gets_it, "whether a claim of {key:?} gets the lease: {right:?}");
}

pub(super) async fn sets_fenced(
    backend: &impl Backend,
    key: &str,
    value: &[u8],
    timeout: Option<Duration>,
    fence: Fence,
    stands: bool,
) {
    let done = backend.set_fenced(key, value, timeout, fence).await;
    let stored = done.unwrap_or_else(|error| panic!("set_fenced of {key:?}, {} bytes: {error:?}", value.len()));
    assert_eq!(stored, stands, "what set_fenced of {key:?}, {} bytes for {timeout:?}, says", value.len());
}

pub(super) async fn renews(backend: &impl Backend, key: &str, fence: Fence, lease: Duration, stands: bool) {
    let renewed = backend.renew(key, fence, lease).await.unwrap_or_else(|error| panic!("renew of {key:?}: {error:?}"));
    assert_eq!(renewed, stands, "what renew of {key:?} says");
}

pub(super) async fn releases(backend: &impl Backend, key: &str, fence: Fence) {
    backend.release(key, fence).await.unwrap_or_else(|error| panic!("release of {key:?}: {error:?}"));
}

pub(super) async fn invalidates(backend: &impl Backend, key: &str, refuse: Duration, was_there: bool) {
    let done = backend.invalidate(key, refuse).await.unwrap_or_else(|error| panic!("invalidate of {key:?}: {error:?}"));
    assert_eq!(done, was_there, "what invalidate of {key:?} for {refuse:?} says");
}

/// As [`ends`], for a value that is stored with a fence.
pub(super) async fn ends_fenced<H: Harness>(harness: &H, backend: &H::Backend, timeout: Duration) {
    let fence = leased(backend, "timeout", ClaimKind::Missing, HOUR).await;
    sets_fenced(backend, "timeout", b"value", Some(timeout), fence, true).await;
    if harness.time_stands_still() {
        harness.advance(timeout - MILLISECOND).await;
        holds(backend, "timeout", b"value").await;
        harness.advance(MILLISECOND).await;
    } else {
        after(harness, timeout).await;
    }
    missing(backend, "timeout").await;
    let claimed = claims(backend, "timeout", ClaimKind::Missing, HOUR).await;
    let Claimed { value: None, right: Right::Leased(fence) } = claimed else {
        panic!("a claim of a key whose value has expired gets {claimed:?}")
    };
    releases(backend, "timeout", fence).await;
}

/// Waits until a timeout has passed.
pub(super) async fn after(harness: &impl Harness, timeout: Duration) {
    harness.advance(if harness.time_stands_still() { timeout } else { timeout + harness.slack() }).await;
}

/// Bytes that cannot be compressed, and are different for each of a few thousand seeds.
pub(super) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x2545_f491_4f6c_dd1d;
    // Whole words at a time, since this code is not optimised in tests.
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Runs all futures concurrently, on this thread.
pub(super) async fn all(futures: impl Iterator<Item = impl Future<Output = ()>>) {
    let mut waiting: Vec<Pin<Box<_>>> = futures.map(Box::pin).collect();
    poll_fn(|context| {
        waiting.retain_mut(|future| future.as_mut().poll(context).is_pending());
        if waiting.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

pub(super) fn on_another_thread(future: impl Future<Output = ()> + Send) {
    std::thread::scope(|threads| threads.spawn(|| block_on(future)).join().expect("on another thread"));
}

/// Polls a future `polls` times, lets other threads run in between, and drops it.
///
/// A backend may take a caller that gives up after a while as a sign that its server does not answer, and refuse other calls until it
/// does. On a busy machine this thread can be such a caller. Then this waits for a call that succeeds.
pub(super) async fn drop_after<T>(polls: usize, backend: &impl Backend, future: impl Future<Output = T>) {
    let begun = Instant::now();
    drop_after_polls(polls, future).await;
    if begun.elapsed() >= HELD_UP {
        let mut attempts = 0;
        while let Err(error) = backend.get("key").await {
            attempts += 1;
            assert!(attempts < 1000, "get long after futures were dropped: {error:?}");
            sleep(10 * MILLISECOND).await;
        }
    }
}

/// A caller that gives up earlier has not waited for its answer.
const HELD_UP: Duration = Duration::from_millis(50);

async fn drop_after_polls<T>(polls: usize, future: impl Future<Output = T>) {
    let mut future = pin!(future);
    for _ in 0..polls {
        if futures_lite::future::poll_once(future.as_mut()).await.is_some() {
            break;
        }
        std::thread::yield_now();
    }
}
