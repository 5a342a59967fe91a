//! Tags that the layer makes for pages without one.

use cache_request::http::CachePage;
use http::Method;

use super::support::{Bench, FRESH, Origin, Script, data, numbered, ok, request, response, settle};

fn bench(origin: Origin) -> Bench {
    Bench::with(CachePage::new().etags(true), origin)
}

#[tokio::test]
async fn a_client_that_has_an_untagged_page_got_it_again() {
    let bench = bench(numbered(&[]));
    let first = bench.get("/").await;
    let tag = first.field("etag").expect("the body was there at once").to_owned();
    assert!(tag.starts_with("W/\"") && tag.len() == 36, "{tag}");
    let hit = bench.get("/").await;
    assert_eq!((hit.is_hit(), hit.field("etag")), (true, Some(&*tag)));
    let again = bench.get_with("/", &[("if-none-match", &tag)]).await;
    assert_eq!((again.status, again.text(), again.field("etag")), (304, "", Some(&*tag)));
    assert_eq!(bench.send(request(Method::HEAD, "/", &[])).await.field("etag"), Some(&*tag));
    assert_eq!(bench.origin.count(), 1);
}

#[tokio::test]
async fn pages_got_tags_unasked() {
    let bench = Bench::new(numbered(&[]));
    for _ in 0..2 {
        assert_eq!(bench.get("/").await.field("etag"), None);
    }
}

#[tokio::test]
async fn a_tag_of_the_service_was_replaced() {
    for own in ["\"own\"", "no tag at all"] {
        let bench = bench(Origin::new(move |_, _| ok(&[FRESH, ("etag", own)], "page")));
        for _ in 0..2 {
            assert_eq!(bench.get("/").await.field("etag"), Some(own));
        }
    }
}

/// The wrapped service does not know the tag, so the page is kept no longer and nothing is asked with it.
#[tokio::test]
async fn a_page_was_validated_with_a_tag_that_the_service_does_not_know() {
    let bench = bench(numbered(&[]));
    let tag = bench.get("/").await.field("etag").unwrap().to_owned();
    bench.advance(61);
    let new = bench.get_with("/", &[("if-none-match", &tag)]).await;
    assert_eq!((new.status, new.text()), (200, "response 1"));
    assert!(new.cache_status().contains("fwd=stale"), "{}", new.cache_status());
    assert!(!bench.origin.last().headers.contains_key("if-none-match"));
}

/// A client that asks for a page which was made anew, and is the same again, needs no body.
#[tokio::test]
async fn a_page_that_was_made_anew_as_before_was_sent_again() {
    let bench = bench(Origin::new(|_, _| ok(&[FRESH], "always this")));
    let tag = bench.get("/").await.field("etag").unwrap().to_owned();
    bench.advance(61);
    let again = bench.get_with("/", &[("if-none-match", &tag)]).await;
    assert_eq!((again.status, bench.origin.count()), (304, 2));
}

/// The page has a date of change, by which it is validated. Its generated tag stays, as its bytes do.
#[tokio::test]
async fn a_validation_lost_the_generated_tag() {
    let changed = ("last-modified", "Sun, 09 Sep 2001 01:46:40 GMT");
    let bench = bench(Origin::new(move |parts, _| match parts.headers.contains_key("if-modified-since") {
        true => response(304, &[FRESH], Script::text("")),
        false => ok(&[FRESH, changed], "page"),
    }));
    let tag = bench.get("/").await.field("etag").unwrap().to_owned();
    for _ in 0..2 {
        bench.advance(61);
        let valid = bench.get("/").await;
        assert_eq!((valid.text(), valid.field("etag")), ("page", Some(&*tag)));
        let asked = bench.origin.last().headers;
        assert!(asked.contains_key("if-modified-since") && !asked.contains_key("if-none-match"), "{asked:?}");
    }
    assert_eq!(bench.origin.count(), 3);
}

#[tokio::test]
async fn pages_of_other_statuses_got_tags() {
    for status in [301, 404] {
        let bench = bench(Origin::new(move |_, _| response(status, &[FRESH, ("location", "/b")], Script::text("x"))));
        for is_hit in [false, true] {
            let answer = bench.get("/").await;
            assert_eq!((answer.field("etag"), answer.is_hit()), (None, is_hit), "{status}");
        }
    }
}

/// The client does not wait for the end of the body, so only the page that is stored has the tag.
#[tokio::test]
async fn a_body_was_held_back_until_its_tag_was_known() {
    let (sender, body) = Script::sent();
    let body = std::sync::Mutex::new(Some(body));
    let bench = bench(Origin::new(move |_, _| response(200, &[FRESH], body.lock().unwrap().take().unwrap())));
    sender.send(data("one ")).unwrap();
    let answer = bench.open(request(Method::GET, "/", &[])).await.unwrap();
    assert!(!answer.headers().contains_key("etag"));
    let reader = tokio::spawn(super::support::Answer::of(answer));
    sender.send(data("two")).unwrap();
    drop(sender);
    assert_eq!(reader.await.unwrap().text(), "one two");
    settle().await;
    let hit = bench.get("/").await;
    assert_eq!((hit.text(), hit.is_hit(), hit.headers.contains_key("etag")), ("one two", true, true));
}

/// It is there at once, is larger than what is stored, and does not tell its length.
#[tokio::test]
async fn a_body_that_is_too_large_for_its_tag_lost_its_beginning() {
    let layer = CachePage::new().etags(true).max_body(10);
    let bench =
        Bench::with(layer, Origin::new(|_, _| response(200, &[FRESH], Script::frames((0..9).map(|_| data("12345"))))));
    for _ in 0..2 {
        let answer = bench.get("/").await;
        assert_eq!((answer.text(), answer.field("etag")), (&*"12345".repeat(9), None));
    }
}

#[tokio::test]
async fn a_body_that_fails_got_a_tag() {
    let failing = || Script::frames([data("begin"), Err("broken".into())]);
    let bench = bench(Origin::new(move |_, _| response(200, &[FRESH], failing())));
    let answer = bench.get("/").await;
    assert_eq!((answer.body, answer.headers.get("etag")), (Err("broken".to_owned()), None));
}

/// The two variants have the same bytes, and differ in what these are.
#[tokio::test]
async fn a_generated_tag_of_one_type_named_the_page_of_another() {
    let origin = Origin::new(|parts, _| {
        let kind = if parts.headers["accept"] == "a/json" { "a/json" } else { "a/text" };
        ok(&[FRESH, ("vary", "accept"), ("content-type", kind)], "[]")
    });
    let bench = Bench::with(CachePage::new().etags(true), origin);
    let json = bench.get_with("/", &[("accept", "a/json")]).await;
    let tag = json.field("etag").unwrap();
    let text = bench.get_with("/", &[("accept", "a/text"), ("if-none-match", tag)]).await;
    assert_eq!((text.status, text.field("content-type")), (200, Some("a/text")));
}
