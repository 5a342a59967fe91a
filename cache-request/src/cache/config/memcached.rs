//! The options of `memcached://`.

use std::time::Duration;

use super::{
    options::{Connect, Entries, Options, Span},
    scheme::Scheme,
};
use crate::{Error, backend::MemcachedBackend, cache::CacheBuilder};

pub(super) fn open(
    _: &Scheme,
    path: &str,
    options: &mut Options,
    builder: CacheBuilder,
) -> Result<CacheBuilder, Error> {
    let mut backend = MemcachedBackend::at(path);
    if let Some(namespace) = options.text("namespace") {
        backend = backend.namespace(namespace);
    }
    if let Some(connect) = options.take::<Connect>("connect")? {
        backend = backend.connect_now(connect == Connect::Now);
    }
    if let Some(Entries(connections)) = options.take("max_connections")? {
        backend = backend.max_connections(usize::try_from(connections).unwrap_or(usize::MAX));
    }
    if let Some(Span(limit)) = options.take("answer_limit")? {
        backend = backend.answer_limit(limit);
    } else if let Some(Span(limit)) = options.look("soft_limit")? {
        // A server is to be given up before its caller is.
        backend = backend.answer_limit(limit.mul_f64(0.8).max(Duration::from_millis(1)));
    }
    Ok(builder.backend(backend.build()?))
}
