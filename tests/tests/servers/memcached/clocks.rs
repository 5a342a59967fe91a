//! Writers whose clock does not agree with the reader's.

use std::time::Duration;

use cache_request::backend::{Backend, MemcachedBackend};
use cache_request_tests::servers::{PATIENCE, memcached::Memcached};
use futures_lite::future::block_on;
use memcache::exp::Set;

const HOUR_IN_MILLIS: u32 = 60 * 60 * 1000;

/// The bits of the flags that hold the end. The highest bit says that a value is in chunks.
const END: u32 = u32::MAX >> 1;

/// Stores a value as a writer does whose clock is wrong: `wrong` changes the end, and the server has `seconds` left.
fn written(memcached: &Memcached, backend: &MemcachedBackend, wrong: impl Fn(u32) -> u32, seconds: u32) {
    block_on(backend.set("key", b"value", Some(Duration::from_secs(60)))).unwrap();
    let stored = format!("clocks:{:x}:key", memcached.generation("clocks"));
    let end = memcached.look(&stored).client_flags.unwrap();
    let set = Set::new(&stored, b"value").client_flags(wrong(end) & END).ttl_raw(seconds);
    assert!(memcached.client().run(set).unwrap().applied());
}

fn backend(memcached: &Memcached) -> MemcachedBackend {
    MemcachedBackend::builder(&memcached.url()).namespace("clocks").answer_limit(PATIENCE).build().unwrap()
}

#[test]
fn a_value_of_a_writer_whose_clock_was_ahead_outlived_its_timeout() {
    let memcached = Memcached::start(&[]);
    let backend = backend(&memcached);
    for ahead in [HOUR_IN_MILLIS, 24 * HOUR_IN_MILLIS, 24 * 24 * HOUR_IN_MILLIS] {
        // The server keeps a value for up to 3 seconds after its end.
        written(&memcached, &backend, |end| end.wrapping_add(ahead), 3);
        assert_eq!(block_on(backend.get("key")).unwrap(), None, "{ahead} ms ahead");
        assert!(!block_on(backend.touch("key", None)).unwrap());
        assert!(block_on(backend.add("key", b"newer", None)).unwrap());
    }
}

#[test]
fn a_value_of_a_writer_whose_clock_was_behind_was_never_found() {
    let memcached = Memcached::start(&[]);
    let backend = backend(&memcached);
    for behind in [HOUR_IN_MILLIS, 24 * HOUR_IN_MILLIS, 24 * 24 * HOUR_IN_MILLIS] {
        written(&memcached, &backend, |end| end.wrapping_sub(behind), 600);
        assert_eq!(block_on(backend.get("key")).unwrap().as_deref(), Some(&b"value"[..]), "{behind} ms behind");
        assert!(!block_on(backend.add("key", b"newer", None)).unwrap());
    }
}
