//! Peers that are layers of tower, as they come.

use axum::{
    Router,
    error_handling::HandleErrorLayer,
    extract::Request,
    http::{StatusCode, Uri, header},
    middleware::map_request,
};
use axum_response_cache::CacheLayer;
use http_cache::MokaManager;
use http_cache_tower::{HttpCacheError, HttpCacheLayer};

use crate::site::{self, FRESH};

/// It holds responses for as long as it is told to, whatever their fields say.
pub(crate) fn axum_response_cache() -> Router {
    site::origin().layer(CacheLayer::with_lifespan(FRESH))
}

/// It caches what a client asks for, so it wants addresses with a host.
pub(crate) fn http_cache_tower() -> Router {
    let fail = async |error: HttpCacheError| (StatusCode::BAD_GATEWAY, error.to_string());
    let cache = HttpCacheLayer::new(MokaManager::default());
    site::origin().layer((map_request(async |request| with_host(request)), HandleErrorLayer::new(fail), cache))
}

fn with_host(mut request: Request) -> Request {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let uri = Uri::builder().scheme("http").authority(host).path_and_query(path).build();
    *request.uri_mut() = uri.expect("a whole address");
    request
}
