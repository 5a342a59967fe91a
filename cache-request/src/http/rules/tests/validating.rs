//! Validators, conditional requests, and what a 304 or a HEAD tells.

use ::http::{
    HeaderMap, StatusCode,
    header::{IF_MODIFIED_SINCE, IF_NONE_MATCH},
};

use super::{
    super::{
        conditions::{
            Condition, Told, evaluate, is_about, make_conditional, make_not_modified, told_by_head, update, validators,
        },
        directives::Directives,
    },
    headers, now,
};

/// Section 3.2.
#[test]
fn a_304_left_an_age_and_dropped_new_fields() {
    let mut stored = headers(&[("age", "500"), ("link", "a"), ("link", "b"), ("content-length", "10")]);
    let new = headers(&[("link", "c"), ("cache-control", "max-age=5"), ("set-cookie", "a=b"), ("content-length", "0")]);
    update(&mut stored, &new, &Directives::of_response(&new));
    assert_eq!(stored, headers(&[("content-length", "10"), ("link", "c"), ("cache-control", "max-age=5")]));
    let new = headers(&[("cache-control", "private=\"link\"")]);
    update(&mut stored, &new, &Directives::of_response(&new));
    assert_eq!(stored, headers(&[("content-length", "10"), ("cache-control", "private=\"link\"")]));
}

/// RFC 9110, sections 8.8.3.2 and 13.1.
#[test]
fn tags_match_weakly_in_if_none_match() {
    let response = headers(&[("etag", "W/\"a\"")]);
    let condition = |value| evaluate(&headers(&[("if-none-match", value)]), StatusCode::OK, &response, now());
    for matching in ["\"a\"", "W/\"a\"", "\"x\", \"a\"", "*"] {
        assert_eq!(condition(matching), Condition::NotModified, "{matching}");
    }
    for other in ["\"A\"", "a", "\"a", "W/\"b\"", "", "\"x\", *"] {
        assert_eq!(condition(other), Condition::Passed, "{other}");
    }
}

/// RFC 9110, section 8.8.3.
#[test]
fn a_backslash_in_a_tag_hid_the_next_one() {
    let condition = |tag, wanted| {
        evaluate(&headers(&[("if-none-match", wanted)]), StatusCode::OK, &headers(&[("etag", tag)]), now())
    };
    assert_eq!(condition("\"b\"", "\"a\\\", \"b\""), Condition::NotModified);
    assert_eq!(condition("\"a\\\"", "\"a\\\", \"b\""), Condition::NotModified);
    assert_eq!(condition("\"a,b\"", "\"x\", W/\"a,b\""), Condition::NotModified, "a comma is part of a tag");
    assert_eq!(condition("\"b\"", "\"a, \"b\""), Condition::Passed, "what cannot be read matches nothing");
}

/// RFC 9110, section 13.1.3.
#[test]
fn one_of_several_dates_was_believed() {
    let modified = headers(&[("last-modified", "Sun, 09 Sep 2001 01:46:40 GMT")]);
    let condition = |dates: &[&str]| {
        let lines: Vec<_> = dates.iter().map(|date| ("if-modified-since", *date)).collect();
        evaluate(&headers(&lines), StatusCode::OK, &modified, now())
    };
    let [same, later, earlier] =
        ["01:46:40", "01:46:41", "01:46:39"].map(|time| format!("Sun, 09 Sep 2001 {time} GMT"));
    assert_eq!(condition(&[&same]), Condition::NotModified);
    assert_eq!(condition(&[&later]), Condition::NotModified);
    assert_eq!(condition(&[&earlier]), Condition::Passed);
    assert_eq!(condition(&[&same, &same]), Condition::Passed);
    assert_eq!(condition(&[&format!("{same}, {same}")]), Condition::Passed);
    assert_eq!(condition(&["Sun, 09 Sep 2001 01:46:40 +0000"]), Condition::Passed);
}

/// RFC 9110, sections 13.1.3 and 13.2.
#[test]
fn a_date_counted_beside_a_tag() {
    let response = headers(&[("etag", "\"a\""), ("last-modified", "Sun, 09 Sep 2001 01:46:40 GMT")]);
    let condition = |status, tag| {
        let request = headers(&[("if-none-match", tag), ("if-modified-since", "Sun, 09 Sep 2001 01:46:40 GMT")]);
        evaluate(&request, status, &response, now())
    };
    assert_eq!(condition(StatusCode::OK, "\"b\""), Condition::Passed, "the tag alone counts");
    assert_eq!(condition(StatusCode::OK, "\"a\""), Condition::NotModified);
    assert_eq!(condition(StatusCode::NOT_FOUND, "\"a\""), Condition::Passed, "there is nothing to have");
}

/// Section 4.3.2, and RFC 9110, section 13.1.
#[test]
fn a_condition_of_the_origin_was_evaluated() {
    let response = headers(&[("etag", "\"a\""), ("last-modified", "Sun, 09 Sep 2001 01:46:40 GMT")]);
    for condition in
        [("if-match", "\"a\""), ("if-match", "*"), ("if-unmodified-since", "Sun, 09 Sep 2001 01:46:40 GMT")]
    {
        let request = headers(&[condition, ("if-none-match", "\"a\"")]);
        assert_eq!(evaluate(&request, StatusCode::OK, &response, now()), Condition::OfOrigin, "{condition:?}");
    }
}

/// Section 4.3.2.
#[test]
fn a_client_with_a_newer_copy_got_it_again() {
    let since = headers(&[("if-modified-since", "Sun, 09 Sep 2001 01:46:40 GMT")]);
    let condition = |response: &HeaderMap| evaluate(&since, StatusCode::OK, response, now());
    assert_eq!(condition(&headers(&[("date", "Sun, 09 Sep 2001 01:46:40 GMT")])), Condition::NotModified);
    assert_eq!(condition(&headers(&[("date", "Sun, 09 Sep 2001 01:46:41 GMT")])), Condition::Passed);
    assert_eq!(condition(&headers(&[])), Condition::NotModified, "it was received then");
}

/// Section 4.3.1.
#[test]
fn a_validator_was_lost_or_made_up() {
    let response = headers(&[("etag", "W/\"a\\\""), ("last-modified", "Sunday, 09-Sep-01 01:46:40 GMT")]);
    let expected = [(IF_NONE_MATCH, "W/\"a\\\""), (IF_MODIFIED_SINCE, "Sunday, 09-Sep-01 01:46:40 GMT")];
    let sent = validators(&response);
    assert!(
        sent.iter()
            .map(|(name, value)| (name, value.as_bytes()))
            .eq(expected.iter().map(|(name, value)| (name, value.as_bytes()))),
        "{sent:?}"
    );
    for broken in [("etag", "a"), ("etag", "\"a"), ("last-modified", "yesterday"), ("last-modified", "")] {
        assert_eq!(validators(&headers(&[broken])), [], "{broken:?}");
    }
    let mut request = headers(&[
        ("if-match", "*"),
        ("if-none-match", "\"x\""),
        ("if-modified-since", "x"),
        ("if-unmodified-since", "x"),
        ("if-range", "\"x\""),
        ("range", "bytes=0-1"),
        ("accept", "a"),
    ]);
    make_conditional(&mut request, validators(&headers(&[("etag", "\"a\"")])));
    assert_eq!(request, headers(&[("accept", "a"), ("if-none-match", "\"a\"")]));
}

/// Section 4.3.4.
#[test]
fn a_304_about_another_response_updated_this_one() {
    let (early, late) = ("Sun, 09 Sep 2001 01:46:40 GMT", "Sun, 09 Sep 2001 01:46:41 GMT");
    let about =
        |new: &[(&'static str, &str)], stored: &[(&'static str, &str)]| is_about(&headers(new), &headers(stored));
    let stored = [("etag", "\"a\""), ("last-modified", early)];
    assert!(about(&[("etag", "\"a\"")], &stored));
    assert!(about(&[("etag", "\"a\""), ("last-modified", late)], &stored), "a strong tag decides");
    assert!(about(&[("etag", "W/\"a\"")], &stored) && about(&[("etag", "W/\"a\"")], &[("etag", "W/\"a\"")]));
    assert!(about(&[("last-modified", early)], &stored));
    assert!(about(&[], &stored), "the condition named no other one");
    for new in [
        &[("etag", "\"b\""), ("last-modified", early)][..],
        &[("etag", "W/\"b\"")],
        &[("etag", "W/\"a\""), ("last-modified", late)],
        &[("etag", "a")],
        &[("etag", "\"a\""), ("etag", "\"b\"")],
        &[("last-modified", late)],
    ] {
        assert!(!about(new, &stored), "{new:?}");
    }
    assert!(!about(&[("etag", "\"a\"")], &[("etag", "W/\"a\"")]), "a strong tag is none that is weak");
    assert!(!about(&[("last-modified", early)], &stored[..1]), "a date that the stored response does not have");
    assert!(!about(&[("etag", "\"a\"")], &stored[1..]));
}

/// Section 4.3.5.
#[test]
fn a_head_that_tells_of_a_change_was_not_heard() {
    let stored = [("etag", "\"a\""), ("last-modified", "Sun, 09 Sep 2001 01:46:40 GMT")];
    let told = |head: &[(&'static str, &str)]| told_by_head(&headers(head), &headers(&stored), 5);
    for changed in [
        &[("etag", "\"b\""), stored[1]][..],
        &[stored[0], ("last-modified", "Sun, 09 Sep 2001 01:46:41 GMT")],
        &[("content-length", "6"), stored[0]],
        &[("content-length", "five")],
        &[("content-length", "5"), ("content-length", "6")],
    ] {
        assert_eq!(told(changed), Told::Changed, "{changed:?}");
    }
    for unchanged in [&stored[..], &stored[..1], &stored[1..], &[stored[0], ("content-length", "5")]] {
        assert_eq!(told(unchanged), Told::Unchanged, "{unchanged:?}");
    }
    for nothing in [&[][..], &[("content-length", "5")]] {
        assert_eq!(told(nothing), Told::Nothing, "{nothing:?}");
    }
}

/// Section 3.2.
#[test]
fn a_304_described_the_stored_bytes_anew() {
    let mut stored =
        headers(&[("content-type", "text/html"), ("content-encoding", "gzip"), ("content-location", "/a")]);
    let new = headers(&[
        ("content-type", "text/plain"),
        ("content-encoding", "br"),
        ("content-length", "1"),
        ("content-range", "bytes 0-0/1"),
        ("content-location", "/b"),
        ("content-foo", "1"),
    ]);
    update(&mut stored, &new, &Directives::default());
    let kept = [("content-type", "text/html"), ("content-encoding", "gzip")];
    assert_eq!(stored, headers(&[&kept[..], &[("content-location", "/b"), ("content-foo", "1")]].concat()));
}

/// RFC 9110, section 15.4.5.
#[test]
fn a_304_described_what_it_does_not_send() {
    let told = [
        ("content-location", "/a"),
        ("date", "Sun, 09 Sep 2001 01:46:40 GMT"),
        ("etag", "\"a\""),
        ("vary", "accept"),
        ("cache-control", "max-age=60"),
        ("expires", "0"),
        ("last-modified", "Sun, 09 Sep 2001 01:46:40 GMT"),
    ];
    let described =
        [("content-type", "a/b"), ("content-encoding", "gzip"), ("content-language", "de"), ("content-length", "5")];
    let mut response = headers(&[&told[..], &described].concat());
    make_not_modified(&mut response);
    assert_eq!(response, headers(&told));
}
