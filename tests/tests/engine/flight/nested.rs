//! Bodies that call annotated functions: no body waits for itself, directly or through others.

use std::{sync::Barrier, thread};

use cache_request::{cache_request, scoped, scoped_sync};
use futures_lite::future::{block_on, yield_now, zip};

use crate::support::{Count, Gate, cache, ends, poll, stats};

#[test]
fn recursion_with_the_same_key_runs_the_body() {
    static DEPTH: Count = Count::new();
    #[cache_request]
    fn plain() -> u32 {
        if DEPTH.next() < 5 { plain() + 1 } else { 0 }
    }
    static ASYNC_DEPTH: Count = Count::new();
    #[cache_request]
    async fn polled() -> u32 {
        yield_now().await;
        if ASYNC_DEPTH.next() < 5 { Box::pin(polled()).await + 1 } else { 0 }
    }
    ends(|| {
        let cache = cache();
        assert_eq!(scoped_sync(&cache, plain), 4);
        assert_eq!(stats(&cache, 5).bodies, 5);
        let cache = crate::support::cache();
        assert_eq!(block_on(scoped(&cache, polled())), 4);
        assert_eq!(stats(&cache, 5).bodies, 5);
    });
}

/// The answers of the inner calls are remembered, as those of any.
#[test]
fn recursion_with_other_keys_runs_each_body_once() {
    #[cache_request]
    fn fibonacci(n: u32) -> u64 {
        if n < 2 { u64::from(n) } else { fibonacci(n - 1) + fibonacci(n - 2) }
    }
    ends(|| {
        let cache = cache();
        assert_eq!(scoped_sync(&cache, || fibonacci(50)), 12_586_269_025);
        assert_eq!(stats(&cache, 99).bodies, 51);
    });
}

#[test]
fn the_same_key_through_several_futures_at_once() {
    static BODIES: Count = Count::new();
    #[cache_request]
    async fn f() -> u32 {
        if BODIES.next() == 1 {
            let (one, other) = zip(Box::pin(f()), Box::pin(f())).await;
            return one.min(other);
        }
        yield_now().await;
        7
    }
    ends(|| {
        let cache = cache();
        assert_eq!(block_on(scoped(&cache, f())), 7);
        stats(&cache, 3);
    });
}

/// Two threads in two bodies, each of which wants the other's value.
#[test]
fn bodies_that_want_one_another() {
    #[cache_request(skip(met))]
    fn f(id: u32, met: Option<&Barrier>) -> u32 {
        if let Some(met) = met {
            met.wait();
            f(1 - id, None) + 10
        } else {
            id
        }
    }
    ends(|| {
        let (cache, met) = (&cache(), &Barrier::new(2));
        thread::scope(|scope| {
            for id in 0..2 {
                scope.spawn(move || assert!(scoped_sync(cache, || f(id, Some(met))) >= 10));
            }
        });
        stats(cache, 4);
    });
}

#[test]
fn three_tasks_in_a_ring() {
    #[cache_request(skip(entered))]
    async fn f(id: u32, entered: Option<&Count>) -> u32 {
        let Some(entered) = entered else { return id };
        entered.next();
        while entered.get() < 3 {
            yield_now().await;
        }
        f_of((id + 1) % 3).await + 10
    }
    fn f_of(id: u32) -> std::pin::Pin<Box<dyn Future<Output = u32> + Send>> {
        Box::pin(f(id, None))
    }
    static ENTERED: Count = Count::new();
    ends(|| {
        let cache = cache();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(3).build().unwrap();
        runtime.block_on(async {
            let tasks: Vec<_> = (0..3).map(|id| tokio::spawn(scoped(&cache, f(id, Some(&ENTERED))))).collect();
            for task in tasks {
                assert!(task.await.unwrap() >= 10);
            }
        });
        stats(&cache, 6);
    });
}

/// What a body spawns is not in the body: it may wait for what the body does not wait for.
#[test]
fn what_a_body_spawns_is_a_caller_like_any() {
    static BODIES: Count = Count::new();
    static ASKED: Gate = Gate::new();
    #[cache_request]
    async fn f() -> u32 {
        if BODIES.next() == 1 {
            let cache = cache_request::current();
            let task = tokio::spawn(async move {
                let mut call = Box::pin(scoped(&cache, boxed()));
                let first = futures_lite::future::poll_once(&mut call).await;
                ASKED.open();
                match first {
                    Some(answer) => answer,
                    None => call.await,
                }
            });
            ASKED.passed().await;
            SPAWNED.lock().unwrap().replace(task);
        }
        7
    }
    fn boxed() -> std::pin::Pin<Box<dyn Future<Output = u32> + Send>> {
        Box::pin(f())
    }
    static SPAWNED: std::sync::Mutex<Option<tokio::task::JoinHandle<u32>>> = std::sync::Mutex::new(None);
    ends(|| {
        let cache = cache();
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            assert_eq!(scoped(&cache, f()).await, 7);
            let task = SPAWNED.lock().unwrap().take().unwrap();
            assert_eq!(task.await.unwrap(), 7);
        });
        let stats = stats(&cache, 2);
        assert_eq!((stats.bodies, stats.coalesced), (1, 1));
    });
}

/// A waiter inside another body is one more in that body, not the leader: others wait for both.
#[test]
fn a_waiter_in_a_body_is_waited_for() {
    static LEAVE: Gate = Gate::new();
    #[cache_request]
    async fn inner() -> u32 {
        LEAVE.passed().await;
        1
    }
    #[cache_request]
    async fn outer() -> u32 {
        inner().await + 1
    }
    ends(|| {
        let cache = cache();
        let mut leader = Box::pin(scoped(&cache, inner()));
        assert_eq!(poll(&mut leader), None);
        let mut outers: Vec<_> = (0..3).map(|_| Box::pin(scoped(&cache, outer()))).collect();
        for outer in &mut outers {
            assert_eq!(poll(outer), None);
        }
        LEAVE.open();
        assert_eq!(block_on(leader), 1);
        for outer in outers {
            assert_eq!(block_on(outer), 2);
        }
        assert_eq!(cache.stats().bodies(), 2);
    });
}
