//! What never waits: a hit.

use std::thread;

use cache_request::{Cache, Clock, backend::MemoryBackend, cache_request, scoped, scoped_sync};
use futures_lite::future::block_on;

use crate::support::{Count, Gate, Held, cache, ends, poll, stats};

#[test]
fn a_hit_does_not_wait_for_the_body_of_another_key() {
    static ENTERED: Gate = Gate::new();
    static LEAVE: Gate = Gate::new();
    #[cache_request]
    fn f(id: u32) -> u32 {
        if id == 0 {
            ENTERED.open();
            LEAVE.wait();
        }
        id
    }
    ends(|| {
        let cache = cache();
        for id in 1..1000 {
            scoped_sync(&cache, || f(id));
        }
        thread::scope(|scope| {
            let slow = scope.spawn(|| scoped_sync(&cache, || f(0)));
            ENTERED.wait();
            for id in 1..1000 {
                assert_eq!(scoped_sync(&cache, || f(id)), id);
            }
            LEAVE.open();
            slow.join().unwrap();
        });
        let stats = stats(&cache, 1999);
        assert_eq!((stats.hits, stats.misses.total()), (999, 1000));
    });
}

fn assert_a_hit_waits_for_no_refresh(cache: &Cache) {
    #[cache_request(skip(bodies, leave))]
    async fn f(bodies: &Count, leave: &Gate) -> u32 {
        let body = bodies.next();
        if body == 2 {
            leave.passed().await;
        }
        body
    }
    let (bodies, leave) = (Count::new(), Gate::new());
    let call = || block_on(scoped(cache, f(&bodies, &leave)));
    assert_eq!(call(), 1);
    let mut refresh: Held<'_, u32> = Box::pin(scoped_sync(cache, || f_cache(&bodies, &leave)).refresh());
    assert_eq!(poll(&mut refresh), None);
    assert_eq!(call(), 1, "remembered meanwhile");
    leave.open();
    assert_eq!(block_on(refresh), 2);
    assert_eq!(call(), 2);
    assert_eq!(stats(cache, 3).hits, 2);
}

#[test]
fn a_hit_does_not_wait_for_a_refresh_of_its_key() {
    ends(|| assert_a_hit_waits_for_no_refresh(&cache()));
}

#[test]
fn on_a_backend_neither() {
    ends(|| {
        let backend = MemoryBackend::builder().clock(Clock::mock()).build().unwrap();
        assert_a_hit_waits_for_no_refresh(&Cache::builder().backend(backend).build().unwrap());
    });
}

/// While there is nothing to remember, callers wait for the refresh like for any body.
#[test]
fn a_miss_waits_for_a_refresh_of_its_key() {
    static BODIES: Count = Count::new();
    static LEAVE: Gate = Gate::new();
    #[cache_request]
    async fn f() -> u32 {
        LEAVE.passed().await;
        BODIES.next()
    }
    ends(|| {
        let cache = cache();
        let mut refresh: Held<'_, u32> = Box::pin(scoped_sync(&cache, f_cache).refresh());
        assert_eq!(poll(&mut refresh), None);
        let mut call = Box::pin(scoped(&cache, f()));
        assert_eq!(poll(&mut call), None);
        LEAVE.open();
        assert_eq!([block_on(refresh), block_on(call)], [1, 1]);
        assert_eq!(stats(&cache, 1).coalesced, 1);
    });
}
