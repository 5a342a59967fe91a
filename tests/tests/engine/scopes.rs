//! What follows a task: its client, and the cache that stands in for the installed one.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
};

use cache_request::{Cache, cache_request, client_scope, client_scope_sync, scoped, scoped_sync};
use futures_lite::{
    FutureExt,
    future::{block_on, yield_now, zip},
};

use crate::support::{Count, cache, ends, stats};

tokio::task_local!(static CLIENT: String);

/// Who it is computed for is no argument: only the scope tells one client's answer from another's.
#[cache_request]
async fn account(id: u32) -> String {
    let client = CLIENT.with(Clone::clone);
    yield_now().await;
    format!("{client}/{id}")
}

/// Nests in the body of one that yields as well.
#[cache_request]
async fn summary(id: u32) -> String {
    yield_now().await;
    let (one, other) = zip(account(id), account(id + 1)).await;
    yield_now().await;
    format!("{one}+{other}")
}

#[test]
fn clients_never_see_one_anothers_values() {
    ends(|| {
        let cache = cache();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
        runtime.block_on(async {
            let tasks: Vec<_> = (0..4000_u32)
                .map(|task| {
                    let client = ["acme", "globex", "initech", ""][task as usize % 4];
                    let id = task / 4 % 50;
                    let call = async move {
                        for _ in 0..task % 3 {
                            yield_now().await;
                        }
                        let summary = summary(id).await;
                        assert_eq!(summary, format!("{client}/{id}+{client}/{}", id + 1));
                        yield_now().await;
                        assert_eq!(account(id).await, format!("{client}/{id}"));
                    };
                    tokio::spawn(CLIENT.scope(client.to_owned(), scoped(&cache, client_scope(client, call))))
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
        let stats = cache.stats();
        assert_eq!(stats.function("summary").unwrap().bodies, 4 * 50, "{stats}");
        assert_eq!(stats.function("account").unwrap().bodies, 4 * 51, "{stats}");
    });
}

#[cache_request(name = "scoped", prefix = "p")]
fn key() -> u32 {
    0
}

/// The client of here and now, as keys show it.
fn client() -> String {
    key_cache().key().unwrap().split('.').nth(1).unwrap().to_owned()
}

#[test]
fn scopes_nest_and_end() {
    let cache = Cache::memory();
    scoped_sync(&cache, || {
        assert_eq!(client(), "");
        client_scope_sync("outer", || {
            assert_eq!(client(), "outer");
            client_scope_sync("inner", || assert_eq!(client(), "inner"));
            assert_eq!(client(), "outer");
            block_on(client_scope("polled", async {
                assert_eq!(client(), "polled");
                client_scope_sync("plain", || assert_eq!(client(), "plain"));
                yield_now().await;
                assert_eq!(client(), "polled");
            }));
            assert_eq!(client(), "outer");
        });
        assert_eq!(client(), "");
    });
}

#[test]
fn futures_polled_in_turn_keep_their_clients() {
    let cache = Cache::memory();
    let task = |name: &'static str| {
        client_scope(name, async move {
            for _ in 0..10 {
                assert_eq!(client(), name);
                yield_now().await;
            }
        })
    };
    block_on(scoped(&cache, async {
        zip(task("one"), zip(task("two"), task("three"))).await;
        assert_eq!(client(), "");
    }));
}

/// A client taken from a request may be empty. It shares nothing with calls outside any client.
#[test]
fn a_client_without_a_name_is_not_no_client() {
    let cache = Cache::memory();
    scoped_sync(&cache, || {
        assert_eq!(key(), 0);
        client_scope_sync("", || {
            assert_eq!(key_cache().peek(), None);
            assert_eq!(client(), "'");
            block_on(client_scope("acme", client_scope("", async { assert_eq!(client(), "'") })));
        });
        block_on(client_scope("", async { assert_eq!(key_cache().peek(), None) }));
        assert_eq!(key_cache().peek(), Some(0));
    });
}

#[test]
fn a_panic_leaves_the_scope() {
    let cache = Cache::memory();
    scoped_sync(&cache, || {
        client_scope_sync("outer", || {
            catch_unwind(|| client_scope_sync("inner", || panic!("inside"))).unwrap_err();
            assert_eq!(client(), "outer");
            let panics = client_scope("polled", async {
                yield_now().await;
                panic!("inside")
            });
            block_on(AssertUnwindSafe(panics).catch_unwind()).unwrap_err();
            assert_eq!(client(), "outer");
        });
    });
}

#[test]
fn the_cache_ends_with_its_scope() {
    let [outer, inner] = [Cache::memory(), Cache::memory()];
    scoped_sync(&outer, || {
        scoped_sync(&inner, key);
        catch_unwind(AssertUnwindSafe(|| scoped_sync(&inner, || panic!("inside")))).unwrap_err();
        key();
        block_on(scoped(&inner, async { key() }));
    });
    assert_eq!((stats(&outer, 1).hits, stats(&inner, 2).hits), (0, 1));
}

#[test]
fn what_is_spawned_inherits_nothing() {
    let cache = Cache::memory();
    scoped_sync(&cache, || {
        client_scope_sync("acme", || {
            let spawned = thread::scope(|scope| scope.spawn(|| scoped_sync(&cache, client)).join().unwrap());
            assert_eq!(spawned, "");
        });
    });
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(client_scope("acme", async {
        let inner = cache.clone();
        let spawned = tokio::spawn(async move { scoped_sync(&inner, client) }).await.unwrap();
        assert_eq!(spawned, "");
        let inner = cache.clone();
        let given = tokio::spawn(client_scope("acme", async move { scoped_sync(&inner, client) })).await.unwrap();
        assert_eq!(given, "acme");
    }));
}

/// A future made in one scope and polled in another.
#[test]
fn a_future_is_in_the_scope_it_is_polled_in() {
    #[cache_request]
    async fn f() -> String {
        client()
    }
    let cache = Cache::memory();
    let made = client_scope_sync("made", f);
    assert_eq!(block_on(scoped(&cache, client_scope("polled", made))), "polled");
}

/// Two clients wait for two bodies, and each for its own.
#[test]
fn clients_do_not_wait_for_one_another() {
    static BODIES: Count = Count::new();
    #[cache_request(skip(together))]
    fn f(together: &Barrier) -> u32 {
        together.wait();
        BODIES.next()
    }
    ends(|| {
        let (cache, together) = (&cache(), &Barrier::new(2));
        thread::scope(|scope| {
            for client in ["acme", "globex"] {
                scope.spawn(move || scoped_sync(cache, || client_scope_sync(client, || f(together))));
            }
        });
        assert_eq!(stats(cache, 2).misses.total(), 2);
    });
}

/// The last of a cache may be dropped by the scope's end, and its values' destructors may call.
#[test]
fn the_last_of_a_cache_goes_with_its_scope() {
    static DROPPED: AtomicBool = AtomicBool::new(false);
    #[derive(Clone)]
    struct Calls;
    impl Drop for Calls {
        fn drop(&mut self) {
            DROPPED.store(true, SeqCst);
            assert_eq!(client_scope_sync("drop", || scoped_sync(&Cache::memory(), client)), "drop");
        }
    }
    #[cache_request(local)]
    fn f() -> Calls {
        Calls
    }
    ends(|| {
        let cache = Cache::memory();
        let task = scoped(&cache, async { drop(f()) });
        drop(cache);
        block_on(task);
        assert!(DROPPED.load(SeqCst));
    });
}
