//! A program that uses its cache, forks, and goes on to use it in both processes.
//!
//! - `timeout`: the backend never answers, so each call ends by the timer.
//! - `shared <url>`: parent and child ask the backend at `url` for different keys at the same time.
//! - `unused <url>`: the same, but no call is made before the fork.
//! - `dropped <url>`: the child drops the parent's backend, and only then does the parent use it again.
//!
//! The child's process exits with 0 if all its calls came back, and so does the parent's then.

use std::{future::pending, process, thread, time::Duration};

use cache_request::{
    Cache, Error,
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
        _ => panic!("one of: timeout, shared <url>, unused <url>, dropped <url>"),
    };
    install(cache).expect("it is the first cache");
    if arguments[0] != "unused" {
        calls(0);
    }
    match fork().expect("a second process") {
        Fork::Child => {
            // Its parent does not end it.
            thread::spawn(|| {
                thread::sleep(Duration::from_secs(50));
                eprintln!("the child's calls do not come back");
                process::abort();
            });
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
