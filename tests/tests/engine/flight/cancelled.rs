//! Leaders and waiters that go away half way.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::{Context, Wake, Waker},
    time::Duration,
};

use cache_request::{Cache, Clock, backend::MemoryBackend, cache_request, client_scope, scoped, scoped_sync};
use cache_request_tests::backends::Pausing;
use futures_lite::future::{block_on, yield_now, zip};

use crate::support::{Count, Gate, Held, cache, ends, poll, stats};

static BEGUN: Count = Count::new();
static ENDED: Count = Count::new();

#[cache_request]
async fn slow(round: u32) -> u32 {
    BEGUN.next();
    yield_now().await;
    yield_now().await;
    ENDED.next();
    round
}

/// On a backend each of whose operations has an await point before and after it.
fn on_a_backend() -> Cache {
    let memory = MemoryBackend::builder().clock(Clock::mock()).build().unwrap();
    Cache::builder().wait_limit(Duration::MAX).backend(Pausing::new(memory, yield_now)).build().unwrap()
}

/// One after the other, as they count the same bodies.
#[test]
fn a_leader_dropped_at_any_await_point_leaves_its_followers_an_answer() {
    ends(|| {
        for make in [cache, on_a_backend] {
            let mut polls = 0;
            loop {
                let (cache, begun, ended) = (make(), BEGUN.get(), ENDED.get());
                let mut leader = Box::pin(scoped(&cache, slow(polls)));
                let mut answered = false;
                let mut followers: Vec<_> = (0..3).map(|_| Box::pin(scoped(&cache, slow(polls)))).collect();
                for poll_number in 0..polls {
                    answered = poll(&mut leader).is_some();
                    if poll_number == 0 && !answered {
                        for follower in &mut followers {
                            assert_eq!(poll(follower), None, "it waits");
                        }
                    }
                }
                drop(leader);
                let bodies_before = BEGUN.get() - begun;
                let ended_before = ENDED.get() - ended;
                for follower in followers {
                    assert_eq!(block_on(follower), polls);
                }
                let bodies_after = BEGUN.get() - begun - bodies_before;
                assert!(bodies_after <= 1, "{bodies_after} more after {polls} polls");
                assert_eq!(bodies_after, u32::from(ended_before == 0 || bodies_after == 1), "after {polls} polls");
                // Nothing is left in the way of those who come later.
                assert_eq!(block_on(scoped(&cache, slow(polls))), polls);
                assert_eq!(BEGUN.get() - begun, bodies_before + bodies_after, "it is remembered");
                if answered {
                    break;
                }
                polls += 1;
            }
            assert!(polls >= 3, "the leader had await points");
        }
    });
}

#[test]
fn a_follower_that_goes_away_is_not_missed() {
    static BODIES: Count = Count::new();
    static LEAVE: Gate = Gate::new();
    #[cache_request]
    async fn f() -> u32 {
        LEAVE.passed().await;
        BODIES.next()
    }
    ends(|| {
        let cache = cache();
        let call = || Box::pin(scoped(&cache, f()));
        let mut leader = call();
        assert_eq!(poll(&mut leader), None);
        for _ in 0..100 {
            let mut follower = call();
            assert_eq!(poll(&mut follower), None);
        }
        let mut follower = call();
        assert_eq!(poll(&mut follower), None);
        LEAVE.open();
        assert_eq!(block_on(zip(leader, follower)), (1, 1));
        let stats = stats(&cache, 2);
        assert_eq!((stats.misses.total(), stats.coalesced), (1, 1));
    });
}

/// Cancelling must not end one flight while the body is there still: what it holds may be wanted by the next one.
#[test]
fn a_cancelled_body_is_gone_before_the_next_one_begins() {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    static LEAVE: Gate = Gate::new();
    struct Taken;
    impl Drop for Taken {
        fn drop(&mut self) {
            TAKEN.store(false, SeqCst);
        }
    }
    #[cache_request]
    async fn f() -> bool {
        let was_taken = TAKEN.swap(true, SeqCst);
        let _taken = Taken;
        LEAVE.passed().await;
        was_taken
    }
    ends(|| {
        let cache = cache();
        let mut leader = Box::pin(scoped(&cache, f()));
        assert_eq!(poll(&mut leader), None);
        /// Woken by the end of the flight.
        struct Woken(Gate);
        impl Wake for Woken {
            fn wake(self: Arc<Self>) {
                assert!(!TAKEN.load(SeqCst), "the flight is over, and the body is there still");
                self.0.open();
            }
        }
        let woken = Arc::new(Woken(Gate::new()));
        let waker = Waker::from(Arc::clone(&woken));
        let mut follower = Box::pin(scoped(&cache, f()));
        assert!(follower.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        drop(leader);
        woken.0.wait();
        LEAVE.open();
        assert!(!block_on(follower));
    });
}

/// A guard in the body, dropped with it, acts for the body's client.
#[test]
fn what_a_cancelled_body_drops_is_in_its_scope() {
    static SEEN: std::sync::Mutex<Vec<String>> = std::sync::Mutex::new(Vec::new());
    static LEAVE: Gate = Gate::new();
    #[cache_request(prefix = "p", name = "n")]
    fn key() -> u32 {
        0
    }
    struct Guard;
    impl Drop for Guard {
        fn drop(&mut self) {
            SEEN.lock().unwrap().push(key_cache().key().unwrap());
        }
    }
    let cache = cache();
    let mut task = Box::pin(scoped(
        &cache,
        client_scope("acme", async {
            let _guard = Guard;
            LEAVE.passed().await;
        }),
    ));
    assert!(poll(&mut task).is_none());
    drop(task);
    let in_scope = scoped_sync(&cache, || cache_request::client_scope_sync("acme", || key_cache().key().unwrap()));
    assert_eq!(*SEEN.lock().unwrap(), [in_scope]);
}

/// Also if the body's own guard calls the function that is being cancelled.
#[test]
fn a_cancelled_body_may_call_itself() {
    static LEAVE: Gate = Gate::new();
    static BODIES: Count = Count::new();
    struct Guard;
    impl Drop for Guard {
        fn drop(&mut self) {
            if BODIES.get() == 1 {
                LEAVE.open();
                assert_eq!(block_on(f()), 2);
            }
        }
    }
    #[cache_request]
    async fn f() -> u32 {
        let body = BODIES.next();
        let _guard = Guard;
        LEAVE.passed().await;
        body
    }
    ends(|| {
        let cache = cache();
        let mut task = Box::pin(scoped(&cache, f()));
        assert_eq!(poll(&mut task), None);
        drop(task);
        assert_eq!(block_on(scoped(&cache, f())), 2);
    });
}

#[test]
fn companions_dropped_half_way_leave_nothing_in_the_way() {
    static LEAVE: Gate = Gate::new();
    static BODIES: Count = Count::new();
    #[cache_request]
    async fn f() -> u32 {
        BODIES.next();
        LEAVE.passed().await;
        1
    }
    ends(|| {
        for cache in [cache(), on_a_backend()] {
            let handle = || scoped_sync(&cache, f_cache);
            let mut refresh: Held<'_, u32> = Box::pin(handle().refresh());
            assert_eq!(poll(&mut refresh), None);
            drop(refresh);
            for polls in 0..2 {
                let handle = handle();
                let mut invalidate = Box::pin(handle.invalidate());
                let mut put = Box::pin(handle.put(&2));
                for _ in 0..polls {
                    let _ = poll(&mut invalidate);
                    let _ = poll(&mut put);
                }
            }
            scoped_sync(&cache, || block_on(f_cache().invalidate())).unwrap();
            let bodies = BODIES.get();
            let mut call = Box::pin(scoped(&cache, f()));
            for _ in 0..5 {
                assert_eq!(poll(&mut call), None);
            }
            assert_eq!(BODIES.get(), bodies + 1, "it leads");
        }
    });
}
