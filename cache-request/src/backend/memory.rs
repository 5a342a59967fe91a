//! `memory://` as a backend of bytes.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use super::Backend;
use crate::{
    Error,
    base::{
        clock::{Clock, NEVER},
        panic::PanicSafe,
        sync::unpoisoned,
    },
    key::Key,
    store::{Freshness, Limits, RemovalCause, Store, Table},
};

/// Bytes in this process's memory, bounded.
///
/// [`Cache::memory`](crate::Cache::memory) keeps the values themselves and is what a program wants. This one sends them through
/// the same envelope and codec as any backend outside the process, with no disk and no server: what tests want.
pub struct MemoryBackend {
    store: Store,
    table: Arc<Table<Arc<[u8]>>>,
    clock: Clock,
    max_bytes: usize,
    /// Held by whoever writes: to look and to write is one step.
    writing: Mutex<()>,
}

impl MemoryBackend {
    /// A backend that holds at most so many bytes, the entries' overhead counted, and whose timeouts go by `clock`.
    #[must_use]
    pub fn new(max_bytes: usize, clock: impl Into<Clock>) -> Self {
        let clock = clock.into();
        let store = Store::new(Limits { bytes: max_bytes, entries: usize::MAX }, clock.clone());
        let table = store.table();
        Self { store, table, clock, max_bytes, writing: Mutex::default() }
    }

    fn write(&self) -> MutexGuard<'_, ()> {
        unpoisoned(self.writing.lock())
    }

    fn find(&self, key: &Key) -> Option<Arc<[u8]>> {
        let fresh = |value: &Arc<_>, freshness| (freshness == Freshness::Fresh).then(|| Arc::clone(value));
        self.table.read(&key.lookup(), || self.clock.coarse(), fresh)?
    }

    fn put(&self, key: &Key, value: Arc<[u8]>, timeout: Option<Duration>) -> Result<(), Error> {
        let expires = timeout.map_or(NEVER, |timeout| self.clock.after(timeout));
        let bytes = value.len();
        let put = self.store.put(&self.table, &key.lookup(), PanicSafe::new(value), expires, bytes);
        put.map_err(|_| Error::too_large(bytes, self.max_bytes))
    }

    fn remove(&self, key: &Key) -> bool {
        self.store.remove(&self.table, &key.lookup(), RemovalCause::Invalidated)
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
        self.store.clear();
        Ok(())
    }
}

impl fmt::Debug for MemoryBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBackend").field("bytes", &self.store.bytes()).finish_non_exhaustive()
    }
}
