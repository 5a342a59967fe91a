//! Claims and fences.

use std::{
    sync::{Barrier, Mutex},
    thread,
    time::Duration,
};

use futures_lite::future::block_on;

use super::{
    harness::{DAY, HOUR, Harness, MILLISECOND, SECOND},
    steps::{
        after, all, claims, claims_or_not, clear, deletes_or_not, drop_after, ends_fenced, holds, invalidates, leased,
        missing, noise, on_another_thread, releases, renews, set, sets_fenced,
    },
};
use crate::backend::{
    contract::{Backend, Item},
    fencing::{Claim, ClaimKind, Claimed, Fence, Right},
};

/// A claim of a key that has a value returns the value, and claims nothing.
pub async fn a_claim_returns_the_value_that_is_there(harness: &impl Harness) {
    let backend = harness.backend().await;
    if !backend.has_fences() {
        return;
    }
    for value in [&noise(7, 100_000)[..], b"value", b""] {
        set(&backend, "key", value, Some(HOUR)).await;
        let claimed = claims(&backend, "key", ClaimKind::Missing, HOUR).await;
        assert!(claimed.value.as_deref() == Some(value), "a claim of a key returns its value");
        assert_eq!(claimed.right, Right::None, "the right of a claim of a key that has a value");
        // That was no claim which another one could find.
        leased(&backend, "key", ClaimKind::Any, HOUR).await;
        invalidates(&backend, "key", Duration::ZERO, true).await;
    }
}

/// The first claim of a key without a value gets the lease. Others are told that it is held, and get the same fence.
pub async fn of_two_claims_the_first_one_gets_the_lease(harness: &impl Harness) {
    let backend = harness.backend().await;
    if !backend.has_fences() {
        return;
    }
    let first = leased(&backend, "key", ClaimKind::Missing, HOUR).await;
    for kind in [ClaimKind::Missing, ClaimKind::Any] {
        let claimed = claims(&backend, "key", kind, 2 * HOUR).await;
        assert_eq!(claimed.value, None, "what is stored under a key that is only claimed");
        match claimed.right {
            Right::Held(fence, left) => {
                assert_eq!(fence, first, "the fence of the second claim");
                assert!(left <= HOUR && left > HOUR / 2, "the time that is left of an hour: {left:?}");
            }
            right => panic!("a second claim gets {right:?}"),
        }
    }
    leased(&backend, "other", ClaimKind::Missing, HOUR).await;
}

/// A claim is no value: it is not got and not deleted, and it is no longer there after `clear`.
pub async fn a_claim_is_no_value(harness: &impl Harness) {
    let backend = harness.backend().await;
    if !backend.has_fences() {
        return;
    }
    leased(&backend, "key", ClaimKind::Missing, HOUR).await;
    missing(&backend, "key").await;
    let found = backend.get_many(&["key"]).await;
    assert!(matches!(found[..], [Ok(None)]), "get_many of a key that is only claimed: {found:?}");
    assert!(!deletes_or_not(&backend, "key").await, "what delete of a key says that is only claimed");
    invalidates(&backend, "key", Duration::ZERO, false).await;
    leased(&backend, "key", ClaimKind::Missing, HOUR).await;
}

/// A value is stored with the fence of its claim, and with that only once.
pub async fn a_fence_stores_one_value(harness: &impl Harness) {
    let backend = harness.backend().await;
    if !backend.has_fences() {
        return;
    }
    let fence = leased(&backend, "key", ClaimKind::Missing, HOUR).await;
    sets_fenced(&backend, "key", b"first", Some(HOUR), fence, true).await;
    holds(&backend, "key", b"first").await;
    sets_fenced(&backend, "key", b"second", Some(HOUR), fence, false).await;
    sets_fenced(&backend, "key", b"second", Some(Duration::ZERO), fence, false).await;
    holds(&backend, "key", b"first").await;
    // Nor with a fence of another key, or of no key.
    let other = leased(&backend, "other", ClaimKind::Missing, HOUR).await;
    sets_fenced(&backend, "never-claimed", b"value", Some(HOUR), fence, false).await;
    missing(&backend, "never-claimed").await;
    sets_fenced(&backend, "other", b"other", None, other, true).await;
    holds(&backend, "other", b"other").await;
}

/// What was claimed before an invalidation, or before `clear`, is not stored after it.
pub async fn what_is_claimed_before_an_invalidation_is_not_stored(harness: &impl Harness) {
    let backend = harness.backend().await;
    if !backend.has_fences() {
        return;
    }
    for round in 0..4 {
        let older = leased(&backend, "key", ClaimKind::Missing, HOUR).await;
        if round % 2 == 0 {
            invalidates(&backend, "key", Duration::ZERO, false).await;
        } else {
            clear(&backend).await;
        }
        sets_fenced(&backend, "key", b"older", Some(HOUR), older, false).await;
        missing(&backend, "key").await;
        // The same holds beside a newer claim.
        let newer = leased(&backend, "key", ClaimKind::Missing, HOUR).await;
        assert_ne!(older, newer, "a fence was used again");
        sets_fenced(&backend, "key", b"older", Some(HOUR), older, false).await;
        missing(&backend, "key").await;
        renews(&backend, "key", older, HOUR, false).await;
        releases(&backend, "key", older).await;
        sets_fenced(&backend, "key", b"newer", Some(HOUR), newer, true).await;
        holds(&backend, "key", b"newer").await;
        // And after it has ended.
        sets_fenced(&backend, "key", b"older", Some(HOUR), older, false).await;
        holds(&backend, "key", b"newer").await;
        invalidates(&backend, "key", Duration::ZERO, true).await;
        missing(&backend, "key").await;
    }
}

/// A claim to replace a value returns it and gets the lease. The value stays until the new one is stored.
pub async fn a_value_stays_until_it_is_replaced(harness: &impl Harness) {
    let backend = harness.backend().await;
    if !backend.has_fences() {
        return;
    }
    set(&backend, "key", b"old", Some(HOUR)).await;
    for round in 0_u8..3 {
        let fence = leased(&backend, "key", ClaimKind::Any, HOUR).await;
        let claimed = claims(&backend, "key", ClaimKind::Any, HOUR).await;
        let old = if round == 0 { b"old".to_vec() } else { vec![round - 1] };
        assert_eq!(claimed.value.as_ref(), Some(&old), "the value that is being replaced");
        assert!(matches!(claimed.right, Right::Held(held, _) if held == fence), "{claimed:?} beside {fence:?}");
        holds(&backend, "key", &old).await;
        sets_fenced(&backend, "key", &[round], Some(HOUR), fence, true).await;
        holds(&backend, "key", &[round]).await;
    }
    let fence = leased(&backend, "key", ClaimKind::Any, HOUR).await;
    invalidates(&backend, "key", Duration::ZERO, true).await;
    sets_fenced(&backend, "key", b"older", Some(HOUR), fence, false).await;
    missing(&backend, "key").await;
}

/// A claim anew ends the older claim, with or without a value.
pub async fn a_claim_anew_ends_the_older_one(harness: &impl Harness) {
    let backend = harness.backend().await;
    if !backend.has_fences() {
        return;
    }
    for with_value in [false, true] {
        if with_value {
            set(&backend, "key", b"old", Some(HOUR)).await;
        }
        let older = leased(&backend, "key", ClaimKind::Any, HOUR).await;
        let newer = leased(&backend, "key", ClaimKind::Anew, HOUR).await;
        assert_ne!(older, newer, "the fence of a claim anew");
        sets_fenced(&backend, "key", b"older", Some(HOUR), older, false).await;
        let claimed = claims(&backend, "key", ClaimKind::Any, HOUR).await;
        assert_eq!(claimed.value.is_some(), with_value, "a claim anew changes no value");
        assert!(matches!(claimed.right, Right::Held(held, _) if held == newer), "{claimed:?} beside {newer:?}");
        sets_fenced(&backend, "key", b"newer", Some(HOUR), newer, true).await;
        holds(&backend, "key", b"newer").await;
        invalidates(&backend, "key", Duration::ZERO, true).await;
    }
}

/// After its time, a claim is over: another caller gets the lease, and the value of the first one is not stored.
pub async fn a_claim_ends_with_its_lease(harness: &impl Harness) {
    let backend = harness.backend().await;
    if !backend.has_fences() {
        return;
    }
    let first = leased(&backend, "key", ClaimKind::Missing, SECOND).await;
    set(&backend, "with-value", b"old", Some(HOUR)).await;
    let of_value = leased(&backend, "with-value", ClaimKind::Any, SECOND).await;
    if harness.time_stands_still() {
        harness.advance(SECOND - MILLISECOND).await;
        claims_or_not(&backend, "key", ClaimKind::Missing, SECOND, false).await;
        harness.advance(MILLISECOND).await;
    } else {
        after(harness, SECOND).await;
    }
    sets_fenced(&backend, "key", b"first", Some(HOUR), first, false).await;
    sets_fenced(&backend, "with-value", b"first", Some(HOUR), of_value, false).await;
    renews(&backend, "key", first, HOUR, false).await;
    holds(&backend, "with-value", b"old").await;
    missing(&backend, "key").await;
    let second = leased(&backend, "key", ClaimKind::Missing, HOUR).await;
    leased(&backend, "with-value", ClaimKind::Any, HOUR).await;
    sets_fenced(&backend, "key", b"first", Some(HOUR), first, false).await;
    sets_fenced(&backend, "key", b"second", Some(HOUR), second, true).await;
    holds(&backend, "key", b"second").await;
}

/// A claim that is renewed lasts longer.
pub async fn a_renewed_claim_lasts(harness: &impl Harness) {
    let backend = harness.backend().await;
    if !backend.has_fences() {
        return;
    }
    let fence = leased(&backend, "key", ClaimKind::Missing, HOUR).await;
    renews(&backend, "key", fence, SECOND, true).await;
    set(&backend, "with-value", b"old", Some(DAY)).await;
    let of_value = leased(&backend, "with-value", ClaimKind::Any, HOUR).await;
    renews(&backend, "with-value", of_value, 2 * HOUR, true).await;
    renews(&backend, "never-claimed", fence, HOUR, false).await;
    after(harness, SECOND).await;
    renews(&backend, "key", fence, HOUR, false).await;
    let fence = leased(&backend, "key", ClaimKind::Missing, HOUR).await;
    renews(&backend, "key", fence, 3 * HOUR, true).await;
    if harness.time_stands_still() {
        harness.advance(HOUR).await;
    }
    sets_fenced(&backend, "with-value", b"new", Some(HOUR), of_value, true).await;
    holds(&backend, "with-value", b"new").await;
    sets_fenced(&backend, "key", b"value", Some(HOUR), fence, true).await;
    holds(&backend, "key", b"value").await;
}

/// After `release`, the next claim gets the lease at once. `release` with another fence changes nothing.
pub async fn a_released_claim_is_free(harness: &impl Harness) {
    let backend = harness.backend().await;
    if !backend.has_fences() {
        return;
    }
    for with_value in [false, true] {
        if with_value {
            set(&backend, "key", b"old", Some(HOUR)).await;
        }
        let other = leased(&backend, "other", ClaimKind::Any, HOUR).await;
        releases(&backend, "other", other).await;
        let first = leased(&backend, "key", ClaimKind::Any, HOUR).await;
        releases(&backend, "key", other).await;
        releases(&backend, "never-claimed", first).await;
        claims_or_not(&backend, "key", ClaimKind::Any, HOUR, false).await;
        releases(&backend, "key", first).await;
        let second = leased(&backend, "key", ClaimKind::Any, HOUR).await;
        assert_ne!(first, second, "a fence was used again");
        sets_fenced(&backend, "key", b"first", Some(HOUR), first, false).await;
        sets_fenced(&backend, "key", b"second", Some(HOUR), second, true).await;
        holds(&backend, "key", b"second").await;
        invalidates(&backend, "key", Duration::ZERO, true).await;
    }
}

/// After an invalidation that refuses values, there is no claim until its time is over.
pub async fn an_invalidation_may_refuse_values_for_a_while(harness: &impl Harness) {
    let backend = harness.backend().await;
    if !backend.has_fences() {
        return;
    }
    set(&backend, "with-value", b"old", Some(HOUR)).await;
    let older = leased(&backend, "key", ClaimKind::Missing, HOUR).await;
    invalidates(&backend, "key", 2 * SECOND, false).await;
    invalidates(&backend, "with-value", 2 * SECOND, true).await;
    // A shorter one does not end the longer one.
    invalidates(&backend, "key", Duration::ZERO, false).await;
    invalidates(&backend, "key", MILLISECOND, false).await;
    for key in ["key", "with-value"] {
        let begun = std::time::Instant::now();
        for kind in [ClaimKind::Missing, ClaimKind::Any, ClaimKind::Anew] {
            let claimed = claims(&backend, key, kind, HOUR).await;
            if harness.time_stands_still() || begun.elapsed() < SECOND / 2 {
                assert_eq!(claimed.value, None, "what is stored under an invalidated key");
                let left = 2 * SECOND + harness.slack();
                assert!(matches!(claimed.right, Right::Refused(time) if time <= left), "{kind:?} gets {claimed:?}");
            } else if let Right::Leased(fence) = claimed.right {
                // The machine is too slow to see it.
                releases(&backend, key, fence).await;
            }
        }
        missing(&backend, key).await;
    }
    sets_fenced(&backend, "key", b"older", Some(HOUR), older, false).await;
    after(harness, 2 * SECOND).await;
    for key in ["key", "with-value"] {
        let fence = leased(&backend, key, ClaimKind::Missing, HOUR).await;
        sets_fenced(&backend, key, b"new", Some(HOUR), fence, true).await;
        holds(&backend, key, b"new").await;
    }
}

/// If 32 tasks on 4 threads claim one key at the same time, one of them gets the lease, and all get its fence.
pub async fn of_concurrent_claims_exactly_one_gets_the_lease(harness: &impl Harness) {
    const THREADS: usize = 4;
    const TASKS: usize = 8;
    let backend = &harness.backend().await;
    if !backend.has_fences() {
        return;
    }
    for number in 0..16 {
        let (key, kind) = (&format!("key{number}"), if number % 2 == 0 { ClaimKind::Missing } else { ClaimKind::Any });
        if kind == ClaimKind::Any {
            set(backend, key, b"old", Some(HOUR)).await;
        }
        let (together, rights) = (&Barrier::new(THREADS), &Mutex::new(Vec::new()));
        thread::scope(|threads| {
            for _ in 0..THREADS {
                threads.spawn(move || {
                    together.wait();
                    block_on(all((0..TASKS).map(|_| async move {
                        let right = claims(backend, key, kind, HOUR).await.right;
                        rights.lock().expect("no thread panics here").push(right);
                    })));
                });
            }
        });
        let rights = rights.lock().expect("no thread panics here");
        let leased: Vec<Fence> = rights
            .iter()
            .filter_map(|right| if let Right::Leased(fence) = right { Some(*fence) } else { None })
            .collect();
        assert_eq!(leased.len(), 1, "how many of the tasks that claimed {key:?} at once got the lease: {rights:?}");
        let held = rights.iter().filter(|right| matches!(right, Right::Held(fence, _) if *fence == leased[0])).count();
        assert_eq!(held, THREADS * TASKS - 1, "how many got the fence of the lease: {rights:?}");
    }
}

/// Beside invalidations on other threads, a value is never stored that was claimed before one: once an invalidation has returned, the
/// value is of a claim that came after it.
pub async fn no_value_outlives_an_invalidation_beside_it(harness: &impl Harness) {
    const ROUNDS: u64 = 50;
    let backend = &harness.backend().await;
    if !backend.has_fences() {
        return;
    }
    let counter = &std::sync::atomic::AtomicU64::new(0);
    let done = &std::sync::atomic::AtomicBool::new(false);
    thread::scope(|threads| {
        for _ in 0..3 {
            threads.spawn(move || {
                block_on(async {
                    while !done.load(std::sync::atomic::Ordering::SeqCst) {
                        let right = claims(backend, "key", ClaimKind::Any, HOUR).await.right;
                        let (Right::Leased(fence) | Right::Held(fence, _)) = right else { continue };
                        let made = counter.load(std::sync::atomic::Ordering::SeqCst);
                        thread::yield_now();
                        let stored = backend.set_fenced("key", &made.to_le_bytes(), Some(HOUR), fence).await;
                        stored.unwrap_or_else(|error| panic!("set_fenced beside others: {error:?}"));
                    }
                });
            });
        }
        block_on(async {
            for _ in 0..ROUNDS {
                let now = counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
                let invalidated = backend.invalidate("key", Duration::ZERO).await;
                invalidated.unwrap_or_else(|error| panic!("invalidate beside others: {error:?}"));
                for _ in 0..3 {
                    // Without `get_blocking`, which may find another value a moment later.
                    if let Some(value) = backend.get("key").await.expect("get beside others") {
                        let made = u64::from_le_bytes(value.try_into().expect("eight bytes were stored"));
                        assert!(made >= now, "a value made at {made} is there after the invalidation at {now}");
                    }
                }
            }
            done.store(true, std::sync::atomic::Ordering::SeqCst);
        });
    });
}

/// A fenced value has its timeout, and replaces that of the older value. One of zero removes the value and ends the claim.
pub async fn a_fenced_value_ends_with_its_timeout(harness: &impl Harness) {
    let backend = harness.backend().await;
    if !backend.has_fences() {
        return;
    }
    ends_fenced(harness, &backend, SECOND).await;
    for timeout in [None, Some(31 * DAY)] {
        set(&backend, "key", b"old", Some(SECOND)).await;
        let fence = leased(&backend, "key", ClaimKind::Any, HOUR).await;
        sets_fenced(&backend, "key", b"new", timeout, fence, true).await;
        after(harness, SECOND).await;
        holds(&backend, "key", b"new").await;
    }
    let fence = leased(&backend, "key", ClaimKind::Any, HOUR).await;
    sets_fenced(&backend, "key", b"none", Some(Duration::ZERO), fence, true).await;
    missing(&backend, "key").await;
    leased(&backend, "key", ClaimKind::Missing, HOUR).await;
}

/// Fenced values of all sizes come back, under all keys, or are refused. A refused value ends its claim and removes the older value.
pub async fn every_fenced_value_survives_or_is_refused(harness: &impl Harness) {
    let backend = harness.backend().await;
    if !backend.has_fences() {
        return;
    }
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    let long = "k".repeat(backend.max_key_bytes().min(4000));
    let keys = ["k", "a:b", "a{b}c", "%20", &long[1..], &long];
    for value in [&b""[..], &every_byte, &noise(8, 300_000)] {
        for key in keys {
            let fence = leased(&backend, key, ClaimKind::Any, HOUR).await;
            sets_fenced(&backend, key, value, Some(HOUR), fence, true).await;
        }
        for key in keys {
            holds(&backend, key, value).await;
        }
    }
    let large = noise(9, 6 << 20);
    set(&backend, "key", b"old", Some(HOUR)).await;
    let fence = leased(&backend, "key", ClaimKind::Any, HOUR).await;
    match backend.set_fenced("key", &large, Some(HOUR), fence).await {
        Ok(stored) => {
            assert!(stored, "set_fenced with the fence of its claim");
            holds(&backend, "key", &large).await;
        }
        Err(error) => {
            assert_eq!(error.kind(), crate::ErrorKind::TooLarge, "{error:?}");
            missing(&backend, "key").await;
            leased(&backend, "key", ClaimKind::Missing, HOUR).await;
        }
    }
}

/// Batches have one outcome for each key, in order. A key that is given twice is claimed once.
pub async fn a_batch_of_claims_has_an_outcome_for_each_key(harness: &impl Harness) {
    let backend = harness.backend().await;
    if !backend.has_fences() {
        return;
    }
    set(&backend, "there", b"value", Some(HOUR)).await;
    let held = leased(&backend, "held", ClaimKind::Missing, HOUR).await;
    let claim = Claim { kind: ClaimKind::Missing, token: 4711, lease: HOUR };
    assert!(backend.claim_many(&[], claim).await.is_empty(), "claims of no keys");
    let outcomes = backend.claim_many(&["new", "there", "held", "new", "other"], claim).await;
    let claimed: Vec<Claimed> =
        outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(|error| panic!("claim_many: {error:?}"))).collect();
    let values: Vec<_> = claimed.iter().map(|claimed| claimed.value.as_deref()).collect();
    assert_eq!(values, [None, Some(&b"value"[..]), None, None, None]);
    let rights: Vec<_> = claimed.iter().map(|claimed| claimed.right).collect();
    let (Right::Leased(new), Right::Leased(other)) = (rights[0], rights[4]) else { panic!("{rights:?}") };
    assert_eq!(rights[1], Right::None, "{rights:?}");
    assert!(matches!(rights[2], Right::Held(fence, _) if fence == held), "{rights:?}");
    assert!(matches!(rights[3], Right::Held(fence, _) if fence == new), "{rights:?}");
    let item = |key, value, timeout| Item { key, value, timeout };
    let items = [
        (item("new", b"new", Some(HOUR)), new),
        (item("there", b"not", Some(HOUR)), new),
        (item("other", b"other", None), other),
        (item("new", b"again", Some(HOUR)), new),
    ];
    let stored = backend.set_fenced_many(&items).await;
    let stored: Vec<_> = stored.into_iter().map(|outcome| outcome.expect("set_fenced_many")).collect();
    assert_eq!(stored, [true, false, true, false]);
    assert!(backend.set_fenced_many(&[]).await.is_empty(), "no items");
    for (key, value) in [("new", &b"new"[..]), ("there", b"value"), ("other", b"other")] {
        holds(&backend, key, value).await;
    }
}

/// A dropped `set_fenced` never takes effect after an invalidation that begins afterwards.
pub async fn a_dropped_set_fenced_never_comes_after_an_invalidation(harness: &impl Harness) {
    let backend = &harness.backend().await;
    if !backend.has_fences() {
        return;
    }
    let (small, large) = (noise(5, 100), noise(6, 200_000));
    for (polls, value) in (0..=5).cycle().take(24).zip([&small, &large].into_iter().cycle()) {
        let fence = leased(backend, "key", ClaimKind::Anew, HOUR).await;
        drop_after(polls, backend, backend.set_fenced("key", value, Some(HOUR), fence)).await;
        backend.invalidate("key", Duration::ZERO).await.unwrap_or_else(|error| panic!("invalidate: {error:?}"));
        missing(backend, "key").await;
        set(backend, "other", &large, None).await;
        on_another_thread(holds(backend, "other", &large));
        missing(backend, "key").await;
    }
}

/// A backend without fences returns [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for their methods, and one with fences never
/// does.
pub async fn fences_are_all_there_or_none(harness: &impl Harness) {
    let backend = harness.backend().await;
    let claim = Claim { kind: ClaimKind::Missing, token: 1, lease: HOUR };
    let fence = Fence::new(1);
    let kinds = [
        backend.claim("key", claim).await.err(),
        backend.set_fenced("key", b"value", None, fence).await.err(),
        backend.renew("key", fence, HOUR).await.err(),
        backend.release("key", fence).await.err(),
        backend.invalidate("key", Duration::ZERO).await.err(),
    ]
    .map(|error| error.is_some_and(|error| error.kind() == crate::ErrorKind::Unsupported));
    assert_eq!(kinds, [!backend.has_fences(); 5], "which methods are unsupported");
}
