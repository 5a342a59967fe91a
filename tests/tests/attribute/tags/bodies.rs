//! Tags that bodies name.

use std::thread;

use cache_request::{Cache, cache_request, scoped, scoped_sync, tag, this_call};
use futures_lite::future::block_on;

use super::caches;
use crate::support::{Count, Gate};

#[test]
fn an_invalidated_tag_left_values_of_it() {
    static BODIES: Count = Count::new();

    #[cache_request]
    fn article(id: u32) -> u32 {
        assert!(tag(format!("article:{id}")) && tag("articles"));
        BODIES.next()
    }

    for (name, cache, _) in caches() {
        scoped_sync(&cache, || {
            let first = [article(1), article(2)];
            assert_eq!([article(1), article(2)], first, "{name}");
            cache.invalidate_tag_sync("article:1").unwrap();
            let second = article(1);
            assert!(second > first[1], "{name}: it is made anew");
            assert_eq!((article(1), article(2)), (second, first[1]), "{name}: the other one stays");
            cache.invalidate_tag_sync("articles").unwrap();
            assert!(article(1) > second && article(2) > second, "{name}");
            cache.invalidate_tag_sync("unknown").unwrap();
            let last = [article(1), article(2)];
            assert_eq!([article(1), article(2)], last, "{name}");
            assert_eq!(cache.stats().faults(), 0, "{name}");
        });
    }
}

#[test]
fn outside_a_body_a_tag_was_taken() {
    assert!(!tag("article:1"));
    #[cache_request]
    fn uncached() -> bool {
        tag("article:1")
    }
    assert!(!scoped_sync(&Cache::null(), uncached));
}

/// It is kept by no cache, and goes to no caller that comes after the invalidation.
#[test]
fn an_answer_was_kept_or_shared_whose_tag_was_invalidated_while_it_was_computed() {
    static BODIES: Count = Count::new();
    static GATES: [Gate; 3] = [const { Gate::new() }; 3];

    #[cache_request]
    fn article() -> u32 {
        let body = BODIES.next();
        if body % 2 == 1 {
            GATES[body as usize / 2].wait();
        }
        // Only now the body knows it.
        tag("article:1");
        body
    }

    for (name, cache, _) in caches() {
        let bodies = BODIES.get();
        thread::scope(|threads| {
            let before = threads.spawn(|| scoped_sync(&cache, article));
            BODIES.reaches(bodies + 1);
            cache.invalidate_tag_sync("article:1").unwrap();
            // It may come before or after the end of the first one.
            let after = threads.spawn(|| scoped_sync(&cache, article));
            GATES[bodies as usize / 2].open();
            assert_eq!(before.join().unwrap(), bodies + 1, "{name}: its caller gets it");
            assert_eq!(after.join().unwrap(), bodies + 2, "{name}: it must not have that of before");
        });
        assert_eq!(scoped_sync(&cache, article), bodies + 2, "{name}: the next one is kept");
        assert_eq!(cache.stats().functions[0].outdated, 1, "{name}");
    }
}

#[test]
fn other_tags_kept_an_answer_from_being_kept() {
    static BODIES: Count = Count::new();

    #[cache_request(skip(cache))]
    fn article(cache: &Cache) -> u32 {
        cache.invalidate_tag_sync("article:2").unwrap();
        tag("article:1");
        BODIES.next()
    }

    for (name, cache, _) in caches() {
        scoped_sync(&cache, || assert_eq!(article(&cache), article(&cache), "{name}"));
    }
}

#[test]
fn a_softly_invalidated_tag_removed_values_that_may_be_stale() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 300, stale = 60)]
    fn article() -> u32 {
        tag("article:1");
        BODIES.next()
    }

    for (name, cache, clock) in caches() {
        scoped_sync(&cache, || {
            let first = article();
            cache.invalidate_tag_soft_sync("article:1").unwrap();
            assert_eq!(article(), first, "{name}: it is stale");
            cache.shutdown_sync();
            assert_eq!(article(), first + 1, "{name}: it was made anew in the background");
            assert_eq!(cache.stats().functions[0].stale, 1, "{name}");
            cache.invalidate_tag_soft_sync("article:1").unwrap();
            clock.advance(super::seconds(60));
            assert_eq!(article(), first + 2, "{name}: its stale time counts from the invalidation");
            cache.invalidate_tag_soft_sync("article:1").unwrap();
            cache.invalidate_tag_sync("article:1").unwrap();
            assert_eq!(article(), first + 3, "{name}: a stale value goes with its tag");
        });
    }
}

#[test]
fn a_softly_invalidated_tag_left_values_that_may_not_be_stale() {
    static BODIES: Count = Count::new();

    #[cache_request]
    fn article() -> u32 {
        tag("article:1");
        BODIES.next()
    }

    for (name, cache, _) in caches() {
        scoped_sync(&cache, || {
            let first = article();
            cache.invalidate_tag_soft_sync("article:1").unwrap();
            assert_eq!([article(), article()], [first + 1; 2], "{name}");
        });
    }
}

#[test]
fn a_value_that_may_stand_in_outlived_its_tag() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 10, stale_if_error = 3600)]
    fn article() -> Result<u32, u32> {
        tag("article:1");
        let body = BODIES.next();
        if body % 2 == 1 { Ok(body) } else { Err(body) }
    }

    for (name, cache, clock) in caches() {
        scoped_sync(&cache, || {
            let bodies = BODIES.get();
            assert_eq!(article(), Ok(bodies + 1), "{name}");
            clock.advance(super::seconds(10));
            cache.invalidate_tag_sync("article:1").unwrap();
            assert_eq!(article(), Err(bodies + 2), "{name}: what could stand in is from before the invalidation");
        });
    }
}

#[test]
fn a_body_built_on_a_value_whose_tag_was_invalidated() {
    #[cache_request(timeout = 300, stale = 60)]
    fn article() -> Option<u32> {
        tag("article:1");
        let older = this_call().stale_value::<Option<u32>>();
        older.map_or(Some(1), |older| Some(older? + 1))
    }

    for (name, cache, _) in caches() {
        scoped_sync(&cache, || {
            assert_eq!((article(), article_cache().refresh()), (Some(1), Some(2)), "{name}: a refresh may build on it");
            cache.invalidate_tag_sync("article:1").unwrap();
            assert_eq!(article_cache().refresh(), Some(1), "{name}");
        });
    }
}

#[test]
fn async_bodies_named_tags_that_others_got() {
    static BODIES: Count = Count::new();

    #[cache_request]
    async fn article(id: u32) -> u32 {
        tag(format!("article:{id}"));
        futures_lite::future::yield_now().await;
        BODIES.next()
    }

    for (name, cache, _) in caches() {
        block_on(scoped(&cache, async {
            let both = futures_lite::future::zip(article(1), article(2)).await;
            cache.invalidate_tag("article:2").await.unwrap();
            let again = (article(1).await, article(2).await);
            assert_eq!(again.0, both.0, "{name}");
            assert!(again.1 > both.0.max(both.1), "{name}");
        }));
    }
}

#[test]
fn a_sliding_value_with_a_tag_was_renewed_for_ever() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = never, idle = 60)]
    fn article() -> u32 {
        tag("article:1");
        BODIES.next()
    }

    for (name, cache, clock) in caches().into_iter().filter(|(name, ..)| *name == "memory") {
        scoped_sync(&cache, || {
            let first = article();
            for _ in 0..10 {
                clock.advance(super::seconds(50));
                assert_eq!(article(), first, "{name}: it is read");
            }
            cache.invalidate_tag_sync("article:1").unwrap();
            assert_eq!(article(), first + 1, "{name}");
            clock.advance(super::seconds(61));
            assert_eq!(article(), first + 2, "{name}: it was not read for so long");
        });
    }
}
