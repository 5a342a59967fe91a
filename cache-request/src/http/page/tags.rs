//! The tags that a response carries.

use ::http::{HeaderMap, HeaderName};

/// Tags that spaces separate, as for Fastly.
const SURROGATE_KEY: HeaderName = HeaderName::from_static("surrogate-key");
/// Tags that commas separate, as for Cloudflare and Akamai.
const CACHE_TAG: HeaderName = HeaderName::from_static("cache-tag");

/// The tags in the fields of a response. What is no text is passed over.
pub(super) fn tags_in(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let texts = |name| headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let by_spaces = texts(SURROGATE_KEY).flat_map(|text| text.split_ascii_whitespace());
    let by_commas = texts(CACHE_TAG).flat_map(|text| text.split(',')).map(|tag| tag.trim_matches([' ', '\t']));
    by_spaces.chain(by_commas).filter(|tag| !tag.is_empty())
}
