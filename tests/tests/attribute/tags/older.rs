//! Older values, and what is made of them: stale ones, those that stand in, and those that a body keeps.

use cache_request::{cache_request, scoped_sync, tag, this_call};

use super::{caches, seconds};
use crate::support::Count;

#[test]
fn a_page_with_the_tag_of_its_stale_article_was_fresh() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 300, stale = 60, tags("article:{id}"))]
    fn article(id: u32) -> u32 {
        let _ = id;
        BODIES.next()
    }

    #[cache_request(timeout = 300, tags("article:{id}"))]
    fn page(id: u32) -> u32 {
        article(id)
    }

    #[cache_request(timeout = 300)]
    fn naming(id: u32) -> u32 {
        tag(format!("article:{id}"));
        article(id)
    }

    for (name, cache, _) in caches() {
        scoped_sync(&cache, || {
            // An article each, as the first one that is asked for is replaced in the background.
            let first = (page(7), naming(8));
            cache.invalidate_tag_soft_sync("article:7").unwrap();
            cache.invalidate_tag_soft_sync("article:8").unwrap();
            assert_eq!((page(7), naming(8)), first, "{name}: they are made anew, of the stale articles");
            cache.shutdown_sync();
            assert!(article(7) > first.0 && article(8) > first.1, "{name}: those are replaced");
            assert_eq!(
                (page(7), naming(8)),
                (article(7), article(8)),
                "{name}: and what was made of them is not fresh"
            );
        });
    }
}

#[test]
fn a_value_that_was_kept_lost_its_tags() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 300)]
    fn article() -> u32 {
        tag("article:1");
        BODIES.next()
    }

    #[cache_request(timeout = 300, stale = 60)]
    fn page(of: u32) -> u32 {
        if this_call().keep_stale() {
            return 0;
        }
        tag("pages");
        article() + of
    }

    for (name, cache, _) in caches() {
        for invalidated in ["article:1", "pages"] {
            scoped_sync(&cache, || {
                let first = page(0);
                assert_eq!(page_cache(0).refresh(), first, "{name}: it has not changed");
                assert_eq!(page(0), first, "{name}");
                let bodies = BODIES.next();
                cache.invalidate_tag_sync("other").unwrap();
                assert_eq!(page(0), first, "{name}");
                cache.invalidate_tag_sync("article:1").unwrap();
                cache.invalidate_tag_sync(invalidated).unwrap();
                assert_eq!(page(0), bodies + 1, "{name} {invalidated}");
            });
        }
    }
}

#[test]
fn a_body_that_was_kept_by_its_older_value_missed_an_invalidation() {
    #[cache_request(timeout = 300, stale = 60, skip(cache))]
    fn page(cache: &cache_request::Cache) -> u32 {
        let call = this_call();
        match call.stale_value::<u32>() {
            Some(older) => {
                cache.invalidate_tag_sync("pages").unwrap();
                older + 1
            }
            None => {
                tag("pages");
                1
            }
        }
    }

    for (name, cache, _) in caches() {
        scoped_sync(&cache, || {
            assert_eq!(page(&cache), 1, "{name}");
            assert_eq!(page_cache(&cache).refresh(), 2, "{name}");
            assert_eq!(page(&cache), 1, "{name}: what it was made of was invalidated meanwhile");
        });
    }
}

#[test]
fn a_page_of_a_value_that_stands_in_was_never_kept() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 10, stale_if_error = 3600, tags("source"))]
    fn source() -> Result<u32, u32> {
        let body = BODIES.next();
        if body % 100 == 1 { Ok(body) } else { Err(body) }
    }

    #[cache_request(timeout = 300, tags("page"))]
    fn page() -> (u32, u32) {
        (source().unwrap(), BODIES.next())
    }

    for (name, cache, clock) in caches() {
        scoped_sync(&cache, || {
            while !BODIES.get().is_multiple_of(100) {
                BODIES.next();
            }
            source().unwrap();
            clock.advance(seconds(10));
            cache.invalidate_tag_sync("page").unwrap();
            let first = page();
            assert_eq!(page(), first, "{name}: only another tag was invalidated, before its body");
        });
    }
}

#[test]
fn a_look_did_not_tell_of_tags() {
    static BODIES: Count = Count::new();

    #[cache_request(tags("article"))]
    fn article() -> u32 {
        BODIES.next()
    }

    #[cache_request]
    fn page() -> Option<u32> {
        Some(article_cache().lookup()?.answer)
    }

    for (name, cache, _) in caches() {
        scoped_sync(&cache, || {
            let first = article();
            assert_eq!((page(), page()), (Some(first), Some(first)), "{name}");
            cache.invalidate_tag_sync("article").unwrap();
            assert_eq!(page(), None, "{name}");
        });
    }
}

#[test]
fn a_tag_that_names_a_tag_hung() {
    struct Nested;

    impl AsRef<str> for Nested {
        fn as_ref(&self) -> &str {
            tag("inner");
            "outer"
        }
    }

    static BODIES: Count = Count::new();

    #[cache_request]
    fn article() -> u32 {
        tag(Nested);
        this_call().tag(Nested);
        BODIES.next()
    }

    for (name, cache, _) in caches() {
        scoped_sync(&cache, || {
            for invalidated in ["inner", "outer"] {
                let first = article();
                assert_eq!(article(), first, "{name}");
                cache.invalidate_tag_sync(invalidated).unwrap();
                assert_eq!(article(), first + 1, "{name} {invalidated}");
            }
        });
    }
}
