use axum::{
    Extension,
    extract::{ConnectInfo, Multipart, Path, Query, Request, State},
    http::HeaderMap,
    response::Redirect,
};
use cache_request::cache_request;

#[derive(Clone)]
struct User;

struct Filter;

#[cache_request]
async fn extension(Extension(user): Extension<User>) -> String {
    String::new()
}

#[cache_request]
async fn address(address: ConnectInfo<std::net::SocketAddr>) -> String {
    String::new()
}

#[cache_request]
async fn headers(headers: HeaderMap) -> String {
    String::new()
}

#[cache_request]
async fn request(request: Request) -> String {
    String::new()
}

#[cache_request]
async fn multipart(multipart: Multipart) -> String {
    String::new()
}

#[cache_request]
async fn content(Path(id): Path<u32>, filter: Query<Filter>) -> String {
    String::new()
}

#[cache_request(key = "tenant:{state}")]
async fn named_state(state: State<u32>) -> String {
    String::new()
}

#[cache_request(vary(header("accept-language")))]
async fn no_headers(id: u32) -> String {
    String::new()
}

#[cache_request(vary(header("accept-language")))]
async fn two_of_headers(ours: HeaderMap, theirs: HeaderMap) -> String {
    String::new()
}

#[cache_request(vary(header("accept-language")))]
async fn beside_a_cfg(#[cfg(all())] first: HeaderMap, second: HeaderMap) -> String {
    String::new()
}

#[cache_request(vary(header("accept-language")))]
async fn field_of_request(request: Request) -> String {
    String::new()
}

#[cache_request(vary(header("accept language")))]
async fn no_name(headers: HeaderMap) -> String {
    String::new()
}

#[cache_request(vary(header(accept_language)))]
async fn no_quotes(headers: HeaderMap) -> String {
    String::new()
}

#[cache_request(status(404))]
async fn no_response(id: u32) -> String {
    String::new()
}

#[cache_request(status(206, 1000, "ok"))]
async fn no_status(id: u32) -> Redirect {
    Redirect::to("/")
}

#[cache_request]
async fn literal_fields() -> ([(&'static str, &'static str); 1], String) {
    ([("a", "b")], String::new())
}

#[cache_request(status(200), cache_err)]
async fn error_as_value(id: u32) -> Result<Redirect, u32> {
    Err(id)
}

fn main() {}
