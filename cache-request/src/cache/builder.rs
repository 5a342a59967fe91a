//! Makes caches in code.

use std::{fmt, mem, sync::Arc, time::Duration};

use super::Cache;
use crate::{
    Error,
    backend::{Backend, DynBackend, GuardLimits, Guarded},
    base::clock::Clock,
    codec::EnvelopeOptions,
    engine::{
        Engine, Place,
        attempts::Attempts,
        background::Background,
        by_key::ByKey,
        claiming::PAUSES,
        endings::Endings,
        flight::{FlightLimits, Flights, Memory},
        making::Leases,
        near_cache::NearCache,
        removals::Removals,
        tagging::keys::TagKeys,
        touches::Touches,
    },
    options::{checks::Checks, defaults, saturating, table},
    store::{Limits, tags::Tags},
};

impl Cache {
    /// A cache in this process's memory, of at most [`defaults::MAX_BYTES`].
    #[must_use]
    pub fn memory() -> Self {
        CacheBuilder::default().in_memory(Place::Memory)
    }

    /// A cache that keeps nothing: every call runs its body.
    #[must_use]
    pub fn null() -> Self {
        CacheBuilder::default().in_memory(Place::Null)
    }

    /// Begins a cache that is made in code. Without further settings it is [`Cache::memory`].
    pub fn builder() -> CacheBuilder {
        CacheBuilder::default()
    }
}

/// Makes a [`Cache`].
///
/// Its methods have the names of the options of [`Config`](crate::Config), and refuse the same values: [`build`](Self::build)
/// returns the first error.
///
/// ```
/// # use cache_request::Cache;
/// let cache = Cache::builder().max_bytes(256 << 20).prefix("shop").build()?;
///
/// let error = Cache::builder().max_bytes(0).build().unwrap_err();
/// assert!(error.to_string().starts_with("option `max_bytes`: `0`: a limit is more than 0"));
/// # Ok::<(), cache_request::Error>(())
/// ```
#[must_use = "a builder does nothing until `build`"]
#[derive(Default)]
pub struct CacheBuilder {
    storage: Storage,
    near: Option<NearOptions>,
    clock: Clock,
    max_bytes: Option<u64>,
    max_entries: Option<u64>,
    guard: GuardLimits,
    prefix: Option<String>,
    envelope_options: EnvelopeOptions,
    has_secret: bool,
    has_secret_old: bool,
    wait_limit: Option<Duration>,
    max_leaders: Option<u64>,
    max_refreshes: Option<u64>,
    poll_limit: Option<Duration>,
    function_tags: Option<bool>,
    measure: Option<bool>,
    leases: Option<bool>,
    lease: Option<Duration>,
    checks: Checks,
}

/// Where values are to be kept.
#[derive(Default)]
enum Storage {
    #[default]
    Memory,
    Null,
    Backend(Box<dyn DynBackend>),
}

/// What is in front of a backend.
#[derive(Clone, Copy, Default)]
struct NearOptions {
    timeout: Option<Duration>,
    max_bytes: Option<u64>,
    max_entries: Option<u64>,
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

    /// How many bytes the cache may hold in this process's memory, its own overhead counted: of a cache with a backend, these
    /// are the values of `local` functions. Default: [`defaults::MAX_BYTES`].
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.checks.check(&table::MAX_BYTES, &bytes);
        self.max_bytes = Some(bytes);
        self
    }

    /// How many entries the cache may hold in this process's memory. Default: any number.
    pub fn max_entries(mut self, entries: u64) -> Self {
        self.checks.check(&table::MAX_ENTRIES, &entries);
        self.max_entries = Some(entries);
        self
    }

    /// Puts this process's memory in front of the backend: what was read from there is kept for `timeout` at most, during
    /// which the backend is not asked again. Default: every call asks the backend; [`defaults::NEAR_TIMEOUT`] if
    /// [`near_bytes`](Self::near_bytes) or [`near_entries`](Self::near_entries) puts memory in front.
    ///
    /// Redis, Valkey and PostgreSQL tell of changes by other processes within a round trip, over a connection of its own, and SQLite
    /// within 25 ms; while that is lost, nothing is kept in front. In front of other backends, this process's own changes are seen at once, and those of
    /// other processes after `timeout` at most.
    pub fn near_timeout(mut self, timeout: Duration) -> Self {
        self.checks.check(&table::NEAR_TIMEOUT, &timeout);
        self.near.get_or_insert_default().timeout = Some(timeout);
        self
    }

    /// Puts this process's memory in front of the backend, and says how many bytes it may hold there, the values of `local`
    /// functions counted. Default: [`defaults::NEAR_BYTES`].
    pub fn near_bytes(mut self, bytes: u64) -> Self {
        self.checks.check(&table::NEAR_BYTES, &bytes);
        self.near.get_or_insert_default().max_bytes = Some(bytes);
        self
    }

    /// Puts this process's memory in front of the backend, and says how many entries it may hold there, those of `local`
    /// functions counted. Default: any number.
    pub fn near_entries(mut self, entries: u64) -> Self {
        self.checks.check(&table::NEAR_ENTRIES, &entries);
        self.near.get_or_insert_default().max_entries = Some(entries);
        self
    }

    /// The first part of all keys, where a function names no prefix of its own. The crate of the function then begins the path
    /// in the key. Default: the crate of the function.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = Some(prefix.into());
        self
    }

    /// How long a caller waits for a body that another caller runs. Then it runs its own. Default: [`defaults::WAIT_LIMIT`].
    pub fn wait_limit(mut self, limit: Duration) -> Self {
        self.checks.check(&table::WAIT_LIMIT, &limit);
        self.wait_limit = Some(limit);
        self
    }

    /// How many callers of one key run their bodies at a time after failures, at most. Once a body has returned an `Err` or panicked, one
    /// of the waiting callers runs its own. If that fails as well, two do, then four, and so on. Default: [`defaults::MAX_LEADERS`].
    pub fn max_leaders(mut self, callers: u64) -> Self {
        self.checks.check(&table::MAX_LEADERS, &callers);
        self.max_leaders = Some(callers);
        self
    }

    /// How many bodies replace values in the background at a time, at most. Beyond that, a value stays as it is for now. Default:
    /// [`defaults::MAX_REFRESHES`].
    pub fn max_refreshes(mut self, bodies: u64) -> Self {
        self.checks.check(&table::MAX_REFRESHES, &bodies);
        self.max_refreshes = Some(bodies);
        self
    }

    /// How long a running body that was woken may stay unpolled, such as one in a future that is held and forgotten. Then one of the callers
    /// that wait runs its own, and what the first one returns is not kept. Default: [`defaults::POLL_LIMIT`].
    pub fn poll_limit(mut self, limit: Duration) -> Self {
        self.checks.check(&table::POLL_LIMIT, &limit);
        self.poll_limit = Some(limit);
        self
    }

    /// Whether each value has a tag of its function and one of its client, so that [`Cache::invalidate_function`] and
    /// [`Cache::invalidate_client`] work, also in a backend. Each look there then asks for one or two more keys, in the same round trip. All
    /// programs that share a backend should have the same setting: values that another one has stored without these tags stay. Default: false.
    pub fn function_tags(mut self, tags: bool) -> Self {
        self.function_tags = Some(tags);
        self
    }

    /// Whether calls are measured, for `Cache::report`. It needs the feature `report`. Each function then takes some kilobytes more, and each
    /// body and one hit in memory of 64 a lock. Default: false.
    pub fn measure(mut self, measure: bool) -> Self {
        self.checks.check(&table::MEASURE, &measure);
        self.measure = Some(measure);
        self
    }

    /// Whether a caller waits for a body that another process runs for the same key, on the same backend. If not, each process runs its own. In
    /// either case, no value is kept that was computed before its key was invalidated. Default: true.
    pub fn leases(mut self, leases: bool) -> Self {
        self.leases = Some(leases);
        self
    }

    /// How long a process that runs a body may be silent until another one takes over. The lease of the key is renewed three times in that
    /// time. It should be well below the [`wait_limit`](Self::wait_limit). Default: [`defaults::LEASE`].
    pub fn lease(mut self, time: Duration) -> Self {
        self.checks.check(&table::LEASE, &time);
        self.lease = Some(time);
        self
    }

    /// How long the reads and writes of one call may take in all. Then it goes on without its backend. A call that must wait for an older
    /// write of its key, or delete a value that came too late, may take as long again for each. Default: [`defaults::SOFT_LIMIT`].
    /// [`Cache::clear`] may take 100 times as long.
    pub fn soft_limit(mut self, limit: Duration) -> Self {
        self.checks.check(&table::SOFT_LIMIT, &limit);
        self.guard.soft_limit = limit;
        self
    }

    /// How many operations of the backend may be under way at a time. A call beyond that goes on without. Default:
    /// [`defaults::MAX_CONCURRENT`].
    pub fn max_concurrent(mut self, operations: u64) -> Self {
        self.checks.check(&table::MAX_CONCURRENT, &operations);
        self.guard.max_concurrent = saturating(operations);
        self
    }

    /// After how many faults in a row the circuit breaker opens: calls go on without the backend. Default:
    /// [`defaults::BREAKER_FAULTS`].
    pub fn breaker_faults(mut self, faults: u64) -> Self {
        self.checks.check(&table::BREAKER_FAULTS, &faults);
        self.guard.breaker.faults = faults.try_into().unwrap_or(u32::MAX);
        self
    }

    /// How long the circuit breaker stays open. Then one call at a time tries, until one succeeds. Default:
    /// [`defaults::BREAKER_PAUSE`].
    pub fn breaker_pause(mut self, pause: Duration) -> Self {
        self.checks.check(&table::BREAKER_PAUSE, &pause);
        self.guard.breaker.pause = pause;
        self
    }

    /// How large an encoded value may be, in bytes. A larger one is not stored, and bytes that claim to be one are not
    /// unpacked. Default: [`defaults::MAX_VALUE_BYTES`].
    pub fn max_value_bytes(mut self, bytes: u64) -> Self {
        self.checks.check(&table::MAX_VALUE_BYTES, &bytes);
        self.envelope_options.max_value_bytes = saturating(bytes);
        self
    }

    /// Compresses encoded values of more than so many bytes, if that makes them smaller. Default: compresses nothing.
    ///
    /// A program whose library is compiled without the feature `zstd` cannot read them: to it they are misses.
    #[cfg(feature = "zstd")]
    pub fn compress_over(mut self, bytes: u64) -> Self {
        self.checks.check(&table::COMPRESS_OVER, &bytes);
        self.envelope_options.compress_over = Some(saturating(bytes));
        self
    }

    /// How hard to compress: a level of Zstandard, from -7 (fast) to 22 (small). Default: [`defaults::COMPRESS_LEVEL`].
    #[cfg(feature = "zstd")]
    pub fn compress_level(mut self, level: i32) -> Self {
        self.checks.check(&table::COMPRESS_LEVEL, &level);
        self.envelope_options.compress_level = level;
        self
    }

    /// Authenticates what is stored in the backend: only bytes that a cache with the same secret has stored, for the same
    /// call, are decoded. All others are misses, counted and logged as [`ErrorKind::Forged`](crate::ErrorKind::Forged). A
    /// cache without a secret takes no bytes of one that has it. Default: nothing is authenticated.
    ///
    /// It is for a backend that others can write to. The secret should be random, and have 16 bytes or more. The cache
    /// keeps a key that is derived from it, and shows neither.
    ///
    /// It hides no value, as nothing is encrypted. It prevents neither that values are deleted, nor that an older answer of
    /// the same call is put back while that is fresh.
    pub fn secret(mut self, secret: impl AsRef<[u8]>) -> Self {
        self.checks.check(&table::SECRET, &secret.as_ref().to_vec());
        self.envelope_options.secrets.set(secret.as_ref());
        self.has_secret = true;
        self
    }

    /// Another secret that stored bytes may have, beside [`secret`](Self::secret). May be called for several.
    ///
    /// To change secrets while several programs share a backend: first all accept the new one as an old one, then all use the
    /// new one and accept the old one, then all forget the old one.
    pub fn secret_old(mut self, secret: impl AsRef<[u8]>) -> Self {
        self.checks.check(&table::SECRET_OLD, &secret.as_ref().to_vec());
        self.envelope_options.secrets.accept(secret.as_ref());
        self.has_secret_old = true;
        self
    }

    /// The clock that timeouts go by. Default: the machine's.
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// Makes the cache.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config)
    ///
    /// - if a limit is 0, or another value is one that [`Config`](crate::Config) refuses;
    /// - if there is a [`secret_old`](Self::secret_old) without a [`secret`](Self::secret);
    /// - if there is to be memory in front of a backend, and no backend;
    /// - if both [`max_bytes`](Self::max_bytes) or [`max_entries`](Self::max_entries) and memory in front limit the same memory.
    pub fn build(mut self) -> Result<Cache, Error> {
        self.check()?;
        match mem::take(&mut self.storage) {
            Storage::Backend(backend) => self.on(backend),
            Storage::Memory | Storage::Null if self.near.is_some() => {
                Err(Error::config("options `near_…` need a backend that memory could be in front of"))
            }
            Storage::Memory => Ok(self.in_memory(Place::Memory)),
            Storage::Null => Ok(self.in_memory(Place::Null)),
        }
    }

    /// Checks what can be checked before there is a backend.
    pub(super) fn check(&mut self) -> Result<(), Error> {
        mem::take(&mut self.checks).finish()?;
        if self.has_secret_old && !self.has_secret {
            return Err(Error::config("option `secret_old` needs a `secret`"));
        }
        Ok(())
    }

    /// How long a call waits for its backend, as far as it is known by now.
    #[cfg(feature = "memcached")]
    pub(super) fn known_soft_limit(&self) -> Duration {
        self.guard.soft_limit
    }

    fn on(self, backend: Box<dyn DynBackend>) -> Result<Cache, Error> {
        if self.near.is_some() && (self.max_bytes.is_some() || self.max_entries.is_some()) {
            return Err(Error::config(
                "memory in front of a backend is limited by `near_bytes` and `near_entries`, not by `max_bytes` and `max_entries`",
            ));
        }
        let backend = Arc::new(Guarded::new(backend, self.guard, self.clock.clone()));
        let store = match self.near {
            Some(near) => self.store(near.max_bytes.unwrap_or(defaults::NEAR_BYTES), near.max_entries),
            None => self.store(self.max_bytes.unwrap_or(defaults::MAX_BYTES), self.max_entries),
        };
        let (tags, keys) = (Arc::default(), TagKeys::new(self.prefix.as_deref()));
        let near = self.near.map(|near| {
            let timeout = near.timeout.unwrap_or(defaults::NEAR_TIMEOUT);
            NearCache::of(&backend, timeout, &store, (&tags, keys))
        });
        Ok(self.cache(Place::Backend(backend, near), store, tags))
    }

    fn in_memory(self, place: Place) -> Cache {
        let store = self.store(self.max_bytes.unwrap_or(defaults::MAX_BYTES), self.max_entries);
        self.cache(place, store, Arc::default())
    }

    fn store(&self, max_bytes: u64, max_entries: Option<u64>) -> Arc<Memory> {
        let limits = Limits { bytes: saturating(max_bytes), entries: max_entries.map_or(usize::MAX, saturating) };
        Arc::new(Memory::new(limits, self.clock.clone()))
    }

    fn cache(self, place: Place, store: Arc<Memory>, tags: Arc<Tags>) -> Cache {
        let limits = FlightLimits {
            max_leaders: saturating(self.max_leaders.unwrap_or(defaults::MAX_LEADERS)),
            poll_limit: self.poll_limit.unwrap_or(defaults::POLL_LIMIT),
        };
        let engine = Engine {
            place,
            flights: Flights::new(limits, self.clock.clone(), Arc::clone(&store)),
            store,
            tags,
            function_tags: self.function_tags.unwrap_or(defaults::FUNCTION_TAGS),
            measure: self.measure.unwrap_or(defaults::MEASURE),
            tag_keys: TagKeys::new(self.prefix.as_deref()),
            removals: Removals::new(),
            attempts: Attempts::default(),
            endings: Endings::default(),
            touches: Touches::default(),
            refusals: ByKey::default(),
            background: Background::new(saturating(self.max_refreshes.unwrap_or(defaults::MAX_REFRESHES))),
            clock: self.clock,
            envelope: self.envelope_options,
            wait_limit: self.wait_limit.unwrap_or(defaults::WAIT_LIMIT),
            leases: Leases {
                wait: self.leases.unwrap_or(defaults::LEASES),
                time: self.lease.unwrap_or(defaults::LEASE),
                pauses: PAUSES,
            },
        };
        Cache::new(engine, self.prefix)
    }
}

impl fmt::Debug for CacheBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheBuilder")
            .field("max_bytes", &self.max_bytes)
            .field("max_entries", &self.max_entries)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}
