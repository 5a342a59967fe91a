//! Values that are stored with a fence, and invalidations.

use std::time::{Duration, Instant};

use super::{
    harness::{DAY, HOUR, Harness, MILLISECOND, SECOND},
    steps::{
        after, claims, clear, ends_fenced, has_touch, holds, invalidates, leased, missing, noise, releases, renews,
        set, sets_fenced, touches,
    },
};
use crate::backend::{
    contract::Backend,
    fencing::{ClaimKind, Right},
};

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
    // Nor with the fence of another key, while that stands.
    let other = leased(&backend, "other", ClaimKind::Missing, HOUR).await;
    for timeout in [Some(HOUR), None, Some(Duration::ZERO)] {
        sets_fenced(&backend, "never-claimed", b"value", timeout, other, false).await;
        missing(&backend, "never-claimed").await;
        sets_fenced(&backend, "key", b"second", timeout, other, false).await;
        holds(&backend, "key", b"first").await;
    }
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

/// A claim to replace a value returns it and gets the lease. The value stays until the new one is stored. A claim that does not replace it
/// returns it as before, and leaves the older claim alone.
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
        let claimed = claims(&backend, "key", ClaimKind::Missing, HOUR).await;
        assert_eq!(
            (claimed.value.as_ref(), claimed.right),
            (Some(&old), Right::None),
            "of a value that is being replaced"
        );
        holds(&backend, "key", &old).await;
        if has_touch(&backend).await {
            // It is read meanwhile, and kept for longer.
            touches(&backend, "key", Some(2 * HOUR), true).await;
            let claimed = claims(&backend, "key", ClaimKind::Any, HOUR).await;
            assert!(matches!(claimed.right, Right::Held(held, _) if held == fence), "{claimed:?} after a touch");
        }
        sets_fenced(&backend, "key", &[round], Some(HOUR), fence, true).await;
        holds(&backend, "key", &[round]).await;
    }
    let fence = leased(&backend, "key", ClaimKind::Any, HOUR).await;
    invalidates(&backend, "key", Duration::ZERO, true).await;
    sets_fenced(&backend, "key", b"older", Some(HOUR), fence, false).await;
    missing(&backend, "key").await;
}

/// After an invalidation that refuses values, there is no claim until its time is over. Of several, the one that ends last counts.
pub async fn an_invalidation_may_refuse_values_for_a_while(harness: &impl Harness) {
    let backend = harness.backend().await;
    if !backend.has_fences() {
        return;
    }
    set(&backend, "with-value", b"old", Some(HOUR)).await;
    let older = leased(&backend, "key", ClaimKind::Missing, HOUR).await;
    let begun = Instant::now();
    for refuse in [SECOND, 2 * SECOND, MILLISECOND, Duration::ZERO] {
        invalidates(&backend, "key", refuse, false).await;
    }
    invalidates(&backend, "with-value", 2 * SECOND, true).await;
    for key in ["key", "with-value"] {
        refuses(harness, &backend, key, 2 * SECOND, begun).await;
    }
    sets_fenced(&backend, "key", b"older", Some(HOUR), older, false).await;
    renews(&backend, "key", older, HOUR, false).await;
    releases(&backend, "key", older).await;
    if harness.time_stands_still() {
        harness.advance(2 * SECOND - MILLISECOND).await;
        for key in ["key", "with-value"] {
            refuses(harness, &backend, key, MILLISECOND, begun).await;
        }
        harness.advance(MILLISECOND).await;
    } else {
        after(harness, 2 * SECOND).await;
    }
    for key in ["key", "with-value"] {
        let fence = leased(&backend, key, ClaimKind::Missing, HOUR).await;
        sets_fenced(&backend, key, b"older", Some(HOUR), older, false).await;
        sets_fenced(&backend, key, b"new", Some(HOUR), fence, true).await;
        holds(&backend, key, b"new").await;
    }
}

/// Checks that values of a key are refused for `left` from now on. In real time, the machine may be too slow to see it.
async fn refuses<H: Harness>(harness: &H, backend: &H::Backend, key: &str, left: Duration, begun: Instant) {
    for kind in [ClaimKind::Missing, ClaimKind::Any, ClaimKind::Anew] {
        let claimed = claims(backend, key, kind, HOUR).await;
        assert_eq!(claimed.value, None, "the value of {key:?} after its invalidation, for a claim {kind:?}");
        let (least, most) = if harness.time_stands_still() {
            (left.saturating_sub(MILLISECOND), left)
        } else {
            (Duration::ZERO, left + harness.slack())
        };
        match claimed.right {
            Right::Refused(time) if least < time && time <= most => {}
            Right::Leased(fence) if !harness.time_stands_still() && begun.elapsed() > left - SECOND / 2 => {
                releases(backend, key, fence).await;
            }
            right => panic!("a claim {kind:?} of {key:?}, which is refused for {left:?}, gets {right:?}"),
        }
    }
    missing(backend, key).await;
}

/// A fenced value has its timeout, and replaces that of the older value. One of zero removes the value and ends the claim.
pub async fn a_fenced_value_ends_with_its_timeout(harness: &impl Harness) {
    let backend = harness.backend().await;
    if !backend.has_fences() {
        return;
    }
    ends_fenced(harness, &backend, MILLISECOND).await;
    ends_fenced(harness, &backend, SECOND).await;
    if harness.time_stands_still() {
        ends_fenced(harness, &backend, 31 * DAY).await;
    }
    for timeout in [Some(31 * DAY), Some(Duration::MAX), None] {
        set(&backend, "key", b"old", Some(SECOND)).await;
        let fence = leased(&backend, "key", ClaimKind::Any, HOUR).await;
        sets_fenced(&backend, "key", b"new", timeout, fence, true).await;
        after(harness, SECOND).await;
        holds(&backend, "key", b"new").await;
    }
    if harness.time_stands_still() {
        harness.advance(3650 * DAY).await;
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
    let large = noise(9, harness.large_value_bytes());
    set(&backend, "key", b"old", Some(HOUR)).await;
    let fence = leased(&backend, "key", ClaimKind::Any, HOUR).await;
    match backend.set_fenced("key", &large, Some(HOUR), fence).await {
        Ok(stored) => {
            assert!(stored, "what set_fenced of {} bytes says, with the fence of its claim", large.len());
            holds(&backend, "key", &large).await;
        }
        Err(error) => {
            assert_eq!(error.kind(), crate::ErrorKind::TooLarge, "set_fenced of {} bytes: {error:?}", large.len());
            missing(&backend, "key").await;
            leased(&backend, "key", ClaimKind::Missing, HOUR).await;
        }
    }
}
