//! Many callers of one cold key: one body.

use std::{
    sync::{Arc, Barrier},
    thread,
};

use async_executor::Executor;
use cache_request::{Cache, FunctionStats, cache_request, scoped, scoped_sync};
use futures_lite::future::{block_on, yield_now};

use crate::support::{Count, Gate, cache, ends, poll, stats};

#[test]
fn sixty_four_threads() {
    ends(|| {
        static BODIES: Count = Count::new();
        #[cache_request]
        fn f(id: u32) -> u32 {
            BODIES.next();
            for _ in 0..100 {
                thread::yield_now();
            }
            id
        }
        let (cache, all) = (cache(), Barrier::new(64));
        thread::scope(|scope| {
            for _ in 0..64 {
                scope.spawn(|| {
                    all.wait();
                    assert_eq!(scoped_sync(&cache, || f(7)), 7);
                });
            }
        });
        assert_eq!(BODIES.get(), 1);
        let stats = stats(&cache, 64);
        assert_eq!((stats.misses.total(), stats.bodies, stats.hits + stats.coalesced), (1, 1, 63));
    });
}

/// A body with await points of its own.
#[cache_request(skip(bodies))]
async fn slow(bodies: Arc<Count>) -> u32 {
    let body = bodies.next();
    for _ in 0..10 {
        yield_now().await;
    }
    body
}

/// Callers of one cold key.
struct Callers {
    cache: Cache,
    bodies: Arc<Count>,
}

impl Callers {
    fn new() -> Self {
        Self { cache: cache(), bodies: Arc::new(Count::new()) }
    }

    fn call(&self) -> impl Future<Output = u32> + Send + use<> {
        scoped(&self.cache, slow(Arc::clone(&self.bodies)))
    }

    /// How they have come to an end, so many of them, with one body.
    fn assert_one_body_for(&self, calls: u64) -> FunctionStats {
        assert_eq!(self.bodies.get(), 1);
        let stats = stats(&self.cache, calls);
        assert_eq!((stats.misses.total(), stats.bodies, stats.hits + stats.coalesced), (1, 1, calls - 1));
        stats
    }

    /// A thousand of them, as tasks of a runtime.
    fn run_on(mut runtime: tokio::runtime::Builder) -> FunctionStats {
        let callers = Self::new();
        runtime.build().unwrap().block_on(async {
            let tasks: Vec<_> = (0..1000).map(|_| tokio::spawn(callers.call())).collect();
            for task in tasks {
                assert_eq!(task.await.unwrap(), 1);
            }
        });
        callers.assert_one_body_for(1000)
    }
}

#[test]
fn a_thousand_tasks_on_many_threads() {
    ends(|| {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        runtime.worker_threads(4);
        Callers::run_on(runtime);
    });
}

#[test]
fn a_thousand_tasks_on_the_current_thread() {
    ends(|| {
        let stats = Callers::run_on(tokio::runtime::Builder::new_current_thread());
        assert!(stats.coalesced > 0, "no caller waited");
    });
}

#[test]
fn a_thousand_tasks_on_an_executor_of_two_threads() {
    ends(|| {
        let (callers, executor) = (Callers::new(), Executor::new());
        let tasks: Vec<_> = (0..1000).map(|_| executor.spawn(callers.call())).collect();
        let (stop, stopped) = async_stop();
        thread::scope(|scope| {
            scope.spawn(|| block_on(executor.run(stopped)));
            block_on(executor.run(async {
                for task in tasks {
                    assert_eq!(task.await, 1);
                }
            }));
            stop.open();
        });
        callers.assert_one_body_for(1000);
    });
}

fn async_stop() -> (Arc<Gate>, impl Future<Output = ()>) {
    let gate = Arc::new(Gate::new());
    (Arc::clone(&gate), async move { gate.passed().await })
}

#[test]
fn threads_that_each_block_on_it() {
    ends(|| {
        let callers = Callers::new();
        thread::scope(|scope| {
            for _ in 0..64 {
                scope.spawn(|| assert_eq!(block_on(callers.call()), 1));
            }
        });
        callers.assert_one_body_for(64);
    });
}

/// One thread is in the body, tasks and threads wait for it.
#[test]
fn tasks_and_threads_wait_for_one_another() {
    static BODIES: Count = Count::new();
    static ENTERED: Gate = Gate::new();
    static LEAVE: Gate = Gate::new();
    #[cache_request]
    async fn f() -> u32 {
        BODIES.next();
        ENTERED.open();
        LEAVE.passed().await;
        5
    }
    ends(|| {
        let cache = cache();
        let mut tasks: Vec<_> = (0..10).map(|_| Box::pin(scoped(&cache, f()))).collect();
        thread::scope(|scope| {
            scope.spawn(|| assert_eq!(block_on(scoped(&cache, f())), 5));
            ENTERED.wait();
            for task in &mut tasks {
                assert_eq!(poll(task), None);
            }
            scope.spawn(|| assert_eq!(block_on(scoped(&cache, f())), 5));
            LEAVE.open();
            for task in &mut tasks {
                assert_eq!(block_on(task), 5);
            }
        });
        assert_eq!(BODIES.get(), 1);
        assert!(stats(&cache, 12).coalesced >= 10);
    });
}

/// A plain function blocks the only thread there is, which its own body needs: no other task may be in it.
#[test]
fn plain_functions_in_a_runtime_of_one_thread() {
    static BODIES: Count = Count::new();
    #[cache_request]
    fn f(id: u32) -> u32 {
        BODIES.next();
        id
    }
    ends(|| {
        let cache = cache();
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            let call = async |id| {
                yield_now().await;
                f(id)
            };
            let tasks: Vec<_> = (0..100).map(|task| tokio::spawn(scoped(&cache, call(task % 10)))).collect();
            for (task, id) in tasks.into_iter().zip((0..10).cycle()) {
                assert_eq!(task.await.unwrap(), id);
            }
        });
        assert_eq!(BODIES.get(), 10);
        assert_eq!(stats(&cache, 100).hits, 90);
    });
}

#[test]
fn without_coalescing_each_runs_its_own() {
    static BODIES: Count = Count::new();
    #[cache_request(coalesce = false, skip(all))]
    fn f(all: &Barrier) -> u32 {
        all.wait();
        BODIES.next()
    }
    ends(|| {
        let (cache, all) = (cache(), Barrier::new(8));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| scoped_sync(&cache, || f(&all)));
            }
        });
        assert_eq!(BODIES.get(), 8);
        let stats = stats(&cache, 8);
        assert_eq!((stats.misses.total(), stats.coalesced), (8, 0));
    });
}

/// As many keys as there are callers, and bodies that only end together.
#[test]
fn distinct_keys_never_wait_for_one_another() {
    #[cache_request(skip(all))]
    fn f(id: u32, all: &Barrier) -> u32 {
        all.wait();
        id
    }
    ends(|| {
        let (cache, all) = (&cache(), &Barrier::new(64));
        thread::scope(|scope| {
            for id in 0..64 {
                scope.spawn(move || assert_eq!(scoped_sync(cache, || f(id, all)), id));
            }
        });
        assert_eq!(stats(cache, 64).misses.total(), 64);
    });
}
