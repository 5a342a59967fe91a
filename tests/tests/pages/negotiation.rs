//! Pages in several languages and codings.

use cache_request::http::CachePage;
use http::Method;

use super::support::{Bench, FRESH, Origin, ok, request};

/// It answers with what the request prefers, and is asked in German or English.
fn site() -> Origin {
    Origin::new(|parts, _| {
        let sent = |name| parts.headers.get(name).map_or("none", |value| value.to_str().unwrap());
        let text = format!("{} in {}", sent("accept-language"), sent("accept-encoding"));
        ok(&[FRESH, ("vary", "accept-language, accept-encoding")], text)
    })
}

fn layer() -> CachePage {
    CachePage::new().languages(["en", "DE"]).encodings(["br", "gzip"])
}

#[tokio::test]
async fn each_browser_has_a_variant() {
    let bench = Bench::with(layer(), site());
    let bench = &bench;
    let get = |language, coding| async move {
        bench.get_with("/", &[("accept-language", language), ("accept-encoding", coding)]).await
    };
    let first = get("de-AT,de;q=0.9,en;q=0.8", "gzip, deflate, br, zstd").await;
    assert_eq!(first.text(), "de, en;q=0.500 in br, gzip");
    assert_eq!(first.field("vary"), Some("accept-language, accept-encoding"), "caches of clients know nothing of it");
    for (language, coding) in
        [("de, en;q=0.1", "br, gzip"), ("DE,fr;q=0.9,en;q=0.2", "gzip,br"), ("de-CH, en-GB;q=0.3", "gzip, br, sdch")]
    {
        let hit = get(language, coding).await;
        assert!(hit.is_hit() && hit.text() == first.text(), "{language} {coding}: {hit:?}");
    }
    for (language, coding, text) in [
        ("en, de;q=0.5", "br, gzip", "en, de;q=0.500 in br, gzip"),
        ("de", "br, gzip", "de in br, gzip"),
        ("de, en;q=0.1", "gzip", "de, en;q=0.500 in gzip"),
        ("de, en;q=0.1", "deflate", "de, en;q=0.500 in identity"),
        ("fr", "br, gzip", "none in br, gzip"),
    ] {
        let answer = get(language, coding).await;
        assert!(!answer.is_hit() && answer.text() == text, "{language} {coding}: {answer:?}");
        assert_eq!(get(language, coding).await.text(), text);
    }
    assert_eq!(bench.get("/").await.text(), "none in none");
}

#[tokio::test]
async fn what_passes_is_in_another_language_than_pages() {
    let bench = Bench::with(layer().timeout(std::time::Duration::from_secs(60)), site());
    for (method, fields) in [
        (Method::POST, ("accept", "*/*")),
        (Method::HEAD, ("accept", "*/*")),
        (Method::GET, ("cookie", "session=1")),
        (Method::GET, ("range", "bytes=0-1")),
    ] {
        let language = ("accept-language", "de-AT, fr;q=0.5");
        bench.send(request(method.clone(), "/", &[fields, language])).await;
        assert_eq!(bench.origin.last().headers["accept-language"], "de", "{method} {fields:?}");
    }
}

#[tokio::test]
async fn without_an_offer_fields_are_passed_on() {
    let bench = Bench::new(site());
    let sent = [("accept-language", "de-AT, fr;q=0.5"), ("accept-encoding", "deflate")];
    assert_eq!(bench.get_with("/", &sent).await.text(), "de-AT, fr;q=0.5 in deflate");
}
