//! The connection that a plain function's thread reads over: answers that come with the end of the connection, late, or never.

use std::{
    cell::Cell,
    panic::{set_hook, take_hook},
    sync::{
        Arc, Once,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use cache_request::{Cache, cache_request, scoped, scoped_sync};
use cache_request_tests::{callers::double, servers::wait_until};
use futures_lite::future::block_on;

use super::scripted::{
    Over,
    Reply::{self, Bytes, BytesAndClose, Nothing, Stored, Trickle},
    Scripted,
};

thread_local! {
    static PANICS: Cell<u32> = const { Cell::new(0) };
}

/// Counts the panics of this thread from now on.
fn count_panics() -> impl Fn() -> u32 {
    static HOOK: Once = Once::new();

    HOOK.call_once(|| {
        let earlier = take_hook();
        set_hook(Box::new(move |panic| {
            PANICS.with(|panics| panics.set(panics.get() + 1));
            earlier(panic);
        }));
    });
    let before = PANICS.get();
    move || PANICS.get() - before
}

/// A cache that has used its blocking connection, and its server, which answers `reply` to each later `GET` over such a connection. The
/// function has found its value often enough to look for others by `GET`.
fn begin(reply: Reply, options: &str) -> (Scripted, Cache) {
    let begun = Arc::new(AtomicBool::new(false));
    let begins = Arc::clone(&begun);
    let server = Scripted::start(move |over| match over {
        Over::Blocking if begins.load(Relaxed) => reply,
        Over::Blocking | Over::Shared => Stored,
    });
    let cache = Cache::from_url(&server.url(options)).unwrap();
    wait_until("a call takes the blocking connection", || {
        call(&cache, 1);
        server.count(Over::Blocking) > 0
    });
    begun.store(true, Relaxed);
    (server, cache)
}

fn call(cache: &Cache, number: u32) {
    assert_eq!(scoped_sync(cache, || double(number)), number * 2);
}

/// The connection had ended when its answer was there, was kept all the same, and the next call polled what had driven it:
/// "`Map` must not be polled after it returned `Poll::Ready`". It did so where the connection had been idle for 100 ms.
#[test]
fn a_connection_that_ends_with_its_answer_is_not_polled_again() {
    let (server, cache) = begin(BytesAndClose(b"$-1\r\n"), "soft_limit=10s");
    let panics = count_panics();
    for _ in 0..5 {
        let before = server.count(Over::Blocking);
        wait_until("a call takes the blocking connection", || {
            thread::sleep(Duration::from_millis(150));
            // Its value is found by the claim that follows.
            call(&cache, 1);
            server.count(Over::Blocking) > before
        });
    }
    assert_eq!((panics(), cache.stats().faults()), (0, 0), "{}", cache.stats());
}

/// A call has one limit for all its requests. If the first one takes that long, it is not repeated over another connection, and the body's
/// value is not sent.
#[test]
fn a_call_that_has_waited_in_vain_asks_no_more() {
    let (server, cache) = begin(Nothing, "soft_limit=100ms&breaker_faults=1000");
    let (asked, faults, before) = (server.gets().len(), cache.stats().faults(), timeouts(&cache));
    call(&cache, 2);
    assert_eq!(server.gets()[asked..], [Over::Blocking]);
    assert_eq!((cache.stats().faults() - faults, timeouts(&cache) - before), (1, 1), "{}", cache.stats());
}

fn timeouts(cache: &Cache) -> u64 {
    cache.stats().functions.iter().map(|function| function.faults.timeout).sum()
}

/// The limit is for the whole answer, and not for each of its bytes.
#[test]
fn an_answer_that_trickles_in_is_not_waited_for() {
    let (server, cache) = begin(Trickle, "soft_limit=100ms&breaker_faults=1000");
    // On a busy machine, one of the first calls may have taken too long as well.
    let (asked, before) = (server.gets().len(), timeouts(&cache));
    call(&cache, 2);
    assert_eq!((&server.gets()[asked..], timeouts(&cache) - before), (&[Over::Blocking][..], 1), "{}", cache.stats());
}

/// The second answer would become that to the next request.
#[test]
fn two_answers_to_one_request_end_the_connection() {
    let (server, cache) = begin(Bytes(b"$-1\r\n-ERR unknown command\r\n"), "soft_limit=10s");
    let asked = server.gets().len();
    call(&cache, 2);
    assert_eq!((&server.gets()[asked..], cache.stats().faults()), (&[Over::Blocking, Over::Shared][..], 0));
}

/// An asynchronous call in the body of a plain function does not block its thread, which may have other tasks.
#[test]
fn an_asynchronous_function_within_a_plain_one_does_not_block() {
    #[cache_request(timeout = 60)]
    async fn within() -> u32 {
        3
    }
    #[cache_request(timeout = 60, when = |_| false)]
    fn around() -> u32 {
        block_on(within())
    }
    let (server, cache) = begin(Stored, "soft_limit=60s&connect_limit=60s");
    wait_until("it is looked for by `GET`", || {
        assert_eq!(block_on(scoped(&cache, within())), 3);
        server.gets().last() == Some(&Over::Shared)
    });
    let asked = server.gets().len();
    assert_eq!(scoped_sync(&cache, around), 3);
    assert_eq!((&server.gets()[asked..], cache.stats().faults()), (&[Over::Shared][..], 0));
}
