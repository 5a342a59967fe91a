//! Tags in a backend that has neither fences nor `add`.

use std::time::Duration;

use cache_request::{Backend, Cache, backend::MemoryBackend, cache_request, scoped_sync, tag};
use cache_request_tests::delegate;

use crate::support::Count;

struct Plain(MemoryBackend);

impl Backend for Plain {
    delegate!(self => self.0; get set delete clear);
}

#[test]
fn a_value_was_never_kept_whose_tags_its_body_tells() {
    static BODIES: Count = Count::new();

    #[cache_request(tags("article:{id}", "author:{value}"))]
    fn article(id: u32) -> u32 {
        tag("articles");
        let _ = id;
        BODIES.next()
    }

    #[cache_request]
    fn page() -> u32 {
        article(1)
    }

    let cache = Cache::builder()
        .backend(Plain(MemoryBackend::builder().build().unwrap()))
        .soft_limit(Duration::MAX)
        .build()
        .unwrap();
    scoped_sync(&cache, || {
        for invalidated in ["article:1", "articles", "author"] {
            let first = page();
            assert_eq!((page(), article(1)), (first, first), "{invalidated}");
            cache.invalidate_tag_sync("article:2").unwrap();
            assert_eq!((page(), article(1)), (first, first), "{invalidated}");
            match invalidated {
                "author" => cache.invalidate_tag_sync(&format!("author:{first}")).unwrap(),
                // There are no fences, so it removes the value.
                _ => cache.invalidate_tag_soft_sync(invalidated).unwrap(),
            }
            assert_eq!(page(), first + 1, "{invalidated}");
        }
        assert_eq!(cache.stats().faults(), 0, "{}", cache.stats());
    });
}
