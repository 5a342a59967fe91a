//! Pages that are made while a tag is invalidated.

use std::{mem, sync::Mutex, task::Poll};

use cache_request::tag;
use http::{Method, request::Parts};

use super::{around, benches, invalidate, layer};
use crate::support::{Answer, FRESH, Gate, Origin, Script, data, ok, request, response, settle};

/// It was asked for before the invalidation, and no client gets it after that.
#[tokio::test]
async fn a_page_from_before_an_invalidation_was_kept_or_shared() {
    for (vary, in_field) in [("", false), ("", true), ("x", false), ("x", true)] {
        let gate = Gate::closed();
        for (name, bench) in benches(layer, || {
            let gate = gate.clone();
            Origin::later(move |_, number| {
                let gate = gate.clone();
                async move {
                    // It tells its tag only after the gate.
                    if number == 0 {
                        gate.pass().await;
                    }
                    if !in_field {
                        tag("a");
                    }
                    let fields = [FRESH, ("surrogate-key", if in_field { "a" } else { "" }), ("vary", vary)];
                    Ok(ok(&fields, format!("response {number}")))
                }
            })
        }) {
            let what = format!("{name}, vary: {vary:?}, in a field: {in_field}");
            let first = bench.begin(request(Method::GET, "/", &[]));
            settle().await;
            invalidate(&bench, "a").await;
            let second = bench.begin(request(Method::GET, "/", &[]));
            settle().await;
            gate.open(1);
            assert_eq!(first.await.unwrap().unwrap().text(), "response 0", "{what}: its client gets it");
            assert_eq!(second.await.unwrap().unwrap().text(), "response 1", "{what}: a later one does not");
            settle().await;
            let hit = bench.get("/").await;
            assert_eq!((hit.text(), hit.is_hit()), ("response 1", true), "{what}: that of the later one is kept");
        }
    }
}

/// The newer page is there before the service answers the older request.
#[tokio::test]
async fn a_page_from_before_an_invalidation_took_the_place_of_a_newer_one() {
    for vary in ["", "x"] {
        let gate = Gate::closed();
        for (name, one) in benches(layer, || {
            let respond = move |_: &Parts, number| {
                Ok(ok(&[FRESH, ("surrogate-key", "a"), ("vary", vary)], format!("response {number}")))
            };
            Origin::gated(&gate, |number| number == 0, respond)
        }) {
            // A layer of the same name has waiting requests of its own.
            let other = around(layer(), &one.origin, &one.cache, &one.clock);
            let first = one.begin(request(Method::GET, "/", &[]));
            settle().await;
            invalidate(&one, "a").await;
            assert_eq!(other.get("/").await.text(), "response 1", "{name}");
            gate.open(1);
            assert_eq!(first.await.unwrap().unwrap().text(), "response 0", "{name}");
            settle().await;
            for bench in [&one, &other] {
                let hit = bench.get("/").await;
                assert_eq!((hit.text(), hit.is_hit()), ("response 1", true), "{name}, vary: {vary:?}");
            }
        }
    }
}

/// There are so many tags that those without values are forgotten.
#[tokio::test]
async fn many_invalidations_of_other_tags_hid_that_of_a_page() {
    let gate = Gate::closed();
    for (name, bench) in benches(layer, || {
        let respond = |_: &Parts, number| Ok(ok(&[FRESH, ("surrogate-key", "a")], format!("response {number}")));
        Origin::gated(&gate, |number| number == 0, respond)
    }) {
        let first = bench.begin(request(Method::GET, "/", &[]));
        settle().await;
        invalidate(&bench, "a").await;
        for number in 0..3000 {
            invalidate(&bench, &format!("other:{number}")).await;
        }
        let second = bench.begin(request(Method::GET, "/", &[]));
        settle().await;
        gate.open(1);
        assert_eq!(first.await.unwrap().unwrap().text(), "response 0", "{name}");
        assert_eq!(second.await.unwrap().unwrap().text(), "response 1", "{name}");
        settle().await;
        assert_eq!(bench.get("/").await.text(), "response 1", "{name}");
    }
}

/// Its head is there, and its body arrives.
#[tokio::test]
async fn a_request_after_an_invalidation_joined_a_body_from_before() {
    for (name, bench) in benches(layer, || {
        let bodies = Mutex::new(vec![]);
        Origin::new(move |_, number| match number {
            0 => {
                let (sender, body) = Script::sent();
                bodies.lock().unwrap().push(sender);
                response(200, &[FRESH, ("surrogate-key", "a")], body)
            }
            _ => ok(&[FRESH, ("surrogate-key", "a")], format!("response {number}")),
        })
    }) {
        let first = bench.open(request(Method::GET, "/", &[])).await.unwrap();
        let joined = bench.open(request(Method::GET, "/", &[])).await.unwrap();
        assert_eq!(bench.origin.count(), 1, "{name}: without an invalidation, it joins");
        invalidate(&bench, "b").await;
        let also_joined = bench.open(request(Method::GET, "/", &[])).await.unwrap();
        assert_eq!(bench.origin.count(), 1, "{name}: after that of another tag, it joins");
        invalidate(&bench, "a").await;
        let asked = bench.open(request(Method::GET, "/", &[])).await.unwrap();
        assert_eq!(bench.origin.count(), 2, "{name}: after that of its own tag, it does not");
        assert_eq!(Answer::of(asked).await.text(), "response 1", "{name}");
        drop((first, joined, also_joined));
    }
}

/// The body has told the tag by then.
#[tokio::test]
async fn a_request_after_an_invalidation_joined_a_body_that_had_named_its_tag() {
    for (name, bench) in benches(layer, || {
        Origin::new(|_, _| {
            let mut is_sent = false;
            let body = move || {
                tag("a");
                // The rest never comes.
                if mem::replace(&mut is_sent, true) { Poll::Pending } else { Poll::Ready(Some(data("begun"))) }
            };
            response(200, &[FRESH], Script::Polled(Box::new(body)))
        })
    }) {
        let first = bench.open(request(Method::GET, "/", &[])).await.unwrap();
        settle().await;
        let joined = bench.open(request(Method::GET, "/", &[])).await.unwrap();
        assert_eq!(bench.origin.count(), 1, "{name}: without an invalidation, it joins");
        invalidate(&bench, "a").await;
        bench.open(request(Method::GET, "/", &[])).await.unwrap();
        assert_eq!(bench.origin.count(), 2, "{name}");
        drop((first, joined));
    }
}
