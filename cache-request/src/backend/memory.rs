//! `memory://` as a backend of bytes.

use std::{fmt, sync::Arc, time::Duration};

use super::Backend;
use crate::{
    Error,
    clock::{Clock, NEVER},
    contained::Contained,
    key::Key,
    store::{Farewell, Limits, Store, Table},
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
}

impl MemoryBackend {
    /// A backend that holds at most so many bytes, the entries' overhead counted, and whose timeouts go by `clock`.
    #[must_use]
    pub fn new(max_bytes: usize, clock: impl Into<Clock>) -> Self {
        let clock = clock.into();
        let store = Store::new(Limits { bytes: max_bytes, entries: usize::MAX }, clock.clone());
        let table = store.table();
        Self { store, table, clock, max_bytes }
    }
}

impl Backend for MemoryBackend {
    fn name(&self) -> &'static str {
        "memory"
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let key = Key::of_text(key);
        Ok(self.table.read(&key.lookup(), || self.clock.coarse(), |bytes| bytes.to_vec()).ok())
    }

    async fn set(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<(), Error> {
        if timeout == Some(Duration::ZERO) {
            self.delete(key).await?;
            return Ok(());
        }
        let expires = timeout.map_or(NEVER, |timeout| self.clock.after(timeout));
        match self.store.put(
            &self.table,
            &Key::of_text(key).lookup(),
            Contained::new(value.into()),
            expires,
            value.len(),
        ) {
            Ok(()) => Ok(()),
            Err(_) => Err(Error::too_large(value.len(), self.max_bytes)),
        }
    }

    async fn delete(&self, key: &str) -> Result<bool, Error> {
        Ok(self.store.remove(&self.table, &Key::of_text(key).lookup(), Farewell::Invalidated))
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
