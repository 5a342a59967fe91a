//! One attribute makes a function remember.
//!
//! ```
//! use cache_request::cache_request;
//!
//! #[cache_request(timeout = 300)]
//! fn miles(from: &str, to: &str) -> Result<u32, String> {
//!     println!("looking up {from} to {to}"); // a query, a request, a long computation
//!     Ok(2586)
//! }
//!
//! assert_eq!(miles("JFK", "SFO")?, 2586); // runs the body
//! assert_eq!(miles("JFK", "SFO")?, 2586); // does not, for five minutes
//! # Ok::<(), String>(())
//! ```
//!
//! It works alike on `async fn`, on methods and on generic functions, on any executor or none. The cache never breaks the
//! function: if it is down, slow, full or holds garbage, the body runs and its answer is returned.
//!
//! # The attribute
//!
//! All arguments of the function are part of the key, an answer is kept for 300 seconds, and of a `Result` the inside of
//! an `Ok` is kept, unless the attribute says otherwise. Its own documentation has
//! [the table of what it can say](attr.cache_request.html).
//!
//! ```
//! # use cache_request::cache_request;
//! # struct Database;
//! #[cache_request(timeout = "1h", skip(db), skip_none)]
//! async fn title(db: &Database, article: u32, language: Option<&str>) -> Option<String> {
//!     # let _ = (db, article, language);
//!     // …
//!     # None
//! }
//! ```
//!
//! Keyed arguments are [`serde::Serialize`]. Values are `Clone + Send + Sync + 'static`, and unless the attribute says
//! `local`, also [`serde::Serialize`] and [`serde::de::DeserializeOwned`], so that any cache can keep them. What a generic function
//! writes for that is in [`bounds`].
//!
//! # The companion
//!
//! Beside a function `f` stands `f_cache`, with the same arguments. It calls nothing, but returns a [`Handle`] (of an
//! `async` function, an [`AsyncHandle`]) on that one call: to look at what is remembered, to refresh, forget or fill it.
//!
//! ```
//! # use cache_request::cache_request;
//! # #[cache_request] fn miles(from: &str, to: &str) -> u32 { 2586 }
//! assert_eq!(miles_cache("JFK", "SFO").peek(), None);
//! miles("JFK", "SFO");
//! assert_eq!(miles_cache("JFK", "SFO").peek(), Some(2586));
//! assert!(miles_cache("JFK", "SFO").invalidate()?);
//! # Ok::<(), cache_request::Error>(())
//! ```
//!
//! # The way of one call
//!
//! 1. The **key** is made of the function, the client of the running task ([`client_scope`]) and the keyed arguments.
//!    Different arguments never share one. [`keys`] has shapes for keys of one's own.
//! 2. If **memory** holds the value, a clone of it is the answer. Nothing more happens, but that a [counter](stats) is raised.
//! 3. Else the call joins the **flight**: of all callers of one key, one goes on, and the others wait for what it gets.
//! 4. It looks into the [**backend**](backend), if the cache has one, and runs the **body** if there is nothing to be used.
//! 5. What the body returns is **kept**, if the attribute's conditions allow, and unless it was invalidated meanwhile.
//!
//! # Choosing the cache
//!
//! A program [`install`]s a [`Cache`] when it starts: made from an address ([`Cache::from_url`]), in code
//! ([`Cache::builder`]) or from a configuration ([`Config`], which lists the options). If it installs none, the environment
//! variable [`CACHE_URL`] names it, and if that is not set or empty, it is `memory://`, of at most 64 MiB.
//!
//! | address | what it is |
//! | --- | --- |
//! | `memory://` | this process's memory: the values themselves, bounded |
//! | `null://` | nothing is kept: every call runs its body |
//! | `file:///var/cache/app` | a directory that survives restarts, and that several processes may share (feature `file`) |
//! | `redis://user:password@host:6379/2` | Redis or Valkey; `rediss://` is encrypted, `redis+unix:///run/redis.sock` a socket (features `redis`, `redis-tls`) |
//! | `redis-cluster://a:6379,b:6379` | a cluster of them (feature `redis`) |
//! | `redis-sentinel://a:26379,b:26379/main/2` | the master that sentinels name (feature `redis`) |
//! | `sqlite:///var/cache/app.db` | a table in a file, which several processes may share (feature `sqlite`) |
//! | `postgres://user:password@host:5432/database` | a table in a PostgreSQL database (feature `postgres`; encrypted: `postgres-tls`) |
//! | `memcached://a:11211,b:11211` | memcached: one, or several among which the keys are divided (feature `memcached`) |
//! | `tiered+redis://host` | memory in front of any of these but the first two ([`CacheBuilder::near_timeout`]) |
//!
//! A [`Backend`] of one's own is a handful of methods over bytes.
//!
//! # Testing
//!
//! [`scoped`] and [`scoped_sync`] give a test a cache of its own, and [`Clock::mock`] a clock that it moves by hand.
//!
//! ```
//! use std::time::Duration;
//! use cache_request::{Cache, Clock, cache_request, scoped_sync};
//!
//! #[cache_request(timeout = "10m", skip(ask))]
//! fn rate(currency: &str, ask: fn() -> u32) -> u32 {
//!     ask()
//! }
//!
//! let clock = Clock::mock();
//! let cache = Cache::builder().clock(&clock).build();
//! scoped_sync(&cache, || {
//!     assert_eq!(rate("EUR", || 117), 117);
//!     assert_eq!(rate("EUR", || 120), 117);
//!     clock.advance(Duration::from_secs(600));
//!     assert_eq!(rate("EUR", || 120), 120);
//! });
//! assert_eq!(cache.stats().hits(), 1);
//! ```
//!
//! # Features
//!
//! - `macros` (default): the attribute. Without it the crate is the library that the attribute expands to.
//! - `file`: `file://`, and `backend::FileBackend`.
//! - `redis`: `redis://` and its kin, and `backend::RedisBackend`.
//! - `redis-tls`: `rediss://`, and encrypted connections to clusters and sentinels, by rustls.
//! - `zstd`: large values are compressed in a backend, where [`CacheBuilder`] or the options say so. Compiles a C library.
//! - `sqlite`: `sqlite://`, and `backend::SqlBackend`. It brings SQLite along.
//! - `postgres`: `postgres://`, and `backend::SqlBackend`. `postgres-tls`: encrypted, by rustls.
//! - `memcached`: `memcached://`, and `backend::MemcachedBackend`.
//! - `conformance`: the suite that every backend has to pass, as the macro `conformance!`.
//!
//! `zstd`, `sqlite`, `redis-tls` and `postgres-tls` need a C compiler for the target, the others do not.
//!
//! # Platforms
//!
//! The library needs a clock and threads from the standard library. `wasm32-unknown-unknown` has neither, so there it does not
//! compile, and the error says so.
//!
//! # Faults
//!
//! What goes wrong in a cache never reaches the caller of a function. It is counted by cause ([`Faults`]), and logged
//! with its cause through `tracing`: without a subscriber nobody sees it, but for a [`CACHE_URL`] that cannot be used.

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
mod engine;
mod error;
mod key;
mod stats;
mod store;

#[doc(hidden)]
pub use crate::attribute::private as __private;
#[cfg(feature = "conformance")]
pub use crate::backend::conformance;
pub use crate::{
    attribute::{
        bounds,
        handle::{AsyncHandle, Handle},
    },
    backend::Backend,
    base::{
        clock::{Clock, MockClock},
        context::{Scoped, client_scope, client_scope_sync},
    },
    cache::{
        Cache, CacheBuilder, DEFAULT_MAX_BYTES, DEFAULT_NEAR_TIMEOUT, DEFAULT_SOFT_LIMIT, DEFAULT_WAIT_LIMIT,
        config::{CacheConfig, Config, Setting},
        installed::{CACHE_URL, current, install, install_named, named, stats},
        scoped::{scoped, scoped_sync},
    },
    codec::DEFAULT_MAX_VALUE_BYTES,
    error::{Error, ErrorKind},
    key::keys,
    stats::{BackendStats, Faults, FunctionStats, Misses, NearCacheStats, Stats},
};

#[cfg(feature = "macros")]
pub use cache_request_macros::cache_request;

/// The README's examples, compiled and run with those of the documentation.
#[cfg(all(doctest, feature = "macros"))]
#[doc = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/", env!("CARGO_PKG_README")))]
struct Readme;
