//! `lookup` and `invalidate_soft`.

use std::time::Duration;

use cache_request::{Source, cache_request, scoped, scoped_sync};
use futures_lite::future::block_on;

use super::{caches, seconds};
use crate::support::{Count, Gate};

#[test]
fn a_lookup_tells_age_and_time_left() {
    #[cache_request(timeout = 10)]
    fn plain() -> u32 {
        1
    }

    #[cache_request(timeout = 10, stale = 60)]
    async fn stale() -> u32 {
        2
    }

    #[cache_request(timeout = never)]
    fn for_ever() -> u32 {
        3
    }

    for (name, cache, clock) in caches() {
        block_on(scoped(&cache, async {
            assert_eq!(plain_cache().lookup(), None, "{name}");
            plain();
            stale().await;
            for_ever();
            let source = if name == "memory" { Source::Memory } else { Source::Backend };

            clock.advance(seconds(4));
            let looked = plain_cache().lookup().unwrap();
            assert_eq!((looked.answer, looked.is_stale, looked.source), (1, false, source), "{name}");
            assert_eq!((looked.age, looked.left), (Some(seconds(4)), Some(seconds(6))), "{name}");
            assert_eq!(for_ever_cache().lookup().unwrap().left, None, "{name}");

            clock.advance(seconds(16));
            assert_eq!(plain_cache().lookup(), None, "{name}");
            let looked = stale_cache().lookup().await.unwrap();
            assert_eq!((looked.answer, looked.is_stale, looked.source), (2, true, source), "{name}");
            assert_eq!((looked.age, looked.left), (Some(seconds(20)), Some(Duration::ZERO)), "{name}");

            assert_eq!(cache.stats().functions.iter().map(|function| function.hits).sum::<u64>(), 0, "{name}");
        }));
    }
}

#[test]
fn a_soft_invalidation_leaves_the_value_until_there_is_a_new_one() {
    static BODIES: Count = Count::new();
    static GATE: Gate = Gate::new();

    #[cache_request(timeout = 1000, stale = 60)]
    fn version() -> u32 {
        let body = BODIES.next();
        if body == 2 {
            GATE.wait();
        }
        body
    }

    #[cache_request(timeout = 1000)]
    fn plain() -> u32 {
        7
    }

    let (_, cache, _) = caches().swap_remove(0);
    scoped_sync(&cache, || {
        assert!(!version_cache().invalidate_soft().unwrap());
        assert_eq!(version(), 1);
        assert!(version_cache().invalidate_soft().unwrap());
        assert_eq!(version(), 1);
        assert!(version_cache().lookup().unwrap().is_stale);
        BODIES.reaches(2);
        // A body that began before it keeps nothing.
        assert!(version_cache().invalidate_soft().unwrap());
        GATE.open();
        assert_eq!(version(), 1);
        BODIES.reaches(3);
        cache.shutdown_sync();
        assert_eq!(version(), 3);
        assert!(!version_cache().lookup().unwrap().is_stale);

        plain();
        assert!(plain_cache().invalidate_soft().unwrap());
        assert_eq!(plain_cache().peek(), None, "without a stale time there is nothing to return");
    });
}
