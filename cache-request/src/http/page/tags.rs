//! The tags that a response carries.

use ::http::{HeaderMap, HeaderName};

/// Tags that spaces separate, as for Fastly.
const SURROGATE_KEY: HeaderName = HeaderName::from_static("surrogate-key");
/// Tags that commas separate, as for Cloudflare.
const CACHE_TAG: HeaderName = HeaderName::from_static("cache-tag");

/// Calls `take` with each tag in the fields of a response.
pub(super) fn each_tag(headers: &HeaderMap, mut take: impl FnMut(&str)) {
    // What is no UTF-8 spoils no tag beside it.
    let texts = |name| headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    for text in texts(SURROGATE_KEY) {
        text.split_ascii_whitespace().for_each(&mut take);
    }
    for text in texts(CACHE_TAG) {
        text.split(',').map(|tag| tag.trim_matches([' ', '\t'])).filter(|tag| !tag.is_empty()).for_each(&mut take);
    }
}
