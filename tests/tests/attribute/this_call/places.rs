//! Where there is a call: in the body that runs, and nowhere else.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::Duration,
};

use cache_request::{Reason, cache_request, scoped, scoped_sync, this_call};
use futures_lite::future::{block_on, yield_now, zip};

use super::{caches, seconds};
use crate::support::Count;

fn is_not_called() -> bool {
    let call = this_call();
    assert!(!call.is_cached());
    assert!(!call.timeout(seconds(1)) && !call.do_not_keep() && !call.keep_stale());
    assert_eq!(call.stale_value::<u32>(), None);
    call.reason() == Reason::NotCalled
}

#[test]
fn outside_a_body_there_is_no_call() {
    #[cache_request(local)]
    fn called() -> Reason {
        this_call().reason()
    }

    assert!(is_not_called());
    for (name, cache, _) in caches() {
        scoped_sync(&cache, || assert_eq!(called(), Reason::NeverSeen, "{name}"));
        assert!(is_not_called(), "{name}");
    }
}

#[test]
fn a_body_that_panics_leaves_no_call_behind() {
    #[cache_request]
    fn panics() -> u32 {
        this_call().do_not_keep();
        panic!("on purpose")
    }

    let (_, cache, _) = caches().remove(0);
    scoped_sync(&cache, || catch_unwind(AssertUnwindSafe(panics)).unwrap_err());
    assert!(is_not_called());
}

#[test]
fn the_inner_body_spoke_for_the_outer_one() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 60)]
    fn inner() -> u32 {
        this_call().do_not_keep();
        BODIES.next()
    }

    #[cache_request(timeout = 60)]
    async fn middle() -> u32 {
        let before = this_call();
        let body = inner();
        yield_now().await;
        inner_cache().uncached();
        assert!(this_call().is_cached());
        before.timeout(seconds(10));
        body
    }

    #[cache_request(timeout = 60)]
    async fn outer() -> u32 {
        let body = middle().await;
        assert_eq!(this_call().reason(), Reason::NeverSeen);
        body
    }

    for (name, cache, clock) in caches() {
        block_on(scoped(&cache, async {
            let first = outer().await;
            assert_eq!((outer().await, middle().await), (first, first), "{name}: both are kept");
            assert_ne!(inner(), inner(), "{name}: the innermost is not");
            clock.advance(seconds(10));
            assert_eq!(outer().await, first, "{name}");
            assert_ne!(middle().await, first, "{name}");
        }));
    }
}

#[test]
fn bodies_that_take_turns_spoke_for_one_another() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 60)]
    async fn turns(id: u64) -> u32 {
        for _ in 0..5 {
            yield_now().await;
            if id == 1 {
                this_call().do_not_keep();
            } else {
                this_call().timeout(seconds(id));
            }
        }
        BODIES.next()
    }

    for (name, cache, clock) in caches() {
        block_on(scoped(&cache, async {
            let first = zip(zip(turns(1), turns(2)), turns(100)).await;
            assert_ne!(turns(1).await, first.0.0, "{name}");
            assert_eq!(turns(2).await, first.0.1, "{name}");
            clock.advance(seconds(2));
            assert_ne!(turns(2).await, first.0.1, "{name}");
            assert_eq!(turns(100).await, first.1, "{name}");
        }));
    }
}

#[test]
fn a_thread_of_the_body_has_what_it_is_given() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 60)]
    fn spawns(gives: bool) -> u32 {
        let call = this_call();
        thread::scope(|threads| {
            threads.spawn(|| {
                assert!(is_not_called());
                if gives {
                    assert!(call.do_not_keep());
                }
            });
        });
        BODIES.next()
    }

    for (name, cache, _) in caches() {
        scoped_sync(&cache, || {
            assert_ne!(spawns(true), spawns(true), "{name}");
            assert_eq!(spawns(false), spawns(false), "{name}");
        });
    }
}

/// From one thread to another at each poll.
#[test]
fn a_body_lost_its_call_on_another_thread() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 60)]
    async fn moves() -> u32 {
        for _ in 0..4 {
            assert_eq!(this_call().reason(), Reason::NeverSeen);
            yield_now().await;
        }
        this_call().timeout(Duration::from_secs(5));
        BODIES.next()
    }

    for (name, cache, clock) in caches() {
        let call = || {
            let mut call = Box::pin(scoped(&cache, moves()));
            loop {
                let polled = thread::scope(|threads| {
                    let poll = || block_on(futures_lite::future::poll_once(call.as_mut()));
                    threads.spawn(poll).join().unwrap()
                });
                if let Some(answer) = polled {
                    return answer;
                }
            }
        };
        let first = call();
        clock.advance(seconds(4));
        assert_eq!(call(), first, "{name}");
        clock.advance(seconds(1));
        assert_eq!(block_on(scoped(&cache, async { moves_cache().peek().await })), None, "{name}");
    }
}

/// In a body that is dropped before its end.
#[test]
fn a_destructor_of_a_cancelled_body_has_its_call() {
    static REASONS: super::Reasons = super::Reasons::new();

    struct Asks;

    impl Drop for Asks {
        fn drop(&mut self) {
            REASONS.note();
        }
    }

    #[cache_request(timeout = 60)]
    async fn cancelled() -> u32 {
        let _asks = Asks;
        yield_now().await;
        1
    }

    let (_, cache, _) = caches().remove(0);
    assert_eq!(block_on(futures_lite::future::poll_once(scoped(&cache, cancelled()))), None);
    assert_eq!(REASONS.take(), [Reason::NeverSeen]);
    assert!(is_not_called());
}

#[test]
fn a_destructor_of_a_cancelled_body_without_a_cache_spoke_for_the_outer_one() {
    static BODIES: Count = Count::new();

    struct Speaks;

    impl Drop for Speaks {
        fn drop(&mut self) {
            this_call().do_not_keep();
        }
    }

    #[cache_request(timeout = 60)]
    async fn inner() -> u32 {
        let _speaks = Speaks;
        yield_now().await;
        1
    }

    #[cache_request(timeout = 60)]
    async fn outer() -> u32 {
        assert_eq!(futures_lite::future::poll_once(inner_cache().uncached()).await, None);
        BODIES.next()
    }

    let (_, cache, _) = caches().remove(0);
    block_on(scoped(&cache, async { assert_eq!(outer().await, outer().await) }));
}

/// What a body polls is a part of it, whatever it is. What others poll is not.
#[test]
fn futures_and_local_tasks_of_a_body_have_its_call() {
    use tokio::task::{LocalSet, spawn_local};

    #[cache_request(timeout = 60, local)]
    async fn drives() -> [Reason; 4] {
        let reason = || async {
            yield_now().await;
            this_call().reason()
        };
        let joined = zip(reason(), reason()).await;
        let local = LocalSet::new().run_until(async { spawn_local(reason()).await.unwrap() }).await;
        let spawned = tokio::spawn(reason()).await.unwrap();
        [joined.0, joined.1, local, spawned]
    }

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let (_, cache, _) = caches().remove(0);
    let called = Reason::NeverSeen;
    assert_eq!(runtime.block_on(scoped(&cache, drives())), [called, called, called, Reason::NotCalled]);
}
