//! The installed caches: one by default, and named ones beside it.

use std::{
    env, fmt,
    io::{self, Write as _},
    panic::Location,
    sync::Mutex,
};

use dashmap::DashMap;
use once_cell::sync::{Lazy, OnceCell};

use super::{Cache, config::Config, scoped};
use crate::{Error, ErrorKind, base::sync::unpoisoned, engine::description::Description, stats::Stats};

/// The environment variable with the address of the default cache, for programs that install none.
///
/// If the address cannot be used, that is logged as an error, and nothing is cached. To fail at start instead, a program calls
/// `install(Cache::from_url(&std::env::var(CACHE_URL)?)?)?`.
pub const CACHE_URL: &str = "CACHE_URL";

static DEFAULT: OnceCell<(Cache, Origin)> = OnceCell::new();
static NAMED: Lazy<DashMap<String, (Cache, Origin)>> = Lazy::new(DashMap::default);

/// Held while named caches are added, so that a name that was found vacant stays vacant until all are added.
static INSTALLING: Mutex<()> = Mutex::new(());

/// How a cache came to be installed.
#[derive(Clone, Copy)]
enum Origin {
    Installed(&'static Location<'static>),
    /// The first call of this function installed it.
    Used(&'static Description),
    /// The first call of [`current`] or [`stats`] installed it.
    Asked(&'static Location<'static>),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Installed(place) => write!(f, "a cache was installed already, at {place}"),
            Self::Used(description) => {
                write!(
                    f,
                    "the default cache is in use already, since the first call of {description:?}: install before it"
                )
            }
            Self::Asked(place) => write!(f, "the default cache is in use already, since {place}: install before it"),
        }
    }
}

/// Installs the default cache, which all annotated functions use that name no other, for the rest of the program.
///
/// Call it when the program starts. Otherwise the first call of an annotated function, of [`current`] or of [`stats`] installs
/// the cache of the environment variable [`CACHE_URL`], or `memory://` if that is not set or empty.
///
/// # Errors
///
/// If a cache was installed or used already; the error says where.
#[track_caller]
pub fn install(cache: Cache) -> Result<(), Error> {
    let origin = Origin::Installed(Location::caller());
    DEFAULT.try_insert((cache, origin)).map(drop).map_err(|((_, known), _)| already(known))
}

/// Installs a named cache, for the functions that say `cache = "<name>"`. Until then they run uncached.
///
/// # Errors
///
/// If a cache of this name was installed already; the error says where. Also if the name is empty.
#[track_caller]
pub fn install_named(name: impl Into<String>, cache: Cache) -> Result<(), Error> {
    let _one = unpoisoned(INSTALLING.lock());
    let name = name.into();
    vacant(&name)?;
    NAMED.insert(name, (cache, Origin::Installed(Location::caller())));
    Ok(())
}

impl Config {
    /// Makes all caches and installs them.
    ///
    /// # Errors
    ///
    /// As of [`CacheConfig::build`](crate::CacheConfig::build), [`install`] and [`install_named`]. Then no cache is installed.
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

/// Installs `default` and the named caches, or none of them.
#[track_caller]
fn install_all(default: Cache, named: Vec<(String, Cache)>) -> Result<(), Error> {
    let _one = unpoisoned(INSTALLING.lock());
    for (name, _) in &named {
        vacant(name)?;
    }
    install(default)?;
    let origin = Origin::Installed(Location::caller());
    for (name, cache) in named {
        NAMED.insert(name, (cache, origin));
    }
    Ok(())
}

fn vacant(name: &str) -> Result<(), Error> {
    if name.is_empty() {
        return Err(Error::config("a named cache needs a name: only the default cache has none"));
    }
    match NAMED.get(name) {
        Some(known) => Err(Error::new(ErrorKind::Installed, format!("cache `{name}`: {}", known.1))),
        None => Ok(()),
    }
}

fn already(origin: &Origin) -> Error {
    Error::new(ErrorKind::Installed, origin.to_string())
}

/// The cache that was installed under `name`.
#[must_use]
pub fn named(name: &str) -> Option<Cache> {
    Some(NAMED.get(name)?.0.clone())
}

/// All installed caches: first the default cache, which has no name, then the named ones in the order of their names.
///
/// It installs nothing. If no default cache was installed or used yet, there is none among them.
///
/// ```
/// # use cache_request::{Cache, install_named, installed};
/// install_named("sessions", Cache::memory())?;
/// for (name, cache) in installed() {
///     println!("{}:\n{}", name.as_deref().unwrap_or("default"), cache.stats());
/// }
/// # assert_eq!(installed().len(), 1);
/// # Ok::<(), cache_request::Error>(())
/// ```
#[must_use]
pub fn installed() -> Vec<(Option<String>, Cache)> {
    let default = DEFAULT.get().map(|(cache, _)| (None, cache.clone()));
    let named = NAMED.iter().map(|entry| (Some(entry.key().clone()), entry.value().0.clone()));
    let mut all: Vec<_> = default.into_iter().chain(named).collect();
    // `None` comes first.
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    all
}

/// The cache that is in force here: the [`scoped`](crate::scoped) one, else the installed one. If there is neither, it
/// installs the default cache as the first call of a function does, and an [`install`] after it fails.
#[must_use]
#[track_caller]
pub fn current() -> Cache {
    // Not in the closure, which would be its own caller.
    let place = Location::caller();
    scoped::cache().unwrap_or_else(|| default_as(Origin::Asked(place)))
}

/// The counters of the cache that is in force here: `current().stats()`. An [`install`] after it fails, see [`current`].
///
/// [`installed`] lists all caches; each has [`stats`](Cache::stats) of its own.
#[must_use]
#[track_caller]
pub fn stats() -> Stats {
    current().stats()
}

/// The default cache, for a call of the described function.
pub(crate) fn default_cache(description: &'static Description) -> Cache {
    default_as(Origin::Used(description))
}

fn default_as(origin: Origin) -> Cache {
    let mut unusable = None;
    let (cache, _) = DEFAULT.get_or_init(|| {
        let cache = from_environment().unwrap_or_else(|error| {
            unusable = Some(error);
            // Not memory: a program with a shared cache may rely on what other processes invalidate.
            Cache::null()
        });
        (cache, origin)
    });
    // After the cache is there: a subscriber may call annotated functions, which come back here.
    if let Some(error) = unusable {
        tracing::error!(error = %format_args!("{error:#}"), "{CACHE_URL} cannot be used, so nothing is cached");
        if !tracing::dispatcher::has_been_set() {
            // There is no log, and this happens only once. If it cannot be written either, the calls go on.
            let _ = writeln!(io::stderr(), "{CACHE_URL} cannot be used, so nothing is cached: {error:#}");
        }
    }
    cache.clone()
}

fn from_environment() -> Result<Cache, Error> {
    let url = env::var_os(CACHE_URL).unwrap_or_default();
    match url.to_str().map(str::trim) {
        Some("") => Ok(Cache::memory()),
        Some(url) => Cache::from_url(url),
        None => Err(Error::config("an address is UTF-8")),
    }
}
