//! Makes the cache of an address or a configuration.

use std::collections::BTreeMap;

use super::{
    address::Address,
    given::Given,
    open::open,
    settings::{CacheConfig, Setting},
};
use crate::{
    Error,
    cache::{Cache, CacheBuilder},
    options::{defaults, scheme::Choice, table},
};

impl CacheConfig {
    /// Makes the cache.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if the scheme or an option is unknown, an option is given twice, a value
    /// is refused, or a feature is not compiled in. With `connect=now`, also the error of a server that cannot be reached.
    pub fn build(&self) -> Result<Cache, Error> {
        let Address { choice, path, mut given } = Address::parse(self.url.as_deref().unwrap_or("memory://"))?;
        for (name, Setting(value)) in &self.options {
            given.add(name, value.clone())?;
        }
        // Before anything is opened: what is refused leaves no directory behind, and asks no server.
        given.check(choice)?;
        let mut builder = with_common(choice, &mut given)?;
        builder.check()?;
        let builder = open(choice.scheme, &path, &mut given, builder)?;
        debug_assert!(given.is_empty(), "an option is in the table, and is not taken");
        builder.build()
    }
}

impl Cache {
    /// Makes the cache of an address such as `memory://?max_bytes=1GiB`, `null://` or `file:///var/cache/app`.
    ///
    /// The options are parameters of the address; [`Config`](crate::Config) lists them. The scheme may be in capital letters, and
    /// blanks around the address are left out. Behind `file://` stands an absolute path, in which `%20` is a space.
    ///
    /// # Errors
    ///
    /// As of [`CacheConfig::build`]. An error about an unknown scheme or option lists those that there are.
    pub fn from_url(url: &str) -> Result<Self, Error> {
        CacheConfig { url: Some(url.to_owned()), options: BTreeMap::new() }.build()
    }
}

/// A builder with the options that do not depend on the backend.
fn with_common(choice: Choice, given: &mut Given) -> Result<CacheBuilder, Error> {
    type Builder = CacheBuilder;
    let builder = given.set(Cache::builder(), &table::PREFIX, Builder::prefix)?;
    let builder = given.set(builder, &table::WAIT_LIMIT, Builder::wait_limit)?;
    let builder = given.set(builder, &table::MAX_LEADERS, Builder::max_leaders)?;
    let builder = given.set(builder, &table::MAX_REFRESHES, Builder::max_refreshes)?;
    let builder = given.set(builder, &table::POLL_LIMIT, Builder::poll_limit)?;
    let mut builder = given.set(builder, &table::FUNCTION_TAGS, Builder::function_tags)?;
    builder = given.set(builder, &table::MEASURE, Builder::measure)?;
    if choice.scheme.has_backend() {
        builder = given.set(builder, &table::LEASES, Builder::leases)?;
        builder = given.set(builder, &table::LEASE, Builder::lease)?;
        builder = given.set(builder, &table::SOFT_LIMIT, Builder::soft_limit)?;
        builder = given.set(builder, &table::MAX_CONCURRENT, Builder::max_concurrent)?;
        builder = given.set(builder, &table::BREAKER_FAULTS, Builder::breaker_faults)?;
        builder = given.set(builder, &table::BREAKER_PAUSE, Builder::breaker_pause)?;
        builder = given.set(builder, &table::MAX_VALUE_BYTES, Builder::max_value_bytes)?;
        #[cfg(feature = "zstd")]
        {
            builder = given.set(builder, &table::COMPRESS_OVER, Builder::compress_over)?;
            builder = given.set(builder, &table::COMPRESS_LEVEL, Builder::compress_level)?;
        }
        let secret = given.secret(&table::SECRET, &table::SECRET_ENV)?;
        let secret_old = given.secret(&table::SECRET_OLD, &table::SECRET_OLD_ENV)?;
        builder = secret.into_iter().fold(builder, Builder::secret);
        builder = secret_old.into_iter().fold(builder, Builder::secret_old);
    }
    if choice.is_tiered {
        builder =
            given.set(builder.near_timeout(defaults::NEAR_TIMEOUT), &table::NEAR_TIMEOUT, Builder::near_timeout)?;
        builder = given.set(builder, &table::NEAR_BYTES, Builder::near_bytes)?;
        builder = given.set(builder, &table::NEAR_ENTRIES, Builder::near_entries)?;
    }
    Ok(builder)
}
