//! The configuration of a program's caches.

use std::{collections::BTreeMap, fmt};

use crate::options::address::split;

/// The configuration of a program's caches, to be read with any self-describing `serde` format.
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
///
#[doc = include_str!("../../../docs/options.md")]
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// The default cache: the `url` and the options at the top level.
    pub default: CacheConfig,
    /// The named caches, under `caches`.
    pub caches: BTreeMap<String, CacheConfig>,
}

/// The configuration of one cache.
#[derive(Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct CacheConfig {
    /// The address; `memory://` by default. It may have options, too.
    pub url: Option<String>,
    /// The options by name. [`Config`] lists them.
    pub options: BTreeMap<String, Setting>,
}

/// The value of an option: a text, a number, or `true` or `false`.
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
pub struct Setting(pub(super) String);

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

/// Shows no value, as that may be a password.
impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Setting").finish_non_exhaustive()
    }
}

/// Shows only the scheme of the address, as that may hold a password, and the names of the options.
impl fmt::Debug for CacheConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.url.as_deref().and_then(split).map(|(scheme, _)| scheme);
        f.debug_struct("CacheConfig").field("scheme", &scheme).field("options", &self.options.keys()).finish()
    }
}
