//! `foreground`: one caller runs the body, and the others get the old value.

use cache_request::{Source, cache_request, scoped, scoped_sync};
use futures_lite::future::block_on;

use super::{caches, seconds};
use crate::support::Count;

#[test]
fn one_caller_runs_the_body_and_the_others_get_the_old_value() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 10, stale = 60, foreground)]
    fn version() -> u32 {
        let body = BODIES.next();
        if body.is_multiple_of(2) {
            // While this caller is in its body.
            assert_eq!(version(), body - 1);
            assert_eq!(version_cache().call_traced().0, body - 1);
        }
        body
    }

    for (name, cache, clock) in caches() {
        scoped_sync(&cache, || {
            let first = version();
            clock.advance(seconds(10));
            assert_eq!(version(), first + 1, "{name}");
            assert_eq!(version(), first + 1, "{name}");
            assert_eq!(BODIES.get(), first + 1, "{name}");
        });
    }
}

#[test]
fn an_async_caller_runs_the_body_itself() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 10, early = 0.5, foreground)]
    async fn version(of: std::rc::Rc<str>) -> u32 {
        assert_eq!(&*of, "a");
        BODIES.next()
    }

    for (name, cache, clock) in caches() {
        block_on(scoped(&cache, async {
            let first = version("a".into()).await;
            clock.advance(seconds(9));
            assert_eq!(version("a".into()).await, first + 1, "{name}");
            clock.advance(seconds(9));
            assert_eq!(version_cache("a".into()).call_traced().await, (first + 2, Source::Body), "{name}");
        }));
    }
}

/// Where no function with an `impl Trait` can be named, and without a companion.
#[test]
fn functions_that_cannot_be_named_are_replaced_by_their_callers() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 10, stale = 60, foreground)]
    fn opaque(of: impl serde::Serialize) -> u32 {
        drop(of);
        BODIES.next()
    }

    #[cache_request(timeout = 10, stale = 60, foreground, handle = false)]
    fn alone(of: u32) -> u32 {
        of + BODIES.next()
    }

    for (name, cache, clock) in caches() {
        scoped_sync(&cache, || {
            let first = opaque("a");
            let second = alone(0);
            assert_eq!(second, first + 1, "{name}");
            clock.advance(seconds(10));
            assert_eq!(opaque("a"), first + 2, "{name}");
            assert_eq!(alone(0), first + 3, "{name}");
        });
    }
}
