//! Pages and other caches: those of other processes, and other purges.

use std::{sync::Arc, time::Duration};

use cache_request::{Cache, Clock};
use http::{Method, request::Parts};

use super::{around, build, caches, invalidate, layer, memory, tagged};
use crate::support::{FRESH, Gate, Origin, Plain, ok, request, settle};

/// Two processes, in effect: their caches have only the backend in common.
#[tokio::test]
async fn a_page_outlived_an_invalidation_by_another_process() {
    let clock = Clock::mock();
    let near_timeout = Duration::from_secs(5);
    let fenced = Arc::new(memory(&clock));
    let near = Arc::new(memory(&clock));
    let plain = Arc::new(Plain::default());
    let pairs = [
        ("backend", [(); 2].map(|()| build(Cache::builder().backend(Arc::clone(&fenced)), &clock))),
        (
            "near",
            [(); 2].map(|()| build(Cache::builder().backend(Arc::clone(&near)).near_timeout(near_timeout), &clock)),
        ),
        ("plain", [(); 2].map(|()| build(Cache::builder().backend(Arc::clone(&plain)), &clock))),
    ];
    for (name, caches) in pairs {
        for (vary, path) in [("", "/one"), ("x", "/varies")] {
            let gate = Gate::closed();
            let respond = move |_: &Parts, number| {
                Ok(ok(&[FRESH, ("surrogate-key", "a"), ("vary", vary)], format!("response {number}")))
            };
            let origin = Origin::gated(&gate, |number| number == 2, respond);
            let [one, other] = caches.each_ref().map(|cache| around(layer(), &origin, cache, &clock));
            assert_eq!(one.get(path).await.text(), "response 0", "{name}");
            let hit = other.get(path).await;
            assert_eq!((hit.text(), hit.is_hit()), ("response 0", true), "{name}: they share it");
            invalidate(&one, "a").await;
            assert!(!one.get(path).await.is_hit(), "{name}: it is gone where it was invalidated");
            // A near cache does not know of it for so long.
            clock.advance(near_timeout);
            let hit = other.get(path).await;
            assert_eq!((hit.text(), hit.is_hit()), ("response 1", true), "{name}: the newer one");
            // The one that is being made here is invalidated there.
            one.cache.invalidate_tag("a").await.unwrap();
            clock.advance(near_timeout);
            let making = other.begin(request(Method::GET, path, &[]));
            settle().await;
            assert_eq!(origin.count(), 3, "{name}");
            invalidate(&one, "a").await;
            gate.open(1);
            assert_eq!(making.await.unwrap().unwrap().text(), "response 2", "{name}: its client gets it");
            settle().await;
            clock.advance(near_timeout);
            for bench in [&other, &one] {
                assert_eq!(bench.get(path).await.text(), "response 3", "{name}");
            }
            invalidate(&one, "a").await;
        }
    }
}

#[tokio::test]
async fn purges_by_prefix_and_by_tag_got_in_each_others_way() {
    for (name, cache, clock) in caches() {
        let layer = layer().purge_by_prefix(true).cache(&cache);
        let bench =
            around(layer.clone(), &tagged(|path, _| vec![("cache-tag", path.replace('/', ":"))]), &cache, &clock);
        for purges_tag in [false, true] {
            for path in ["/a", "/b"] {
                bench.get(path).await;
                assert!(bench.get(path).await.is_hit(), "{name} {path}");
            }
            if purges_tag {
                invalidate(&bench, ":a").await;
            } else {
                layer.purge_prefix(&"/a".parse().unwrap()).await.unwrap();
            }
            assert!(!bench.get("/a").await.is_hit(), "{name}");
            // Without fences, a purge by prefix takes all.
            assert_eq!(bench.get("/b").await.is_hit(), purges_tag || name != "plain", "{name}");
        }
    }
}
