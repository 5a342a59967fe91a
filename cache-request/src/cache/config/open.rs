//! Opens the backend of each scheme, with the options that it has by itself.

#[cfg(feature = "memcached")]
use std::time::Duration;

#[cfg(feature = "file")]
use super::directory::directory;
use super::given::Given;
#[cfg(feature = "file")]
use crate::backend::{FileBackend, FileBackendBuilder};
#[cfg(feature = "memcached")]
use crate::backend::{MemcachedBackend, MemcachedBackendBuilder};
#[cfg(feature = "redis")]
use crate::backend::{RedisBackend, RedisBackendBuilder};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
use crate::backend::{SqlBackend, SqlBackendBuilder};
use crate::{
    Error,
    cache::CacheBuilder,
    options::{
        scheme::{Scheme, Service},
        table,
    },
};

/// Says where a cache keeps its values.
///
/// # Errors
///
/// If the path or an option is refused, or if the server cannot be reached and is to be connected to now.
pub(super) fn open(
    scheme: &'static Scheme,
    path: &str,
    given: &mut Given,
    builder: CacheBuilder,
) -> Result<CacheBuilder, Error> {
    match scheme.service {
        Service::Memory => {
            no_path(scheme, path)?;
            let builder = given.set(builder, &table::MAX_BYTES, CacheBuilder::max_bytes)?;
            given.set(builder, &table::MAX_ENTRIES, CacheBuilder::max_entries)
        }
        Service::Null => {
            no_path(scheme, path)?;
            Ok(builder.null())
        }
        #[cfg(feature = "file")]
        Service::File => Ok(builder.backend(file(path, given)?)),
        #[cfg(feature = "redis")]
        Service::Redis => Ok(builder.backend(redis(scheme, path, given)?)),
        #[cfg(feature = "sqlite")]
        Service::Sqlite => Ok(builder.backend(sql(scheme, path, given)?)),
        #[cfg(feature = "postgres")]
        Service::Postgres => Ok(builder.backend(sql(scheme, path, given)?)),
        #[cfg(feature = "memcached")]
        Service::Memcached => {
            let backend = memcached(path, given, builder.known_soft_limit())?;
            Ok(builder.backend(backend))
        }
        #[allow(unreachable_patterns, reason = "all may be compiled in")]
        _ => scheme.require(&[]).map(|()| builder),
    }
}

fn no_path(scheme: &Scheme, path: &str) -> Result<(), Error> {
    if path.is_empty() { Ok(()) } else { Err(Error::config(format!("{scheme} takes no path"))) }
}

#[cfg(feature = "file")]
fn file(path: &str, given: &mut Given) -> Result<FileBackend, Error> {
    type Builder = FileBackendBuilder;
    let builder = FileBackend::builder(directory(path)?);
    let builder = given.set(builder, &table::FILE_MAX_BYTES, Builder::max_bytes)?;
    given.set(builder, &table::FILE_MAX_ENTRIES, Builder::max_entries)?.build()
}

#[cfg(feature = "redis")]
fn redis(scheme: &'static Scheme, path: &str, given: &mut Given) -> Result<RedisBackend, Error> {
    type Builder = RedisBackendBuilder;
    let builder = Builder::at(scheme, path);
    let builder = given.set(builder, &table::NAMESPACE, Builder::namespace)?;
    let builder = given.set(builder, &table::CONNECT, Builder::connect)?;
    let builder = given.set(builder, &table::CONNECT_LIMIT, Builder::connect_limit)?;
    let builder = given.set(builder, &table::DB, Builder::db)?;
    let builder = given.set(builder, &table::TLS, Builder::tls)?;
    let builder = given.set(builder, &table::TLS_CA, Builder::tls_ca)?;
    let builder = given.set(builder, &table::SENTINEL_USER, Builder::sentinel_user)?;
    given.set(builder, &table::SENTINEL_PASSWORD, Builder::sentinel_password)?.build()
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
fn sql(scheme: &'static Scheme, path: &str, given: &mut Given) -> Result<SqlBackend, Error> {
    type Builder = SqlBackendBuilder;
    let builder = Builder::at(scheme, path);
    let builder = given.set(builder, &table::NAMESPACE, Builder::namespace)?;
    let builder = given.set(builder, &table::TABLE, Builder::table)?;
    let builder = given.set(builder, &table::CONNECT, Builder::connect)?;
    let builder = given.set(builder, &table::CONNECT_LIMIT, Builder::connect_limit)?;
    let builder = given.set(builder, &table::SQL_MAX_CONNECTIONS, Builder::max_connections)?;
    let builder = given.set(builder, &table::CULL_EVERY, Builder::cull_every)?;
    #[cfg(feature = "postgres")]
    let builder = given.set(builder, &table::SOCKET, Builder::socket)?;
    #[cfg(feature = "postgres")]
    let builder = given.set(builder, &table::SSLMODE, Builder::sslmode)?;
    builder.build()
}

#[cfg(feature = "memcached")]
fn memcached(path: &str, given: &mut Given, soft_limit: Duration) -> Result<MemcachedBackend, Error> {
    type Builder = MemcachedBackendBuilder;
    // A server is to be given up before its caller gives up.
    let answer_limit = soft_limit.mul_f64(0.8).max(Duration::from_millis(1));
    let builder = Builder::at(path).answer_limit(answer_limit);
    let builder = given.set(builder, &table::ANSWER_LIMIT, Builder::answer_limit)?;
    let builder = given.set(builder, &table::NAMESPACE, Builder::namespace)?;
    let builder = given.set(builder, &table::CONNECT, Builder::connect)?;
    given.set(builder, &table::MEMCACHED_MAX_CONNECTIONS, Builder::max_connections)?.build()
}
