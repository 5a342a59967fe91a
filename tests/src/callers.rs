//! Every kind of caller: threads that block, tokio of both flavours, other executors, and none.
//!
//! The caches are to be made with a soft limit of 10 s: every call has to be answered by the server, and a call that waits for
//! itself takes all of that.

use std::{
    thread,
    time::{Duration, Instant},
};

use async_executor::LocalExecutor;
use cache_request::{Cache, cache_request, scoped, scoped_sync};
use futures_lite::future::block_on;
use tokio::runtime::{Builder, Runtime};

/// Asked for by callers that block.
#[cache_request(timeout = 60)]
pub fn double(number: u32) -> u32 {
    number * 2
}

#[cache_request(timeout = 60)]
async fn triple(number: u32) -> u32 {
    number * 3
}

/// Is left by its runtime, so that what it counts is a matter of luck.
#[cache_request(timeout = 60)]
async fn abandoned(number: u32) -> u32 {
    number
}

/// Runs two calls. The second is a hit, and neither waits for its whole limit.
///
/// # Panics
///
/// If it is otherwise.
pub fn hits(cache: &Cache, calls: impl FnOnce()) {
    let begun = Instant::now();
    let counted = || {
        let functions = cache.stats().functions;
        let ours = functions.iter().filter(|function| !function.name.ends_with("abandoned"));
        ours.fold((0, 0), |sum, function| (sum.0 + function.faults.total(), sum.1 + function.hits))
    };
    let before = counted();
    calls();
    let after = counted();
    assert_eq!((after.0 - before.0, after.1 - before.1), (0, 1), "{}", cache.stats());
    assert!(begun.elapsed() < Duration::from_secs(9));
}

/// Two asynchronous calls for [`hits`].
///
/// # Panics
///
/// If an answer is wrong.
pub async fn twice(number: u32) {
    assert_eq!([triple(number).await, triple(number).await], [number * 3; 2]);
}

/// A runtime of the thread that enters it.
///
/// # Panics
///
/// If there is none.
#[must_use]
pub fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn several_threads() -> Runtime {
    Runtime::new().expect("a runtime")
}

/// Calls from everywhere.
///
/// # Panics
///
/// If one is not answered, or not by the server.
pub fn every_caller_gets_its_answer(cache: &Cache) {
    let sync_twice = |number: u32| assert_eq!([double(number), double(number)], [number * 2; 2]);
    hits(cache, || scoped_sync(cache, || sync_twice(1)));
    hits(cache, || current_thread().block_on(async { scoped_sync(cache, || sync_twice(2)) }));
    hits(cache, || several_threads().block_on(async { scoped_sync(cache, || sync_twice(3)) }));
    hits(cache, || {
        several_threads().block_on(async {
            let cache = cache.clone();
            let task = tokio::task::spawn_blocking(move || scoped_sync(&cache, || sync_twice(4)));
            task.await.expect("it does not panic");
        });
    });
    hits(cache, || block_on(scoped(cache, twice(1))));
    hits(cache, || current_thread().block_on(scoped(cache, twice(2))));
    hits(cache, || several_threads().block_on(scoped(cache, twice(3))));
    hits(cache, || {
        several_threads().block_on(async {
            tokio::spawn(scoped(cache, twice(4))).await.expect("it does not panic");
        });
    });
    hits(cache, || {
        let executor = LocalExecutor::new();
        let task = executor.spawn(scoped(cache, twice(5)));
        block_on(executor.run(task));
    });
    hits(cache, || {
        thread::scope(|threads| {
            threads.spawn(|| block_on(scoped(cache, twice(6)))).join().expect("it does not panic");
        });
    });
    // A blocking call of the library's within an asynchronous one, on the only thread that there is.
    hits(cache, || {
        current_thread().block_on(scoped(cache, async {
            assert_eq!(triple(7).await, 21);
            scoped_sync(cache, || assert_eq!(double(3), 6));
        }));
    });
    // A task of tokio's may do only so much before it gives way, which a plain function cannot.
    for runtime in [current_thread(), several_threads()] {
        let cache = cache.clone();
        let task = runtime.spawn(async move { (0..300).map(|_| scoped_sync(&cache, || double(1))).sum::<u32>() });
        assert_eq!(runtime.block_on(task).expect("it does not panic"), 600);
    }
    assert_eq!(cache.stats().faults(), 0);
}

/// Runtimes start and end, also with requests in flight, and later callers are answered.
///
/// # Panics
///
/// If one is not, or not by the server.
pub fn a_runtime_may_end_and_another_one_goes_on(cache: &Cache) {
    for round in 0..20 {
        let runtime = if round % 2 == 0 { current_thread() } else { several_threads() };
        hits(cache, || runtime.block_on(scoped(cache, twice(1000 + round))));
        // Half of them end while they ask something.
        if round % 4 < 2 {
            runtime.spawn(scoped(cache, abandoned(round)));
            runtime.shutdown_background();
        }
    }
    hits(cache, || block_on(scoped(cache, twice(2000))));
}
