//! In memory, where a value is kept in one step.

use std::pin::Pin;

use cache_request::{Cache, cache_request, scoped, scoped_sync};
use futures_lite::future::{block_on, yield_now};

use crate::support::{Count, Gate, Held, cache, ends, poll, stats};

/// A function whose first body reads what the source was, and returns it late.
macro_rules! late {
    () => {
        static BODIES: Count = Count::new();
        static LATE: Gate = Gate::new();
        #[cache_request]
        async fn f() -> u32 {
            let body = BODIES.next();
            if body == 1 {
                LATE.passed().await;
            }
            body
        }
    };
}

fn begin<'a, T: Send + 'a>(call: impl Future<Output = T> + Send + 'a) -> Held<'a, T> {
    let mut call: Held<'a, T> = Box::pin(call);
    assert!(poll(&mut call).is_none());
    call
}

#[test]
fn invalidate_wins_over_the_body_that_runs() {
    late!();
    ends(|| {
        let cache = cache();
        let leader = begin(scoped(&cache, f()));
        let follower = begin(scoped(&cache, f()));
        assert!(!block_on(scoped_sync(&cache, f_cache).invalidate()).unwrap(), "nothing was remembered");
        // A caller that comes now does not wait for the older body, nor get its value.
        assert_eq!(block_on(scoped(&cache, f())), 2);
        LATE.open();
        assert_eq!([block_on(leader), block_on(follower)], [1, 1], "they came before");
        assert_eq!(block_on(scoped(&cache, f())), 2, "what is newer stays");
        let stats = stats(&cache, 4);
        assert_eq!((stats.bodies, stats.coalesced, stats.hits, stats.entries), (2, 1, 1, 1));
    });
}

#[test]
fn nothing_is_kept_of_a_body_that_was_invalidated() {
    late!();
    ends(|| {
        let cache = cache();
        let leader = begin(scoped(&cache, f()));
        block_on(scoped_sync(&cache, f_cache).invalidate()).unwrap();
        LATE.open();
        assert_eq!(block_on(leader), 1);
        assert_eq!(block_on(scoped_sync(&cache, f_cache).peek()), None);
        assert_eq!(block_on(scoped(&cache, f())), 2);
    });
}

#[test]
fn put_wins_over_the_body_that_runs() {
    late!();
    ends(|| {
        let cache = cache();
        let leader = begin(scoped(&cache, f()));
        block_on(scoped_sync(&cache, f_cache).put(&9)).unwrap();
        assert_eq!(block_on(scoped(&cache, f())), 9);
        LATE.open();
        assert_eq!(block_on(leader), 1);
        assert_eq!(block_on(scoped(&cache, f())), 9);
        assert_eq!(BODIES.get(), 1);
    });
}

#[test]
fn refresh_wins_over_the_body_that_runs() {
    late!();
    ends(|| {
        let cache = cache();
        let leader = begin(scoped(&cache, f()));
        assert_eq!(block_on(scoped_sync(&cache, f_cache).refresh()), 2);
        LATE.open();
        assert_eq!(block_on(leader), 1);
        assert_eq!(block_on(scoped(&cache, f())), 2);
    });
}

#[test]
fn the_later_of_two_refreshes_wins() {
    late!();
    ends(|| {
        let cache = cache();
        let first = begin(scoped_sync(&cache, f_cache).refresh());
        assert_eq!(block_on(scoped_sync(&cache, f_cache).refresh()), 2);
        LATE.open();
        assert_eq!(block_on(first), 1);
        assert_eq!(block_on(scoped(&cache, f())), 2);
    });
}

#[test]
fn clear_wins_over_all_bodies_that_run() {
    static LATE: Gate = Gate::new();
    #[cache_request]
    async fn f(id: u32) -> u32 {
        LATE.passed().await;
        id
    }
    ends(|| {
        let cache = cache();
        let calls: Vec<_> = (0..100).map(|id| begin(scoped(&cache, f(id)))).collect();
        cache.clear_sync().unwrap();
        LATE.open();
        for (call, id) in calls.into_iter().zip(0..) {
            assert_eq!(block_on(call), id);
            assert_eq!(block_on(scoped_sync(&cache, || f_cache(id)).peek()), None);
        }
        assert_eq!(stats(&cache, 100).entries, 0);
    });
}

#[test]
fn a_body_may_invalidate_itself() {
    static BODIES: Count = Count::new();
    #[cache_request]
    async fn polled() -> u32 {
        let body = BODIES.next();
        yield_now().await;
        // Boxed, as an async function cannot be part of itself.
        let invalidate: Pin<Box<dyn Future<Output = ()>>> =
            Box::pin(async { polled_cache().invalidate().await.map(drop).unwrap() });
        invalidate.await;
        body
    }
    static PLAIN: Count = Count::new();
    #[cache_request]
    fn plain() -> u32 {
        let body = PLAIN.next();
        if body == 1 {
            plain_cache().invalidate().unwrap();
        }
        body
    }
    ends(|| {
        let cache = cache();
        assert_eq!([block_on(scoped(&cache, polled())), block_on(scoped(&cache, polled()))], [1, 2]);
        assert_eq!([scoped_sync(&cache, plain), scoped_sync(&cache, plain), scoped_sync(&cache, plain)], [1, 2, 2]);
    });
}

#[test]
fn a_body_may_put_its_own_value() {
    #[cache_request]
    fn plain() -> u32 {
        plain_cache().put(&9).unwrap();
        1
    }
    ends(|| {
        let cache = cache();
        assert_eq!([scoped_sync(&cache, plain), scoped_sync(&cache, plain)], [1, 9], "the put is newer than the body");
    });
}

/// What runs alone is reached as well.
#[test]
fn bodies_without_waiters_are_fenced_too() {
    static BODIES: Count = Count::new();
    static LATE: Gate = Gate::new();
    #[cache_request(coalesce = false)]
    async fn f() -> u32 {
        let body = BODIES.next();
        if body <= 3 {
            LATE.passed().await;
        }
        body
    }
    ends(|| {
        let cache = cache();
        let calls: Vec<_> = (0..3).map(|_| begin(scoped(&cache, f()))).collect();
        block_on(scoped_sync(&cache, f_cache).invalidate()).unwrap();
        LATE.open();
        for (call, body) in calls.into_iter().zip(1..) {
            assert_eq!(block_on(call), body);
        }
        assert_eq!(block_on(scoped_sync(&cache, f_cache).peek()), None);
    });
}

#[test]
fn another_key_and_another_cache_are_left_alone() {
    static LATE: Gate = Gate::new();
    #[cache_request]
    async fn f(id: u32) -> u32 {
        LATE.passed().await;
        id
    }
    ends(|| {
        let caches = [cache(), cache()];
        let handle = |cache: &Cache, id| scoped_sync(cache, || f_cache(id));
        let calls: Vec<_> = caches.iter().flat_map(|cache| [1, 2].map(|id| begin(scoped(cache, f(id))))).collect();
        block_on(handle(&caches[0], 1).invalidate()).unwrap();
        LATE.open();
        for call in calls {
            block_on(call);
        }
        let kept = |cache, id| block_on(handle(&caches[cache], id).peek());
        assert_eq!([kept(0, 1), kept(0, 2), kept(1, 1), kept(1, 2)], [None, Some(2), Some(1), Some(2)]);
    });
}

#[test]
fn an_error_of_a_refresh_leaves_what_is_remembered() {
    static BODIES: Count = Count::new();
    #[cache_request]
    fn f() -> Result<u32, u32> {
        let body = BODIES.next();
        if body == 2 { Err(body) } else { Ok(body) }
    }
    let cache = cache();
    scoped_sync(&cache, || {
        assert_eq!(f(), Ok(1));
        assert_eq!(f_cache().refresh(), Err(2));
        assert_eq!(f(), Ok(1));
        f_cache().put(&Err(9)).unwrap();
        assert_eq!(f(), Ok(1));
        assert_eq!(f_cache().refresh(), Ok(3));
        assert_eq!(f(), Ok(3));
    });
}
