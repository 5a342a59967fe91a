//! Responses that are for one client, and handlers inside handlers.

use std::{convert::Infallible, pin::Pin, time::Duration};

use axum::{
    body::Body,
    extract::Path,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use cache_request::{Cache, cache_request, http::PageTimeout, scoped};
use futures_lite::future::{block_on, yield_now, zip};

use super::{super::support::Count, text};

static BODIES: Count = Count::new();

#[cache_request]
async fn with_session(Path(id): Path<u32>) -> Response {
    yield_now().await;
    let session = format!("session={}", BODIES.next());
    ([(header::SET_COOKIE, session)], id.to_string()).into_response()
}

#[cache_request]
async fn typed_with_session(Path(_id): Path<u32>) -> (HeaderMap, String) {
    yield_now().await;
    let mut headers = HeaderMap::new();
    headers.insert(header::SET_COOKIE, HeaderValue::try_from(format!("session={}", BODIES.next())).unwrap());
    (headers, String::new())
}

#[test]
fn a_request_that_waited_got_the_session_of_another() {
    block_on(scoped(&Cache::memory(), async {
        let (one, other) = zip(with_session(Path(1)), with_session(Path(1))).await;
        assert_ne!(one.headers()[header::SET_COOKIE], other.headers()[header::SET_COOKIE]);
    }));
}

#[test]
fn a_request_that_waited_got_the_session_of_another_with_typed_fields() {
    block_on(scoped(&Cache::memory(), async {
        let (one, other) = zip(typed_with_session(Path(1)), typed_with_session(Path(1))).await;
        assert_ne!(one.0[header::SET_COOKIE], other.0[header::SET_COOKIE]);
    }));
}

#[cache_request]
async fn inner() -> Response {
    "inner".into_response()
}

/// A body of unknown length.
struct Once(Option<&'static str>);

impl http_body::Body for Once {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        std::task::Poll::Ready(
            self.0.take().map(|text| Ok(http_body::Frame::data(Bytes::from_static(text.as_bytes())))),
        )
    }
}

#[cache_request]
async fn around_another() -> Response {
    // As a handler does that compresses or wraps what another one makes.
    inner_cache().uncached().await.map(|_| Body::new(Once(Some("outer"))))
}

#[test]
fn a_handler_answered_with_the_body_of_the_one_inside_it() {
    block_on(scoped(&Cache::memory(), async {
        assert_eq!(text(around_another().await), "outer");
    }));
}

/// Header fields as pairs of texts, which axum takes as well.
#[cache_request]
async fn pairs_with_session() -> ([(String, String); 1], String) {
    ([("set-cookie".to_owned(), format!("session={}", BODIES.next()))], String::new())
}

#[test]
fn a_cookie_in_a_pair_of_texts_was_given_to_others() {
    block_on(scoped(&Cache::memory(), async {
        let (one, other) = (pairs_with_session().await.0, pairs_with_session().await.0);
        assert_ne!(one, other);
    }));
}

/// What a client has already is not in the key: a whole page is kept, and a 304 is not.
#[cache_request(vary(header("accept")))]
async fn conditional(headers: HeaderMap) -> Response {
    yield_now().await;
    let has_it = headers.contains_key(header::IF_NONE_MATCH);
    if has_it { StatusCode::NOT_MODIFIED.into_response() } else { "page".into_response() }
}

#[test]
fn a_request_that_waited_got_the_304_of_another() {
    block_on(scoped(&Cache::memory(), async {
        let has_it = HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::from_static("\"a\""))]);
        let (one, other) = zip(conditional(has_it), conditional(HeaderMap::new())).await;
        assert_eq!([one.status(), other.status()], [StatusCode::NOT_MODIFIED, StatusCode::OK]);
    }));
}

async fn in_the_language_of(headers: &HeaderMap) -> Response {
    let language = headers.get(header::ACCEPT_LANGUAGE).map_or("none", |language| language.to_str().unwrap());
    ([(header::VARY, "Accept-Language")], language.to_owned()).into_response()
}

#[cache_request(skip(headers))]
async fn varies_beside_its_key(headers: HeaderMap) -> Response {
    in_the_language_of(&headers).await
}

#[cache_request(vary(header("accept-language")))]
async fn varies_by_its_key(headers: HeaderMap) -> Response {
    BODIES.next();
    in_the_language_of(&headers).await
}

#[test]
fn a_response_that_varies_was_given_to_all() {
    let with =
        |language: &'static str| HeaderMap::from_iter([(header::ACCEPT_LANGUAGE, HeaderValue::from_static(language))]);
    block_on(scoped(&Cache::memory(), async {
        for language in ["de", "fr"] {
            assert_eq!(text(varies_beside_its_key(with(language)).await), language);
            assert_eq!(text(varies_by_its_key(with(language)).await), language);
        }
        assert!(varies_by_its_key_cache(with("de")).peek().await.is_some(), "the key has the field");
        assert!(varies_beside_its_key_cache(with("de")).peek().await.is_none());
    }));
}

#[cache_request]
async fn with_page_timeout() -> Response {
    let mut response = "page".into_response();
    response.extensions_mut().insert(PageTimeout(Duration::ZERO));
    response
}

#[test]
fn the_timeout_of_a_page_was_lost() {
    block_on(scoped(&Cache::memory(), async {
        for _ in 0..2 {
            let response = with_page_timeout().await;
            assert_eq!(response.extensions().get(), Some(&PageTimeout(Duration::ZERO)));
        }
    }));
}

#[cache_request(vary(cookie("session")))]
async fn of_a_session(headers: HeaderMap) -> String {
    format!("{headers:?}")
}

#[test]
fn a_cookie_with_an_encoded_name_was_another_one() {
    let key = |cookie: &'static str| {
        of_a_session_cache(HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_static(cookie))])).key().unwrap()
    };
    assert_eq!(key("session=1"), key("sess%69on=1"));
    assert_ne!(key("sess%69on=1"), key("sessions=1"));
}
