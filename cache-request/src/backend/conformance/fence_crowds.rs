//! Claims and fenced values of many callers at once, and of callers that go away.

use std::{
    sync::{
        Barrier, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use futures_lite::future::block_on;

use super::{
    harness::{HOUR, Harness},
    steps::{all, claims, drop_after, holds, leased, missing, noise, on_another_thread, set},
};
use crate::{
    backend::{
        contract::Backend,
        fencing::{Claim, ClaimKind, Fence, Right},
    },
    base::random,
};

/// If 32 tasks on 4 threads claim one key at the same time, one of them gets the lease, and all get its fence.
pub async fn of_concurrent_claims_exactly_one_gets_the_lease(harness: &impl Harness) {
    let backend = &harness.backend().await;
    if !backend.has_fences() {
        return;
    }
    for number in 0..16 {
        let (key, kind) = (&format!("key{number}"), if number % 2 == 0 { ClaimKind::Missing } else { ClaimKind::Any });
        if kind == ClaimKind::Any {
            set(backend, key, b"old", Some(HOUR)).await;
        }
        let rights = crowd(|_| async move { claims(backend, key, kind, HOUR).await.right });
        let leased: Vec<Fence> = rights
            .iter()
            .filter_map(|right| if let Right::Leased(fence) = right { Some(*fence) } else { None })
            .collect();
        assert_eq!(leased.len(), 1, "how many of the tasks that claimed {key:?} at once got the lease: {rights:?}");
        let held = rights.iter().filter(|right| matches!(right, Right::Held(fence, _) if *fence == leased[0])).count();
        assert_eq!(held, rights.len() - 1, "how many got the fence of the lease: {rights:?}");
    }
}

/// If 32 tasks on 4 threads store a value with the fence of one claim at the same time, one of them does. So it is if each has a fence of
/// its own, of claims anew.
pub async fn of_concurrent_fenced_values_exactly_one_is_stored(harness: &impl Harness) {
    let backend = &harness.backend().await;
    if !backend.has_fences() {
        return;
    }
    for number in 0..16 {
        let (key, anew) = (&format!("key{number}"), number % 2 == 1);
        let fences = if anew {
            crowd(|_| leased(backend, key, ClaimKind::Anew, HOUR))
        } else {
            vec![leased(backend, key, ClaimKind::Missing, HOUR).await]
        };
        let fences = &fences;
        let stored = crowd(|task| async move {
            let fence = fences[task % fences.len()];
            let stored = backend.set_fenced(key, &task.to_le_bytes(), Some(HOUR), fence).await;
            (task, stored.unwrap_or_else(|error| panic!("set_fenced beside others: {error:?}")))
        });
        let stored: Vec<usize> = stored.into_iter().filter_map(|(task, stored)| stored.then_some(task)).collect();
        let fences = if anew { "fences of their own" } else { "one fence" };
        assert_eq!(
            stored.len(),
            1,
            "how many of the tasks that stored {key:?} at once, with {fences}, were told that they did"
        );
        holds(backend, key, &stored[0].to_le_bytes()).await;
    }
}

/// Runs 32 tasks on 4 threads at the same time, and returns what they return.
fn crowd<T: Send, Task: Future<Output = T>>(task: impl Fn(usize) -> Task + Sync) -> Vec<T> {
    const THREADS: usize = 4;
    const TASKS: usize = 8;
    let (together, done, task) = (&Barrier::new(THREADS), &Mutex::new(Vec::new()), &task);
    thread::scope(|threads| {
        for thread in 0..THREADS {
            threads.spawn(move || {
                together.wait();
                block_on(all((0..TASKS).map(|number| async move {
                    let outcome = task(thread * TASKS + number).await;
                    done.lock().expect("no thread panics here").push(outcome);
                })));
            });
        }
    });
    std::mem::take(&mut *done.lock().expect("no thread panics here"))
}

/// Beside invalidations on other threads, a value is never stored that was claimed before one: once an invalidation has returned, the
/// value is of a claim that came after it.
pub async fn no_value_outlives_an_invalidation_beside_it(harness: &impl Harness) {
    const ROUNDS: u64 = 50;
    let backend = &harness.backend().await;
    if !backend.has_fences() {
        return;
    }
    let (begun, done, attempts) = (&AtomicU64::new(0), &AtomicU64::new(0), &AtomicU64::new(0));
    let over = &AtomicBool::new(false);
    thread::scope(|threads| {
        // Values that are stored at once, as the next invalidation begins, and after it.
        for late in [None, Some(begun), Some(done)] {
            threads.spawn(move || {
                let _over = Over(over);
                block_on(async {
                    while !over.load(Ordering::SeqCst) {
                        let right = claims(backend, "key", ClaimKind::Any, HOUR).await.right;
                        let (Right::Leased(fence) | Right::Held(fence, _)) = right else {
                            panic!("a claim beside invalidations that refuse nothing gets {right:?}")
                        };
                        let made = begun.load(Ordering::SeqCst);
                        while late.is_some_and(|count| count.load(Ordering::SeqCst) <= made)
                            && !over.load(Ordering::SeqCst)
                        {
                            thread::yield_now();
                        }
                        let stored = backend.set_fenced("key", &made.to_le_bytes(), Some(HOUR), fence).await;
                        stored.unwrap_or_else(|error| panic!("set_fenced beside others: {error:?}"));
                        if late.is_none() {
                            attempts.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                });
            });
        }
        let _over = Over(over);
        block_on(async {
            for _ in 0..ROUNDS {
                let now = begun.fetch_add(1, Ordering::SeqCst) + 1;
                let invalidated = backend.invalidate("key", Duration::ZERO).await;
                invalidated.unwrap_or_else(|error| panic!("invalidate beside others: {error:?}"));
                done.store(now, Ordering::SeqCst);
                // Otherwise all rounds may be over before the first value is stored.
                let before = attempts.load(Ordering::SeqCst);
                while attempts.load(Ordering::SeqCst) <= before + 1 && !over.load(Ordering::SeqCst) {
                    // Without `get_blocking`, which may find another value a moment later.
                    let found = backend.get("key").await;
                    if let Some(value) = found.unwrap_or_else(|error| panic!("get beside others: {error:?}")) {
                        let made = u64::from_le_bytes(value.try_into().expect("eight bytes were stored"));
                        assert!(made >= now, "a value made at {made} is there after the invalidation at {now}");
                    }
                    thread::yield_now();
                }
            }
        });
    });
}

/// Tells the other threads to end, also if this one panics.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A dropped `set_fenced` never takes effect after an invalidation that begins afterwards. Dropped claims leave the backend usable.
pub async fn a_dropped_set_fenced_never_comes_after_an_invalidation(harness: &impl Harness) {
    let backend = &harness.backend().await;
    if !backend.has_fences() {
        return;
    }
    let (small, large) = (noise(5, 100), noise(6, 200_000));
    for (polls, value) in (0..=5).cycle().take(24).zip([&small, &large].into_iter().cycle()) {
        let fence = leased(backend, "key", ClaimKind::Anew, HOUR).await;
        let claim = Claim { kind: ClaimKind::Missing, token: random::number(), lease: HOUR };
        drop_after(polls, backend, backend.claim("dropped", claim)).await;
        drop_after(polls, backend, backend.renew("key", fence, HOUR)).await;
        drop_after(polls, backend, backend.set_fenced("key", value, Some(HOUR), fence)).await;
        backend.invalidate("key", Duration::ZERO).await.unwrap_or_else(|error| panic!("invalidate: {error:?}"));
        missing(backend, "key").await;
        set(backend, "other", &large, None).await;
        on_another_thread(holds(backend, "other", &large));
        missing(backend, "key").await;
    }
}
