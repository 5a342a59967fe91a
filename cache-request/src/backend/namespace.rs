//! Whose keys these are on a server that keeps those of others as well.

/// Unless said otherwise.
pub(super) const DEFAULT: &str = "cache-request";

/// Whether it is printable ASCII without spaces, and not empty.
pub(super) fn is_fit(namespace: &str) -> bool {
    !namespace.is_empty() && namespace.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The same, where a colon ends it in a key.
#[cfg(any(feature = "redis", feature = "memcached"))]
pub(super) fn is_fit_before_colon(namespace: &str) -> bool {
    is_fit(namespace) && !namespace.contains(':')
}
