//! Many callers at once, and callers that give up.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_lite::future::block_on;

use super::{
    harness::{HOUR, Harness},
    steps::{all, clear, deletes, deletes_or_not, drop_after, get, holds, missing, noise, on_another_thread, set},
};
use crate::backend::contract::Backend;

/// A thousand concurrent `set`s, and then a thousand concurrent `get`s, each of its own key and value.
pub async fn a_thousand_keys_at_once(harness: &impl Harness) {
    let backend = &harness.backend().await;
    let entry = |number: u64| (format!("key{number}"), noise(number, 100 + number as usize));
    all((0..1000).map(|number| async move {
        let (key, value) = entry(number);
        set(backend, &key, &value, Some(HOUR)).await;
    }))
    .await;
    all((0..1000).map(|number| async move {
        let (key, value) = entry(number);
        holds(backend, &key, &value).await;
    }))
    .await;
}

/// Every thread sees what another one has set, removed or cleared.
pub async fn every_thread_sees_what_was_set(harness: &impl Harness) {
    let backend = &harness.backend().await;
    set(backend, "key", b"first", None).await;
    on_another_thread(async {
        holds(backend, "key", b"first").await;
        set(backend, "key", b"second", None).await;
        set(backend, "other", b"value", Some(HOUR)).await;
    });
    holds(backend, "key", b"second").await;
    holds(backend, "other", b"value").await;
    on_another_thread(async {
        deletes(backend, "key", true).await;
    });
    missing(backend, "key").await;
    on_another_thread(clear(backend));
    missing(backend, "other").await;
}

/// While several threads set one key, each `get` returns one of their values, whole, or none. The last value of one thread stays.
pub async fn writers_of_one_key_leave_whole_values(harness: &impl Harness) {
    const WRITERS: u64 = 4;
    const ROUNDS: u64 = 30;
    let backend = &harness.backend().await;
    // Of different lengths, and too long to be written in one step.
    let values: Vec<Vec<Vec<u8>>> = (0..WRITERS)
        .map(|writer| {
            (0..ROUNDS).map(|round| noise(writer * ROUNDS + round, 60_000 + 5_000 * writer as usize)).collect()
        })
        .collect();
    let is_whole = |found: &[u8]| values.iter().flatten().any(|value| value == found);
    set(backend, "key", &values[0][0], None).await;
    let done = &AtomicBool::new(false);
    let (written, found) = std::thread::scope(|threads| {
        let reader = threads.spawn(move || {
            let mut found = Vec::new();
            while !done.load(Ordering::Acquire) && found.len() < 200 {
                found.push(block_on(backend.get("key")));
            }
            found
        });
        let writers: Vec<_> = values
            .iter()
            .map(|values| {
                threads.spawn(move || values.iter().try_for_each(|value| block_on(backend.set("key", value, None))))
            })
            .collect();
        let written: Vec<_> = writers.into_iter().map(|writer| writer.join().expect("set panicked")).collect();
        done.store(true, Ordering::Release);
        (written, reader.join().expect("get panicked"))
    });
    for outcome in written {
        outcome.unwrap_or_else(|error| panic!("set beside other writers: {error:?}"));
    }
    for found in found {
        let found = found.unwrap_or_else(|error| panic!("get beside writers: {error:?}"));
        assert!(found.is_none_or(|found| is_whole(&found)), "get beside writers found what none of them set");
    }
    let last = get(backend, "key").await.expect("nothing is left of what several writers set");
    assert!(values.iter().any(|values| values.last() == Some(&last)), "no writer's last value is left");
}

/// A dropped `set` takes effect before what begins afterwards, or not at all: what is deleted after it stays deleted. A value that came
/// late would be an old one, which was invalidated meanwhile.
pub async fn a_dropped_set_never_comes_after_a_delete(harness: &impl Harness) {
    let backend = &harness.backend().await;
    let (small, large) = (noise(5, 100), noise(6, 200_000));
    for (polls, value) in (0..=5).cycle().take(36).zip([&small, &large].into_iter().cycle()) {
        drop_after(polls, backend, backend.set("key", value, None)).await;
        deletes_or_not(backend, "key").await;
        missing(backend, "key").await;
        // Not either when other operations have let it through.
        set(backend, "other", &large, None).await;
        on_another_thread(holds(backend, "other", &large));
        missing(backend, "key").await;
    }
}

/// Futures may be dropped after any number of polls. Their operations may still happen or not, but a value is never stored in part,
/// and the backend goes on working.
pub async fn dropped_futures_leave_it_usable(harness: &impl Harness) {
    let backend = harness.backend().await;
    for polls in 1..=4 {
        drop_after(polls, &backend, backend.clear()).await;
    }
    let (old, new) = (noise(3, 50_000), noise(4, 60_000));
    for polls in (1..=4).cycle().take(40) {
        set(&backend, "key", &old, None).await;
        drop_after(polls, &backend, backend.set("key", &new, None)).await;
        drop_after(polls, &backend, backend.get("key")).await;
        let found = get(&backend, "key").await;
        assert!(found.is_none_or(|found| found == old || found == new), "a dropped set left something else");
        drop_after(polls, &backend, backend.delete("key")).await;
        let found = get(&backend, "key").await;
        assert!(found.is_none_or(|found| found == old || found == new), "a dropped delete left something else");
    }
    for key in ["another", "third", "fourth"] {
        set(&backend, key, key.as_bytes(), None).await;
    }
    for key in ["another", "third", "fourth"] {
        holds(&backend, key, key.as_bytes()).await;
        deletes(&backend, key, true).await;
    }
}
