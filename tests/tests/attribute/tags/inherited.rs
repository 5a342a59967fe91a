//! What is made of a tagged value has its tags.

use std::thread;

use cache_request::{Cache, Reason, cache_request, scoped, scoped_sync, tag, this_call};
use futures_lite::future::block_on;

use super::caches;
use crate::support::Count;

#[test]
fn a_page_outlived_the_article_that_it_was_made_of() {
    static BODIES: Count = Count::new();

    #[cache_request]
    fn article(id: u32) -> u32 {
        tag(format!("article:{id}"));
        BODIES.next()
    }

    #[cache_request]
    fn teaser(id: u32) -> u32 {
        article(id)
    }

    #[cache_request]
    fn page() -> (u32, u32) {
        (teaser(1), teaser(2))
    }

    for (name, cache, _) in caches() {
        scoped_sync(&cache, || {
            // Of one teaser it has a hit, of the other one a body.
            let one = teaser(1);
            let first = page();
            assert_eq!((first.0, page()), (one, first), "{name}");
            cache.invalidate_tag_sync("article:2").unwrap();
            let second = page();
            assert_eq!((second.0, second.1), (first.0, first.1 + 1), "{name}: the teaser and the page are made anew");
            cache.invalidate_tag_sync("article:1").unwrap();
            let third = page();
            assert_eq!((third.0, third.1), (second.1 + 1, second.1), "{name}");
            cache.invalidate_tag_sync("article:3").unwrap();
            assert_eq!(page(), third, "{name}");
            assert_eq!(cache.stats().faults(), 0, "{name}");
        });
    }
}

#[test]
fn an_async_page_did_not_inherit_from_what_it_awaits() {
    static BODIES: Count = Count::new();

    #[cache_request]
    async fn article(id: u32) -> u32 {
        futures_lite::future::yield_now().await;
        tag(format!("article:{id}"));
        BODIES.next()
    }

    #[cache_request]
    async fn teaser(id: u32) -> u32 {
        // In a box, as what is wrapped.
        let article: std::pin::Pin<Box<dyn Future<Output = u32> + Send>> = Box::pin(article(id));
        article.await
    }

    #[cache_request]
    async fn page() -> (u32, u32) {
        futures_lite::future::zip(teaser(1), teaser(2)).await
    }

    for (name, cache, _) in caches() {
        block_on(scoped(&cache, async {
            let first = page().await;
            assert_eq!(page().await, first, "{name}");
            cache.invalidate_tag("article:2").await.unwrap();
            let second = page().await;
            assert!(second.0 == first.0 && second.1 > first.1, "{name}: {first:?} {second:?}");
        }));
    }
}

/// Three levels, each in a task or thread of its own. The one in the middle has no cache.
#[test]
fn a_page_did_not_inherit_from_tasks_and_threads_that_it_started() {
    static BODIES: Count = Count::new();

    #[cache_request(skip(cache))]
    fn article(cache: &Cache, id: u32) -> u32 {
        let call = this_call();
        thread::scope(|scope| scope.spawn(|| call.around_sync(|| tag(format!("article:{id}")))).join().unwrap());
        let _ = cache;
        BODIES.next()
    }

    #[cache_request(skip(cache))]
    async fn teaser(cache: &Cache, id: u32) -> u32 {
        let inner = cache.clone();
        let article = scoped(cache, async move { article(&inner, id) });
        tokio::spawn(this_call().around(article)).await.unwrap()
    }

    #[cache_request(skip(cache))]
    async fn page(cache: &Cache) -> u32 {
        let inner = cache.clone();
        let teaser = scoped(cache, async move { teaser_cache(&inner, 7).uncached().await });
        tokio::spawn(this_call().around(teaser)).await.unwrap()
    }

    let runtime = tokio::runtime::Runtime::new().unwrap();
    for (name, cache, _) in caches() {
        runtime.block_on(scoped(&cache, async {
            let first = page(&cache).await;
            assert_eq!(page(&cache).await, first, "{name}");
            cache.invalidate_tag("article:7").await.unwrap();
            let second = page(&cache).await;
            assert_eq!((second, page(&cache).await), (first + 1, second), "{name}");
        }));
    }
    let outside = this_call();
    assert_eq!(block_on(outside.around(async { this_call().reason() })), Reason::NotCalled);
    assert!(!outside.around_sync(|| tag("article:7")));
}

#[test]
fn a_function_without_a_cache_lost_tags() {
    static BODIES: Count = Count::new();

    #[cache_request]
    fn article() -> u32 {
        tag("article:1");
        BODIES.next()
    }

    #[cache_request]
    fn between() -> u32 {
        article()
    }

    #[cache_request]
    fn page() -> u32 {
        between_cache().uncached()
    }

    for (name, cache, _) in caches() {
        scoped_sync(&cache, || {
            let first = page();
            assert_eq!(page(), first, "{name}");
            cache.invalidate_tag_sync("article:1").unwrap();
            assert_eq!(page(), first + 1, "{name}");
        });
    }
}

#[test]
fn an_answer_without_a_value_lost_tags() {
    static BODIES: Count = Count::new();

    #[cache_request]
    fn article() -> Result<u32, u32> {
        tag("article:1");
        Err(BODIES.next())
    }

    #[cache_request]
    fn page() -> u32 {
        article().unwrap_err()
    }

    for (name, cache, _) in caches() {
        scoped_sync(&cache, || {
            // In a backend, the first of all pages is not: its function is not known to have tags that its body alone tells.
            page();
            let first = page();
            assert_eq!(page(), first, "{name}: the page of an error is kept");
            cache.invalidate_tag_sync("article:1").unwrap();
            assert_eq!(page(), first + 1, "{name}");
        });
    }
}

#[test]
fn a_page_of_a_stale_article_was_fresh() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 300, stale = 60)]
    fn article() -> u32 {
        tag("article:1");
        BODIES.next()
    }

    #[cache_request(timeout = 300, stale = 60)]
    fn page(page: u32) -> (u32, u32) {
        (page, article())
    }

    for (name, cache, _) in caches() {
        scoped_sync(&cache, || {
            let first = article();
            cache.invalidate_tag_soft_sync("article:1").unwrap();
            assert_eq!(page(1), (1, first), "{name}: it is made of the stale article");
            cache.shutdown_sync();
            assert_eq!(article(), first + 1, "{name}: that is replaced");
            let stale = cache.stats().functions.iter().map(|function| function.stale).sum::<u64>();
            assert_eq!(page(1), (1, first), "{name}: the page is stale as well");
            let later = cache.stats().functions.iter().map(|function| function.stale).sum::<u64>();
            assert_eq!(later - stale, 1, "{name}");
        });
    }
}

#[test]
fn a_local_article_did_not_invalidate_what_was_made_of_it() {
    static BODIES: Count = Count::new();

    #[cache_request(local)]
    fn article() -> u32 {
        tag("article:1");
        BODIES.next()
    }

    #[cache_request]
    fn page() -> u32 {
        article()
    }

    for (name, cache, _) in caches() {
        scoped_sync(&cache, || {
            let first = page();
            assert_eq!(page(), first, "{name}");
            cache.invalidate_tag_sync("article:1").unwrap();
            assert_eq!(page(), first + 1, "{name}");
        });
    }
}
