//! The tags of fields.

use http::{Method, request::Parts};

use super::{benches, invalidate, layer, tagged};
use crate::support::{Answer, FRESH, Gate, Origin, ok, request, settle};

#[tokio::test]
async fn an_invalidated_tag_left_pages_or_took_others() {
    const FIELDS: [&[(&str, &str)]; 9] = [
        &[("surrogate-key", "a b:1 c")],
        &[("surrogate-key", "\t a  b:1\t\tc c ")],
        &[("surrogate-key", "a"), ("surrogate-key", "b:1 c")],
        &[("cache-tag", "a,b:1,c")],
        &[("cache-tag", " a ,\tb:1\t,, c,")],
        &[("cache-tag", "a,b:1"), ("cache-tag", "c")],
        &[("surrogate-key", "a"), ("cache-tag", "b:1, c")],
        &[("surrogate-key", "a b:1"), ("cache-tag", "b:1, c")],
        &[("surrogate-key", ""), ("cache-tag", "\tc, b:1, a")],
    ];
    for (name, bench) in benches(layer, || {
        tagged(|path, _| match path.strip_prefix("/form/") {
            Some(form) => {
                let fields = FIELDS[form.parse::<usize>().unwrap()];
                fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
            }
            None => vec![("surrogate-key", "other".to_owned()), ("cache-tag", "A,b,b:1:c".to_owned())],
        })
    }) {
        for form in 0..FIELDS.len() {
            let form = format!("/form/{form}");
            for path in [&*form, "/other"] {
                bench.get(path).await;
                assert!(bench.get(path).await.is_hit(), "{name} {path}: it is kept");
            }
            for tag in ["a", "b:1", "c"] {
                invalidate(&bench, tag).await;
                assert!(!bench.get(&form).await.is_hit(), "{name} {form} {tag}");
                assert!(bench.get(&form).await.is_hit(), "{name} {form} {tag}: the new one is kept");
                assert!(bench.get("/other").await.is_hit(), "{name} {form} {tag}: another page");
            }
            for tag in ["A", "b", "other", "unknown", "surrogate-key"] {
                invalidate(&bench, tag).await;
                assert!(bench.get(&form).await.is_hit(), "{name} {form} {tag}: it has no such tag");
            }
        }
        assert_eq!(bench.cache.stats().faults(), 0, "{name}");
    }
}

#[tokio::test]
async fn a_tag_beyond_ascii_was_not_taken() {
    for (name, bench) in benches(layer, || {
        tagged(|path, _| match path {
            "/spaces" => vec![("surrogate-key", "a Straße:München".to_owned())],
            _ => vec![("cache-tag", "a, Straße:München".to_owned())],
        })
    }) {
        for path in ["/spaces", "/commas"] {
            for tag in ["a", "Straße:München"] {
                bench.get(path).await;
                assert!(bench.get(path).await.is_hit(), "{name} {path}");
                invalidate(&bench, tag).await;
                assert!(!bench.get(path).await.is_hit(), "{name} {path} {tag}");
            }
        }
    }
}

/// The fields are not kept, and are as good as others until then.
#[tokio::test]
async fn tags_in_a_field_that_is_not_kept_were_lost() {
    for (name, bench) in benches(layer, || {
        let control = "max-age=60, private=\"surrogate-key\", no-cache=\"cache-tag\"";
        Origin::new(move |_, number| {
            ok(&[("cache-control", control), ("surrogate-key", "a"), ("cache-tag", "b")], format!("response {number}"))
        })
    }) {
        for tag in ["a", "b"] {
            bench.get("/").await;
            let hit = bench.get("/").await;
            assert!(hit.is_hit() && hit.field("surrogate-key").is_none(), "{name}");
            invalidate(&bench, tag).await;
            assert!(!bench.get("/").await.is_hit(), "{name} {tag}");
        }
    }
}

#[tokio::test]
async fn the_tag_of_one_variant_took_the_others() {
    for (name, bench) in
        benches(layer, || tagged(|_, x| vec![("vary", "x".to_owned()), ("surrogate-key", format!("all x:{x}"))]))
    {
        let get = async |x| bench.get_with("/", &[("x", x)]).await;
        for x in ["1", "2", "3"] {
            get(x).await;
            assert!(get(x).await.is_hit(), "{name} {x}");
        }
        invalidate(&bench, "x:2").await;
        let others = [get("1").await, get("3").await];
        assert!(others.iter().all(Answer::is_hit), "{name}: the others stay");
        let made = get("2").await;
        assert!(made.cache_status().contains("fwd=vary-miss"), "{name}: {}", made.cache_status());
        for (x, text) in [("1", "response 0"), ("2", "response 3"), ("3", "response 2")] {
            let hit = get(x).await;
            assert_eq!((hit.text(), hit.is_hit()), (text, true), "{name} {x}: the list has all");
        }
        invalidate(&bench, "all").await;
        for x in ["1", "2", "3"] {
            assert!(!get(x).await.is_hit(), "{name} {x}");
            assert!(get(x).await.is_hit(), "{name} {x}: the new one is kept");
        }
    }
}

#[tokio::test]
async fn a_page_was_kept_that_could_not_be_invalidated_by_its_tag() {
    let long = "a".repeat(300);
    let many = (0..1001).map(|number| format!("t{number} ")).collect::<String>();
    for (field, value) in
        [("surrogate-key", &*long), ("cache-tag", &*long), ("cache-tag", "two words"), ("surrogate-key", &*many)]
    {
        for vary in ["", "x"] {
            for (name, bench) in benches(layer, || {
                tagged({
                    let value = value.to_owned();
                    move |path, _| {
                        let (good, field) = if path == "/good" { ("a", "other") } else { ("", field) };
                        vec![("vary", vary.to_owned()), (field, value.clone()), ("cache-tag", good.to_owned())]
                    }
                })
            }) {
                for text in ["response 0", "response 1"] {
                    let faults = bench.cache.stats().faults();
                    let answer = bench.get("/").await;
                    assert_eq!((answer.text(), answer.is_hit()), (text, false), "{name} {field}: its client gets it");
                    assert_eq!(answer.field(field), Some(value), "{name} {field}");
                    assert_eq!(bench.cache.stats().faults() - faults, 1, "{name} {field}");
                }
                bench.get("/good").await;
                assert!(bench.get("/good").await.is_hit(), "{name} {field}: another page is kept");
            }
        }
    }
}

/// The good one may be invalidated before the page is there.
#[tokio::test]
async fn a_bad_tag_beside_a_good_one_let_a_later_request_share_the_page() {
    let gate = Gate::closed();
    let tags: &str = String::leak("a".repeat(300) + " a");
    for (name, bench) in benches(layer, || {
        let respond = move |_: &Parts, number| Ok(ok(&[FRESH, ("surrogate-key", tags)], format!("response {number}")));
        Origin::gated(&gate, |number| number == 0, respond)
    }) {
        let first = bench.begin(request(Method::GET, "/", &[]));
        settle().await;
        invalidate(&bench, "a").await;
        let second = bench.begin(request(Method::GET, "/", &[]));
        settle().await;
        gate.open(1);
        assert_eq!(first.await.unwrap().unwrap().text(), "response 0", "{name}");
        assert_eq!(second.await.unwrap().unwrap().text(), "response 1", "{name}");
    }
}
