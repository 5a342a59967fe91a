//! The cache: where a program's annotated functions keep their values.

use std::{
    any::TypeId,
    fmt,
    sync::{Arc, RwLock},
    time::Duration,
};

use dashmap::{DashMap, Entry};

use crate::{
    Error,
    backend::{Backend, Erased, GuardLimits, Guarded},
    clock::Clock,
    codec::Packing,
    config,
    flight::{Fence, Flights},
    front::{Front, Write},
    function::{AnyFunction, Function, Kept, Name},
    policy::Value,
    shim::{block_on, interleave, unpoisoned, within},
    site::{Instance, Site},
    stats::{BackendStats, Stats},
    store::{Limits, Store},
};

/// Where annotated functions keep their values. Clones share everything.
///
/// A program [`install`](crate::install)s one when it starts, or installs none and gets `memory://`.
#[derive(Clone)]
pub struct Cache(Arc<Inner>);

struct Inner {
    mode: Mode,
    store: Arc<Store>,
    flights: Flights,
    clock: Clock,
    prefix: Option<String>,
    packing: Packing,
    wait_limit: Duration,
    functions: DashMap<TypeId, Arc<dyn AnyFunction>>,
    /// Which instance's keys begin with which text on the backend.
    names: DashMap<String, TypeId>,
    /// All functions, in the order of their first calls.
    listed: RwLock<Vec<Arc<dyn AnyFunction>>>,
}

enum Mode {
    Memory,
    Null,
    Backend(Guarded, Option<Arc<Front>>),
}

/// Bytes that a cache may hold in this process's memory, unless told otherwise: 64 MiB.
pub const DEFAULT_MAX_BYTES: usize = 64 << 20;

/// How long a caller waits for a body that another caller runs, unless told otherwise.
pub const DEFAULT_WAIT_LIMIT: Duration = Duration::from_secs(10);

/// How long a value may stay in memory in front of a backend, of a `tiered+` address that does not say it.
pub const DEFAULT_FRONT_TIMEOUT: Duration = Duration::from_secs(5);

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
        config::from_url(url)
    }

    /// A cache made in code.
    pub fn builder() -> CacheBuilder {
        CacheBuilder::default()
    }

    /// What the functions of this cache did so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let listed = unpoisoned(self.0.listed.read());
        let functions = listed.iter().map(|function| function.stats()).collect();
        let backend = self
            .backend()
            .map(|backend| BackendStats { front: self.front().map(|front| front.stats()), ..backend.stats() });
        Stats::new(functions, self.0.store.entries(), self.0.store.bytes(), backend)
    }

    /// Forgets everything, also what bodies that run at this moment return. On a backend, all that it holds by itself: of
    /// `file://`, that is the whole directory, whoever stored it there, and under whatever prefix.
    ///
    /// # Errors
    ///
    /// If the backend could not be told.
    pub async fn clear(&self) -> Result<(), Error> {
        let cleared = self.remove_all().await;
        // Nobody joins those any more who have looked before it was gone.
        drop(self.0.flights.fence_all());
        cleared
    }

    /// The same for a plain program. It blocks the thread.
    ///
    /// # Errors
    ///
    /// As of [`clear`](Self::clear).
    pub fn clear_sync(&self) -> Result<(), Error> {
        block_on(self.clear())
    }

    async fn remove_all(&self) -> Result<(), Error> {
        let fence = self.0.flights.fence_all();
        interleave();
        self.0.store.clear();
        let Mode::Backend(backend, front) = &self.0.mode else { return Ok(()) };
        self.pass(fence).await;
        let write = Write::begin_all(front.as_ref());
        let cleared = backend.clear().await;
        write.end();
        cleared
    }

    /// Waits until nothing that was fenced is on its way to the backend, for as long as an operation there may take.
    ///
    /// Whoever is on the way may be a task that nobody polls. If it goes on one day, it removes what it has stored.
    pub(crate) async fn pass(&self, fence: Fence) {
        let limit = self.backend().map_or(Duration::ZERO, |backend| backend.limits().soft_limit);
        within(limit, fence).await;
    }

    /// Whether this cache keeps nothing.
    #[must_use]
    pub fn is_disabled(&self) -> bool {
        matches!(self.0.mode, Mode::Null)
    }

    #[inline]
    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    pub(crate) fn flights(&self) -> &Flights {
        &self.0.flights
    }

    #[inline]
    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    pub(crate) fn packing(&self) -> &Packing {
        &self.0.packing
    }

    pub(crate) fn wait_limit(&self) -> Duration {
        self.0.wait_limit
    }

    pub(crate) fn backend(&self) -> Option<&Guarded> {
        match &self.0.mode {
            Mode::Backend(backend, _) => Some(backend),
            Mode::Memory | Mode::Null => None,
        }
    }

    /// The memory in front of the backend.
    pub(crate) fn front(&self) -> Option<&Arc<Front>> {
        match &self.0.mode {
            Mode::Backend(_, front) => front.as_ref(),
            Mode::Memory | Mode::Null => None,
        }
    }

    /// An instance of the function at `site`.
    pub(crate) fn function<V: Value>(&self, site: &'static Site, instance: Instance) -> Arc<dyn AnyFunction> {
        if let Some(known) = self.0.functions.get(&instance.id) {
            return Arc::clone(&known);
        }
        let name = Name::of(site, instance, self.0.prefix.as_deref());
        let kept = match &self.0.mode {
            Mode::Null => Kept::Nowhere,
            Mode::Backend(..) if !site.local => self.claim(&name, instance.id, site),
            Mode::Memory | Mode::Backend(..) => Kept::InMemory,
        };
        match self.0.functions.entry(instance.id) {
            Entry::Occupied(known) => Arc::clone(known.get()),
            Entry::Vacant(vacant) => {
                let function = Arc::new(Function::<V>::new(&self.0.store, name, kept)) as Arc<dyn AnyFunction>;
                unpoisoned(self.0.listed.write()).push(Arc::clone(&function));
                vacant.insert(Arc::clone(&function));
                function
            }
        }
    }

    /// Two functions of one name would read one another's values on a backend: the second one is not cached there.
    fn claim(&self, name: &Name, instance: TypeId, site: &Site) -> Kept {
        let holder = *self.0.names.entry(name.head().of_no_client()).or_insert(instance);
        if holder == instance {
            return Kept::InBackend;
        }
        tracing::error!(
            function = name.path(),
            ?site,
            "another function has this name already, so this one runs uncached: give it one of its own with `name = \"…\"`"
        );
        Kept::Nowhere
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match &self.0.mode {
            Mode::Memory => "memory",
            Mode::Null => "null",
            Mode::Backend(backend, _) => backend.name(),
        };
        f.debug_struct("Cache")
            .field("backend", &mode)
            .field("entries", &self.0.store.entries())
            .field("bytes", &self.0.store.bytes())
            .finish_non_exhaustive()
    }
}

/// Makes a [`Cache`].
#[must_use = "a builder does nothing until it builds"]
pub struct CacheBuilder {
    place: Place,
    front: Option<Duration>,
    clock: Clock,
    limits: Limits,
    guard: GuardLimits,
    prefix: Option<String>,
    packing: Packing,
    wait_limit: Duration,
}

/// Where values are to be kept.
enum Place {
    Memory,
    Null,
    Backend(Box<dyn Erased>),
}

impl Default for CacheBuilder {
    fn default() -> Self {
        Self {
            place: Place::Memory,
            front: None,
            clock: Clock::system(),
            limits: Limits { bytes: DEFAULT_MAX_BYTES, entries: usize::MAX },
            prefix: None,
            guard: GuardLimits::default(),
            packing: Packing::default(),
            wait_limit: DEFAULT_WAIT_LIMIT,
        }
    }
}

impl CacheBuilder {
    /// Keeps nothing: every call runs its body.
    pub fn null(mut self) -> Self {
        self.place = Place::Null;
        self
    }

    /// Keeps values in `backend`, as bytes. Values of `local` functions stay in this process's memory.
    pub fn backend(mut self, backend: impl Backend) -> Self {
        self.place = Place::Backend(Box::new(backend));
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
    pub fn front(mut self, timeout: Duration) -> Self {
        self.front = Some(timeout).filter(|timeout| !timeout.is_zero());
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
        self.packing.max_value_bytes = bytes;
        self
    }

    /// Compresses encoded values of more than so many bytes, if that makes them smaller. Default: compresses nothing.
    ///
    /// A program whose library is compiled without the feature `zstd` cannot read them: to it they are misses.
    #[cfg(feature = "zstd")]
    pub fn compress_over(mut self, bytes: usize) -> Self {
        self.packing.compress_over = Some(bytes);
        self
    }

    /// How hard to compress: a level of Zstandard, from -7 (fast) to 22 (small). Default: 3.
    #[cfg(feature = "zstd")]
    pub fn compress_level(mut self, level: i32) -> Self {
        self.packing.compress_level = level;
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
        self.packing.secrets.set(secret.as_ref());
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
        self.packing.secrets.accept(secret.as_ref());
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
        let mode = match self.place {
            Place::Backend(backend) => {
                let backend = Guarded::new(backend, self.guard, self.clock.clone());
                let front = self.front.filter(|_| !holds_nothing).map(|timeout| Front::of(&backend, timeout, &store));
                Mode::Backend(backend, front)
            }
            // Else each value would be a fault, as one that is too large.
            Place::Memory if holds_nothing => Mode::Null,
            Place::Memory => Mode::Memory,
            Place::Null => Mode::Null,
        };
        Cache(Arc::new(Inner {
            mode,
            store,
            flights: Flights::default(),
            clock: self.clock,
            prefix: self.prefix,
            packing: self.packing,
            wait_limit: self.wait_limit,
            functions: DashMap::default(),
            names: DashMap::default(),
            listed: RwLock::default(),
        }))
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
