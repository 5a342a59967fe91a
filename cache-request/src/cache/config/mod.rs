//! A cache chosen by address or by configuration: one table of schemes, and one way to read options.

mod address;
#[cfg(feature = "file")]
mod file;
#[cfg(feature = "memcached")]
mod memcached;
mod options;
mod packed;
mod read;
#[cfg(feature = "redis")]
mod redis;
mod scheme;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod sql;

use std::{collections::BTreeMap, fmt};

use self::{
    address::{Address, split},
    options::Span,
    scheme::{Scheme, guarded, near_cached},
};
use super::Cache;
use crate::Error;

/// The configuration of a program's caches, to be read with any self-describing `serde` format.
///
/// | option | of | meaning | default |
/// | --- | --- | --- | --- |
/// | `max_bytes` | `memory`, `file` | bytes that may be held: a number, or `64MiB`, `1GB`, … | 64 MiB, 1 GiB |
/// | `max_entries` | `memory`, `file` | entries that may be held | any number |
/// | `prefix` | all | the head of keys, where a function names none | the function's crate |
/// | `wait_limit` | all | how long a caller waits for a body that another one runs, such as `10s` | `10s` |
/// | `soft_limit` | all with a backend | how long a call waits for the backend, in all | `250ms` |
/// | `max_concurrent` | all with a backend | how many operations may be under way at a time; a call beyond that goes without | 4096 |
/// | `breaker_faults` | all with a backend | after so many faults in a row the backend is left alone | 8 |
/// | `breaker_pause` | all with a backend | for how long; then one call at a time tries again | `1s` |
/// | `max_value_bytes` | all with a backend | how many bytes an encoded value may have | 64 MiB |
/// | `compress_over` | all with a backend | values of more bytes are compressed (feature `zstd`), such as `4KiB` | none are |
/// | `compress_level` | all with a backend | how hard, from -7 to 22 (feature `zstd`) | 3 |
/// | `secret`, `secret_env` | all with a backend | [authenticates] what is stored; the variable that holds the secret | no |
/// | `secret_old`, `secret_old_env` | all with a backend | is good for reading, too; the variable that holds it | none |
/// | `near_timeout` | `tiered+` … | how long a value may stay in front of the backend | `5s` |
/// | `near_bytes` | `tiered+` … | bytes that may be held in front, the values of `local` functions counted | 64 MiB |
/// | `near_entries` | `tiered+` … | entries that may be held in front, the values of `local` functions counted | any number |
/// | `namespace` | `redis` …, `sqlite`, `postgres`, `memcached` | whose keys these are on the server: what they begin with, or a column | `cache-request` |
/// | `connect` | `redis` …, `sqlite`, `postgres`, `memcached` | `now`: an error where the server cannot be reached; `lazy`: with the first call, and of `tiered+redis` … when the cache is made, in the background | `lazy` |
/// | `connect_limit` | `redis` …, `sqlite`, `postgres` | how long one attempt to connect may take | `1s` |
/// | `db` | `redis` … but `redis-cluster` | the number of the database, where the path does not name it | `0` |
/// | `sentinel_user`, `sentinel_password` | `redis-sentinel` | who we are at the sentinels | nobody |
/// | `tls` | `redis-cluster`, `redis-sentinel` | `true`: connections are encrypted | `false` |
/// | `tls_ca` | `rediss` and where `tls` is | a file: the certificate to trust, in PEM format | those of the system |
/// | `table` | `sqlite`, `postgres` | the table's name | `cache_request` |
/// | `connections` | `sqlite`, `postgres` | how many connections there may be | 8 |
/// | `cull_every` | `sqlite`, `postgres` | how often rows that have expired are removed | `60s` |
/// | `socket` | `postgres` | the directory of the server's socket, in the place of a host | – |
/// | `sslmode` | `postgres` | as PostgreSQL calls it: `disable`, `prefer`, `require`, `verify-full` …; the variable `PGSSLROOTCERT` names the file of an authority of one's own | `prefer` |
/// | `answer_limit` | `memcached` | how long a server may take to answer, before it counts as lost | 0.8 of `soft_limit` |
/// | `max_connections` | `memcached` | how many connections to each server one runtime may have | 32 |
///
/// [authenticates]: crate::CacheBuilder::secret
///
/// `redis` … are `redis`, `rediss`, `redis+unix`, `redis-cluster` and `redis-sentinel`. All schemes but `memory` and `null` have a
/// backend, and `tiered+` before one of them, as in `tiered+redis://localhost`, puts this process's memory
/// [in front](crate::CacheBuilder::near_timeout) of that.
///
/// An option that its scheme has not is an error, and so are one that is given twice and a limit of 0: to keep nothing, there is
/// `null://`.
///
/// In an address the same options are parameters: `file:///var/cache/app?max_bytes=1GiB&soft_limit=1s`.
///
/// ```
/// # use cache_request::Config;
/// let config: Config = serde_json::from_str(
///     r#"{
///         "url": "memory://",
///         "max_bytes": "256MiB",
///         "caches": { "sessions": { "url": "memory://", "max_entries": 10000 } }
///     }"#,
/// )?;
/// config.install()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// The default cache: what stands at the top.
    pub default: CacheConfig,
    /// The named caches beside it: what stands under `caches`.
    pub caches: BTreeMap<String, CacheConfig>,
}

/// The configuration of one cache.
#[derive(Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct CacheConfig {
    /// The address; `memory://` by default. Options may stand in it, too.
    pub url: Option<String>,
    /// The options, by name, as in the table of [`Config`].
    pub options: BTreeMap<String, Setting>,
}

/// The value of an option: a text, a number or a truth value.
///
/// ```
/// # use cache_request::{CacheConfig, Setting};
/// let mut config = CacheConfig::default();
/// config.options.insert("max_bytes".into(), "64MiB".into());
/// config.options.insert("max_entries".into(), Setting::from(10_000));
/// config.build()?;
/// # Ok::<(), cache_request::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Setting(String);

impl From<&str> for Setting {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Setting {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<u64> for Setting {
    fn from(number: u64) -> Self {
        Self(number.to_string())
    }
}

impl From<bool> for Setting {
    fn from(truth: bool) -> Self {
        Self(truth.to_string())
    }
}

impl CacheConfig {
    /// Makes the cache.
    ///
    /// # Errors
    ///
    /// If the scheme or an option is unknown, given twice or cannot be meant, or the scheme's feature is not compiled in.
    pub fn build(&self) -> Result<Cache, Error> {
        let address = Address::parse(self.url.as_deref().unwrap_or("memory://"))?;
        let mut options = address.options;
        for (name, Setting(value)) in &self.options {
            options.give(name, value.clone())?;
        }
        let tier = Scheme::find(&address.scheme)?;
        let scheme = tier.scheme;
        // Before anything is opened: what is refused leaves no directory behind.
        tier.refuse_unknown(&options)?;
        let mut builder = Cache::builder();
        if scheme.has_backend {
            builder = packed::take(&mut options, builder)?;
        }
        if tier.is_tiered {
            builder = near_cached(&mut options, builder)?;
        }
        builder = (scheme.open)(scheme, &address.path, &mut options, builder)?;
        if let Some(prefix) = options.text("prefix") {
            builder = builder.prefix(prefix);
        }
        if let Some(Span(limit)) = options.take("wait_limit")? {
            builder = builder.wait_limit(limit);
        }
        if scheme.has_backend {
            builder = guarded(&mut options, builder)?;
        }
        Ok(builder.build())
    }
}

impl Cache {
    /// The cache at an address such as `memory://?max_bytes=1GiB`, `null://` or `file:///var/cache/app`.
    ///
    /// The options are those of [`Config`](crate::Config), as parameters of the address. Capital letters in the scheme make no
    /// difference, blanks around the address neither. Behind `file://` stands an absolute path, in which `%20` is a space.
    ///
    /// # Errors
    ///
    /// If the scheme or an option is unknown, a value cannot be meant, or the scheme's feature is not compiled in. The error
    /// names what there is.
    pub fn from_url(url: &str) -> Result<Self, Error> {
        CacheConfig { url: Some(url.to_owned()), options: BTreeMap::new() }.build()
    }
}

/// Shows no value, as that may be a password.
impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Setting").finish_non_exhaustive()
    }
}

/// Shows no address, as that may hold a password.
impl fmt::Debug for CacheConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.url.as_deref().and_then(|url| split(url.trim())).map(|(scheme, _)| scheme);
        f.debug_struct("CacheConfig").field("scheme", &scheme).field("options", &self.options.keys()).finish()
    }
}
