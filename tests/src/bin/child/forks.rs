//! A program that uses its cache, forks, and goes on to use it in both processes.
//!
//! - `timeout`: the backend never answers, so each call ends by the timer.
//! - `shared <url>`: parent and child ask the backend at `url` for different keys at the same time.
//!
//! The child's process exits with 0 if all its calls came back, and so does the parent's then.

use std::{future::pending, process, thread, time::Duration};

use cache_request::{Cache, Error, backend::Backend, cache_request, install};
use fork::{Fork, fork, waitpid};

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
        ["shared", url] => Cache::from_url(url).expect("an address"),
        _ => panic!("one of: timeout, shared <url>"),
    };
    install(cache).expect("it is the first cache");
    calls(0);
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

/// Calls with numbers from `first` on, twice each.
fn calls(first: u64) {
    let rounds =
        if cache_request::current().stats().backend.is_some_and(|backend| backend.name == "silent") { 2 } else { 300 };
    for number in (first..first + rounds).chain(first..first + rounds) {
        assert_eq!(twice(number), number * 2);
    }
    let stats = cache_request::stats();
    let function = stats.function("twice").expect("it was called");
    println!("hits={} corrupt={} timeouts={}", function.hits, function.faults.corrupt, function.faults.timeout);
    assert_eq!(function.faults.corrupt, 0, "an answer to another process was read");
}
