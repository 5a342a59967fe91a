//! How long values stay.

use std::time::Duration;

use super::{
    harness::{DAY, HOUR, Harness, MILLISECOND, SECOND},
    steps::{after, deletes, ends, holds, missing, set},
};

/// A value without a timeout stays for ever: for ten years, if time can be moved.
pub async fn without_a_timeout_a_value_stays(harness: &impl Harness) {
    let backend = harness.backend().await;
    set(&backend, "key", b"value", None).await;
    harness.advance(if harness.time_stands_still() { 3650 * DAY } else { 2 * MILLISECOND }).await;
    holds(&backend, "key", b"value").await;
}

/// A timeout of zero stores nothing, and removes what was there.
pub async fn a_zero_timeout_keeps_nothing(harness: &impl Harness) {
    let backend = harness.backend().await;
    set(&backend, "new", b"value", Some(Duration::ZERO)).await;
    missing(&backend, "new").await;
    for timeout in [None, Some(HOUR)] {
        set(&backend, "old", b"value", timeout).await;
        set(&backend, "old", b"newer", Some(Duration::ZERO)).await;
        missing(&backend, "old").await;
        deletes(&backend, "old", false).await;
    }
}

/// A timeout of 1 ms is neither rounded down to zero nor up by more than [`slack`](Harness::slack).
pub async fn a_timeout_of_a_millisecond_ends(harness: &impl Harness) {
    let backend = harness.backend().await;
    ends(harness, &backend, MILLISECOND).await;
}

/// A timeout of 1 s ends after 1 s.
pub async fn a_timeout_of_a_second_ends(harness: &impl Harness) {
    let backend = harness.backend().await;
    ends(harness, &backend, SECOND).await;
    ends(harness, &backend, SECOND + MILLISECOND).await;
}

/// A long timeout is a timeout. memcached would take more than 30 days for a date.
pub async fn a_timeout_over_30_days_keeps_its_value(harness: &impl Harness) {
    let backend = harness.backend().await;
    for timeout in [30 * DAY, 30 * DAY + SECOND, 31 * DAY, 10 * 365 * DAY] {
        set(&backend, "key", b"value", Some(timeout)).await;
        holds(&backend, "key", b"value").await;
        if harness.time_stands_still() {
            ends(harness, &backend, timeout).await;
        }
    }
    // Longer than any clock runs.
    for timeout in [Duration::from_secs(u64::from(u32::MAX) * 1000), Duration::MAX] {
        set(&backend, "key", b"value", Some(timeout)).await;
        holds(&backend, "key", b"value").await;
    }
}

/// The timeout of the last `set` counts, whether it is shorter, longer or none.
pub async fn a_second_set_replaces_the_timeout(harness: &impl Harness) {
    let backend = harness.backend().await;
    let short = 10 * MILLISECOND;
    for (key, timeout) in [("longer", Some(HOUR)), ("none", None)] {
        set(&backend, key, b"old", Some(short)).await;
        set(&backend, key, b"value", timeout).await;
    }
    for (key, timeout) in [("was longer", Some(HOUR)), ("was none", None)] {
        let key = key.replace(' ', "-");
        set(&backend, &key, b"old", timeout).await;
        set(&backend, &key, b"value", Some(short)).await;
    }
    after(harness, short).await;
    holds(&backend, "longer", b"value").await;
    holds(&backend, "none", b"value").await;
    missing(&backend, "was-longer").await;
    missing(&backend, "was-none").await;
}

/// `delete` of an expired value returns `false`.
pub async fn what_has_expired_is_not_there_to_delete(harness: &impl Harness) {
    let backend = harness.backend().await;
    set(&backend, "key", b"value", Some(MILLISECOND)).await;
    after(harness, MILLISECOND).await;
    deletes(&backend, "key", false).await;
    set(&backend, "key", b"value", None).await;
    holds(&backend, "key", b"value").await;
}
