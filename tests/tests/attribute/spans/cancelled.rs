//! Callers that go away while a body runs for them in the background.

use std::{
    future::pending,
    task::{Context, Waker},
};

use cache_request::{cache_request, scoped};
use futures_lite::future::{block_on, yield_now};

use super::{caches, seconds};
use crate::support::{Count, Gate, ends};

#[test]
fn a_body_in_the_background_ended_with_its_caller() {
    static BODIES: Count = Count::new();
    static GATES: [Gate; 6] = [const { Gate::new() }; 6];

    #[cache_request(timeout = 10, stale = 60)]
    async fn version(of: &str) -> u32 {
        let body = BODIES.next();
        if body.is_multiple_of(2) {
            GATES[body as usize / 2 - 1].passed().await;
        }
        yield_now().await;
        body + u32::try_from(of.len()).unwrap()
    }

    ends(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let mut bodies = 0;
        for on_tokio in [false, true] {
            for (name, cache, clock) in caches() {
                let name = format!("{name}, on tokio: {on_tokio}");
                assert_eq!(block_on(scoped(&cache, version(""))), bodies + 1, "{name}");
                clock.advance(seconds(10));
                // Its argument is gone with it.
                let caller = async move {
                    let of = String::new();
                    assert_eq!(version(&of).await, bodies + 1, "the old value");
                    pending::<()>().await;
                };
                bodies += 2;
                if on_tokio {
                    let caller = runtime.spawn(scoped(&cache, caller));
                    BODIES.reaches(bodies);
                    caller.abort();
                    assert!(block_on(caller).unwrap_err().is_cancelled(), "{name}");
                } else {
                    let mut caller = Box::pin(scoped(&cache, caller));
                    let polled = caller.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                    assert!(polled.is_pending(), "{name}");
                    BODIES.reaches(bodies);
                    drop(caller);
                }
                GATES[bodies as usize / 2 - 1].open();
                cache.shutdown_sync();
                assert_eq!(block_on(scoped(&cache, version(""))), bodies, "{name}: its value is kept");
                assert_eq!(BODIES.get(), bodies, "{name}");
            }
        }
    });
}

#[test]
fn a_body_ended_with_the_caller_that_waited_for_it() {
    static BODIES: Count = Count::new();
    static GATES: [Gate; 3] = [const { Gate::new() }; 3];

    #[cache_request(timeout = 10, stale_if_error = "3h", stale_after = "2h")]
    async fn version() -> u32 {
        let body = BODIES.next();
        if body.is_multiple_of(2) {
            GATES[body as usize / 2 - 1].passed().await;
        }
        body
    }

    ends(|| {
        for (number, (name, cache, clock)) in (0..).zip(caches()) {
            assert_eq!(block_on(scoped(&cache, version())), number * 2 + 1, "{name}");
            clock.advance(seconds(10));
            // The first one has begun the body. The last one goes on waiting.
            let mut callers: Vec<_> = (0..3).map(|_| Box::pin(scoped(&cache, version()))).collect();
            for caller in &mut callers {
                assert!(caller.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending(), "{name}");
            }
            BODIES.reaches(number * 2 + 2);
            let stays = callers.pop().unwrap();
            drop(callers);
            GATES[number as usize].open();
            assert_eq!(block_on(stays), number * 2 + 2, "{name}: it waits for the body");
            cache.shutdown_sync();
            let kept = block_on(scoped(&cache, version()));
            assert_eq!(kept, number * 2 + 2, "{name}: its value is kept");
            assert_eq!(BODIES.get(), number * 2 + 2, "{name}");
        }
    });
}

#[test]
fn a_body_for_which_no_caller_waits_any_more_was_not_kept() {
    static BODIES: Count = Count::new();
    static GATES: [Gate; 3] = [const { Gate::new() }; 3];

    #[cache_request(timeout = 10, stale_if_error = "3h", stale_after = "2h")]
    async fn version() -> u32 {
        let body = BODIES.next();
        if body.is_multiple_of(2) {
            GATES[body as usize / 2 - 1].passed().await;
        }
        body
    }

    ends(|| {
        for (number, (name, cache, clock)) in (0..).zip(caches()) {
            assert_eq!(block_on(scoped(&cache, version())), number * 2 + 1, "{name}");
            clock.advance(seconds(10));
            let mut caller = Box::pin(scoped(&cache, version()));
            assert!(caller.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending(), "{name}");
            BODIES.reaches(number * 2 + 2);
            drop(caller);
            GATES[number as usize].open();
            cache.shutdown_sync();
            assert_eq!(block_on(scoped(&cache, version())), number * 2 + 2, "{name}");
            assert_eq!(BODIES.get(), number * 2 + 2, "{name}");
            assert_eq!(cache.stats().faults(), 0, "{name}");
        }
    });
}
