// The front page of the documentation is the README. Its links are for GitHub; the first definition of a link counts, so these lead
// to the same pages here.
//! [`cached`]: https://docs.rs/cached/4.1.0
//! [architecture]: https://github.com/cache-request/cache-request/blob/main/ARCHITECTURE.md
//! [at scale]: docs::at_scale
//! [attribute]: docs::attribute
//! [backend of your own]: docs::backends#a-backend-of-your-own
//! [backends]: docs::backends
//! [changelog]: https://github.com/cache-request/cache-request/blob/main/CHANGELOG.md
//! [coming from]: docs::coming_from
//! [contributing]: https://github.com/cache-request/cache-request/blob/main/CONTRIBUTING.md
//! [examples]: https://github.com/cache-request/cache-request/blob/main/examples/README.md
//! [faults]: docs::faults
//! [freshness]: docs::freshness
//! [handlers]: docs::handlers
//! [keys]: docs::keys
//! [limits]: docs::limits
//! [near cache]: docs::near_cache
//! [options]: docs::options
//! [pages]: docs::pages
//! [report]: docs::report
//! [statistics]: docs::statistics
//! [testing]: docs::testing
//! [the benchmarks]: https://github.com/cache-request/cache-request/blob/main/benches/README.md
//! [trust]: docs::trust
#![cfg_attr(doc, doc = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/", env!("CARGO_PKG_README"))))]
//!
//! ## The way of one call
//!
//! 1. The **key** is made of the function, the client of the running task ([`client_scope`]) and the keyed arguments.
//! 2. If **memory** holds the value, a clone of it is the answer. Nothing else happens, except that a [counter](stats) is incremented.
//! 3. Otherwise the call joins the **flight** of its key. One caller leads, and the others wait for its value. If it fails, another one leads.
//! 4. The leader looks in the [**backend**](backend), if the cache has one. If there is no fresh value, it runs the **body**.
//! 5. The value is **stored** if the attribute's conditions allow, unless the key was invalidated while the body ran.
//!
//! ## Features
//!
//! - `macros` (default): the attribute. Without it the crate is the library that the attribute expands to.
//! - `file`: `file://` and `backend::FileBackend`.
//! - `redis`: `redis://`, `redis+unix://`, `redis-cluster://`, `redis-sentinel://` and `backend::RedisBackend`.
//! - `redis-tls`: `rediss://`, and TLS to clusters and sentinels, by rustls.
//! - `sqlite`: `sqlite://` and `backend::SqlBackend`. It compiles SQLite.
//! - `postgres`: `postgres://` and `backend::SqlBackend`. `postgres-tls` adds TLS, by rustls.
//! - `memcached`: `memcached://` and `backend::MemcachedBackend`, on a pinned version of an experimental client.
//! - `report`: `Cache::report`, which tells what the cache has saved, and for each function whether it is worth it.
//! - `zstd`: large values are compressed in a backend, if the options say so.
//! - `detach`: the argument `detach`, on tokio.
//! - `http`: whole pages, `http::CachePage`. See [pages](docs::pages). Types of `http` as arguments.
//! - `axum`: annotated handlers of axum 0.8. See [handlers](docs::handlers). `axum-extra` adds the extractors of axum-extra 0.12.
//! - `conformance`: the tests that every backend has to pass, as the macro `conformance!`.
//!
//! `zstd`, `sqlite`, `redis-tls` and `postgres-tls` need a C compiler for the target. The others do not.
//!
//! ## Platforms
//!
//! The library needs a clock and threads from the standard library. `wasm32-unknown-unknown` has neither, so the crate does not
//! compile there, and the error says so.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
compile_error!(
    "cache-request needs a clock and threads, and the standard library has neither for `wasm32-unknown-unknown`: leave the \
     crate out there, by depending on it under [target.'cfg(not(target_family = \"wasm\"))'.dependencies]"
);

// The library only uses the traits of `serde`, which this part has, and its build need not wait for the macros. Tests derive.
#[cfg(not(test))]
extern crate serde_core as serde;

mod attribute;
pub mod backend;
mod base;
mod cache;
mod codec;
#[cfg(doc)]
pub mod docs;
mod engine;
mod error;
#[cfg(feature = "http")]
pub mod http;
mod key;
mod options;
#[cfg(feature = "report")]
pub mod report;
mod stats;
mod store;

#[doc(hidden)]
pub use crate::attribute::private as __private;
#[cfg(feature = "conformance")]
pub use crate::backend::conformance;
pub use crate::{
    attribute::{
        bounds,
        handle::{Handle, SyncHandle},
    },
    backend::Backend,
    base::{
        clock::{Clock, MockClock},
        context::{Scoped, client_scope, client_scope_sync},
    },
    cache::{
        Cache, CacheBuilder,
        config::{CacheConfig, Config, Setting},
        installed::{CACHE_URL, current, install, install_named, installed, named, stats},
        scoped::{scoped, scoped_sync},
    },
    engine::{
        looked::Looked,
        source::Source,
        this_call::{InCall, Reason, ThisCall, tag, this_call},
    },
    error::{Error, ErrorKind},
    key::keys,
    options::defaults,
    stats::{BackendStats, BreakerStats, Faults, FunctionStats, Misses, NearCacheStats, Stats},
};

#[cfg(feature = "macros")]
pub use cache_request_macros::cache_request;
