//! Which header fields are stored with a response (RFC 9111, section 3.1), and which concern one connection only (RFC 9110,
//! section 7.6.1).

use ::http::{
    HeaderMap, HeaderName,
    header::{
        CONNECTION, COOKIE, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING,
        UPGRADE,
    },
};

use super::{
    directives::{About, Directives},
    lists::{members, trim},
};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const PROXY_AUTHENTICATION_INFO: HeaderName = HeaderName::from_static("proxy-authentication-info");
const SET_COOKIE2: HeaderName = HeaderName::from_static("set-cookie2");

/// Fields that concern one connection, named by `Connection` or not.
const OF_ONE_HOP: [HeaderName; 10] = [
    CONNECTION,
    KEEP_ALIVE,
    PROXY_CONNECTION,
    PROXY_AUTHENTICATE,
    PROXY_AUTHENTICATION_INFO,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// The fields that the `Connection` field names.
pub(crate) fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    members(headers, &CONNECTION).filter_map(|name| HeaderName::from_bytes(name).ok()).collect()
}

/// Removes the fields of a response that are not stored: those of one connection, those that `no-cache` and `private` name, and
/// `Set-Cookie`.
///
/// A stored `Set-Cookie` would give one client's session to the next (RFC 9111, section 7.3).
pub(crate) fn remove_unstored(headers: &mut HeaderMap, directives: &Directives) {
    let by_connection = named_by_connection(headers);
    let by_directives =
        [&directives.no_cache, &directives.private].into_iter().flat_map(|about| About::fields(about.as_ref()));
    for name in OF_ONE_HOP.iter().chain(&by_connection).chain(by_directives).chain(&[SET_COOKIE, SET_COOKIE2]) {
        headers.remove(name);
    }
}

/// The cookies of a request, in order: name and value (RFC 6265, section 4.2.1). One without `=` is a name.
pub(crate) fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    let pairs = headers.get_all(COOKIE).iter().flat_map(|line| line.as_bytes().split(|&byte| byte == b';'));
    pairs.map(|pair| {
        let (name, value) = pair.split_at(pair.iter().position(|&byte| byte == b'=').unwrap_or(pair.len()));
        (trim(name), trim(value.get(1..).unwrap_or_default()))
    })
}
