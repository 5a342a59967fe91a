//! The features of this crate that schemes and options need.

use std::fmt::Display;

use crate::Error;

/// A feature of this crate.
pub(crate) struct Feature {
    pub(crate) name: &'static str,
    pub(super) is_enabled: bool,
    /// The feature that this one enables as well.
    includes: Option<&'static Self>,
}

pub(crate) static FILE: Feature = Feature::new("file", cfg!(feature = "file"));
pub(crate) static REDIS: Feature = Feature::new("redis", cfg!(feature = "redis"));
pub(crate) static REDIS_TLS: Feature = Feature::including(&REDIS, "redis-tls", cfg!(feature = "redis-tls"));
pub(crate) static SQLITE: Feature = Feature::new("sqlite", cfg!(feature = "sqlite"));
pub(crate) static POSTGRES: Feature = Feature::new("postgres", cfg!(feature = "postgres"));
pub(crate) static POSTGRES_TLS: Feature = Feature::including(&POSTGRES, "postgres-tls", cfg!(feature = "postgres-tls"));
pub(crate) static MEMCACHED: Feature = Feature::new("memcached", cfg!(feature = "memcached"));
pub(crate) static ZSTD: Feature = Feature::new("zstd", cfg!(feature = "zstd"));
pub(crate) static REPORT: Feature = Feature::new("report", cfg!(feature = "report"));

impl Feature {
    const fn new(name: &'static str, is_enabled: bool) -> Self {
        Self { name, is_enabled, includes: None }
    }

    const fn including(other: &'static Self, name: &'static str, is_enabled: bool) -> Self {
        Self { name, is_enabled, includes: Some(other) }
    }
}

/// Checks that `what` can be used, which needs these features.
///
/// # Errors
///
/// If some are not enabled. The error names the fewest features that are enough.
pub(crate) fn require(what: impl Display, needed: &[&'static Feature]) -> Result<(), Error> {
    let missing: Vec<_> = needed.iter().filter(|feature| !feature.is_enabled).collect();
    let included: Vec<_> = missing.iter().filter_map(|feature| Some(feature.includes?.name)).collect();
    let mut names: Vec<_> = missing.iter().map(|feature| feature.name).collect();
    names.retain(|name| !included.contains(name));
    names.sort_unstable();
    names.dedup();
    let features = match &names[..] {
        [] => return Ok(()),
        [name] => format!("feature `{name}`"),
        names => format!("features `{}`", names.join("` and `")),
    };
    Err(Error::config(format!("{what} is not compiled in: enable the {features} of cache-request")))
}
