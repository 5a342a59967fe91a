//! What handlers return: typed where it can be, else the whole response.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    Json, Router,
    body::Body,
    extract::Path,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
    routing::get,
};
use bytes::Bytes;
use cache_request::{Cache, cache_request, scoped};
use futures_lite::future::block_on;
use http_body::{Frame, SizeHint};
use serde::{Deserialize, Serialize};

use super::{
    super::support::{Count, Gate, poll},
    Site, text,
};

static BODIES: Count = Count::new();

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Flight {
    id: u32,
    run: u32,
}

#[derive(Debug)]
struct AppError(StatusCode);

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        (self.0, format!("failed {}", BODIES.next())).into_response()
    }
}

#[cache_request]
async fn json(Path(id): Path<u32>) -> Json<Flight> {
    Json(Flight { id, run: BODIES.next() })
}

#[cache_request]
async fn result(Path(id): Path<u32>) -> Result<Json<Flight>, AppError> {
    if id == 0 { Err(AppError(StatusCode::NOT_FOUND)) } else { Ok(Json(Flight { id, run: BODIES.next() })) }
}

#[cache_request]
async fn html(Path(id): Path<u32>) -> Html<String> {
    Html(format!("<p>{id} {}", BODIES.next()))
}

#[cache_request]
async fn bytes(Path(id): Path<u32>) -> Bytes {
    format!("{id} {}", BODIES.next()).into()
}

#[cache_request]
async fn with_status(Path(id): Path<u16>) -> (StatusCode, String) {
    (StatusCode::from_u16(id).unwrap(), format!("{id} {}", BODIES.next()))
}

#[cache_request]
async fn with_fields(Path(id): Path<u32>) -> (StatusCode, HeaderMap, Json<Flight>) {
    let mut headers = HeaderMap::new();
    headers.append("x-one", HeaderValue::from_static("1"));
    headers.append("x-one", HeaderValue::from_bytes(&[0xff]).unwrap());
    (StatusCode::ACCEPTED, headers, Json(Flight { id, run: BODIES.next() }))
}

#[cache_request]
async fn redirect(Path(id): Path<u32>) -> Redirect {
    Redirect::permanent(&format!("/{id}/{}", BODIES.next()))
}

#[cache_request]
async fn opaque(Path(id): Path<u32>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css")], format!("{id} {}", BODIES.next()))
}

#[cache_request]
async fn opaque_result(Path(id): Path<u32>) -> Result<impl IntoResponse, AppError> {
    if id == 0 { Err(AppError(StatusCode::BAD_GATEWAY)) } else { Ok(format!("{id} {}", BODIES.next())) }
}

#[cache_request]
async fn response(Path(id): Path<u32>) -> Response {
    (StatusCode::CREATED, [("x-id", id.to_string())], format!("{id} {}", BODIES.next())).into_response()
}

fn site() -> Site {
    Site::of(
        Router::new()
            .route("/json/{id}", get(json))
            .route("/result/{id}", get(result))
            .route("/html/{id}", get(html))
            .route("/bytes/{id}", get(bytes))
            .route("/with_status/{id}", get(with_status))
            .route("/with_fields/{id}", get(with_fields))
            .route("/redirect/{id}", get(redirect))
            .route("/opaque/{id}", get(opaque))
            .route("/opaque_result/{id}", get(opaque_result))
            .route("/response/{id}", get(response)),
    )
}

const ROUTES: [&str; 10] = [
    "json",
    "result",
    "html",
    "bytes",
    "with_status",
    "with_fields",
    "redirect",
    "opaque",
    "opaque_result",
    "response",
];

/// All of a response but what the server adds.
fn whole(response: Response) -> (StatusCode, HeaderMap, String) {
    (response.status(), response.headers().clone(), text(response))
}

#[test]
fn a_hit_is_the_response_of_the_miss() {
    let site = site();
    for route in ROUTES {
        let ask = |id: u32| whole(site.ask(super::get(&format!("/{route}/{id}")).body(Body::empty()).unwrap()));
        let (miss, other) = (ask(200), ask(201));
        assert_ne!(miss, other, "{route}");
        assert_eq!(ask(200), miss, "{route}");
        assert_eq!(ask(201), other, "{route}");
    }
}

#[test]
fn a_backend_keeps_each_kind_of_answer() {
    let directory = tempfile::tempdir().unwrap();
    let open = || Cache::from_url(&format!("file://{}", directory.path().display())).unwrap();
    let (first, second) = (Site { cache: open(), ..site() }, Site { cache: open(), ..site() });
    for route in ROUTES {
        let ask = |site: &Site| whole(site.ask(super::get(&format!("/{route}/200")).body(Body::empty()).unwrap()));
        assert_eq!(ask(&first), ask(&second), "{route}");
    }
}

#[test]
fn a_companion_sees_typed_values() {
    block_on(scoped(&Cache::memory(), async {
        let Json(flight) = json(Path(7)).await;
        assert_eq!(json_cache(Path(7)).peek().await.map(|Json(flight)| flight), Some(flight));
        json_cache(Path(7)).put(&Json(Flight { id: 7, run: 0 })).await.unwrap();
        assert_eq!(json(Path(7)).await.0.run, 0);
        assert!(json_cache(Path(7)).invalidate().await.unwrap());
        assert!(json_cache(Path(7)).peek().await.is_none());
    }));
}

#[test]
fn a_whole_response_cannot_be_put_and_says_so() {
    block_on(scoped(&Cache::memory(), async {
        let error = response_cache(Path(7)).put(&Response::new(Body::empty())).await.unwrap_err();
        assert!(error.to_string().contains("refresh"), "{error}");
        assert_eq!(text(response_cache(Path(7)).refresh().await), text(response(Path(7)).await));
    }));
}

#[test]
fn an_error_was_cached() {
    let site = site();
    for uri in ["/result/0", "/opaque_result/0", "/with_status/404", "/with_status/500"] {
        assert_ne!(site.get(uri), site.get(uri), "{uri}");
    }
}

#[test]
fn a_hit_copies_no_body() {
    block_on(scoped(&Cache::memory(), async {
        let address = |response: Response| async {
            http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes().as_ptr()
        };
        let first = address(response(Path(7)).await).await;
        assert_eq!(address(response(Path(7)).await).await, first);
        assert_eq!(bytes(Path(7)).await.as_ptr(), bytes(Path(7)).await.as_ptr());
        let first = address(opaque(Path(7)).await.into_response()).await;
        assert_eq!(address(opaque(Path(7)).await.into_response()).await, first);
    }));
}

#[cache_request(status(200, 404))]
async fn not_found_too(Path(status): Path<u16>) -> Response {
    (StatusCode::from_u16(status).unwrap(), BODIES.next().to_string()).into_response()
}

#[cache_request(status(404))]
async fn not_found_only(Path(status): Path<u16>) -> (StatusCode, String) {
    (StatusCode::from_u16(status).unwrap(), BODIES.next().to_string())
}

#[test]
fn status_says_which_responses_are_cached() {
    let site =
        Site::of(Router::new().route("/too/{status}", get(not_found_too)).route("/only/{status}", get(not_found_only)));
    for (uri, kept) in [("/too/200", true), ("/too/404", true), ("/too/201", false), ("/too/500", false)] {
        assert_eq!(site.get(uri) == site.get(uri), kept, "{uri}");
    }
    for (uri, kept) in [("/only/200", false), ("/only/404", true)] {
        assert_eq!(site.get(uri) == site.get(uri), kept, "{uri}");
    }
}

#[cache_request(status(200, 404))]
async fn with_field(Path((name, value)): Path<(String, String)>) -> impl IntoResponse {
    ([(name, value)], BODIES.next().to_string())
}

#[cache_request(when = |page| page.status() == 200 && page.headers().contains_key("x-keep") && !page.body().is_empty())]
async fn if_wanted(Path((name, value)): Path<(String, String)>) -> impl IntoResponse {
    ([(name, value)], BODIES.next().to_string())
}

#[test]
fn a_condition_saw_nothing_of_a_whole_response() {
    let site = Site::of(Router::new().route("/{name}/{value}", get(if_wanted)));
    assert_eq!(site.get("/x-keep/1"), site.get("/x-keep/1"));
    assert_ne!(site.get("/x-other/1"), site.get("/x-other/1"));
}

#[test]
fn a_response_that_is_one_user_s_was_given_to_others() {
    let site = Site::of(Router::new().route("/{name}/{value}", get(with_field)));
    for uri in [
        "/set-cookie/id=1",
        "/Cache-Control/private",
        "/cache-control/NO-STORE",
        "/cache-control/no-cache",
        "/cache-control/max-age=60,%20private=%22x%22",
        "/vary/*",
        // It is not in the key.
        "/vary/accept",
    ] {
        assert_ne!(site.get(uri), site.get(uri), "{uri}");
    }
    for uri in ["/cache-control/max-age=60", "/x-cache-control/private"] {
        assert_eq!(site.get(uri), site.get(uri), "{uri}");
    }
}

#[cache_request]
async fn conditional(Path(status): Path<u16>) -> Response {
    (StatusCode::from_u16(status).unwrap(), [("x-run", BODIES.next().to_string())]).into_response()
}

#[test]
fn an_answer_to_a_range_or_a_condition_was_given_to_all() {
    let site = Site::of(Router::new().route("/{status}", get(conditional)));
    let run = |status: u16| {
        let response = site.ask(super::get(&format!("/{status}")).body(Body::empty()).unwrap());
        response.headers()["x-run"].clone()
    };
    assert_ne!(run(206), run(206));
    assert_ne!(run(304), run(304));
    assert_ne!(run(101), run(101));
    assert_eq!(run(204), run(204));
    assert_eq!(run(301), run(301));
}

/// A body that yields these frames, each after one `Pending`.
struct Frames {
    frames: Vec<Result<Frame<Bytes>, &'static str>>,
    exact: bool,
    waits: bool,
}

impl Frames {
    fn response(frames: impl IntoIterator<Item = Result<Frame<Bytes>, &'static str>>, exact: bool) -> Response {
        let frames = frames.into_iter().collect();
        Response::new(Body::new(Self { frames, exact, waits: true }))
    }
}

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        self.waits = !self.waits;
        if !self.waits {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.frames.is_empty() {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(self.frames.remove(0)))
    }

    fn size_hint(&self) -> SizeHint {
        let data = self.frames.iter().filter_map(|frame| frame.as_ref().ok()?.data_ref());
        if self.exact { SizeHint::with_exact(data.map(|data| data.len() as u64).sum()) } else { SizeHint::new() }
    }
}

fn data(text: &str) -> Result<Frame<Bytes>, &'static str> {
    Ok(Frame::data(Bytes::copy_from_slice(text.as_bytes())))
}

#[cache_request]
async fn streamed(Path(kind): Path<String>) -> Response {
    let run = BODIES.next().to_string();
    match &*kind {
        "exact" => Frames::response([data("a"), data(&run), data("b")], true),
        "stream" => Frames::response([data("a"), data(&run), data("b")], false),
        "trailers" => Frames::response([data(&run), Ok(Frame::trailers(HeaderMap::new()))], true),
        "large" => Frames::response([data(&"x".repeat(2_000)), data(&run)], true),
        _ => Frames::response([data("a"), data(&run), Err("cut off")], true),
    }
}

/// A stream can neither be kept nor shared, which is no failure.
#[test]
fn all_who_waited_for_a_stream_ask_at_once() {
    static STREAMS: Count = Count::new();
    static FIRST: Gate = Gate::new();
    static OTHERS: Gate = Gate::new();
    #[cache_request]
    async fn stream(Path(_id): Path<u32>) -> Response {
        let number = STREAMS.next();
        let gate = if number == 1 { &FIRST } else { &OTHERS };
        gate.passed().await;
        Frames::response([data(&number.to_string())], false)
    }
    let cache = Cache::memory();
    let mut calls: Vec<_> = (0..6).map(|_| Box::pin(scoped(&cache, stream(Path(1))))).collect();
    assert!(calls.iter_mut().all(|call| poll(call).is_none()));
    FIRST.open();
    assert_eq!(text(block_on(calls.remove(0))), "1");
    assert!(calls.iter_mut().all(|call| poll(call).is_none()));
    assert_eq!(STREAMS.get(), 6);
    OTHERS.open();
    for (call, number) in calls.into_iter().zip(2..) {
        assert_eq!(text(block_on(call)), number.to_string());
    }
}

#[test]
fn a_body_of_known_length_is_cached_and_a_stream_passes_through() {
    let cache = Cache::builder().max_value_bytes(1_000).build().unwrap();
    let site = Site { cache, ..Site::of(Router::new().route("/{kind}", get(streamed))) };
    let first = site.get("/exact");
    assert!(first.starts_with('a') && first.ends_with('b'), "{first}");
    assert_eq!(site.get("/exact"), first);
    assert_ne!(site.get("/stream"), site.get("/stream"));
    assert_ne!(site.get("/trailers"), site.get("/trailers"));
    assert_ne!(site.get("/large"), site.get("/large"));
    let stats = site.cache.stats();
    let function = stats.functions.iter().find(|function| function.name.ends_with("streamed")).unwrap();
    assert_eq!(function.uncached, 6, "{function:?}");
}

#[test]
fn a_body_that_ends_early_was_cached_as_whole() {
    let site = Site::of(Router::new().route("/{kind}", get(streamed)));
    for _ in 0..2 {
        let response = site.ask(super::get("/cut").body(Body::empty()).unwrap());
        let mut frames = Vec::new();
        let mut body = response.into_body();
        while let Some(frame) = block_on(http_body_util::BodyExt::frame(&mut body)) {
            frames.push(frame.map(|frame| frame.into_data().unwrap()));
        }
        assert_eq!(frames.len(), 3);
        assert!(frames[2].is_err(), "the error of the body was lost");
        assert_eq!(frames[0].as_ref().unwrap(), "a");
    }
    let stats = site.cache.stats();
    assert_eq!(stats.functions[0].hits, 0);
}

struct Flights;

impl Flights {
    #[cache_request(handle = Self)]
    async fn listed(Path(id): Path<u32>) -> Json<Vec<Flight>> {
        Json(vec![Flight { id, run: BODIES.next() }])
    }
}

#[axum::debug_handler]
#[cache_request]
async fn debugged(Path(id): Path<u32>) -> Json<Flight> {
    Json(Flight { id, run: BODIES.next() })
}

#[cache_request]
#[axum::debug_handler]
async fn debugged_inside(Path(id): Path<u32>) -> Result<Response, AppError> {
    Ok(Json(Flight { id, run: BODIES.next() }).into_response())
}

#[tracing::instrument]
#[cache_request]
async fn traced(Path(id): Path<u32>) -> Json<Flight> {
    Json(Flight { id, run: BODIES.next() })
}

#[cache_request]
#[tracing::instrument(skip_all)]
async fn traced_inside(Path(id): Path<u32>) -> impl IntoResponse {
    format!("{id} {}", BODIES.next())
}

#[test]
fn handlers_in_an_impl_and_beside_other_attributes() {
    let site = Site::of(
        Router::new()
            .route("/listed/{id}", get(Flights::listed))
            .route("/debugged/{id}", get(debugged))
            .route("/inside/{id}", get(debugged_inside))
            .route("/traced/{id}", get(traced))
            .route("/traced_inside/{id}", get(traced_inside)),
    );
    for route in ["listed", "debugged", "inside", "traced", "traced_inside"] {
        let uri = format!("/{route}/1");
        assert_eq!(site.get(&uri), site.get(&uri), "{uri}");
    }
}

#[cache_request]
async fn text_only() -> String {
    BODIES.next().to_string()
}

#[cache_request(local)]
async fn literal() -> &'static str {
    if BODIES.next().is_multiple_of(2) { "even" } else { "odd" }
}

#[test]
fn texts_are_cached_as_they_are() {
    let site = Site::of(Router::new().route("/text", get(text_only)).route("/literal", get(literal)));
    assert_eq!(site.get("/text"), site.get("/text"));
    assert_eq!(site.get("/literal"), site.get("/literal"));
}
