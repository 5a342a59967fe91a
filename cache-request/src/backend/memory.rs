//! A backend that keeps bytes in this process's memory.

mod claims;

use std::{
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use self::claims::Claims;
use super::{Backend, Claim, ClaimKind, Claimed, Fence, Right};
use crate::{
    Error,
    base::{
        clock::{Clock, NEVER},
        panic::PanicSafe,
        sync::unpoisoned,
    },
    key::Key,
    options::{checks::Checks, defaults, saturating, table},
    store::{Freshness, Lifetime, Limits, RemovalCause, Store, Table},
};

/// Bytes in this process's memory, bounded.
///
/// It is for tests: values pass through the same codec and envelope as on a backend outside the process, without a disk or a
/// server. Programs use [`Cache::memory`](crate::Cache::memory), which keeps the values themselves.
pub struct MemoryBackend {
    store: Store,
    table: Arc<Table<Arc<[u8]>>>,
    clock: Clock,
    max_bytes: usize,
    /// Held during a write, which may look first: both are one step.
    writing: Mutex<Claims>,
}

impl MemoryBackend {
    /// A backend with the defaults of [`builder`](Self::builder).
    #[must_use]
    pub fn new() -> Self {
        MemoryBackendBuilder::new().make()
    }

    /// Begins a backend in this process's memory.
    pub fn builder() -> MemoryBackendBuilder {
        MemoryBackendBuilder::new()
    }

    fn write(&self) -> MutexGuard<'_, Claims> {
        unpoisoned(self.writing.lock())
    }

    fn find(&self, key: &Key) -> Option<Arc<[u8]>> {
        let fresh = |value: &Arc<_>, freshness: Freshness<'_>, _: Option<&_>| {
            matches!(freshness, Freshness::Fresh).then(|| Arc::clone(value))
        };
        self.table.read(&key.lookup(), || self.clock.coarse(), fresh)?
    }

    fn put(&self, key: &Key, value: Arc<[u8]>, timeout: Option<Duration>) -> Result<(), Error> {
        let expires = timeout.map_or(NEVER, |timeout| self.clock.after(timeout));
        let bytes = value.len();
        let put = self.store.put(&self.table, &key.lookup(), PanicSafe::new(value), Lifetime::until(expires), bytes);
        put.map_err(|_| Error::too_large(bytes, self.max_bytes))
    }

    fn remove(&self, key: &Key) -> bool {
        self.store.remove(&self.table, &key.lookup(), RemovalCause::Invalidated)
    }
}

impl Default for MemoryBackend {
    fn default() -> Self {
        Self::new()
    }
}

/// Makes a [`MemoryBackend`].
///
/// Its methods have the names of the options of [`Config`](crate::Config), and refuse the same values: [`build`](Self::build)
/// returns the first error.
#[must_use = "a builder does nothing until `build`"]
pub struct MemoryBackendBuilder {
    max_bytes: u64,
    max_entries: Option<u64>,
    clock: Clock,
    checks: Checks,
}

impl MemoryBackendBuilder {
    fn new() -> Self {
        Self { max_bytes: defaults::MAX_BYTES, max_entries: None, clock: Clock::system(), checks: Checks::default() }
    }

    /// How many bytes it may hold, its own overhead counted. Default: [`defaults::MAX_BYTES`].
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.checks.check(&table::MAX_BYTES, &bytes);
        self.max_bytes = bytes;
        self
    }

    /// How many entries it may hold. Default: any number.
    pub fn max_entries(mut self, entries: u64) -> Self {
        self.checks.check(&table::MAX_ENTRIES, &entries);
        self.max_entries = Some(entries);
        self
    }

    /// The clock that timeouts go by. Default: the machine's.
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// Makes the backend.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if a limit is 0.
    pub fn build(mut self) -> Result<MemoryBackend, Error> {
        mem::take(&mut self.checks).finish()?;
        Ok(self.make())
    }

    fn make(self) -> MemoryBackend {
        let max_bytes = saturating(self.max_bytes);
        let limits = Limits { bytes: max_bytes, entries: self.max_entries.map_or(usize::MAX, saturating) };
        let store = Store::new(limits, self.clock.clone());
        let table = store.table();
        MemoryBackend { store, table, clock: self.clock, max_bytes, writing: Mutex::default() }
    }
}

impl fmt::Debug for MemoryBackendBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBackendBuilder")
            .field("max_bytes", &self.max_bytes)
            .field("max_entries", &self.max_entries)
            .finish_non_exhaustive()
    }
}

impl Backend for MemoryBackend {
    fn name(&self) -> &'static str {
        "memory"
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.find(&Key::of_text(key)).map(|bytes| bytes.to_vec()))
    }

    async fn set(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<(), Error> {
        let key = Key::of_text(key);
        let _writing = self.write();
        if timeout == Some(Duration::ZERO) {
            self.remove(&key);
            return Ok(());
        }
        self.put(&key, value.into(), timeout)
    }

    async fn add(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<bool, Error> {
        let key = Key::of_text(key);
        let _writing = self.write();
        if timeout == Some(Duration::ZERO) || self.find(&key).is_some() {
            return Ok(false);
        }
        self.put(&key, value.into(), timeout).map(|()| true)
    }

    async fn touch(&self, key: &str, timeout: Option<Duration>) -> Result<bool, Error> {
        let key = Key::of_text(key);
        let _writing = self.write();
        let Some(value) = self.find(&key) else { return Ok(false) };
        if timeout == Some(Duration::ZERO) {
            return Ok(self.remove(&key));
        }
        self.put(&key, value, timeout).map(|()| true)
    }

    async fn delete(&self, key: &str) -> Result<bool, Error> {
        let _writing = self.write();
        Ok(self.remove(&Key::of_text(key)))
    }

    async fn clear(&self) -> Result<(), Error> {
        let mut claims = self.write();
        claims.clear();
        self.store.clear();
        Ok(())
    }

    fn has_fences(&self) -> bool {
        true
    }

    async fn claim(&self, text: &str, claim: Claim) -> Result<Claimed, Error> {
        let key = Key::of_text(text);
        let mut claims = self.write();
        let value = self.find(&key).map(|bytes| bytes.to_vec());
        let right = match (claim.kind, &value) {
            (ClaimKind::Missing, Some(_)) => Right::None,
            _ => claims.claim(text, claim, self.clock.after(Duration::ZERO)),
        };
        Ok(Claimed { value, right })
    }

    async fn set_fenced(
        &self,
        text: &str,
        value: &[u8],
        timeout: Option<Duration>,
        fence: Fence,
    ) -> Result<bool, Error> {
        let key = Key::of_text(text);
        let mut claims = self.write();
        if !claims.end(text, fence, self.clock.after(Duration::ZERO)) {
            return Ok(false);
        }
        if timeout == Some(Duration::ZERO) {
            self.remove(&key);
            return Ok(true);
        }
        self.put(&key, value.into(), timeout).map(|()| true)
    }

    async fn renew(&self, key: &str, fence: Fence, lease: Duration) -> Result<bool, Error> {
        Ok(self.write().renew(key, fence, lease, self.clock.after(Duration::ZERO)))
    }

    async fn release(&self, key: &str, fence: Fence) -> Result<(), Error> {
        self.write().end(key, fence, self.clock.after(Duration::ZERO));
        Ok(())
    }

    async fn invalidate(&self, text: &str, refuse: Duration) -> Result<bool, Error> {
        let mut claims = self.write();
        claims.invalidate(text, refuse, self.clock.after(Duration::ZERO));
        Ok(self.remove(&Key::of_text(text)))
    }
}

impl fmt::Debug for MemoryBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBackend").field("bytes", &self.store.bytes()).finish_non_exhaustive()
    }
}
