//! Every kind of caller: threads that block, tokio of both flavours, other executors, and none.
//!
//! The caches are to be made with a soft limit of a minute: every call has to be answered by the server, and a call that waits
//! for itself takes all of that, and is a fault.

use std::{
    thread,
    time::{Duration, Instant},
};

use async_executor::LocalExecutor;
use cache_request::{Cache, cache_request, scoped, scoped_sync};
use futures_lite::future::block_on;
use tokio::runtime::{Builder, Runtime};

use crate::servers::wait_until;

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
    assert!(hits_or_not(cache, calls), "{}", cache.stats());
}

fn hits_or_not(cache: &Cache, calls: impl FnOnce()) -> bool {
    let counted = || {
        let functions = cache.stats().functions;
        let ours = functions.iter().filter(|function| !function.name.ends_with("abandoned"));
        ours.fold((0, 0), |sum, function| (sum.0 + function.faults.total(), sum.1 + function.hits))
    };
    let before = counted();
    calls();
    let after = counted();
    (after.0 - before.0, after.1 - before.1) == (0, 1)
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
    /// A caller that gives up later than this, and had no answer, says that the server does not answer.
    const PATIENCE: Duration = Duration::from_millis(100);

    let mut abandoned_at = Instant::now();
    let goes_on = |round: u32, runtime: Option<&Runtime>, abandoned_at: Instant| {
        let call = |number| match runtime {
            Some(runtime) => runtime.block_on(scoped(cache, twice(number))),
            None => block_on(scoped(cache, twice(number))),
        };
        if !hits_or_not(cache, || call(1000 + round)) {
            assert!(abandoned_at.elapsed() >= PATIENCE, "{}", cache.stats());
            // On a slow machine, the abandoned call may have been such a caller.
            let mut number = 10_000 * round;
            wait_until("the server is asked again", || {
                number += 1;
                hits_or_not(cache, || call(number))
            });
        }
    };
    for round in 0..20 {
        let runtime = if round % 2 == 0 { current_thread() } else { several_threads() };
        goes_on(round, Some(&runtime), abandoned_at);
        // Half of them end while they ask something.
        if round % 4 < 2 {
            abandoned_at = Instant::now();
            runtime.spawn(scoped(cache, abandoned(round)));
            runtime.shutdown_background();
        }
    }
    goes_on(1000, None, abandoned_at);
}
