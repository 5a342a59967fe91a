//! One attribute makes a function remember.

pub mod backend;
mod cache;
mod call;
mod clock;
mod codec;
mod config;
#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
mod flight;
mod function;
mod global;
mod handle;
mod key;
pub mod keys;
mod policy;
mod scope;
mod shim;
mod site;
mod stats;
mod store;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

#[cfg(feature = "macros")]
pub use cache_request_macros::cache_request;

pub use crate::{
    backend::Backend,
    cache::{Cache, CacheBuilder, DEFAULT_MAX_BYTES, DEFAULT_SOFT_LIMIT, DEFAULT_WAIT_LIMIT},
    clock::Clock,
    config::{CacheConfig, Config, Setting},
    error::{Error, ErrorKind},
    global::{CACHE_URL, current, install, install_named, stats},
    handle::{AsyncHandle, Handle},
    scope::{Scoped, client_scope, client_scope_sync, scoped, scoped_sync},
    stats::{FunctionStats, Misses, Stats},
};
