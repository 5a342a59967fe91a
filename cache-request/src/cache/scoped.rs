//! A cache that replaces the installed ones while a future or a closure runs.

use super::Cache;
use crate::base::context::{self, Change, Scoped};

/// Runs `future` with `cache` in place of the installed caches. A test that uses it shares nothing with other tests.
///
/// ```
/// # use cache_request::{Cache, scoped};
/// # async fn page() {}
/// # async fn test() {
/// let cache = Cache::memory();
/// scoped(&cache, page()).await;
/// assert_eq!(cache.stats().hits(), 0);
/// # }
/// ```
pub fn scoped<F: Future>(cache: &Cache, future: F) -> Scoped<F> {
    change(cache).around(future)
}

/// Calls `function` with `cache` in place of the installed caches, like [`scoped`].
pub fn scoped_sync<T>(cache: &Cache, function: impl FnOnce() -> T) -> T {
    change(cache).around_sync(function)
}

/// The cache that replaces the installed ones here, if there is one.
pub(crate) fn cache() -> Option<Cache> {
    let inner = context::cache()?.downcast().ok()?;
    Some(Cache(inner))
}

fn change(cache: &Cache) -> Change {
    Change::Cache(cache.0.clone())
}
