//! The options of `sqlite://` and `postgres://`.

use super::{
    options::{Connect, Entries, Options, Span},
    scheme::Scheme,
};
use crate::{
    Error,
    backend::{SqlBackend, SqlBackendBuilder},
    cache::CacheBuilder,
};

#[cfg(feature = "sqlite")]
pub(super) fn sqlite(
    _: &Scheme,
    path: &str,
    options: &mut Options,
    builder: CacheBuilder,
) -> Result<CacheBuilder, Error> {
    if path.is_empty() {
        return Err(Error::config("`sqlite://` needs a file, such as sqlite:///var/cache/app.db"));
    }
    open(SqlBackend::sqlite(path), options, builder)
}

#[cfg(feature = "postgres")]
pub(super) fn postgres(
    _: &Scheme,
    rest: &str,
    options: &mut Options,
    builder: CacheBuilder,
) -> Result<CacheBuilder, Error> {
    let mut backend = SqlBackend::postgres_at(rest);
    if let Some(directory) = options.text("socket") {
        backend = backend.socket(directory);
    }
    if let Some(mode) = options.text("sslmode") {
        backend = backend.ssl_mode(&mode);
    }
    open(backend, options, builder)
}

fn open(mut backend: SqlBackendBuilder, options: &mut Options, builder: CacheBuilder) -> Result<CacheBuilder, Error> {
    if let Some(namespace) = options.text("namespace") {
        backend = backend.namespace(namespace);
    }
    if let Some(table) = options.text("table") {
        backend = backend.table(table);
    }
    if let Some(Entries(connections)) = options.take("connections")? {
        backend = backend.connections(usize::try_from(connections).unwrap_or(usize::MAX));
    }
    if let Some(connect) = options.take::<Connect>("connect")? {
        backend = backend.connect_now(connect == Connect::Now);
    }
    if let Some(Span(limit)) = options.take("connect_limit")? {
        backend = backend.connect_limit(limit);
    }
    if let Some(Span(pause)) = options.take("cull_every")? {
        backend = backend.cull_every(pause);
    }
    Ok(builder.backend(backend.build()?))
}

#[cfg(all(test, feature = "postgres", not(feature = "postgres-tls")))]
mod tests {
    use crate::Cache;

    #[test]
    fn encryption_that_is_not_compiled_in_names_the_feature() {
        for mode in ["require", "verify-ca", "verify-full"] {
            let error = Cache::from_url(&format!("postgres://host/database?sslmode={mode}")).unwrap_err().to_string();
            let why = "is not compiled in: enable the feature `postgres-tls` of cache-request";
            assert_eq!(error, format!("`sslmode={mode}` {why}"));
        }
    }
}
