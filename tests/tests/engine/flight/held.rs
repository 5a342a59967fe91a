//! Leaders that are held and not polled: another caller leads in their place.

use std::{
    future::pending,
    sync::{Arc, Mutex},
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

use cache_request::{Cache, Clock, MockClock, backend::MemoryBackend, cache_request, scoped};
use cache_request_tests::backends::Pausing;
use futures_lite::future::{block_on, yield_now, zip};

use crate::support::{Count, Gate, Held, ends, poll, stats};

const LIMIT: Duration = Duration::from_millis(1);

/// A cache that looks after unpolled leaders often, by a clock that stands still.
fn cache(clock: &MockClock) -> Cache {
    Cache::builder().clock(clock).wait_limit(Duration::MAX).poll_limit(LIMIT).build().unwrap()
}

fn held<'a, T>(call: impl Future<Output = T> + Send + 'a) -> Held<'a, T> {
    Box::pin(call)
}

/// Polls once, in a task of its own.
fn poll_elsewhere<T>(call: &mut Held<'_, T>) -> Option<T> {
    match call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    }
}

/// Polls often enough for a waiter to look after its leader.
fn poll_for_long<T: PartialEq + std::fmt::Debug>(call: &mut Held<'_, T>) {
    for _ in 0..20 {
        assert_eq!(poll(call), None);
        thread::sleep(LIMIT);
    }
}

/// They waited for the whole `wait_limit`.
#[test]
fn a_leader_that_was_woken_and_not_polled_held_all_others_up() {
    static BODIES: Count = Count::new();
    static LEAVE: Gate = Gate::new();
    static SECOND: Gate = Gate::new();
    #[cache_request]
    async fn f() -> u32 {
        let body = BODIES.next();
        let gate = if body == 1 { &LEAVE } else { &SECOND };
        gate.passed().await;
        body
    }
    ends(|| {
        let clock = Clock::mock();
        let cache = cache(&clock);
        let call = || held(scoped(&cache, f()));
        let mut first = call();
        assert_eq!(poll_elsewhere(&mut first), None);
        let mut second = call();
        clock.advance(Duration::from_secs(3600));
        poll_for_long(&mut second);
        assert_eq!(BODIES.get(), 1, "what was not woken need not be polled");
        LEAVE.open();
        poll_for_long(&mut second);
        assert_eq!(BODIES.get(), 1, "it was woken just now");
        clock.advance(LIMIT);
        while BODIES.get() == 1 {
            assert_eq!(poll(&mut second), None);
        }
        // The second leads, and the third waits for it.
        let mut third = call();
        poll_for_long(&mut third);
        assert_eq!(poll_elsewhere(&mut first), Some(1), "its own caller has its answer");
        assert_eq!(poll(&mut third), None, "it waits for the second");
        let mut fourth = call();
        assert_eq!(poll(&mut fourth), None);
        assert_eq!(BODIES.get(), 2, "it waits for the second, too");
        assert_eq!(block_on(scoped(&cache, async { f_cache().peek().await })), None, "what came late is not kept");
        SECOND.open();
        assert_eq!(block_on(second), 2);
        assert_eq!(block_on(third), 2);
        assert_eq!(block_on(fourth), 2);
        assert_eq!(block_on(call()), 2);
        let stats = stats(&cache, 5);
        assert_eq!((stats.bodies, stats.coalesced, stats.hits, stats.faults.total()), (2, 2, 1, 0));
    });
}

#[test]
fn a_leader_that_is_polled_keeps_its_lead() {
    static BODIES: Count = Count::new();
    static ONE: Gate = Gate::new();
    static TWO: Gate = Gate::new();
    #[cache_request]
    async fn f() -> u32 {
        ONE.passed().await;
        TWO.passed().await;
        BODIES.next()
    }
    ends(|| {
        let clock = Clock::mock();
        let cache = cache(&clock);
        let [mut first, mut second] = [held(scoped(&cache, f())), held(scoped(&cache, f()))];
        assert_eq!(poll_elsewhere(&mut first), None);
        assert_eq!(poll(&mut second), None);
        ONE.open();
        assert_eq!(poll_elsewhere(&mut first), None);
        clock.advance(Duration::from_secs(3600));
        poll_for_long(&mut second);
        TWO.open();
        assert_eq!(poll_elsewhere(&mut first), Some(1));
        assert_eq!(block_on(second), 1);
    });
}

/// Its leader has nothing to do yet. After an invalidation, those who wait go on waiting for it.
#[test]
fn an_invalidation_sent_waiters_away_from_a_leader_that_is_well() {
    static BODIES: Count = Count::new();
    static LEAVE: Gate = Gate::new();
    #[cache_request]
    async fn f() -> u32 {
        let body = BODIES.next();
        LEAVE.passed().await;
        body
    }
    ends(|| {
        let cache = cache(&Clock::mock());
        let [mut first, mut second] = [held(scoped(&cache, f())), held(scoped(&cache, f()))];
        assert_eq!(poll_elsewhere(&mut first), None);
        assert_eq!(poll(&mut second), None);
        block_on(cache.clear()).unwrap();
        poll_for_long(&mut second);
        assert_eq!(BODIES.get(), 1);
        LEAVE.open();
        assert_eq!(poll_elsewhere(&mut first), Some(1));
        assert_eq!(block_on(second), 1);
    });
}

/// A task that polls one future and holds another one, as the handlers of a `select!` loop do.
#[test]
fn a_waiter_in_the_task_of_its_leader_waited_for_it() {
    static BODIES: Count = Count::new();
    static LEAVE: Gate = Gate::new();
    #[cache_request]
    async fn f() -> u32 {
        let body = BODIES.next();
        LEAVE.passed().await;
        body
    }
    ends(|| {
        let cache = Cache::builder().wait_limit(Duration::MAX).poll_limit(Duration::MAX).build().unwrap();
        block_on(scoped(&cache, async {
            let (mut first, mut second) = (held(f()), held(f()));
            assert_eq!(futures_lite::future::poll_once(&mut first).await, None);
            assert_eq!(futures_lite::future::poll_once(&mut second).await, None);
            LEAVE.open();
            assert_eq!(second.await, 2, "without any time to wait");
            assert_eq!(first.await, 1);
            assert_eq!(f().await, 2);
        }));
    });
}

#[test]
fn futures_that_one_task_polls_in_turn_share_one_body() {
    static BODIES: Count = Count::new();
    #[cache_request]
    async fn f(first: bool) -> u32 {
        let _ = first;
        for _ in 0..20 {
            yield_now().await;
        }
        BODIES.next()
    }
    ends(|| {
        let clock = Clock::mock();
        let cache = cache(&clock);
        // The one that is polled first leads. Later, it may be the last one in each turn.
        let (mut leader, mut waiter) = (held(scoped(&cache, f(true))), held(scoped(&cache, f(true))));
        assert_eq!((poll(&mut leader), poll(&mut waiter)), (None, None));
        assert_eq!(block_on(zip(waiter, leader)), (1, 1));
        assert_eq!(block_on(zip(scoped(&cache, f(false)), scoped(&cache, f(false)))), (2, 2));
    });
}

/// A task that only wakers keep alive went on for ever, as its own future kept its waker.
#[test]
fn a_task_that_its_executor_has_dropped_is_gone() {
    struct Task(Mutex<Option<Held<'static, u32>>>);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }

    static BODIES: Count = Count::new();
    #[cache_request]
    async fn f() -> u32 {
        if BODIES.next() == 1 {
            pending::<()>().await;
        }
        BODIES.get()
    }
    ends(|| {
        let cache = cache(&Clock::mock());
        let task = Arc::new(Task(Mutex::new(Some(held(scoped(&cache, f()))))));
        let waker = Waker::from(Arc::clone(&task));
        let polled = task.0.lock().unwrap().as_mut().unwrap().as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        let mut second = held(scoped(&cache, f()));
        assert_eq!(poll(&mut second), None);
        drop((waker, task));
        assert_eq!(block_on(second), 2);
    });
}

/// Its value was on its way to the backend.
#[test]
fn a_put_that_was_woken_and_not_polled_held_all_others_up() {
    static BODIES: Count = Count::new();
    static OPERATIONS: Count = Count::new();
    static LEAVE: Gate = Gate::new();
    #[cache_request]
    async fn f() -> u32 {
        BODIES.next()
    }
    ends(|| {
        let clock = Clock::mock();
        let pause = || async {
            if OPERATIONS.next() == 1 {
                LEAVE.passed().await;
            }
        };
        let backend = Pausing::new(MemoryBackend::builder().clock(&clock).build().unwrap(), pause);
        let cache = Cache::builder().clock(&clock).backend(backend).wait_limit(Duration::MAX).poll_limit(LIMIT);
        let cache = cache.soft_limit(Duration::from_secs(3600)).build().unwrap();
        let mut put = held(scoped(&cache, async { f_cache().put(&7).await }));
        assert!(poll_elsewhere(&mut put).is_none());
        let mut call = held(scoped(&cache, f()));
        assert_eq!(poll(&mut call), None);
        LEAVE.open();
        clock.advance(LIMIT);
        while BODIES.get() == 0 {
            assert_eq!(poll(&mut call), None);
        }
        assert!(poll_elsewhere(&mut put).is_some());
        assert_eq!(block_on(call), 1);
    });
}
