//! Pages: a shared HTTP cache by RFC 9111 as a tower layer.
//!
//! [`CachePage`] wraps a service. Its rules are pure functions over header fields and times, in `rules`. [`ClientScopeLayer`] runs requests
//! in the scope of a client.

mod client;
mod handler;
mod page;
mod rules;
mod wire;

#[cfg(feature = "axum")]
pub use self::handler::StoredResponse;
pub use self::{
    client::{ClientScopeLayer, ClientScoped, ClientScopedBody, ClientScopedFuture},
    page::{BodyError, CachePage, CachedPages, PageBody, PageFuture, PageTimeout},
};
