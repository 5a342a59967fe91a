//! The tags that the service names, and those of what it uses.

use bytes::Bytes;
use cache_request::{Cache, cache_request, client_scope, scoped, tag, this_call};
use http::Method;
use http_body::Frame;

use super::{around, benches, build, builders, invalidate, layer, page_of_article, tagged};
use crate::support::{Bench, FRESH, Failed, Origin, Script, ok, request, response};

#[tokio::test]
async fn a_page_outlived_what_the_service_named_or_used() {
    for (name, bench) in benches(layer, || Origin::later(page_of_article)) {
        let inside = async {
            // The second page uses what the first one has left in the cache.
            const PATHS: [&str; 3] = ["/1", "/again/1", "/2"];
            for (tag, taken) in [
                ("article:1", &["/1", "/again/1"][..]),
                ("before:/1", &["/1"]),
                ("after:/again/1", &["/again/1"]),
                ("article:2", &["/2"]),
                ("article:3", &[]),
            ] {
                for path in PATHS {
                    bench.get(path).await;
                    assert!(bench.get(path).await.is_hit(), "{name} {path}");
                }
                invalidate(&bench, tag).await;
                for path in PATHS {
                    assert_eq!(bench.get(path).await.is_hit(), !taken.contains(&path), "{name} {path} {tag}");
                }
            }
            assert_eq!(bench.cache.stats().faults(), 0, "{name}");
        };
        scoped(&bench.cache, inside).await;
    }
}

/// The articles are in one cache, and the pages in another one.
#[tokio::test]
async fn a_page_lost_tags_of_values_from_another_cache() {
    for (name, bench) in benches(layer, || {
        let articles = Cache::builder().build().unwrap();
        Origin::later(move |parts, number| {
            let articles = articles.clone();
            async move { scoped(&articles, page_of_article(parts, number)).await }
        })
    }) {
        for path in ["/1", "/again/1"] {
            bench.get(path).await;
            assert!(bench.get(path).await.is_hit(), "{name} {path}");
        }
        invalidate(&bench, "article:1").await;
        for path in ["/1", "/again/1"] {
            assert!(!bench.get(path).await.is_hit(), "{name} {path}");
        }
    }
}

/// By its call around them, and also by one from elsewhere, which is none.
#[tokio::test]
async fn a_page_lost_tags_of_tasks_that_the_service_started() {
    for (name, bench) in benches(layer, || {
        let elsewhere = this_call();
        Origin::later(move |_, number| {
            let elsewhere = elsewhere.clone();
            async move {
                tokio::spawn(this_call().around(async { tag("article:1") })).await.unwrap();
                this_call().around(async { tag("article:2") }).await;
                elsewhere.around(async { tag("article:3") }).await;
                Ok(ok(&[FRESH], format!("page {number}")))
            }
        })
    }) {
        for tag in ["article:1", "article:2", "article:3"] {
            bench.get("/").await;
            assert!(bench.get("/").await.is_hit(), "{name} {tag}");
            invalidate(&bench, tag).await;
            assert!(!bench.get("/").await.is_hit(), "{name} {tag}");
        }
    }
}

/// It names them while its client reads it already.
#[tokio::test]
async fn what_a_body_uses_as_it_arrives_gave_no_tags() {
    for (name, bench) in benches(layer, || {
        Origin::new(|_, number| {
            let frames = (0..3).map(move |frame| {
                tag(format!("frame:{frame}"));
                Ok(Frame::data(Bytes::from(format!("{number}.{frame} "))))
            });
            response(200, &[FRESH], Script::Made(Box::new(frames)))
        })
    }) {
        for frame in 0..3 {
            bench.get("/").await;
            assert!(bench.get("/").await.is_hit(), "{name}");
            invalidate(&bench, &format!("frame:{frame}")).await;
            assert!(!bench.get("/").await.is_hit(), "{name} {frame}");
        }
    }
}

/// A function is a client of another service, whose pages are kept. Its value is made of what it gets: by a body, by the body for another
/// client, from the cache, or in place of an error.
#[tokio::test]
async fn a_value_made_of_a_page_outlived_its_tag() {
    #[cache_request(skip(bench))]
    async fn made_of(bench: &Bench, path: &str, number: u32) -> (u32, String) {
        (number, bench.get(path).await.text().to_owned())
    }

    for (name, bench) in benches(layer, || {
        Origin::later(|parts, number| async move {
            tokio::task::yield_now().await;
            tag("named");
            if parts.headers.contains_key("if-none-match") {
                return Err(Failed);
            }
            let control = if parts.uri.path() == "/refused" { "no-store" } else { FRESH.1 };
            let fields = [("cache-control", control), ("etag", "\"a\""), ("surrogate-key", "field")];
            Ok(ok(&fields, format!("response {number}")))
        })
    }) {
        let cache = bench.cache.clone();
        let inside = async {
            for tag in ["named", "field"] {
                for path in ["/made", "/there", "/stale", "/refused"] {
                    if path == "/there" || path == "/stale" {
                        bench.get(path).await;
                        bench.advance(if path == "/stale" { 61 } else { 0 });
                    }
                    let both = tokio::join!(made_of(&bench, path, 1), made_of(&bench, path, 2));
                    assert_eq!(
                        both.0.1 == both.1.1,
                        path != "/refused",
                        "{name} {path}: they share what may be shared"
                    );
                    let again = async || (made_of(&bench, path, 1).await, made_of(&bench, path, 2).await);
                    let kept = again().await;
                    // Without fences, of two that begin to look at tags at once one may not be kept.
                    assert!(kept == both || name == "plain", "{name} {path}: they are kept");
                    assert_eq!(again().await, kept, "{name} {path}: they are kept");
                    invalidate(&bench, tag).await;
                    for (number, before) in [(1, kept.0), (2, kept.1)] {
                        assert_ne!(made_of(&bench, path, number).await, before, "{name} {path} {number} {tag}");
                    }
                    bench.cache.clear().await.unwrap();
                }
            }
        };
        scoped(&cache, inside).await;
    }
}

/// It is not stored itself.
#[tokio::test]
async fn a_value_made_of_a_head_outlived_its_tag() {
    #[cache_request(skip(bench))]
    async fn length_of(bench: &Bench) -> String {
        bench.send(request(Method::HEAD, "/", &[])).await.field("number").unwrap().to_owned()
    }

    for is_there in [false, true] {
        for (name, bench) in benches(layer, || {
            Origin::later(|_, number| async move {
                tokio::task::yield_now().await;
                tag("a");
                Ok(ok(&[FRESH, ("number", &number.to_string())], ""))
            })
        }) {
            let inside = async {
                if is_there {
                    bench.get("/").await;
                    bench.advance(61);
                }
                // In a backend, the first one is not kept: the function is not known to have tags that its body alone tells.
                length_of(&bench).await;
                let first = length_of(&bench).await;
                assert_eq!(length_of(&bench).await, first, "{name}");
                invalidate(&bench, "a").await;
                assert_ne!(length_of(&bench).await, first, "{name}, with a page: {is_there}");
            };
            scoped(&bench.cache, inside).await;
        }
    }
}

/// They have tags before anything names one, and so have lists of variants and of purges.
#[tokio::test]
async fn pages_with_the_tags_of_functions_and_clients_were_not_kept() {
    for by_tag in [false, true] {
        for (name, builder, clock) in builders() {
            let cache = build(builder.function_tags(true), &clock);
            let layer = layer().purge_by_tag(by_tag).purge_by_prefix(true).cache(&cache);
            let bench = around(layer.clone(), &tagged(|path, _| vec![("vary", path.replace('/', ""))]), &cache, &clock);
            let clients = async |paths: &[&str], are_hits: [bool; 2]| {
                for (client, is_hit) in ["one", "other"].into_iter().zip(are_hits) {
                    for path in paths {
                        let answer = client_scope(client, bench.get(path)).await;
                        assert_eq!(answer.is_hit(), is_hit, "{name} {client} {path}, by tag: {by_tag}");
                    }
                }
            };
            clients(&["/", "/x"], [false; 2]).await;
            clients(&["/", "/x"], [true; 2]).await;
            cache.invalidate_client("one").await.unwrap();
            clients(&["/", "/x"], [false, true]).await;
            clients(&["/", "/x"], [true; 2]).await;
            cache.invalidate_function("page").await.unwrap();
            clients(&["/", "/x"], [false; 2]).await;
            clients(&["/", "/x"], [true; 2]).await;
            assert_eq!(cache.stats().faults(), 0, "{name}, by tag: {by_tag}");
        }
    }
}
