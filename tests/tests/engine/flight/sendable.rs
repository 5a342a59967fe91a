//! An annotated function's future is `Send` wherever its plain version's was, and so are those of its companion.

use std::{cell::Cell, error::Error, rc::Rc, sync::Arc};

use cache_request::{Cache, Clock, backend::MemoryBackend, cache_request, scoped};
use futures_lite::future::{block_on, yield_now};

fn send<F: Future + Send>(future: F) -> F {
    future
}

/// An error that no other thread may have, made at the very end.
#[cache_request]
async fn not_send(fails: bool) -> Result<u32, Rc<str>> {
    yield_now().await;
    if fails { Err("no".into()) } else { Ok(1) }
}

#[cache_request]
async fn not_sync(fails: bool) -> Result<u32, Box<dyn Error + Send>> {
    yield_now().await;
    if fails { Err(Box::new(std::fmt::Error)) } else { Ok(1) }
}

#[cache_request]
async fn plain_error(fails: bool) -> Result<u32, Box<dyn Error>> {
    yield_now().await;
    Ok(if fails { return Err("no".into()) } else { 1 })
}

/// What the body holds while it waits may be gone to another thread, but not be shared with one.
#[cache_request]
async fn body_not_sync(id: u32) -> u32 {
    let held = Cell::new(id);
    let boxed: std::pin::Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(yield_now());
    boxed.await;
    held.get()
}

#[cache_request(skip(text))]
async fn borrows(text: &str, list: &[u32]) -> Result<Arc<str>, Rc<str>> {
    yield_now().await;
    Ok(format!("{text}{list:?}").into())
}

#[test]
fn the_function() {
    let caches = [
        Cache::memory(),
        Cache::builder().backend(MemoryBackend::builder().clock(Clock::mock()).build().unwrap()).build().unwrap(),
    ];
    for cache in caches {
        block_on(scoped(&cache, async {
            for _ in 0..2 {
                assert_eq!(send(not_send(false)).await, Ok(1));
                assert_eq!(send(not_send(true)).await, Err("no".into()));
                assert_eq!(send(not_sync(false)).await.unwrap(), 1);
                assert!(send(not_sync(true)).await.is_err());
                assert_eq!(send(plain_error(false)).await.unwrap(), 1);
                assert!(send(plain_error(true)).await.is_err());
                assert_eq!(send(body_not_sync(3)).await, 3);
                assert_eq!(&*send(borrows("a", &[1])).await.unwrap(), "a[1]");
            }
        }));
        assert_eq!(cache.stats().hits(), 5);
    }
}

#[test]
fn the_companion() {
    let cache =
        Cache::builder().backend(MemoryBackend::builder().clock(Clock::mock()).build().unwrap()).build().unwrap();
    block_on(send(scoped(&cache, async {
        assert_eq!(body_not_sync_cache(3).refresh().await, 3);
        assert_eq!(body_not_sync_cache(3).peek().await, Some(3));
        assert!(body_not_sync_cache(3).invalidate().await.unwrap());
        body_not_sync_cache(3).put(&4).await.unwrap();
        assert_eq!(body_not_sync_cache(3).uncached().await, 3);
        assert_eq!(body_not_sync(3).await, 4);
        assert_eq!(not_sync_cache(false).refresh().await.unwrap(), 1);
        assert!(not_sync_cache(false).invalidate().await.unwrap());
    })));
    // An error of the caller's own is borrowed for as long as it takes.
    block_on(scoped(&cache, async {
        let answer = Ok(5);
        send(not_send_cache(false).put(&answer)).await.unwrap();
        assert_eq!(send(not_send_cache(false).refresh()).await, Ok(1));
    }));
}
