//! What pages and their tags ask a backend for.

use std::{mem, sync::Arc, time::Duration};

use cache_request::{Cache, Clock, http::CachePage, tag};
use cache_request_tests::counting::Counting;
use http::Response;

use super::{around, build, invalidate, layer, page_of_article};
use crate::support::{Bench, FRESH, Origin, Script, numbered, ok};

fn counted(layer: CachePage, origin: &Origin) -> (Arc<Counting>, Bench) {
    let clock = Clock::mock();
    let backend = Counting::new(&clock);
    let cache = build(Cache::builder().backend(Arc::clone(&backend)), &clock);
    (backend, around(layer, origin, &cache, &clock))
}

#[tokio::test]
async fn pages_without_tags_asked_the_backend_for_some() {
    let with_field = |mut response: Response<Script>| {
        response.headers_mut().insert("surrogate-key", "a b".parse().unwrap());
        response
    };
    let origin = Origin::later(move |parts, number| async move {
        assert!(!tag("a"), "there is nothing that takes it");
        page_of_article(parts, number).await.map(with_field)
    });
    let (backend, bench) = counted(layer().purge_by_tag(false), &origin);
    let miss = [("get", 1), ("get", 1), ("claim", 1), ("set_fenced", 1)];
    bench.get("/1").await;
    assert_eq!(backend.take(), miss);
    assert!(bench.get("/1").await.is_hit());
    assert_eq!(backend.take(), [("get", 1)]);
    // A layer with tags in the same cache is no concern of this one.
    let origin =
        Origin::later(move |parts, number| async move { page_of_article(parts, number).await.map(with_field) });
    let tagged = around(layer().name("others"), &origin, &bench.cache, &bench.clock);
    tagged.get("/1").await;
    assert!(tagged.get("/1").await.is_hit());
    assert_ne!(backend.take(), []);
    backend.keys.lock().unwrap().clear();
    bench.get("/2").await;
    assert_eq!(backend.take(), miss);
    assert!(bench.get("/2").await.is_hit());
    assert_eq!(backend.take(), [("get", 1)]);
    let keys = mem::take(&mut *backend.keys.lock().unwrap());
    assert!(keys.iter().all(|key| !key.contains('~')), "{keys:?}");
    for tag in ["a", "b", "article:1", "before:/1"] {
        invalidate(&bench, tag).await;
    }
    assert!(bench.get("/1").await.is_hit() && !tagged.get("/1").await.is_hit());
}

#[tokio::test]
async fn tags_cost_more_operations_than_they_need() {
    const LOOK: (&str, usize) = ("get", 1);
    // Of the page's two tags, and of the latest invalidations.
    const OF_TAGS: (&str, usize) = ("get_many", 2);
    const OF_LATEST: (&str, usize) = ("get_many", 1);
    const CLAIM: (&str, usize) = ("claim", 1);
    const STORE: (&str, usize) = ("set_fenced", 1);
    for vary in ["", "x"] {
        let origin = Origin::new(move |_, number| {
            ok(&[FRESH, ("surrogate-key", "a b"), ("vary", vary)], format!("response {number}"))
        });
        let (backend, bench) = counted(layer(), &origin);
        let varies = !vary.is_empty();
        // Where there are variants, each has its claim, and the list is read and stored.
        let (looks, claims, stores): (&[_], &[_], &[_]) =
            if varies { (&[LOOK; 2], &[LOOK, CLAIM], &[STORE; 2]) } else { (&[LOOK], &[], &[STORE]) };

        bench.get("/first").await;
        let first = backend.take();
        assert_eq!(first.iter().filter(|done| **done == ("add", 1)).count(), 3, "the records are made: {first:?}");
        // It looks again before it asks the service, as without tags.
        bench.get("/second").await;
        let before = [LOOK, LOOK, CLAIM, OF_LATEST];
        assert_eq!(backend.take(), [&before[..], claims, &[OF_TAGS, OF_LATEST], stores].concat(), "a miss");
        bench.get("/second").await;
        assert_eq!(backend.take(), [looks, &[OF_TAGS]].concat(), "a hit");
        invalidate(&bench, "a").await;
        assert_eq!(backend.take(), [CLAIM, STORE, ("invalidate", 1)], "one write to the latest, and one to the tag");
    }
    // A near cache asks for nothing.
    let clock = Clock::mock();
    let backend = Counting::new(&clock);
    let cache = build(Cache::builder().backend(Arc::clone(&backend)).near_timeout(Duration::from_secs(60)), &clock);
    let bench = around(layer(), &numbered(&[("surrogate-key", "a b")]), &cache, &clock);
    bench.get("/").await;
    backend.take();
    assert!(bench.get("/").await.is_hit());
    assert_eq!(backend.take(), []);
}
