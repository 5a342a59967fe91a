//! A program that uses its cache, forks, and goes on to use it in both processes.
//!
//! - `timeout`: the backend never answers, so each call ends by the timer.
//! - `shared <url>`: parent and child ask the backend at `url` for different keys at the same time.
//! - `unused <url>`: the same, but no call is made before the fork.
//! - `dropped <url>`: the child drops the parent's backend, and only then does the parent use it again.
//! - `led`: another thread of the parent runs a body at the fork, and the child calls the same function.
//! - `background`: a thread of the parent runs a body in the background at the fork, and the child shuts its cache down.
//! - `told <url>`: the parent changes a value at `url` after the fork, which parent and child have in their near caches.
//!
//! The child's process exits with 0 if all its calls came back, and so does the parent's then.

use std::{
    future::pending,
    io::{Read as _, Write as _, pipe},
    process,
    sync::Barrier,
    thread,
    time::Duration,
};

use cache_request::{
    Cache, Clock, Error,
    backend::{Backend, MemcachedBackend, SqlBackend},
    cache_request, install,
};
use fork::{Fork, fork, waitpid};
use futures_lite::future::block_on;

/// A backend that never answers a read.
struct Silent;

impl Backend for Silent {
    fn name(&self) -> &'static str {
        "silent"
    }

    async fn get(&self, _: &str) -> Result<Option<Vec<u8>>, Error> {
        pending().await
    }

    async fn set(&self, _: &str, _: &[u8], _: Option<Duration>) -> Result<(), Error> {
        Ok(())
    }

    async fn add(&self, _: &str, _: &[u8], _: Option<Duration>) -> Result<bool, Error> {
        Ok(true)
    }

    async fn touch(&self, _: &str, _: Option<Duration>) -> Result<bool, Error> {
        Ok(false)
    }

    async fn delete(&self, _: &str) -> Result<bool, Error> {
        Ok(false)
    }

    async fn clear(&self) -> Result<(), Error> {
        Ok(())
    }
}

#[cache_request]
fn twice(number: u64) -> u64 {
    number * 2
}

pub(crate) fn main(arguments: &[&str]) {
    let cache = match arguments[..] {
        ["timeout"] => Cache::builder().backend(Silent).soft_limit(Duration::from_millis(20)).build().expect("a cache"),
        ["shared" | "unused", url] => Cache::from_url(url).expect("an address"),
        ["dropped", url] if url.starts_with("memcached") => {
            return drop_in_child(MemcachedBackend::new(url).expect("an address"));
        }
        ["dropped", url] => return drop_in_child(SqlBackend::new(url).expect("an address")),
        ["led"] => return fork_while_a_body_runs(),
        ["background"] => return fork_while_a_body_runs_in_the_background(),
        ["told", url] => return change_after_the_fork(url),
        _ => panic!("one of: timeout, shared <url>, unused <url>, dropped <url>, led, background, told <url>"),
    };
    install(cache).expect("it is the first cache");
    if arguments[0] != "unused" {
        calls(0);
    }
    match fork().expect("a second process") {
        Fork::Child => {
            end_if_stuck();
            calls(1000);
            // Without the destructors of what the parent's threads use.
            process::exit(0);
        }
        Fork::Parent(child) => {
            calls(2000);
            let status = waitpid(child).expect("the child's status");
            assert_eq!(status, 0, "the child failed");
        }
    }
}

/// Ends a child whose calls do not come back: its parent does not.
fn end_if_stuck() {
    thread::spawn(|| {
        thread::sleep(Duration::from_secs(50));
        eprintln!("the child's calls do not come back");
        process::abort();
    });
}

fn drop_in_child(backend: impl Backend) {
    block_on(backend.set("key", b"value", None)).expect("the server is there");
    match fork().expect("a second process") {
        Fork::Child => {
            drop(backend);
            process::exit(0);
        }
        Fork::Parent(child) => {
            let status = waitpid(child).expect("the child's status");
            assert_eq!(status, 0, "the child failed");
            let value = block_on(backend.get("key")).expect("the connection is still open");
            assert_eq!(value.as_deref(), Some(&b"value"[..]));
        }
    }
}

static BEGUN: Barrier = Barrier::new(2);
static FORKED: Barrier = Barrier::new(2);

#[cache_request]
fn led() -> u32 {
    if thread::current().name() == Some("leader") {
        BEGUN.wait();
        FORKED.wait();
    }
    process::id()
}

fn fork_while_a_body_runs() {
    let day = Duration::from_secs(24 * 60 * 60);
    install(Cache::builder().wait_limit(day).build().expect("a cache")).expect("it is the first cache");
    let leader = thread::Builder::new().name("leader".to_owned()).spawn(led).expect("a thread");
    BEGUN.wait();
    match fork().expect("a second process") {
        Fork::Child => {
            end_if_stuck();
            process::exit(i32::from(led() != process::id()))
        }
        Fork::Parent(child) => {
            let status = waitpid(child).expect("the child's status");
            assert_eq!(status, 0, "the child failed");
            FORKED.wait();
            assert_eq!(leader.join().expect("its answer"), process::id());
        }
    }
}

#[cache_request(timeout = 10, stale = 60)]
fn replaced() -> u32 {
    if thread::current().name() == Some("cache-request-background") {
        BEGUN.wait();
        FORKED.wait();
    }
    process::id()
}

fn fork_while_a_body_runs_in_the_background() {
    let clock = Clock::mock();
    install(Cache::builder().clock(&clock).build().expect("a cache")).expect("it is the first cache");
    assert_eq!(replaced(), process::id());
    clock.advance(Duration::from_secs(10));
    assert_eq!(replaced(), process::id());
    BEGUN.wait();
    match fork().expect("a second process") {
        Fork::Child => {
            end_if_stuck();
            cache_request::current().shutdown_sync();
            process::exit(0)
        }
        Fork::Parent(child) => {
            let status = waitpid(child).expect("the child's status");
            assert_eq!(status, 0, "the child failed");
            FORKED.wait();
            cache_request::current().shutdown_sync();
        }
    }
}

#[cache_request(timeout = 3600)]
fn told(key: u32) -> u32 {
    key
}

fn change_after_the_fork(url: &str) {
    install(Cache::from_url(url).expect("an address")).expect("it is the first cache");
    let hits = || cache_request::stats().function("told").map_or(0, |told| told.hits);
    // Until the near cache has it: it opens when the server tells of changes.
    while cache_request::stats().entries == 0 {
        assert_eq!(told(1), 1);
        thread::yield_now();
    }
    let (mut changed, mut tell) = pipe().expect("a pipe");
    match fork().expect("a second process") {
        Fork::Child => {
            end_if_stuck();
            changed.read_exact(&mut [0]).expect("the parent's word");
            assert_eq!(told(2), 2);
            let before = hits();
            let is_changed = told(1) == 10 && hits() == before + 1;
            process::exit(i32::from(!is_changed));
        }
        Fork::Parent(child) => {
            told_cache(1).put(&10).expect("it is stored");
            tell.write_all(&[1]).expect("the child listens");
            let status = waitpid(child).expect("the child's status");
            assert_eq!(status, 0, "the child failed");
        }
    }
}

/// Calls with numbers from `first` on, twice each, and prints what they have added to the statistics. A child's statistics begin
/// with those of its parent.
fn calls(first: u64) {
    let before = counts();
    let rounds =
        if cache_request::current().stats().backend.is_some_and(|backend| backend.name == "silent") { 2 } else { 300 };
    for number in (first..first + rounds).chain(first..first + rounds) {
        assert_eq!(twice(number), number * 2);
    }
    let [hits, corrupt, timeouts] = std::array::from_fn(|count| counts()[count] - before[count]);
    println!("hits={hits} corrupt={corrupt} timeouts={timeouts}");
    assert_eq!(corrupt, 0, "an answer to another process was read");
}

/// The hits, corrupt values and timeouts of this process and, before the fork, its parent.
fn counts() -> [u64; 3] {
    let stats = cache_request::stats();
    stats.function("twice").map_or([0; 3], |twice| [twice.hits, twice.faults.corrupt, twice.faults.timeout])
}
