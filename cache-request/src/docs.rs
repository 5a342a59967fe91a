//! Guide pages.
//!
//! Each of these modules is a page and holds no items. The pages are files under `cache-request/docs`, and can be read there as
//! well.

/// A page. The links of its file lead to other files; the first definition of a link counts, so these lead to the same places
/// here. What a feature may leave out is linked as a file of the documentation.
macro_rules! page {
    ($name:ident) => {
        /// [addresses]: crate#where-values-are-kept
        /// [arguments]: ../../attr.cache_request.html
        /// [at scale]: crate::docs::at_scale
        /// [attribute]: crate::docs::attribute
        /// [`Backend`]: trait@crate::Backend
        /// [`Backend::track`]: crate::Backend::track
        /// [backends]: crate::docs::backends
        /// [batches]: crate::docs::batches
        /// [`BackendStats`]: crate::BackendStats
        /// [`Cache::builder`]: crate::Cache::builder
        /// [`Cache::clear`]: crate::Cache::clear
        /// [`Cache::from_url`]: crate::Cache::from_url
        /// [`CacheBuilder::near_timeout`]: crate::CacheBuilder::near_timeout
        /// [`CacheBuilder::secret`]: crate::CacheBuilder::secret
        /// [`CacheValue`]: crate::bounds::CacheValue
        /// [`Cache::invalidate_client`]: crate::Cache::invalidate_client
        /// [`Cache::invalidate_function`]: crate::Cache::invalidate_function
        /// [`Cache::invalidate_tag`]: crate::Cache::invalidate_tag
        /// [`Cache::invalidate_tag_soft`]: crate::Cache::invalidate_tag_soft
        /// [`client_scope`]: crate::client_scope
        /// [`Config`]: crate::Config
        /// [deploy chart]: https://raw.githubusercontent.com/cache-request/cache-request/main/cache-request/docs/at_scale_deploy.svg
        /// [`Error`]: crate::Error
        /// [`ErrorKind`]: crate::ErrorKind
        /// [`Faults`]: crate::Faults
        /// [faults]: crate::docs::faults
        /// [`FileBackend`]: ../../backend/struct.FileBackend.html
        /// [fences]: crate::Backend::claim
        /// [freshness]: crate::docs::freshness
        /// [`Handle`]: crate::Handle
        /// [handlers]: crate::docs::handlers
        /// [`install`]: crate::install
        /// [`install_named`]: crate::install_named
        /// [`installed`]: crate::installed()
        /// [keys]: crate::docs::keys
        /// [`keys::rest`]: crate::keys::rest
        /// [`keys::rpc`]: crate::keys::rpc
        /// [fleet]: https://github.com/cache-request/cache-request/tree/main/benches/fleet
        /// [`measure`]: ../../struct.CacheBuilder.html#method.measure
        /// [limits]: crate::docs::limits
        /// [limits of values]: crate::docs::limits#values
        /// [`MemcachedBackend`]: ../../backend/struct.MemcachedBackend.html
        /// [lost chart]: https://raw.githubusercontent.com/cache-request/cache-request/main/cache-request/docs/at_scale_lost.svg
        /// [near chart]: https://raw.githubusercontent.com/cache-request/cache-request/main/cache-request/docs/at_scale_near.svg
        /// [near cache]: crate::docs::near_cache
        /// [options]: crate::docs::options
        /// [own backend]: crate::docs::backends#a-backend-of-your-own
        /// [`own_backend.rs`]: https://github.com/cache-request/cache-request/blob/main/examples/src/bin/own_backend.rs
        /// [pages]: crate::docs::pages
        /// [`pages.rs`]: https://github.com/cache-request/cache-request/blob/main/examples/src/bin/pages.rs
        /// [`Cache::report`]: ../../struct.Cache.html#method.report
        /// [`Report`]: ../../report/struct.Report.html
        /// [`RedisBackend`]: ../../backend/struct.RedisBackend.html
        /// [`report.rs`]: https://github.com/cache-request/cache-request/blob/main/examples/src/bin/report.rs
        /// [report]: crate::docs::report
        /// [rfc]: crate::docs::rfc
        /// [`rules/`]: https://github.com/cache-request/cache-request/blob/main/cache-request/src/http/rules/mod.rs
        /// [`scoped`]: crate::scoped
        /// [`scoped_sync`]: crate::scoped_sync
        /// [several processes]: crate::docs::limits#several-processes
        /// [`Source`]: crate::Source
        /// [`SqlBackend`]: ../../backend/struct.SqlBackend.html
        /// [statistics]: crate::docs::statistics
        /// [`Stats`]: crate::Stats
        /// [size chart]: https://raw.githubusercontent.com/cache-request/cache-request/main/cache-request/docs/at_scale_size.svg
        /// [`stats()`]: crate::stats()
        /// [`SyncHandle`]: crate::SyncHandle
        /// [`tests/data/http-cache-tests.known`]: https://github.com/cache-request/cache-request/blob/main/tests/data/http-cache-tests.known
        /// [`tag`]: crate::tag()
        /// [tags]: crate::docs::tags
        /// [testing]: crate::docs::testing
        /// [`testing.rs`]: https://github.com/cache-request/cache-request/blob/main/examples/src/bin/testing.rs
        /// [`tests/tests/pages`]: https://github.com/cache-request/cache-request/blob/main/tests/tests/pages/main.rs
        /// [the companion]: crate::docs::attribute#the-companion
        /// [timeline]: https://raw.githubusercontent.com/cache-request/cache-request/main/cache-request/docs/timeline.svg
        /// [`this_call()`]: crate::this_call()
        /// [trust]: crate::docs::trust
        /// [when not]: crate#when-not-to-cache
        #[doc = include_str!(concat!("../docs/", stringify!($name), ".md"))]
        pub mod $name {}
    };
}

page!(at_scale);
page!(attribute);
page!(backends);
page!(batches);
page!(coming_from);
page!(faults);
page!(freshness);
// Its code needs axum.
#[cfg(any(not(doctest), feature = "axum"))]
page!(handlers);
page!(keys);
page!(limits);
page!(near_cache);
page!(options);
page!(pages);
// Its code needs the feature.
#[cfg(any(not(doctest), feature = "report"))]
page!(report);
page!(rfc);
page!(statistics);
page!(tags);
page!(testing);
page!(trust);
