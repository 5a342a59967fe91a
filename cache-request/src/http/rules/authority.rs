//! The host that a request names (RFC 9112, section 3.2; RFC 9113, section 8.3.1).

use ::http::{header::HOST, request::Parts, uri::Authority};

/// The host that a request names. `None` if it names none, or several that differ.
pub(crate) fn authority_of(request: &Parts) -> Option<&str> {
    let mut hosts = request.headers.get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => Some(host.to_str().ok()?),
        (None, None) => None,
        _ => return None,
    };
    match (request.uri.authority().map(Authority::as_str), host) {
        (Some(target), Some(host)) if !target.eq_ignore_ascii_case(host) => None,
        (authority, host) => authority.or(host),
    }
}
