//! What released caches got wrong, by the pure functions alone. The public suite and the model of `tests/tests/pages` test the whole.

mod directives;
mod freshness;
mod invalidating;
mod random;
mod storing;
mod validating;

use std::time::{Duration, SystemTime};

use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use super::{
    directives::Directives,
    freshness::{Control, Freshness, Reuse},
    storable::{Refusal, storable},
};

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    lines.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())).collect()
}

/// When all responses here are received: `Sun, 09 Sep 2001 01:46:40 GMT`.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000)
}

fn after(seconds: u64) -> SystemTime {
    now() + Duration::from_secs(seconds)
}

fn freshness(lines: &[(&'static str, &str)]) -> Freshness {
    let headers = headers(lines);
    Freshness::of(&Control::of(&headers, &[]), StatusCode::OK, &headers, now(), now())
}

fn reuse(lines: &[(&'static str, &str)], request: &[(&'static str, &str)], seconds: u64) -> Reuse {
    freshness(lines).reuse(&Directives::of_request(&headers(request)), after(seconds))
}

fn stores(request: &[(&'static str, &str)], response: &[(&'static str, &str)]) -> Result<(), Refusal> {
    let response = headers(response);
    let request = headers(request);
    let wishes = Directives::of_request(&request);
    storable(&Method::GET, &request, &wishes, StatusCode::OK, &response, &Control::of(&response, &[]))
}
