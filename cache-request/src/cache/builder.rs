//! Makes caches in code.

use std::{fmt, sync::Arc, time::Duration};

use super::Cache;
use crate::{
    backend::{Backend, DynBackend, GuardLimits, Guarded},
    base::clock::Clock,
    codec::EnvelopeOptions,
    engine::{Engine, Place, flight::Flights, near_cache::NearCache},
    store::{Limits, Store},
};

/// Bytes that a cache may hold in this process's memory, unless told otherwise: 64 MiB.
pub const DEFAULT_MAX_BYTES: usize = 64 << 20;

/// How long a caller waits for a body that another caller runs, unless told otherwise.
pub const DEFAULT_WAIT_LIMIT: Duration = Duration::from_secs(10);

/// How long a value may stay in the near cache of a `tiered+` address that does not say it.
pub const DEFAULT_NEAR_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a call waits for its backend, unless told otherwise.
pub const DEFAULT_SOFT_LIMIT: Duration = Duration::from_millis(250);

impl Cache {
    /// A cache in this process's memory, of at most [`DEFAULT_MAX_BYTES`].
    #[must_use]
    pub fn memory() -> Self {
        Self::builder().build()
    }

    /// A cache that keeps nothing: every call runs its body.
    #[must_use]
    pub fn null() -> Self {
        Self::builder().null().build()
    }

    /// A cache made in code.
    pub fn builder() -> CacheBuilder {
        CacheBuilder::default()
    }
}

/// Makes a [`Cache`].
#[must_use = "a builder does nothing until it builds"]
pub struct CacheBuilder {
    storage: Storage,
    near: Option<Duration>,
    clock: Clock,
    limits: Limits,
    guard: GuardLimits,
    prefix: Option<String>,
    envelope_options: EnvelopeOptions,
    wait_limit: Duration,
}

/// Where values are to be kept.
enum Storage {
    Memory,
    Null,
    Backend(Box<dyn DynBackend>),
}

impl Default for CacheBuilder {
    fn default() -> Self {
        Self {
            storage: Storage::Memory,
            near: None,
            clock: Clock::system(),
            limits: Limits { bytes: DEFAULT_MAX_BYTES, entries: usize::MAX },
            prefix: None,
            guard: GuardLimits::default(),
            envelope_options: EnvelopeOptions::default(),
            wait_limit: DEFAULT_WAIT_LIMIT,
        }
    }
}

impl CacheBuilder {
    /// Keeps nothing: every call runs its body.
    pub fn null(mut self) -> Self {
        self.storage = Storage::Null;
        self
    }

    /// Keeps values in `backend`, as bytes. Values of `local` functions stay in this process's memory.
    pub fn backend(mut self, backend: impl Backend) -> Self {
        self.storage = Storage::Backend(Box::new(backend));
        self
    }

    /// Keeps what is read from the backend in this process's memory as well, for `timeout` at most, so that it is not asked
    /// again for so long. Default: asks the backend each time.
    ///
    /// Nothing is in front where nothing could be: for no time, within [`max_bytes`](Self::max_bytes) or
    /// [`max_entries`](Self::max_entries) of 0, and without a backend. (In an address, such an option is an error.)
    ///
    /// The backends of Redis and Valkey tell of changes by whoever's doing within a round trip, over a connection of their own;
    /// while that is lost, nothing is kept in front. In front of others, what this cache writes and deletes is seen at
    /// once, and what others do, `timeout` later at most.
    pub fn near_timeout(mut self, timeout: Duration) -> Self {
        self.near = Some(timeout).filter(|timeout| !timeout.is_zero());
        self
    }

    /// How many bytes it may hold in this process's memory, the entries' overhead counted. Default: [`DEFAULT_MAX_BYTES`].
    /// A cache in memory that may hold none is [`null`](Self::null).
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.limits.bytes = bytes;
        self
    }

    /// How many entries it may hold in this process's memory. Default: any number. A cache in memory that may hold none is
    /// [`null`](Self::null).
    pub fn max_entries(mut self, entries: usize) -> Self {
        self.limits.entries = entries;
        self
    }

    /// The first part of all keys, where a function names no prefix itself. Default: the function's crate, which is the first
    /// segment of the path where a prefix stands in its place.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = Some(prefix.into());
        self
    }

    /// How long a caller waits for a body that another caller runs. Then it runs its own. Default: [`DEFAULT_WAIT_LIMIT`].
    pub fn wait_limit(mut self, limit: Duration) -> Self {
        self.wait_limit = limit;
        self
    }

    /// How long a call waits for its backend, in all. Then it goes on without. Default: [`DEFAULT_SOFT_LIMIT`].
    /// [`Cache::clear`] may take a hundred times as long.
    pub fn soft_limit(mut self, limit: Duration) -> Self {
        self.guard.soft_limit = limit;
        self
    }

    /// How many operations of the backend may be under way at a time. A call beyond that goes on without. Default: 4096.
    pub fn max_concurrent(mut self, operations: usize) -> Self {
        self.guard.max_concurrent = operations;
        self
    }

    /// After how many faults in a row the backend is left alone: calls go on without it, and cost nothing but their bodies.
    /// Default: 8.
    pub fn breaker_faults(mut self, faults: u32) -> Self {
        self.guard.breaker.faults = faults;
        self
    }

    /// For how long the backend is left alone. Then one call at a time tries, until one succeeds. Default: 1 second.
    pub fn breaker_pause(mut self, pause: Duration) -> Self {
        self.guard.breaker.pause = pause;
        self
    }

    /// How large an encoded value may be, in bytes: a larger one is not kept, and bytes that claim to be one are not unpacked.
    /// Default: [`DEFAULT_MAX_VALUE_BYTES`](crate::DEFAULT_MAX_VALUE_BYTES).
    pub fn max_value_bytes(mut self, bytes: usize) -> Self {
        self.envelope_options.max_value_bytes = bytes;
        self
    }

    /// Compresses encoded values of more than so many bytes, if that makes them smaller. Default: compresses nothing.
    ///
    /// A program whose library is compiled without the feature `zstd` cannot read them: to it they are misses.
    #[cfg(feature = "zstd")]
    pub fn compress_over(mut self, bytes: usize) -> Self {
        self.envelope_options.compress_over = Some(bytes);
        self
    }

    /// How hard to compress: a level of Zstandard, from -7 (fast) to 22 (small). Default: 3.
    #[cfg(feature = "zstd")]
    pub fn compress_level(mut self, level: i32) -> Self {
        self.envelope_options.compress_level = level;
        self
    }

    /// Authenticates what is stored in the backend: only bytes that a cache with the same secret has stored, for the same
    /// call, are decoded. All others are misses, counted and logged as [`ErrorKind::Forged`](crate::ErrorKind::Forged); and
    /// a cache without a secret takes no bytes of one that has it. Default: nothing is authenticated.
    ///
    /// It is meant for a backend that others can write to. Let the secret be random and of 16 bytes or more. It is
    /// kept as a key derived from it, and shown nowhere.
    ///
    /// What it does not prevent: that values are read, as nothing is encrypted; that they are deleted; and that an older
    /// answer of the same call is put back, as long as that is fresh.
    ///
    /// # Panics
    ///
    /// If the secret is empty, for then anybody knows it.
    #[track_caller]
    pub fn secret(mut self, secret: impl AsRef<[u8]>) -> Self {
        assert!(!secret.as_ref().is_empty(), "the secret of a cache is empty");
        self.envelope_options.secrets.set(secret.as_ref());
        self
    }

    /// A secret that is accepted beside [`secret`](Self::secret) when bytes are read, and has no meaning without it.
    /// May be called for several.
    ///
    /// To change secrets without a moment in which some programs refuse what others store, let all accept the new one as
    /// if it were an old one, then let all use the new one and accept the old one, then forget the old one.
    ///
    /// # Panics
    ///
    /// If the secret is empty.
    #[track_caller]
    pub fn secret_old(mut self, secret: impl AsRef<[u8]>) -> Self {
        assert!(!secret.as_ref().is_empty(), "an old secret of a cache is empty");
        self.envelope_options.secrets.accept(secret.as_ref());
        self
    }

    /// The clock that timeouts go by. Default: the machine's.
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// The cache.
    #[must_use]
    pub fn build(self) -> Cache {
        let store = Arc::new(Store::new(self.limits, self.clock.clone()));
        let holds_nothing = self.limits.bytes == 0 || self.limits.entries == 0;
        let place = match self.storage {
            Storage::Backend(backend) => {
                let backend = Guarded::new(backend, self.guard, self.clock.clone());
                let near = self.near.filter(|_| !holds_nothing).map(|timeout| NearCache::of(&backend, timeout, &store));
                Place::Backend(backend, near)
            }
            // Else each value would be a fault, as one that is too large.
            Storage::Memory if holds_nothing => Place::Null,
            Storage::Memory => Place::Memory,
            Storage::Null => Place::Null,
        };
        let engine = Engine {
            place,
            store,
            flights: Flights::default(),
            clock: self.clock,
            envelope: self.envelope_options,
            wait_limit: self.wait_limit,
        };
        Cache::new(engine, self.prefix)
    }
}

impl fmt::Debug for CacheBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheBuilder")
            .field("limits", &self.limits)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}
