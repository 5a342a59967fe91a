//! Parts of stored pages: RFC 9110, sections 13.1.5, 14 and 15.3.7.

use http::Method;

use super::support::{Answer, Bench, FRESH, Origin, ok, request};

/// A layer that has the page `0123456789`.
async fn stored() -> Bench {
    let fields = [
        FRESH,
        ("etag", "\"a\""),
        ("date", "Sun, 09 Sep 2001 01:46:41 GMT"),
        ("last-modified", "Sun, 09 Sep 2001 01:46:40 GMT"),
        ("content-type", "text/plain"),
        ("content-location", "/here"),
        ("vary", "accept"),
    ];
    let bench = Bench::new(Origin::new(move |_, _| ok(&fields, "0123456789")));
    bench.get("/").await;
    bench
}

async fn part(bench: &Bench, range: &str) -> Answer {
    let answer = bench.get_with("/", &[("range", range)]).await;
    assert!(answer.is_hit(), "{range}: {answer:?}");
    answer
}

#[tokio::test]
async fn a_part_was_not_marked_as_one() {
    let bench = stored().await;
    for (range, content, told) in [
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("BYTES=8-", "89", "bytes 8-9/10"),
        ("bytes=-3", "789", "bytes 7-9/10"),
        ("bytes=-99", "0123456789", "bytes 0-9/10"),
        ("bytes=9-99999999999999999999999", "9", "bytes 9-9/10"),
        ("bytes=5-5, 20-30", "5", "bytes 5-5/10"),
    ] {
        let answer = part(&bench, range).await;
        assert_eq!(
            (answer.status, answer.text(), answer.field("content-range")),
            (206, content, Some(told)),
            "{range}"
        );
        assert_eq!(answer.field("content-length"), Some(&*content.len().to_string()));
        for name in ["date", "cache-control", "etag", "content-location", "vary", "content-type", "last-modified"] {
            assert!(answer.headers.contains_key(name), "{name}");
        }
    }
}

#[tokio::test]
async fn several_parts_came_as_one_or_in_another_order() {
    let bench = stored().await;
    let answer = part(&bench, "bytes=7-8, 20-, 1-2").await;
    assert_eq!((answer.status, answer.field("content-range")), (206, None));
    let kind = answer.field("content-type").unwrap();
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=").expect("it says how its parts are told apart");
    let pieces: Vec<_> = answer.text().split(&format!("\r\n--{boundary}")).collect();
    let expected = ["bytes 7-8/10\r\n\r\n78", "bytes 1-2/10\r\n\r\n12"]
        .map(|piece| format!("\r\nContent-Type: text/plain\r\nContent-Range: {piece}"));
    assert_eq!(pieces, ["", &expected[0], &expected[1], "--\r\n"]);
    assert_eq!(answer.field("content-length"), Some(&*answer.text().len().to_string()));
}

#[tokio::test]
async fn a_range_that_cannot_be_served_got_a_part() {
    let bench = stored().await;
    for range in ["bytes=10-", "bytes=10-20, 30-", "bytes=-0"] {
        let answer = part(&bench, range).await;
        assert_eq!(
            (answer.status, answer.text(), answer.field("content-range")),
            (416, "", Some("bytes */10")),
            "{range}"
        );
    }
    for ignored in ["lines=1-2", "bytes=4-2", "bytes=a-b", "bytes", "bytes=", "bytes=1", "bytes=-", "bytes=1-2-3"] {
        let answer = part(&bench, ignored).await;
        assert_eq!((answer.status, answer.text()), (200, "0123456789"), "{ignored}");
    }
    let many: Vec<_> = (0..17).map(|at| format!("{}-{}", at % 10, at % 10)).collect();
    for attack in ["bytes=0-5, 3-7", &format!("bytes={}", many.join(","))] {
        assert_eq!(part(&bench, attack).await.status, 200, "{attack}");
    }
    let head = bench.send(request(Method::HEAD, "/", &[("range", "bytes=2-4")])).await;
    assert_eq!((head.status, head.text()), (200, ""), "it is for GET only");
}

#[tokio::test]
async fn a_part_of_another_representation_was_sent() {
    let bench = stored().await;
    let conditions = [
        ("\"a\"", 206),
        ("\"b\"", 200),
        ("W/\"a\"", 200),
        ("Sun, 09 Sep 2001 01:46:40 GMT", 206),
        ("Sun, 09 Sep 2001 01:46:41 GMT", 200),
        ("yesterday", 200),
    ];
    for (condition, status) in conditions {
        let answer = bench.get_with("/", &[("range", "bytes=2-4"), ("if-range", condition)]).await;
        assert_eq!((answer.status, answer.is_hit()), (status, true), "{condition}");
        assert_eq!(answer.text(), if status == 206 { "234" } else { "0123456789" }, "{condition}");
        let alone = bench.get_with("/", &[("if-range", condition)]).await;
        assert_eq!((alone.status, alone.is_hit()), (200, true), "without a range it does not count");
    }
    let several = [("range", "bytes=2-4"), ("if-range", "\"a\""), ("if-range", "\"b\"")];
    assert_eq!(bench.get_with("/", &several).await.status, 200, "of several conditions, none is known to hold");
    // Other conditions come first.
    let known = bench.get_with("/", &[("range", "bytes=2-4"), ("if-none-match", "\"a\"")]).await;
    assert_eq!((known.status, known.text()), (304, ""));
}

/// RFC 9530, section 2: it is the digest of the content of this message.
#[tokio::test]
async fn a_part_had_the_digest_of_the_whole() {
    let digest = ("content-digest", "sha-256=:hNiYd/DU4blyZAqZBqkUhhsGPoRwK+M7rgAt4MVMVH8=:");
    let bench = Bench::new(Origin::new(move |_, _| ok(&[FRESH, digest], "0123456789")));
    bench.get("/").await;
    let part = bench.get_with("/", &[("range", "bytes=2-4")]).await;
    assert_eq!((part.status, part.text(), part.field("content-digest")), (206, "234", None));
}
