//! Claims and their leases.

use std::time::{Duration, Instant};

use super::{
    harness::{DAY, HOUR, Harness, MILLISECOND, SECOND},
    steps::{
        after, claims, claims_or_not, clear, deletes_or_not, has_touch, holds, invalidates, leased, missing, noise,
        releases, renews, set, sets_fenced, touches,
    },
};
use crate::backend::{
    contract::{Backend, Item},
    fencing::{Claim, ClaimKind, Fence, Right},
};

/// A backend without fences returns [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for all of their methods, and changes
/// nothing. One that has them never does.
pub async fn fences_are_all_there_or_none(harness: &impl Harness) {
    let backend = harness.backend().await;
    let claim = Claim { kind: ClaimKind::Missing, token: 1, lease: HOUR };
    let fence = Fence::new(1);
    let item = Item { key: "key", value: b"value", timeout: None };
    let claimed = backend.claim_many(&["key"], claim).await.into_iter().map(Result::err);
    let stored = backend.set_fenced_many(&[(item, fence)]).await.into_iter().map(Result::err);
    let mut outcomes: Vec<_> = claimed.map(|error| ("claim_many", error)).collect();
    outcomes.extend(stored.map(|error| ("set_fenced_many", error)));
    outcomes.extend([
        ("claim", backend.claim("key", claim).await.err()),
        ("set_fenced", backend.set_fenced("key", b"value", None, fence).await.err()),
        ("renew", backend.renew("key", fence, HOUR).await.err()),
        ("release", backend.release("key", fence).await.err()),
        ("invalidate", backend.invalidate("key", Duration::ZERO).await.err()),
    ]);
    let has_fences = backend.has_fences();
    for (method, error) in outcomes {
        let unsupported = error.as_ref().is_some_and(|error| error.kind() == crate::ErrorKind::Unsupported);
        assert_eq!(
            unsupported, !has_fences,
            "whether {method} is unsupported where has_fences is {has_fences}: {error:?}"
        );
    }
    missing(&backend, "key").await;
}

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

/// A claim is no value: it is not got, not touched and not deleted.
pub async fn a_claim_is_no_value(harness: &impl Harness) {
    let backend = harness.backend().await;
    if !backend.has_fences() {
        return;
    }
    leased(&backend, "key", ClaimKind::Missing, HOUR).await;
    missing(&backend, "key").await;
    let found = backend.get_many(&["key"]).await;
    assert!(matches!(found[..], [Ok(None)]), "get_many of a key that is only claimed: {found:?}");
    if has_touch(&backend).await {
        touches(&backend, "key", Some(DAY), false).await;
    }
    assert!(!deletes_or_not(&backend, "key").await, "what delete of a key says that is only claimed");
    invalidates(&backend, "key", Duration::ZERO, false).await;
    leased(&backend, "key", ClaimKind::Missing, HOUR).await;
}

/// Claims of keys that look alike are not confused, however long the keys are.
pub async fn claims_of_keys_that_look_alike_stay_apart(harness: &impl Harness) {
    let backend = harness.backend().await;
    if !backend.has_fences() {
        return;
    }
    let long = "k".repeat(backend.max_key_bytes().min(4000) - 1);
    let keys = ["a", "A", "a:", "a*", "a.", "{a}", "%61", &format!("{long}1"), &format!("{long}2"), &long];
    let mut fences = Vec::new();
    for key in keys {
        fences.push(leased(&backend, key, ClaimKind::Missing, HOUR).await);
    }
    for (key, fence) in keys.iter().zip(&fences).step_by(2) {
        releases(&backend, key, *fence).await;
    }
    for (number, (key, fence)) in keys.iter().zip(&fences).enumerate() {
        sets_fenced(&backend, key, key.as_bytes(), Some(HOUR), *fence, number % 2 == 1).await;
    }
    for (number, key) in keys.iter().enumerate() {
        if number % 2 == 1 {
            holds(&backend, key, key.as_bytes()).await;
            invalidates(&backend, key, Duration::ZERO, true).await;
        }
        missing(&backend, key).await;
    }
}

/// Backends that share what they rest on do not share claims, and neither `clear` nor an invalidation of one ends those of another.
pub async fn claims_leave_the_neighbours_alone(harness: &impl Harness) {
    let (one, other) = (harness.backend().await, harness.backend().await);
    if !one.has_fences() {
        return;
    }
    let first = leased(&one, "key", ClaimKind::Missing, HOUR).await;
    let second = leased(&other, "key", ClaimKind::Missing, HOUR).await;
    invalidates(&one, "key", HOUR, false).await;
    clear(&one).await;
    sets_fenced(&one, "key", b"first", None, first, false).await;
    claims_or_not(&other, "key", ClaimKind::Missing, HOUR, false).await;
    sets_fenced(&other, "key", b"second", None, second, true).await;
    holds(&other, "key", b"second").await;
    missing(&one, "key").await;
}

/// A claim anew ends the older claim, with or without a value.
pub async fn a_claim_anew_ends_the_older_one(harness: &impl Harness) {
    let backend = harness.backend().await;
    if !backend.has_fences() {
        return;
    }
    leased(&backend, "never-claimed", ClaimKind::Anew, HOUR).await;
    for with_value in [false, true] {
        if with_value {
            set(&backend, "key", b"old", Some(HOUR)).await;
        }
        let older = leased(&backend, "key", ClaimKind::Any, HOUR).await;
        let claimed = claims(&backend, "key", ClaimKind::Anew, HOUR).await;
        assert_eq!(claimed.value.is_some(), with_value, "whether a claim anew returns the value");
        let Right::Leased(newer) = claimed.right else { panic!("a claim anew gets {claimed:?}") };
        assert_ne!(older, newer, "the fence of a claim anew");
        sets_fenced(&backend, "key", b"older", Some(HOUR), older, false).await;
        renews(&backend, "key", older, HOUR, false).await;
        releases(&backend, "key", older).await;
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
        for key in ["key", "with-value"] {
            let right = claims(&backend, key, ClaimKind::Any, SECOND).await.right;
            assert!(
                matches!(right, Right::Held(_, left) if left <= MILLISECOND),
                "a millisecond before the end of the lease of {key:?}, another claim gets {right:?}"
            );
        }
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

/// A claim that is renewed lasts for so long from then on, be it longer or shorter than before.
pub async fn a_renewed_claim_lasts(harness: &impl Harness) {
    let backend = harness.backend().await;
    if !backend.has_fences() {
        return;
    }
    set(&backend, "with-value", b"old", Some(DAY)).await;
    let shorter = leased(&backend, "shorter", ClaimKind::Missing, HOUR).await;
    renews(&backend, "shorter", shorter, SECOND, true).await;
    renews(&backend, "never-claimed", shorter, HOUR, false).await;
    claims_or_not(&backend, "never-claimed", ClaimKind::Missing, HOUR, true).await;
    let longer = renewed_in_time(&backend, "longer", ClaimKind::Missing).await;
    let of_value = renewed_in_time(&backend, "with-value", ClaimKind::Any).await;
    after(harness, SECOND).await;
    renews(&backend, "shorter", shorter, HOUR, false).await;
    sets_fenced(&backend, "shorter", b"value", Some(HOUR), shorter, false).await;
    leased(&backend, "shorter", ClaimKind::Missing, HOUR).await;
    if harness.time_stands_still() {
        harness.advance(HOUR - SECOND - MILLISECOND).await;
    }
    for (key, fence) in [("longer", longer), ("with-value", of_value)] {
        let right = claims(&backend, key, ClaimKind::Any, HOUR).await.right;
        assert!(matches!(right, Right::Held(held, _) if held == fence), "a renewed claim of {key:?}: {right:?}");
        renews(&backend, key, fence, 2 * HOUR, true).await;
    }
    if harness.time_stands_still() {
        harness.advance(2 * HOUR - MILLISECOND).await;
    }
    for (key, fence) in [("longer", longer), ("with-value", of_value)] {
        sets_fenced(&backend, key, b"new", Some(HOUR), fence, true).await;
        holds(&backend, key, b"new").await;
        renews(&backend, key, fence, HOUR, false).await;
    }
    if harness.time_stands_still() {
        let fence = renewed_in_time(&backend, "ends", ClaimKind::Missing).await;
        harness.advance(HOUR).await;
        sets_fenced(&backend, "ends", b"value", Some(HOUR), fence, false).await;
        missing(&backend, "ends").await;
    }
}

/// Claims a key for a second, and has that renewed for an hour. If the machine is too slow for it, it is tried again.
async fn renewed_in_time(backend: &impl Backend, key: &str, kind: ClaimKind) -> Fence {
    loop {
        let begun = Instant::now();
        let fence = leased(backend, key, kind, SECOND).await;
        let renewed =
            backend.renew(key, fence, HOUR).await.unwrap_or_else(|error| panic!("renew of {key:?}: {error:?}"));
        if renewed {
            return fence;
        }
        assert!(begun.elapsed() > SECOND / 2, "renew of {key:?} says that its claim is over before its lease is");
    }
}

/// After `release`, the next claim gets the lease at once. `release` with another fence changes nothing. It never changes a value.
pub async fn a_released_claim_is_free(harness: &impl Harness) {
    let backend = harness.backend().await;
    if !backend.has_fences() {
        return;
    }
    for with_value in [false, true] {
        if with_value {
            set(&backend, "key", b"old", Some(HOUR)).await;
        }
        let first = leased(&backend, "key", ClaimKind::Any, HOUR).await;
        releases(&backend, "never-claimed", first).await;
        missing(&backend, "never-claimed").await;
        claims_or_not(&backend, "key", ClaimKind::Any, HOUR, false).await;
        releases(&backend, "key", first).await;
        sets_fenced(&backend, "key", b"first", Some(HOUR), first, false).await;
        let second = leased(&backend, "key", ClaimKind::Any, HOUR).await;
        assert_ne!(first, second, "a fence was used again");
        releases(&backend, "key", first).await;
        claims_or_not(&backend, "key", ClaimKind::Any, HOUR, false).await;
        sets_fenced(&backend, "key", b"first", Some(HOUR), first, false).await;
        if with_value {
            holds(&backend, "key", b"old").await;
        } else {
            missing(&backend, "key").await;
        }
        sets_fenced(&backend, "key", b"second", Some(HOUR), second, true).await;
        releases(&backend, "key", second).await;
        holds(&backend, "key", b"second").await;
        invalidates(&backend, "key", Duration::ZERO, true).await;
    }
}
