//! Tags that are none.

use cache_request::{ErrorKind, cache_request, scoped_sync, tag};

use super::caches;
use crate::support::Count;

#[test]
fn an_answer_was_kept_that_could_not_be_invalidated_by_its_tag() {
    static BODIES: Count = Count::new();

    #[cache_request]
    fn article(name: &str) -> u32 {
        tag(name);
        BODIES.next()
    }

    #[cache_request]
    fn page(name: &str) -> u32 {
        article(name)
    }

    let long = "a".repeat(257);
    for (name, cache, _) in caches() {
        scoped_sync(&cache, || {
            for wrong in ["", "two words", "a\nline", &*long] {
                let faults = cache.stats().faults();
                let first = article(wrong);
                assert_eq!(article(wrong), first + 1, "{name}: {wrong:?}");
                assert_eq!(cache.stats().faults() - faults, 2, "{name}: {wrong:?}");
                let first = page(wrong);
                assert_eq!(page(wrong), first + 1, "{name}: {wrong:?}: nor is one that is made of it");
                let error = cache.invalidate_tag_sync(wrong).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Key, "{name}: {wrong:?}");
            }
            let (longest, strange) = (&long[1..], "München/Straße?#%~");
            for right in [longest, strange] {
                assert_eq!(article(right), article(right), "{name}: {right:?}");
                cache.invalidate_tag_sync(right).unwrap();
            }
        });
    }
}

#[test]
fn too_many_tags_were_kept() {
    static BODIES: Count = Count::new();

    #[cache_request]
    fn articles(tags: usize) -> u32 {
        for number in 0..tags {
            tag(format!("article:{number}"));
        }
        BODIES.next()
    }

    for (name, cache, _) in caches() {
        scoped_sync(&cache, || {
            assert_eq!(articles(1000), articles(1000), "{name}");
            let first = articles(10_000);
            assert_eq!(articles(10_000), first + 1, "{name}");
            cache.invalidate_tag_sync("article:999").unwrap();
            assert_eq!(articles(1000), first + 2, "{name}");
        });
    }
}
