//! Backends without `add` or `touch`.

use std::time::Duration;

use super::{
    harness::{HOUR, Harness, MILLISECOND},
    steps::{has_add, has_touch, holds, is_unsupported, missing, set},
};
use crate::backend::contract::Backend;

/// A backend that has no `add` or no `touch` returns [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) each time, and changes
/// nothing. The other tests of the method it lacks pass without testing anything.
pub async fn what_is_unsupported_changes_nothing(harness: &impl Harness) {
    let backend = harness.backend().await;
    let timeouts = [None, Some(HOUR), Some(Duration::ZERO)];
    set(&backend, "key", b"value", Some(HOUR)).await;
    if !has_add(&backend).await {
        for (key, timeout) in ["key", "new"].into_iter().flat_map(|key| timeouts.map(|timeout| (key, timeout))) {
            let added = backend.add(key, b"added", timeout).await;
            assert!(is_unsupported(&added), "add was unsupported once, and for {key:?} for {timeout:?} says {added:?}");
        }
        missing(&backend, "new").await;
        holds(&backend, "key", b"value").await;
    }
    if !has_touch(&backend).await {
        for (key, timeout) in ["key", "new"].into_iter().flat_map(|key| timeouts.map(|timeout| (key, timeout))) {
            let touched = backend.touch(key, timeout).await;
            assert!(
                is_unsupported(&touched),
                "touch was unsupported once, and for {key:?} for {timeout:?} says {touched:?}"
            );
        }
        missing(&backend, "new").await;
        holds(&backend, "key", b"value").await;
        if harness.time_stands_still() {
            harness.advance(HOUR - MILLISECOND).await;
            holds(&backend, "key", b"value").await;
            harness.advance(MILLISECOND).await;
            missing(&backend, "key").await;
        }
    }
}
