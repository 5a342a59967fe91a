//! A cache chosen by address or by configuration: one table of schemes, and one way to read options.

#[cfg(feature = "memcached")]
mod memcached;
mod packed;
mod read;
#[cfg(feature = "redis")]
mod redis;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod sql;

use std::{collections::BTreeMap, fmt, str::FromStr, time::Duration};

#[cfg(feature = "memcached")]
use self::memcached::open as memcached;
#[cfg(feature = "redis")]
use self::redis::open as redis;
#[cfg(feature = "postgres")]
use self::sql::postgres;
#[cfg(feature = "sqlite")]
use self::sql::sqlite;
use crate::{Cache, Error, cache::CacheBuilder, global::install_all};

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
/// | `namespace` | `redis` …, `sqlite`, `postgres`, `memcached` | whose keys these are on the server: what they begin with, or a column | `cache-request` |
/// | `connect` | `redis` …, `sqlite`, `postgres`, `memcached` | `now`: an error where the server cannot be reached; `lazy`: with the first call | `lazy` |
/// | `connect_limit` | `redis` …, `sqlite`, `postgres` | how long one attempt to connect may take | `1s` |
/// | `db` | `redis` … but `redis-cluster` | the number of the database, where the path does not name it | `0` |
/// | `sentinel_user`, `sentinel_password` | `redis-sentinel` | who we are at the sentinels | nobody |
/// | `tls` | `redis-cluster`, `redis-sentinel` | `true`: connections are encrypted | `false` |
/// | `tls_ca` | `rediss` and where `tls` is | a file: the certificate to trust, in PEM format | those of the system |
/// | `table` | `sqlite`, `postgres` | the table's name | `cache_request` |
/// | `connections` | `sqlite`, `postgres` | how many connections there may be | 8 |
/// | `cull_every` | `sqlite`, `postgres` | how often rows that have expired are removed | `60s` |
/// | `socket` | `postgres` | the directory of the server's socket, in the place of a host | – |
/// | `sslmode` | `postgres` | as PostgreSQL calls it: `disable`, `prefer`, `require`, `verify-full` … | `prefer` |
/// | `answer_limit` | `memcached` | how long a server may take to answer, before it counts as lost | 0.8 of `soft_limit` |
/// | `max_connections` | `memcached` | how many connections to each server one runtime may have | 32 |
///
/// [authenticates]: CacheBuilder::secret
///
/// `redis` … are `redis`, `rediss`, `redis+unix`, `redis-cluster` and `redis-sentinel`. All schemes but `memory` and `null` have a
/// backend.
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

impl Config {
    /// Makes all caches and installs them.
    ///
    /// # Errors
    ///
    /// As of [`CacheConfig::build`], [`install`](crate::install) and [`install_named`](crate::install_named). Then none of them
    /// is installed.
    #[track_caller]
    pub fn install(&self) -> Result<(), Error> {
        let default = self.default.build()?;
        let named = self.caches.iter().map(|(name, config)| {
            let named = config.build().map_err(|error| Error::config(format!("cache `{name}`: {error:#}")));
            named.map(|cache| (name.clone(), cache))
        });
        install_all(default, named.collect::<Result<_, _>>()?)
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
        let Some(scheme) = SCHEMES.iter().find(|scheme| scheme.name == address.scheme) else {
            let known: Vec<_> = SCHEMES.iter().map(|scheme| format!("{}://", scheme.name)).collect();
            return Err(Error::config(format!(
                "unknown scheme `{}://`: there is {}",
                address.scheme,
                known.join(", ")
            )));
        };
        // Before anything is opened: what is refused leaves no directory behind.
        options.known_to(scheme)?;
        let mut builder = Cache::builder();
        if scheme.has_backend {
            builder = packed::take(&mut options, builder)?;
        }
        builder = (scheme.open)(&address.path, &mut options, builder)?;
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

/// The cache at `url`.
pub(crate) fn from_url(url: &str) -> Result<Cache, Error> {
    CacheConfig { url: Some(url.to_owned()), options: BTreeMap::new() }.build()
}

/// Takes a scheme's own options, and says where the cache keeps its values.
type Open = fn(&str, &mut Options, CacheBuilder) -> Result<CacheBuilder, Error>;

/// What may stand before `://`.
struct Scheme {
    name: &'static str,
    /// Beside those of [`ALL_HAVE`] and [`BACKENDS_HAVE`].
    options: &'static [&'static str],
    has_backend: bool,
    open: Open,
}

/// All schemes there are.
const SCHEMES: [Scheme; 12] = [
    Scheme { name: "memory", options: &["max_bytes", "max_entries"], has_backend: false, open: memory },
    Scheme { name: "null", options: &[], has_backend: false, open: null },
    Scheme { name: "file", options: &["max_bytes", "max_entries"], has_backend: true, open: file },
    Scheme {
        name: "redis",
        options: &["namespace", "connect", "connect_limit", "db"],
        has_backend: true,
        open: |path, options, builder| redis("redis", path, options, builder),
    },
    Scheme {
        name: "rediss",
        options: &["namespace", "connect", "connect_limit", "db", "tls_ca"],
        has_backend: true,
        open: |path, options, builder| redis("rediss", path, options, builder),
    },
    Scheme {
        name: "redis+unix",
        options: &["namespace", "connect", "connect_limit", "db"],
        has_backend: true,
        open: |path, options, builder| redis("redis+unix", path, options, builder),
    },
    Scheme {
        name: "redis-cluster",
        options: &["namespace", "connect", "connect_limit", "tls", "tls_ca"],
        has_backend: true,
        open: |path, options, builder| redis("redis-cluster", path, options, builder),
    },
    Scheme {
        name: "redis-sentinel",
        options: &[
            "namespace",
            "connect",
            "connect_limit",
            "db",
            "sentinel_user",
            "sentinel_password",
            "tls",
            "tls_ca",
        ],
        has_backend: true,
        open: |path, options, builder| redis("redis-sentinel", path, options, builder),
    },
    Scheme { name: "sqlite", options: &SQL_HAS, has_backend: true, open: sqlite },
    Scheme { name: "postgres", options: &POSTGRES_HAS, has_backend: true, open: postgres },
    Scheme { name: "postgresql", options: &POSTGRES_HAS, has_backend: true, open: postgres },
    Scheme {
        name: "memcached",
        options: &["namespace", "connect", "answer_limit", "max_connections"],
        has_backend: true,
        open: memcached,
    },
];

const SQL_HAS: [&str; 6] = ["connect", "connect_limit", "connections", "cull_every", "namespace", "table"];
const POSTGRES_HAS: [&str; 8] =
    ["connect", "connect_limit", "connections", "cull_every", "namespace", "socket", "sslmode", "table"];

/// The options that every scheme has.
const ALL_HAVE: [&str; 2] = ["prefix", "wait_limit"];

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
    fn all_options(&self) -> impl Iterator<Item = &'static str> {
        let of_backends: &[_] = if self.has_backend { &BACKENDS_HAVE } else { &[] };
        ALL_HAVE.iter().chain(of_backends).chain(self.options).copied()
    }

    fn has(&self, option: &str) -> bool {
        self.all_options().any(|own| own == option)
    }
}

fn guarded(options: &mut Options, mut builder: CacheBuilder) -> Result<CacheBuilder, Error> {
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

fn memory(path: &str, options: &mut Options, mut builder: CacheBuilder) -> Result<CacheBuilder, Error> {
    no_path("memory", path)?;
    if let Some(Bytes(bytes)) = options.take("max_bytes")? {
        builder = builder.max_bytes(usize::try_from(bytes).unwrap_or(usize::MAX));
    }
    if let Some(Entries(entries)) = options.take("max_entries")? {
        builder = builder.max_entries(usize::try_from(entries).unwrap_or(usize::MAX));
    }
    Ok(builder)
}

fn null(path: &str, _: &mut Options, builder: CacheBuilder) -> Result<CacheBuilder, Error> {
    no_path("null", path)?;
    Ok(builder.null())
}

#[cfg(feature = "file")]
fn file(path: &str, options: &mut Options, builder: CacheBuilder) -> Result<CacheBuilder, Error> {
    let mut backend = crate::backend::FileBackend::builder(directory(path)?);
    if let Some(Bytes(bytes)) = options.take("max_bytes")? {
        backend = backend.max_bytes(bytes);
    }
    if let Some(Entries(entries)) = options.take("max_entries")? {
        backend = backend.max_entries(entries);
    }
    Ok(builder.backend(backend.build()?))
}

/// The directory that an address names. A file's address is `file://`, then the machine, which can only be this one, and then
/// an absolute path (RFC 8089): what stands there otherwise is taken for neither.
#[cfg(feature = "file")]
fn directory(path: &str) -> Result<&str, Error> {
    const LOCAL: &str = "localhost";
    let local = |(machine, _): &(&str, &str)| machine.eq_ignore_ascii_case(LOCAL);
    let path = path.split_at_checked(LOCAL.len()).filter(local).map_or(path, |(_, path)| path);
    let wrong = if path.is_empty() {
        "needs a directory"
    } else if path.starts_with('~') {
        "knows no `~`: the directory is written in full"
    } else if !path.starts_with('/') {
        "takes an absolute path, behind a third slash"
    } else if path.contains('\0') {
        "takes no path with a NUL in it"
    } else if path.split('/').all(|step| matches!(step, "" | "." | "..")) {
        "does not take the root of all directories"
    } else {
        let drive = path.strip_prefix('/').filter(|path| cfg!(windows) && path.get(1..2) == Some(":"));
        return Ok(drive.unwrap_or(path));
    };
    Err(Error::config(format!("`file://` {wrong}, such as file:///var/cache/app")))
}

#[cfg(not(feature = "file"))]
fn file(_: &str, _: &mut Options, _: CacheBuilder) -> Result<CacheBuilder, Error> {
    Err(not_compiled_in("file", "file"))
}

#[cfg(not(feature = "memcached"))]
fn memcached(_: &str, _: &mut Options, _: CacheBuilder) -> Result<CacheBuilder, Error> {
    Err(not_compiled_in("memcached", "memcached"))
}

#[cfg(not(feature = "redis"))]
fn redis(scheme: &str, _: &str, _: &mut Options, _: CacheBuilder) -> Result<CacheBuilder, Error> {
    Err(not_compiled_in(scheme, "redis"))
}

#[cfg(not(feature = "sqlite"))]
fn sqlite(_: &str, _: &mut Options, _: CacheBuilder) -> Result<CacheBuilder, Error> {
    Err(not_compiled_in("sqlite", "sqlite"))
}

#[cfg(not(feature = "postgres"))]
fn postgres(_: &str, _: &mut Options, _: CacheBuilder) -> Result<CacheBuilder, Error> {
    Err(not_compiled_in("postgres", "postgres"))
}

#[allow(dead_code, reason = "all features may be enabled")]
fn not_compiled_in(scheme: &str, feature: &str) -> Error {
    Error::config(format!("`{scheme}://` is not compiled in: enable the feature `{feature}` of cache-request"))
}

fn no_path(scheme: &str, path: &str) -> Result<(), Error> {
    if path.is_empty() { Ok(()) } else { Err(Error::config(format!("`{scheme}://` takes no path"))) }
}

/// `scheme://path?option=value&…`.
struct Address {
    scheme: String,
    path: String,
    options: Options,
}

/// What an address is.
const ADDRESS: &str = "an address, such as memory:// or file:///var/cache/app";

impl Address {
    /// Errors here show nothing of the address but its scheme: the rest may hold a password.
    fn parse(url: &str) -> Result<Self, Error> {
        let Some((scheme, rest)) = split(url.trim()) else {
            return Err(Error::config("an address begins with its scheme, such as memory:// or file:///var/cache/app"));
        };
        let scheme = &*scheme.to_ascii_lowercase();
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut options = Options { hidden: query.contains('@'), ..Options::default() };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            options.give(&decode(scheme, name)?, decode(scheme, value)?)?;
        }
        Ok(Self { scheme: scheme.to_owned(), path: decode(scheme, path)?, options })
    }
}

/// The scheme and the rest. What cannot be a scheme may be a password in the wrong place, and is none.
fn split(url: &str) -> Option<(&str, &str)> {
    let in_scheme = |character: char| character.is_ascii_alphanumeric() || "+-.".contains(character);
    url.split_once("://").filter(|(scheme, _)| !scheme.is_empty() && scheme.chars().all(in_scheme))
}

fn decode(scheme: &str, text: &str) -> Result<String, Error> {
    let is_byte = |two: &[u8]| two.iter().all(u8::is_ascii_hexdigit);
    let escapes = text.split('%').skip(1).all(|escape| escape.as_bytes().get(..2).is_some_and(is_byte));
    let decoded = urlencoding::decode(text).ok().filter(|_| escapes);
    decoded.map(Into::into).ok_or_else(|| {
        Error::config(format!("the `{scheme}://` address is percent-encoded wrongly: a `%` itself is written `%25`"))
    })
}

/// Options as they were given, each to be taken once.
#[derive(Default)]
struct Options {
    given: BTreeMap<String, String>,
    /// Errors show no name and no value that was given: behind the `?` of the address stands an `@`, so that what looks like
    /// an option may be the end of a password.
    hidden: bool,
}

impl Options {
    fn give(&mut self, name: &str, value: String) -> Result<(), Error> {
        match self.given.insert(name.to_owned(), value) {
            None => Ok(()),
            Some(_) if self.hidden => Err(Error::config("an option is given twice")),
            Some(_) => Err(Error::config(format!("option `{name}` is given twice"))),
        }
    }

    fn text(&mut self, name: &'static str) -> Option<String> {
        self.given.remove(name)
    }

    fn take<T: FromStr<Err = Wrong>>(&mut self, name: &'static str) -> Result<Option<T>, Error> {
        let Some(value) = self.text(name) else { return Ok(None) };
        value.parse().map(Some).map_err(|wrong| {
            let wrong = match wrong {
                Wrong::Expected(what) => format!("expected {what}"),
                Wrong::Else(wrong) => wrong.to_owned(),
            };
            Error::config(if self.hidden {
                format!("option `{name}` cannot have this value: {wrong}")
            } else {
                format!("option `{name}`: `{value}`: {wrong}")
            })
        })
    }

    /// As [`take`](Self::take), and leaves it for somebody else.
    #[cfg(feature = "memcached")]
    fn look<T: FromStr<Err = Wrong>>(&mut self, name: &'static str) -> Result<Option<T>, Error> {
        let value = self.given.get(name).cloned();
        let looked = self.take(name);
        self.given.extend(value.map(|value| (name.to_owned(), value)));
        looked
    }

    /// Refuses what `scheme` has not, and what no scheme has.
    fn known_to(&self, scheme: &Scheme) -> Result<(), Error> {
        let Some(option) = self.given.keys().find(|option| !scheme.has(option)) else { return Ok(()) };
        let own = scheme.name;
        let others: Vec<_> =
            SCHEMES.iter().filter(|other| other.has(option)).map(|other| format!("`{}://`", other.name)).collect();
        let wrong = match &others[..] {
            _ if self.hidden => format!("unknown option of `{own}://`"),
            [] => format!("unknown option `{option}` of `{own}://`"),
            [one] => format!("option `{option}` is one of {one}, not of `{own}://`"),
            [one, other] => format!("option `{option}` is one of {one} and {other}, not of `{own}://`"),
            _ => format!("option `{option}` is one of other schemes, not of `{own}://`"),
        };
        let mut known: Vec<_> = scheme.all_options().collect();
        known.sort_unstable();
        Err(Error::config(format!("{wrong}: there is {}", known.join(", "))))
    }
}

/// Why no limit is 0.
const KEEPS_NOTHING: &str = "nothing could be kept; to keep nothing, write null://";

const BYTES: &str = "bytes, such as 1048576, 64MiB or 1GB";
const NUMBER: &str = "a number, such as 10000";
const TRUTH: &str = "`true` or `false`";
const CONNECT: &str = "`now` or `lazy`";
const TIME: &str = "a time, such as 250ms, 10s or 1h 30m";

/// Why a value cannot be meant.
enum Wrong {
    /// It is nothing of this kind.
    Expected(&'static str),
    Else(&'static str),
}

/// `300`, `64KiB`, `1GB`.
struct Bytes(u64);

impl FromStr for Bytes {
    type Err = Wrong;

    fn from_str(text: &str) -> Result<Self, Wrong> {
        let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| Wrong::Expected(BYTES))?;
        let unit: u64 = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "kb" => 1_000,
            "mb" => 1_000_000,
            "gb" => 1_000_000_000,
            "kib" => 1 << 10,
            "mib" => 1 << 20,
            "gib" => 1 << 30,
            _ => return Err(Wrong::Expected(BYTES)),
        };
        match number.checked_mul(unit).ok_or(Wrong::Expected(BYTES))? {
            0 => Err(Wrong::Else(KEEPS_NOTHING)),
            bytes => Ok(Self(bytes)),
        }
    }
}

/// `10000`.
struct Entries(u64);

impl FromStr for Entries {
    type Err = Wrong;

    fn from_str(text: &str) -> Result<Self, Wrong> {
        match text.parse().map_err(|_| Wrong::Expected(NUMBER))? {
            0 => Err(Wrong::Else(KEEPS_NOTHING)),
            entries => Ok(Self(entries)),
        }
    }
}

/// `250ms`, `10s`, `1h 30m`.
struct Span(Duration);

impl FromStr for Span {
    type Err = Wrong;

    fn from_str(text: &str) -> Result<Self, Wrong> {
        match text {
            "never" => {
                Err(Wrong::Else("no call waits for ever on the cache's account; a long time is 1day, for example"))
            }
            text => humantime::parse_duration(text).map(Self).map_err(|_| Wrong::Expected(TIME)),
        }
    }
}

/// `2`, of what begins with 0.
#[cfg(feature = "redis")]
struct Number(u32);

#[cfg(feature = "redis")]
impl FromStr for Number {
    type Err = Wrong;

    fn from_str(text: &str) -> Result<Self, Wrong> {
        text.parse().map(Self).map_err(|_| Wrong::Expected(NUMBER))
    }
}

/// `true` or `false`.
#[cfg(feature = "redis")]
struct Truth(bool);

#[cfg(feature = "redis")]
impl FromStr for Truth {
    type Err = Wrong;

    fn from_str(text: &str) -> Result<Self, Wrong> {
        text.parse().map(Self).map_err(|_| Wrong::Expected(TRUTH))
    }
}

/// When a server is connected to.
#[cfg(feature = "_connections")]
#[derive(PartialEq, Eq)]
enum Connect {
    Now,
    Lazy,
}

#[cfg(feature = "_connections")]
impl FromStr for Connect {
    type Err = Wrong;

    fn from_str(text: &str) -> Result<Self, Wrong> {
        match text {
            "now" => Ok(Self::Now),
            "lazy" => Ok(Self::Lazy),
            _ => Err(Wrong::Expected(CONNECT)),
        }
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
