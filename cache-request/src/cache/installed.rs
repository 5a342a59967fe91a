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

/// The environment variable that chooses the default cache where none is installed.
///
/// An address that cannot be used is no reason for memory: it is logged as an error, and nothing is cached. A program that
/// would rather not start says so: `install(Cache::from_url(&std::env::var(CACHE_URL)?)?)?`.
pub const CACHE_URL: &str = "CACHE_URL";

static DEFAULT: OnceCell<(Cache, Origin)> = OnceCell::new();
static NAMED: Lazy<DashMap<String, (Cache, Origin)>> = Lazy::new(DashMap::default);

/// Held while named caches are added, so that a name found vacant stays so until all are added.
static INSTALLING: Mutex<()> = Mutex::new(());

/// How a cache came to be installed.
#[derive(Clone, Copy)]
enum Origin {
    Installed(&'static Location<'static>),
    /// By the first call of a function.
    Used(&'static Description),
    /// By the first look at it.
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

/// Installs `cache` for all annotated functions that name no other, for the rest of the program.
///
/// Call it when the program starts. Without it, the first call of an annotated function, of [`current`] or of [`stats`] installs
/// the cache that the environment variable [`CACHE_URL`] names, and `memory://` if that is not set or empty.
///
/// # Errors
///
/// If a cache was installed or used already; the error says where.
#[track_caller]
pub fn install(cache: Cache) -> Result<(), Error> {
    let origin = Origin::Installed(Location::caller());
    DEFAULT.try_insert((cache, origin)).map(drop).map_err(|((_, known), _)| already(known))
}

/// Installs `cache` for the functions that say `cache = "<name>"`. Until then, they run uncached.
///
/// # Errors
///
/// If a cache of this name was installed already; the error says where.
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
    /// As of [`CacheConfig::build`](crate::CacheConfig::build), [`install`] and [`install_named`]. Then none of them
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
    match NAMED.get(name) {
        Some(known) => Err(Error::new(ErrorKind::Installed, format!("cache `{name}`: {}", known.1))),
        None => Ok(()),
    }
}

fn already(origin: &Origin) -> Error {
    Error::new(ErrorKind::Installed, origin.to_string())
}

/// The cache that was installed under `name`, if one was.
#[must_use]
pub fn named(name: &str) -> Option<Cache> {
    Some(NAMED.get(name)?.0.clone())
}

/// The cache in force here: the [`scoped`](crate::scoped) one, else the installed one, else the one that the first call
/// would install.
///
/// In the last case it installs that one itself, as there cannot be two: an [`install`] after it fails.
#[must_use]
#[track_caller]
pub fn current() -> Cache {
    // Not in the closure, which would be its own caller.
    let place = Location::caller();
    scoped::cache().unwrap_or_else(|| default_as(Origin::Asked(place)))
}

/// What the functions of the cache in force here did so far: `current().stats()`, so that an [`install`] after it fails, see
/// [`current`].
///
/// A [`named`] cache is another one, with [`stats`](Cache::stats) of its own.
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
            // Not memory: who asked for a shared cache may rely on one process seeing what another one invalidates.
            Cache::null()
        });
        (cache, origin)
    });
    // Only now: who logs may call annotated functions, and so come back here.
    if let Some(error) = unusable {
        tracing::error!(error = %format_args!("{error:#}"), "{CACHE_URL} cannot be used, so nothing is cached");
        if !tracing::dispatcher::has_been_set() {
            // Nobody listens, and it is said only once. Should that fail as well, the calls go on.
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
