//! `add` and `touch`, of backends that have them.

use std::{
    sync::{Barrier, Mutex},
    thread,
    time::{Duration, Instant},
};

use futures_lite::future::block_on;

use super::{
    harness::{DAY, HOUR, Harness, MILLISECOND, SECOND},
    steps::{
        adds, adds_or_not, after, all, clear, deletes, has_add, has_touch, holds, missing, noise, set, touches,
        touches_or_not,
    },
};

/// If nothing is there, `add` stores the new value and returns `true`. If there is a value, `add` returns `false` and changes neither
/// the value nor its timeout.
pub async fn add_stores_only_if_nothing_is_there(harness: &impl Harness) {
    let backend = harness.backend().await;
    if !has_add(&backend).await {
        return;
    }
    adds(&backend, "key", b"first", Some(HOUR), true).await;
    holds(&backend, "key", b"first").await;
    adds(&backend, "key", b"a second, longer", None, false).await;
    adds(&backend, "key", b"2", Some(10 * MILLISECOND), false).await;
    holds(&backend, "key", b"first").await;
    for (key, value, timeout) in
        [("set", &b"value"[..], Some(HOUR)), ("for-ever", b"value", None), ("empty", b"", None)]
    {
        set(&backend, key, value, timeout).await;
        adds(&backend, key, b"another", Some(10 * MILLISECOND), false).await;
        holds(&backend, key, value).await;
    }
    after(harness, 10 * MILLISECOND).await;
    holds(&backend, "key", b"first").await;
    holds(&backend, "set", b"value").await;
    holds(&backend, "for-ever", b"value").await;
    if harness.time_stands_still() {
        adds(&backend, "key", b"third", None, false).await;
        harness.advance(HOUR).await;
        missing(&backend, "key").await;
    }
    adds(&backend, "empty-too", b"", None, true).await;
    adds(&backend, "empty-too", b"value", None, false).await;
    holds(&backend, "empty-too", b"").await;
}

/// A value that has expired, or was deleted or cleared, does not keep `add` from storing.
pub async fn add_stores_after_expiry_and_after_delete(harness: &impl Harness) {
    let backend = harness.backend().await;
    if !has_add(&backend).await {
        return;
    }
    set(&backend, "key", b"set", Some(MILLISECOND)).await;
    after(harness, MILLISECOND).await;
    adds(&backend, "key", b"after expiry", Some(MILLISECOND), true).await;
    after(harness, MILLISECOND).await;
    adds(&backend, "key", b"after its own expiry", None, true).await;
    holds(&backend, "key", b"after its own expiry").await;
    for timeout in [None, Some(HOUR)] {
        deletes(&backend, "key", true).await;
        adds(&backend, "key", b"after delete", timeout, true).await;
        holds(&backend, "key", b"after delete").await;
    }
    clear(&backend).await;
    adds(&backend, "key", b"after clear", None, true).await;
    holds(&backend, "key", b"after clear").await;
}

/// An added value expires as one that was set: after its timeout, or never.
pub async fn an_added_value_ends_with_its_timeout(harness: &impl Harness) {
    let backend = harness.backend().await;
    if !has_add(&backend).await {
        return;
    }
    adds(&backend, "short", b"value", Some(10 * MILLISECOND), true).await;
    adds(&backend, "long", b"value", Some(31 * DAY), true).await;
    adds(&backend, "for-ever", b"value", None, true).await;
    if harness.time_stands_still() {
        harness.advance(9 * MILLISECOND).await;
        holds(&backend, "short", b"value").await;
        harness.advance(MILLISECOND).await;
    } else {
        after(harness, 10 * MILLISECOND).await;
    }
    missing(&backend, "short").await;
    holds(&backend, "long", b"value").await;
    holds(&backend, "for-ever", b"value").await;
    if harness.time_stands_still() {
        harness.advance(31 * DAY).await;
        missing(&backend, "long").await;
        holds(&backend, "for-ever", b"value").await;
    }
}

/// `add` with a timeout of zero returns `false` and changes nothing.
pub async fn add_with_a_zero_timeout_stores_nothing(harness: &impl Harness) {
    let backend = harness.backend().await;
    if !has_add(&backend).await {
        return;
    }
    adds(&backend, "new", b"value", Some(Duration::ZERO), false).await;
    missing(&backend, "new").await;
    deletes(&backend, "new", false).await;
    set(&backend, "old", b"value", None).await;
    adds(&backend, "old", b"newer", Some(Duration::ZERO), false).await;
    holds(&backend, "old", b"value").await;
    adds(&backend, "new", b"value", None, true).await;
}

/// If 32 tasks on 4 threads add one key at the same time, one of them is told `true`, and its value stays. That holds if nothing
/// was there, and if an expired value was there.
pub async fn of_concurrent_adds_exactly_one_wins(harness: &impl Harness) {
    const THREADS: usize = 4;
    const TASKS: usize = 8;
    let backend = &harness.backend().await;
    if !has_add(backend).await {
        return;
    }
    let keys: Vec<String> = (0..16).map(|number| format!("key{number}")).collect();
    for key in keys.iter().step_by(2) {
        set(backend, key, b"expired", Some(MILLISECOND)).await;
    }
    after(harness, MILLISECOND).await;
    for key in &keys {
        let (together, told) = (&Barrier::new(THREADS), Mutex::new(Vec::new()));
        let winners = &told;
        thread::scope(|threads| {
            for number in 0..THREADS {
                threads.spawn(move || {
                    together.wait();
                    block_on(all((0..TASKS).map(|task| async move {
                        let value = format!("of task {task} on thread {number}");
                        if adds_or_not(backend, key, value.as_bytes(), Some(HOUR)).await {
                            winners.lock().expect("no thread panics here").push(value);
                        }
                    })));
                });
            }
        });
        let winners = told.into_inner().expect("no thread panics here");
        assert_eq!(winners.len(), 1, "how many of the tasks that added {key:?} at once were told `true`: {winners:?}");
        holds(backend, key, winners[0].as_bytes()).await;
    }
}

/// The timeout of the last `touch` counts, from then on, whether it is longer or shorter than what was left, or is none.
pub async fn touch_gives_another_timeout(harness: &impl Harness) {
    let backend = harness.backend().await;
    if !has_touch(&backend).await {
        return;
    }
    let short = 10 * MILLISECOND;
    for (key, timeout) in [("was-long", Some(HOUR)), ("was-for-ever", None)] {
        set(&backend, key, b"value", timeout).await;
        touches(&backend, key, Some(short), true).await;
    }
    if has_add(&backend).await {
        adds(&backend, "was-added", b"value", Some(HOUR), true).await;
    } else {
        set(&backend, "was-added", b"value", Some(HOUR)).await;
    }
    touches(&backend, "was-added", Some(short), true).await;
    for (key, timeout) in [("now-long", Some(HOUR)), ("now-for-ever", None)] {
        touches_in_time(harness, &backend, key, timeout).await;
    }
    after(harness, SECOND).await;
    for key in ["was-long", "was-for-ever", "was-added"] {
        missing(&backend, key).await;
    }
    for key in ["now-long", "now-for-ever"] {
        holds(&backend, key, b"value").await;
    }
    if harness.time_stands_still() {
        // The new timeout begins neither when the value was set nor when the old one ends.
        set(&backend, "key", b"value", Some(HOUR)).await;
        harness.advance(HOUR / 2).await;
        touches(&backend, "key", Some(HOUR), true).await;
        harness.advance(HOUR - MILLISECOND).await;
        holds(&backend, "key", b"value").await;
        harness.advance(MILLISECOND).await;
        missing(&backend, "key").await;
        missing(&backend, "now-long").await;
        harness.advance(3650 * DAY).await;
        holds(&backend, "now-for-ever", b"value").await;
    }
}

/// Sets a value for a second, and touches it before its end. Repeats that if the machine is too slow.
async fn touches_in_time<H: Harness>(harness: &H, backend: &H::Backend, key: &str, timeout: Option<Duration>) {
    loop {
        let begun = Instant::now();
        set(backend, key, b"value", Some(SECOND)).await;
        if touches_or_not(backend, key, timeout).await {
            return;
        }
        let too_slow = !harness.time_stands_still() && begun.elapsed() >= SECOND;
        assert!(too_slow, "touch of {key:?} says that nothing is there, before its time is over");
    }
}

/// `touch` with a timeout of zero removes the value, and returns whether it was there.
pub async fn touch_with_a_zero_timeout_removes(harness: &impl Harness) {
    let backend = harness.backend().await;
    if !has_touch(&backend).await {
        return;
    }
    for timeout in [None, Some(HOUR)] {
        set(&backend, "key", b"value", timeout).await;
        touches(&backend, "key", Some(Duration::ZERO), true).await;
        missing(&backend, "key").await;
        touches(&backend, "key", Some(Duration::ZERO), false).await;
        deletes(&backend, "key", false).await;
    }
    if has_add(&backend).await {
        adds(&backend, "key", b"again", None, true).await;
    }
}

/// `touch` of a key that was never set, was deleted or has expired returns `false` and stores nothing.
pub async fn touch_of_a_missing_key_is_false(harness: &impl Harness) {
    let backend = harness.backend().await;
    if !has_touch(&backend).await {
        return;
    }
    set(&backend, "deleted", b"value", None).await;
    deletes(&backend, "deleted", true).await;
    set(&backend, "expired", b"value", Some(MILLISECOND)).await;
    after(harness, MILLISECOND).await;
    for key in ["never-set", "deleted", "expired"] {
        for timeout in [Some(HOUR), None, Some(Duration::ZERO)] {
            touches(&backend, key, timeout, false).await;
            missing(&backend, key).await;
        }
        deletes(&backend, key, false).await;
    }
}

/// `touch` does not change the bytes of the value, whether there are none, few or many, nor any other key.
pub async fn touch_never_changes_the_value(harness: &impl Harness) {
    let backend = harness.backend().await;
    if !has_touch(&backend).await {
        return;
    }
    let values =
        [("empty", Vec::new()), ("byte", vec![0]), ("noise", noise(5, 100_000)), ("text", b"text\r\n".to_vec())];
    for (key, value) in &values {
        set(&backend, key, value, Some(HOUR)).await;
    }
    for timeout in [Some(2 * HOUR), None, Some(SECOND + HOUR), Some(31 * DAY), Some(Duration::MAX)] {
        for (key, value) in &values {
            touches(&backend, key, timeout, true).await;
            holds(&backend, key, value).await;
        }
    }
    for (key, value) in &values {
        holds(&backend, key, value).await;
    }
}
