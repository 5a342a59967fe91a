//! Single flight and fences under a model checker, which runs each model through thousands of schedules:
//!
//! ```text
//! RUSTFLAGS="--cfg shuttle" CARGO_TARGET_DIR=target/shuttle cargo test -p cache-request --lib model
//! ```
//!
//! The models call whole functions, as the attribute's expansion does, plain and async ones of one key. A failing schedule is
//! printed, and `shuttle::replay` runs it again.

mod circles;
mod fences;
mod fleet;
mod flights;
mod ramp;
mod tags;
mod waiters;

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    task::Poll,
    time::Duration,
};

use shuttle::{
    Config, Runner, future,
    scheduler::{DfsScheduler, PctScheduler, RandomScheduler},
    thread,
};

use super::waits;
use crate::{
    Backend, Cache, Clock, Handle, SyncHandle,
    attribute::private::Site,
    engine::{description::Instance, policy::Policy, value::ValueOf},
    key::Key,
    scoped, scoped_sync,
};

/// Runs `model` under schedules of two kinds: any at all, and those with few but well placed switches.
fn explore(model: impl Fn() + Send + Sync + 'static) {
    let model = Arc::new(model);
    let random = Arc::clone(&model);
    Runner::new(RandomScheduler::new(4000), config()).run(move || random());
    Runner::new(PctScheduler::new(3, 2000), config()).run(move || model());
}

/// Runs `model`, which has to be a small one, under every schedule there is.
fn exhaust(model: impl Fn() + Send + Sync + 'static) {
    Runner::new(DfsScheduler::new(None, false), config()).run(model);
}

fn config() -> Config {
    let mut config = Config::new();
    // Whole calls, unoptimised, in the panic's way too.
    config.stack_size = 1 << 18;
    config
}

/// A cache, and what happens to it.
struct World {
    cache: Cache,
    /// What bodies read, and return.
    source: AtomicU32,
    begun: AtomicU32,
    ended: AtomicU32,
    running: AtomicU32,
    most_at_once: AtomicU32,
}

static SITE: Site = Site::new("model", "model", &["id"], file!(), line!());

impl World {
    fn new(cache: Cache) -> Arc<Self> {
        Arc::new(Self {
            cache,
            source: AtomicU32::new(1),
            begun: AtomicU32::new(0),
            ended: AtomicU32::new(0),
            running: AtomicU32::new(0),
            most_at_once: AtomicU32::new(0),
        })
    }

    fn in_memory() -> Arc<Self> {
        Self::new(Cache::builder().clock(Clock::mock()).build().expect("no option is wrong"))
    }

    fn on(backend: impl Backend) -> Arc<Self> {
        Self::new(Cache::builder().clock(Clock::mock()).backend(backend).build().expect("no option is wrong"))
    }

    /// With memory in front of the backend.
    fn in_front_of(backend: impl Backend) -> Arc<Self> {
        Self::new(
            Cache::builder()
                .clock(Clock::mock())
                .backend(backend)
                .near_timeout(Duration::from_secs(60))
                .build()
                .expect("no option is wrong"),
        )
    }

    /// A body: it reads the source, takes its time, and returns what it read.
    async fn body(self: Arc<Self>) -> u32 {
        let running = Running::new(&self);
        let read = self.source.load(SeqCst);
        future::yield_now().await;
        future::yield_now().await;
        running.end();
        read
    }

    fn plain_body(&self) -> u32 {
        let running = Running::new(self);
        let read = self.source.load(SeqCst);
        thread::yield_now();
        thread::yield_now();
        running.end();
        read
    }

    fn call(self: &Arc<Self>) -> u32 {
        scoped_sync(&self.cache, || plain(1, policy(), || self.plain_body()).call())
    }

    async fn call_async(self: Arc<Self>) -> u32 {
        let cache = self.cache.clone();
        scoped(&cache, async { pin!(polled(1, policy(), self.body())).call().await }).await
    }

    /// The companion of a call.
    fn handle(self: &Arc<Self>) -> Handle<u32, u32, impl Future<Output = u32> + use<>> {
        scoped_sync(&self.cache, || polled(1, policy(), Arc::clone(self).body()))
    }

    fn begun(&self) -> u32 {
        self.begun.load(SeqCst)
    }

    fn ended(&self) -> u32 {
        self.ended.load(SeqCst)
    }

    fn most_at_once(&self) -> u32 {
        self.most_at_once.load(SeqCst)
    }

    /// Nothing is left of any flight, whatever happened.
    fn assert_quiet(&self) {
        assert!(self.cache.engine().flights.is_empty(), "a flight is left");
        assert!(waits::no_waits(), "a wait is left");
        assert_eq!(self.running.load(SeqCst), 0);
    }
}

/// Counts a body while it runs, however it ends.
struct Running<'a> {
    world: &'a World,
    /// Its place among the bodies that have begun, from one.
    number: u32,
}

impl<'a> Running<'a> {
    fn new(world: &'a World) -> Self {
        let number = world.begun.fetch_add(1, SeqCst) + 1;
        let running = world.running.fetch_add(1, SeqCst) + 1;
        world.most_at_once.fetch_max(running, SeqCst);
        Self { world, number }
    }

    fn end(&self) {
        self.world.ended.fetch_add(1, SeqCst);
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.world.running.fetch_sub(1, SeqCst);
    }
}

fn policy() -> Policy<u32, u32> {
    Policy::whole().serialised()
}

fn key(id: u32) -> Key {
    Key::build(|key| key.part(&id))
}

/// A call of the modelled function, which is generic in nothing but how it is called.
fn plain<R, V: ValueOf<R>, B: FnOnce() -> R>(id: u32, policy: Policy<R, V>, body: B) -> SyncHandle<R, V, B> {
    SyncHandle::new(&SITE, Instance::of(&size_of::<V>), policy, key(id), body)
}

fn polled<R, V: ValueOf<R>, B: Future<Output = R>>(id: u32, policy: Policy<R, V>, body: B) -> Handle<R, V, B> {
    Handle::new(&SITE, Instance::of(&size_of::<V>), policy, key(id), body)
}

/// Polls a future so many times, then drops it.
async fn cancelled<F: Future>(future: F, after_polls: u32) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut polls = 0;
    std::future::poll_fn(|context| {
        if polls == after_polls {
            return Poll::Ready(None);
        }
        polls += 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}
