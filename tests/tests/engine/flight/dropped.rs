//! Values whose destructors panic, call, or run late. The thread that drops them is not harmed.

use std::{
    cell::{Cell, RefCell},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
        mpsc,
    },
    task::{Context, Wake, Waker},
    thread,
    time::Duration,
};

use cache_request::{Cache, cache_request, scoped, scoped_sync};
use futures_lite::future::block_on;

use crate::support::{Gate, cache, ends};

/// It is the cache's own clone that is dropped, and under no lock: the destructor asks for the very same key.
#[test]
fn a_value_too_large_to_keep_may_call_while_it_is_dropped() {
    #[derive(Clone)]
    struct Forgets;
    impl Drop for Forgets {
        fn drop(&mut self) {
            let _ = f_cache().invalidate();
        }
    }
    #[cache_request(local)]
    fn f() -> Forgets {
        Forgets
    }
    ends(|| {
        let cache = Cache::builder().max_bytes(8).build().unwrap();
        scoped_sync(&cache, || drop(f()));
    });
}

#[test]
fn a_value_too_large_to_keep_may_panic_while_it_is_dropped() {
    struct Bomb {
        clone: bool,
    }
    impl Clone for Bomb {
        fn clone(&self) -> Self {
            Self { clone: true }
        }
    }
    impl Drop for Bomb {
        fn drop(&mut self) {
            assert!(!self.clone, "the cache's clone is dropped");
        }
    }
    #[cache_request(local)]
    fn f() -> Bomb {
        Bomb { clone: false }
    }
    let cache = Cache::builder().max_bytes(8).build().unwrap();
    scoped_sync(&cache, || drop(f()));
}

/// The last to look at a value frees it.
#[test]
fn a_hit_may_free_a_value_that_panics() {
    static READING: Gate = Gate::new();
    static REMOVED: Gate = Gate::new();
    struct Late {
        kept: bool,
    }
    impl Clone for Late {
        fn clone(&self) -> Self {
            if self.kept {
                READING.open();
                REMOVED.wait();
            }
            Self { kept: !self.kept }
        }
    }
    impl Drop for Late {
        fn drop(&mut self) {
            assert!(!self.kept, "the kept one is dropped");
        }
    }
    #[cache_request(local, weight = |_| 8192)]
    fn f() -> Late {
        Late { kept: false }
    }
    ends(|| {
        let cache = cache();
        scoped_sync(&cache, || drop(f()));
        let reader = thread::spawn({
            let cache = cache.clone();
            move || scoped_sync(&cache, || drop(f()))
        });
        READING.wait();
        assert!(scoped_sync(&cache, || f_cache().invalidate()).unwrap());
        REMOVED.open();
        reader.join().expect("a hit");
    });
}

#[test]
fn a_cache_may_be_dropped_whose_values_panic() {
    thread_local!(static ARMED: Cell<bool> = const { Cell::new(false) });
    #[derive(Clone)]
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            assert!(!ARMED.get(), "a value is dropped");
        }
    }
    #[cache_request(local)]
    fn f(id: u32) -> Bomb {
        let _ = id;
        Bomb
    }
    let cache = cache();
    scoped_sync(&cache, || {
        for id in 0..3 {
            drop(f(id));
        }
        f_cache(0).invalidate().unwrap();
    });
    ARMED.set(true);
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(cache)));
    ARMED.set(false);
    dropped.expect("the panic goes no further");
}

/// The executor of a waiter is gone; the leader and the other waiters have nothing to do with that.
#[test]
fn a_waker_may_panic() {
    static LEAVE: Gate = Gate::new();
    struct Gone;
    impl Wake for Gone {
        fn wake(self: Arc<Self>) {
            panic!("the executor is gone");
        }
    }
    struct Woken(AtomicBool);
    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, SeqCst);
        }
    }
    #[cache_request]
    async fn f() -> u32 {
        LEAVE.passed().await;
        1
    }
    ends(|| {
        let cache = cache();
        let mut calls = [(); 3].map(|()| Box::pin(scoped(&cache, f())));
        let woken = Arc::new(Woken(AtomicBool::new(false)));
        let wakers = [Waker::noop().clone(), Waker::from(Arc::new(Gone)), Waker::from(Arc::clone(&woken))];
        for (call, waker) in calls.iter_mut().zip(&wakers) {
            assert!(call.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
        }
        LEAVE.open();
        let [leader, _, waiter] = calls;
        assert_eq!(block_on(leader), 1);
        assert!(woken.0.load(SeqCst));
        assert_eq!(block_on(waiter), 1);
    });
}

/// Called by what a thread destroys when it ends, be that made before the thread's first call, after it, or without one.
#[test]
fn a_thread_that_ends_may_call() {
    #[cache_request]
    fn f(id: u32) -> u32 {
        id
    }
    struct Last(Cache, mpsc::Sender<[u32; 3]>);
    impl Drop for Last {
        fn drop(&mut self) {
            let answers = scoped_sync(&self.0, || {
                let _ = f_cache(8).invalidate();
                [f(8), f(8), f_cache(8).refresh()]
            });
            let _ = self.1.send(answers);
        }
    }
    thread_local!(static LAST: RefCell<Option<Last>> = const { RefCell::new(None) });
    for (before, after) in [(false, false), (true, false), (false, true), (true, true)] {
        for cache in [cache(), Cache::null()] {
            let (sender, answers) = mpsc::channel();
            let ended = thread::spawn(move || {
                let call = || scoped_sync(&cache, || f(1));
                if before {
                    call();
                }
                LAST.set(Some(Last(cache.clone(), sender)));
                if after {
                    call();
                }
            });
            ended.join().unwrap();
            assert_eq!(answers.recv_timeout(Duration::from_secs(60)), Ok([8, 8, 8]), "{before} {after}");
        }
    }
}
