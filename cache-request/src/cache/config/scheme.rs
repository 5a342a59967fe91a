//! All schemes there are, and the options of each.

#[cfg(not(feature = "file"))]
use self::missing as file;
#[cfg(not(feature = "memcached"))]
use self::missing as memcached;
#[cfg(not(feature = "postgres"))]
use self::missing as postgres;
#[cfg(not(feature = "redis"))]
use self::missing as redis;
#[cfg(not(feature = "sqlite"))]
use self::missing as sqlite;
#[cfg(feature = "file")]
use super::file::open as file;
#[cfg(feature = "memcached")]
use super::memcached::open as memcached;
use super::options::{Bytes, Entries, Lifetime, Options, Span};
#[cfg(feature = "redis")]
use super::redis::open as redis;
#[cfg(feature = "postgres")]
use super::sql::postgres;
#[cfg(feature = "sqlite")]
use super::sql::sqlite;
use crate::{
    Error,
    cache::{CacheBuilder, DEFAULT_NEAR_TIMEOUT},
};

/// Takes a scheme's own options, and says where the cache keeps its values.
type Open = fn(&Scheme, &str, &mut Options, CacheBuilder) -> Result<CacheBuilder, Error>;

/// What may stand before `://`.
pub(super) struct Scheme {
    pub(super) name: &'static str,
    /// The feature that has it compiled in, where it is one.
    feature: Option<&'static str>,
    /// Beside those of [`ALL_HAVE`] and [`BACKENDS_HAVE`].
    options: &'static [&'static str],
    pub(super) has_backend: bool,
    pub(super) open: Open,
}

/// All schemes there are.
pub(super) const SCHEMES: [Scheme; 12] = [
    Scheme::in_process("memory", &["max_bytes", "max_entries"], memory),
    Scheme::in_process("null", &[], null),
    Scheme::on_backend("file", "file", &["max_bytes", "max_entries"], file),
    Scheme::on_backend("redis", "redis", &["namespace", "connect", "connect_limit", "db"], redis),
    Scheme::on_backend("rediss", "redis-tls", &["namespace", "connect", "connect_limit", "db", "tls_ca"], redis),
    Scheme::on_backend("redis+unix", "redis", &["namespace", "connect", "connect_limit", "db"], redis),
    Scheme::on_backend("redis-cluster", "redis", &["namespace", "connect", "connect_limit", "tls", "tls_ca"], redis),
    Scheme::on_backend("redis-sentinel", "redis", &SENTINELS_HAVE, redis),
    Scheme::on_backend("sqlite", "sqlite", &SQLITE_HAS, sqlite),
    Scheme::on_backend("postgres", "postgres", &POSTGRES_HAS, postgres),
    Scheme::on_backend("postgresql", "postgres", &POSTGRES_HAS, postgres),
    Scheme::on_backend(
        "memcached",
        "memcached",
        &["namespace", "connect", "answer_limit", "max_connections"],
        memcached,
    ),
];

const SENTINELS_HAVE: [&str; 8] =
    ["namespace", "connect", "connect_limit", "db", "sentinel_user", "sentinel_password", "tls", "tls_ca"];

const SQLITE_HAS: [&str; 6] = ["connect", "connect_limit", "connections", "cull_every", "namespace", "table"];
const POSTGRES_HAS: [&str; 8] =
    ["connect", "connect_limit", "connections", "cull_every", "namespace", "socket", "sslmode", "table"];

/// The options that every scheme has.
const ALL_HAVE: [&str; 2] = ["prefix", "wait_limit"];

/// The options that every scheme with a backend has if it stands behind `tiered+`.
pub(super) const NEAR_CACHES_HAVE: [&str; 3] = ["near_timeout", "near_bytes", "near_entries"];

/// What puts memory in front of a scheme's backend.
pub(super) const TIERED: &str = "tiered+";

/// The options that every scheme has whose values are kept by a backend.
const BACKENDS_HAVE: [&str; 11] = [
    "soft_limit",
    "max_concurrent",
    "breaker_faults",
    "breaker_pause",
    "max_value_bytes",
    "compress_over",
    "compress_level",
    "secret",
    "secret_env",
    "secret_old",
    "secret_old_env",
];

impl Scheme {
    const fn in_process(name: &'static str, options: &'static [&'static str], open: Open) -> Self {
        Self { name, feature: None, options, has_backend: false, open }
    }

    const fn on_backend(
        name: &'static str,
        feature: &'static str,
        options: &'static [&'static str],
        open: Open,
    ) -> Self {
        Self { name, feature: Some(feature), options, has_backend: true, open }
    }

    /// The scheme of that name.
    ///
    /// # Errors
    ///
    /// If there is none. The error lists those that there are.
    pub(super) fn find(name: &str) -> Result<Tier, Error> {
        let (is_tiered, behind) = name.strip_prefix(TIERED).map_or((false, name), |behind| (true, behind));
        let Some(scheme) = SCHEMES.iter().find(|scheme| scheme.name == behind) else {
            let known: Vec<_> = SCHEMES.iter().map(|scheme| format!("{}://", scheme.name)).collect();
            let tiered = "and `tiered+` before one with a backend, such as tiered+redis://";
            return Err(Error::config(format!("unknown scheme `{name}://`: there is {}, {tiered}", known.join(", "))));
        };
        if is_tiered && !scheme.has_backend {
            let why = format!("`{behind}://` has no backend that memory could be in front of");
            return Err(Error::config(format!("`{name}://`: {why}, as in tiered+redis://")));
        }
        Ok(Tier { scheme, is_tiered })
    }

    pub(super) fn all_options(&self) -> impl Iterator<Item = &'static str> {
        let of_backends: &[_] = if self.has_backend { &BACKENDS_HAVE } else { &[] };
        ALL_HAVE.iter().chain(of_backends).chain(self.options).copied()
    }

    pub(super) fn has(&self, option: &str) -> bool {
        self.all_options().any(|own| own == option)
    }
}

/// A scheme, and whether memory is in front of its backend.
pub(super) struct Tier {
    pub(super) scheme: &'static Scheme,
    pub(super) is_tiered: bool,
}

impl Tier {
    pub(super) fn all_options(&self) -> impl Iterator<Item = &'static str> {
        let of_near_caches: &[_] = if self.is_tiered { &NEAR_CACHES_HAVE } else { &[] };
        self.scheme.all_options().chain(of_near_caches.iter().copied())
    }

    /// Refuses what this scheme has not, and what no scheme has.
    pub(super) fn refuse_unknown(&self, options: &Options) -> Result<(), Error> {
        let Some(option) = options.unknown(|option| self.all_options().any(|own| own == option)) else { return Ok(()) };
        let name = self.scheme.name;
        let own = if self.is_tiered { format!("{TIERED}{name}") } else { name.to_owned() };
        let others: Vec<_> =
            SCHEMES.iter().filter(|other| other.has(option)).map(|other| format!("`{}://`", other.name)).collect();
        let wrong = match &others[..] {
            _ if options.is_hidden() => format!("unknown option of `{own}://`"),
            [] if NEAR_CACHES_HAVE.contains(&option) => {
                format!("option `{option}` is one of `{TIERED}…`, not of `{own}://`")
            }
            [] => format!("unknown option `{option}` of `{own}://`"),
            [one] => format!("option `{option}` is one of {one}, not of `{own}://`"),
            [one, other] => format!("option `{option}` is one of {one} and {other}, not of `{own}://`"),
            _ => format!("option `{option}` is one of other schemes, not of `{own}://`"),
        };
        let mut known: Vec<_> = self.all_options().collect();
        known.sort_unstable();
        Err(Error::config(format!("{wrong}: there is {}", known.join(", "))))
    }
}

pub(super) fn guarded(options: &mut Options, mut builder: CacheBuilder) -> Result<CacheBuilder, Error> {
    if let Some(Span(limit)) = options.take("soft_limit")? {
        builder = builder.soft_limit(limit);
    }
    if let Some(Entries(operations)) = options.take("max_concurrent")? {
        builder = builder.max_concurrent(usize::try_from(operations).unwrap_or(usize::MAX));
    }
    if let Some(Entries(faults)) = options.take("breaker_faults")? {
        builder = builder.breaker_faults(u32::try_from(faults).unwrap_or(u32::MAX));
    }
    if let Some(Span(pause)) = options.take("breaker_pause")? {
        builder = builder.breaker_pause(pause);
    }
    Ok(builder)
}

/// Puts memory in front, as the options of [`FRONTS_HAVE`] say.
pub(super) fn near_cached(options: &mut Options, builder: CacheBuilder) -> Result<CacheBuilder, Error> {
    let timeout = options.take("near_timeout")?.map_or(DEFAULT_NEAR_TIMEOUT, |Lifetime(timeout)| timeout);
    let builder = bounded(options, builder, "near_bytes", "near_entries")?;
    Ok(builder.near_timeout(timeout))
}

/// Takes the limits of what this process's memory holds, from the options of these names.
fn bounded(
    options: &mut Options,
    mut builder: CacheBuilder,
    max_bytes: &'static str,
    max_entries: &'static str,
) -> Result<CacheBuilder, Error> {
    if let Some(Bytes(bytes)) = options.take(max_bytes)? {
        builder = builder.max_bytes(usize::try_from(bytes).unwrap_or(usize::MAX));
    }
    if let Some(Entries(entries)) = options.take(max_entries)? {
        builder = builder.max_entries(usize::try_from(entries).unwrap_or(usize::MAX));
    }
    Ok(builder)
}

fn memory(scheme: &Scheme, path: &str, options: &mut Options, builder: CacheBuilder) -> Result<CacheBuilder, Error> {
    no_path(scheme, path)?;
    bounded(options, builder, "max_bytes", "max_entries")
}

fn null(scheme: &Scheme, path: &str, _: &mut Options, builder: CacheBuilder) -> Result<CacheBuilder, Error> {
    no_path(scheme, path)?;
    Ok(builder.null())
}

fn no_path(scheme: &Scheme, path: &str) -> Result<(), Error> {
    if path.is_empty() { Ok(()) } else { Err(Error::config(format!("`{}://` takes no path", scheme.name))) }
}

/// For a scheme that is not compiled in.
#[allow(dead_code, reason = "all may be")]
fn missing(scheme: &Scheme, _: &str, options: &mut Options, _: CacheBuilder) -> Result<CacheBuilder, Error> {
    let mut is = |option, values: &[&str]| options.text(option).is_some_and(|value| values.contains(&&*value));
    let (name, own) = (scheme.name, scheme.feature.unwrap_or(scheme.name));
    // Where the options ask for encryption, the scheme's own feature would not do.
    let feature = match own {
        "redis" if is("tls", &["true"]) => "redis-tls",
        "postgres" if is("sslmode", &["require", "verify-ca", "verify-full"]) => "postgres-tls",
        own => own,
    };
    Err(Error::config(format!("`{name}://` is not compiled in: enable the feature `{feature}` of cache-request")))
}

#[cfg(all(
    test,
    not(any(feature = "file", feature = "memcached", feature = "postgres", feature = "redis", feature = "sqlite"))
))]
mod tests {
    use super::SCHEMES;
    use crate::Cache;

    #[test]
    fn what_is_not_compiled_in_names_the_feature_that_is_enough() {
        let addresses = [
            ("file:///nowhere", "file"),
            ("redis://host", "redis"),
            ("rediss://host", "redis-tls"),
            ("redis+unix:///nowhere", "redis"),
            ("redis-cluster://host", "redis"),
            ("redis-cluster://host?tls=false", "redis"),
            ("redis-cluster://host?tls=true", "redis-tls"),
            ("redis-sentinel://host/main", "redis"),
            ("redis-sentinel://host/main?tls=true&tls_ca=/nowhere", "redis-tls"),
            ("sqlite:///nowhere", "sqlite"),
            ("postgres://host/database", "postgres"),
            ("postgres://host/database?sslmode=prefer", "postgres"),
            ("postgres://host/database?sslmode=require", "postgres-tls"),
            ("postgresql://host/database?sslmode=verify-full", "postgres-tls"),
            ("memcached://host", "memcached"),
        ];
        for (address, feature) in addresses {
            for address in [address.to_owned(), format!("tiered+{address}")] {
                let error = Cache::from_url(&address).unwrap_err().to_string();
                let why = format!("is not compiled in: enable the feature `{feature}` of cache-request");
                assert!(error.ends_with(&why), "{address}: {error}");
            }
        }
        for scheme in SCHEMES.iter().filter(|scheme| scheme.has_backend) {
            let begins = |(address, _): &(&str, &str)| address.split("://").next() == Some(scheme.name);
            assert!(addresses.iter().any(begins), "{}", scheme.name);
        }
    }
}
