//! The options of `redis://` and its kin.

use super::{
    options::{Connect, Number, Options, Span, Truth},
    scheme::Scheme,
};
use crate::{Error, backend::RedisBackend, cache::CacheBuilder};

/// Which of the schemes has which option has been looked at by now.
pub(super) fn open(
    scheme: &Scheme,
    path: &str,
    options: &mut Options,
    builder: CacheBuilder,
) -> Result<CacheBuilder, Error> {
    let mut backend = RedisBackend::at(scheme.name, path);
    if let Some(namespace) = options.text("namespace") {
        backend = backend.namespace(namespace);
    }
    if let Some(connect) = options.take::<Connect>("connect")? {
        backend = backend.connect_now(connect == Connect::Now);
    }
    if let Some(Span(limit)) = options.take("connect_limit")? {
        backend = backend.connect_limit(limit);
    }
    if let Some(Number(number)) = options.take("db")? {
        backend = backend.database(number);
    }
    match (options.text("sentinel_user"), options.text("sentinel_password")) {
        (None, None) => {}
        (user, Some(password)) => backend = backend.sentinel_login(user.unwrap_or_default(), password),
        (Some(_), None) => return Err(Error::config("option `sentinel_user` needs a `sentinel_password`")),
    }
    if let Some(Truth(tls)) = options.take("tls")? {
        backend = backend.tls(tls);
    }
    if let Some(file) = options.text("tls_ca") {
        let certificate = std::fs::read(&file)
            .map_err(|cause| Error::config(format!("option `tls_ca`: `{file}`")).with_source(cause))?;
        backend = backend.authority(certificate);
    }
    Ok(builder.backend(backend.build()?))
}

#[cfg(all(test, not(feature = "redis-tls")))]
mod tests {
    use crate::Cache;

    #[test]
    fn encryption_that_is_not_compiled_in_names_the_feature() {
        for address in [
            "rediss://host",
            "tiered+rediss://host",
            "redis-cluster://host?tls=true",
            "redis-sentinel://host/main?tls=true",
        ] {
            let error = Cache::from_url(address).unwrap_err().to_string();
            assert_eq!(error, "TLS is not compiled in: enable the feature `redis-tls` of cache-request", "{address}");
        }
    }
}
