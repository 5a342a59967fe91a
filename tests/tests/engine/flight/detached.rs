//! `detach`: the body of a cancelled caller goes on, and its value is cached.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use cache_request::{Cache, cache_request, client_scope, scoped};
use cache_request_tests::servers::wait_until;
use tokio::{
    runtime::{Builder, Runtime},
    sync::Semaphore,
    task::yield_now,
};

/// What a body waits for, and how many have begun.
struct Gate {
    open: Semaphore,
    begun: AtomicU32,
}

impl Gate {
    fn new() -> Arc<Self> {
        Arc::new(Self { open: Semaphore::new(0), begun: AtomicU32::new(0) })
    }

    async fn pass(&self) {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let _permit = self.open.acquire().await.unwrap();
    }
}

#[cache_request(skip(gate), detach)]
async fn detached(id: u32, gate: Arc<Gate>) -> Result<u32, String> {
    gate.pass().await;
    if id == 13 { Err("no luck".to_owned()) } else { Ok(id * 2) }
}

#[cache_request(skip(gate))]
async fn attached(id: u32, gate: Arc<Gate>) -> u32 {
    gate.pass().await;
    id * 2
}

#[cache_request(skip(gate), detach)]
async fn panics(id: u32, gate: Arc<Gate>) -> u32 {
    gate.pass().await;
    panic!("{id} is too much")
}

fn runtime() -> Runtime {
    Builder::new_current_thread().build().unwrap()
}

/// Cancels a call once its body has begun, and lets the body go on.
async fn cancel(gate: &Gate, call: impl Future) {
    let mut call = Box::pin(call);
    while gate.begun.load(Ordering::SeqCst) == 0 {
        assert!(futures_lite::future::poll_once(&mut call).await.is_none());
        yield_now().await;
    }
    drop(call);
    gate.open.add_permits(100);
}

#[test]
fn the_body_of_a_cancelled_caller_was_lost() {
    let cache = Cache::memory();
    runtime().block_on(scoped(&cache, async {
        let gate = Gate::new();
        cancel(&gate, client_scope("acme", detached(1, gate.clone()))).await;
        for _ in 0..1000 {
            yield_now().await;
        }
        assert_eq!(client_scope("acme", detached(1, gate.clone())).await, Ok(2));
        assert_eq!(gate.begun.load(Ordering::SeqCst), 1, "the value is that of the cancelled call, and of its client");

        let gate = Gate::new();
        cancel(&gate, attached(1, gate.clone())).await;
        assert_eq!(attached_cache(1, gate.clone()).peek().await, None, "it was dropped with its caller");
    }));
}

#[test]
fn a_detached_call_answers_like_any_other() {
    let cache = Cache::memory();
    let calls = scoped(&cache, async {
        let gate = Gate::new();
        gate.open.add_permits(100);
        assert_eq!(detached(3, gate.clone()).await, Ok(6));
        assert_eq!(detached(3, gate.clone()).await, Ok(6));
        assert_eq!(detached(13, gate.clone()).await, Err("no luck".to_owned()));
        assert_eq!(gate.begun.load(Ordering::SeqCst), 2);
    });
    runtime().block_on(calls);
    // Outside a tokio runtime.
    let gate = Gate::new();
    gate.open.add_permits(100);
    assert_eq!(futures_lite::future::block_on(scoped(&cache, detached(4, gate.clone()))), Ok(8));
    wait_until("it is cached", || cache.stats().entries == 2);
}

/// The answer of a call that is polled outside the runtime whose context it is in, before and after `end`.
fn polled_elsewhere(runtime: &tokio::runtime::Handle, end: impl FnOnce()) -> Result<u32, String> {
    let _entered = runtime.enter();
    let gate = Gate::new();
    let mut call = Box::pin(scoped(&Cache::memory(), detached(5, gate.clone())));
    let begun = futures_lite::future::block_on(futures_lite::future::poll_once(&mut call));
    assert!(begun.is_none());
    end();
    gate.open.add_permits(1);
    // Polled by hand, as an executor would wait for ever for a task that no runtime runs.
    futures_lite::future::block_on(futures_lite::future::poll_once(call)).expect("the call hangs")
}

#[test]
fn a_call_waited_for_ever_for_a_runtime_that_does_not_run() {
    let idle = runtime();
    assert_eq!(polled_elsewhere(idle.handle(), || ()), Ok(10));
}

#[test]
fn a_call_waited_for_ever_for_a_runtime_that_had_ended() {
    let ended = runtime();
    let handle = ended.handle().clone();
    assert_eq!(polled_elsewhere(&handle, || drop(ended)), Ok(10), "while the body ran");
    assert_eq!(polled_elsewhere(&handle, || ()), Ok(10), "before the call");
}

#[test]
fn a_body_that_cannot_go_on_is_dropped_and_another_caller_leads() {
    let cache = Cache::memory();
    let ended = runtime();
    let gate = Gate::new();
    ended.block_on(scoped(&cache, async {
        let mut call = Box::pin(detached(6, gate.clone()));
        assert!(futures_lite::future::poll_once(&mut call).await.is_none());
        tokio::spawn(call);
    }));
    drop(ended);
    gate.open.add_permits(1);
    assert_eq!(futures_lite::future::block_on(scoped(&cache, detached(6, gate.clone()))), Ok(12));
    assert_eq!(gate.begun.load(Ordering::SeqCst), 2);
}

tokio::task_local! {
    static REQUEST: u32;
}

#[cache_request(skip(gate), detach)]
async fn of_request(gate: Arc<Gate>) -> u32 {
    gate.pass().await;
    REQUEST.get()
}

#[test]
fn a_detached_body_did_not_see_the_task_locals_of_its_caller() {
    let gate = Gate::new();
    gate.open.add_permits(1);
    assert_eq!(runtime().block_on(scoped(&Cache::memory(), REQUEST.scope(7, of_request(gate)))), 7);
}

#[test]
#[should_panic = "7 is too much"]
fn the_panic_of_a_detached_body_is_its_callers() {
    let gate = Gate::new();
    gate.open.add_permits(1);
    runtime().block_on(scoped(&Cache::memory(), panics(7, gate)));
}
