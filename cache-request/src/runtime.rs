//! The tokio runtime that drives a backend's connections: the caller's, where there is one, else the library's own.
//!
//! To wake another thread costs more than a server on the same machine takes to answer. So where the caller runs on tokio, a
//! connection is driven there. A caller that blocks its thread, or that runs on another executor, uses a connection that is
//! driven by threads of the library, and can never wait for itself.

use std::{
    fmt,
    future::pending,
    sync::{Arc, OnceLock, Weak},
    thread,
};

use dashmap::{DashMap, Entry};
use tokio::{
    runtime::{Builder, Handle, Id, Runtime},
    task::AbortHandle,
};

use crate::{Error, shim::is_blocking};

/// The library's own runtime. It lives as long as the program.
pub(crate) fn own() -> Result<&'static Handle, Error> {
    static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();

    let runtime = RUNTIME.get_or_init(|| {
        Builder::new_multi_thread()
            .worker_threads(thread::available_parallelism().map_or(2, |cores| cores.get().min(4)))
            .thread_name("cache-request-io")
            .enable_all()
            .build()
            .map_err(|cause| cause.to_string())
    });
    match runtime {
        Ok(runtime) => Ok(runtime.handle()),
        Err(cause) => Err(Error::backend(format!("no thread for the cache's connections: {cause}"))),
    }
}

/// The runtime that drives what the caller waits for.
fn of_caller() -> Result<Handle, Error> {
    match Handle::try_current() {
        // A thread that blocks may be the only one that its runtime has.
        Ok(handle) if !is_blocking() => Ok(handle),
        _ => own().cloned(),
    }
}

/// One connection for each runtime that callers run on. It ends with its runtime, and the next caller gets another one.
pub(crate) struct PerRuntime<C> {
    connections: Arc<Connections<C>>,
}

type Connections<C> = DashMap<Id, Kept<C>>;

struct Kept<C> {
    connection: C,
    /// The task that tells when the runtime ends.
    until: Arc<OnceLock<AbortHandle>>,
}

impl<C: Clone + Send + Sync + 'static> PerRuntime<C> {
    /// The connection of the caller's runtime. If there is none, `connect` begins one, and does not wait for it.
    pub(crate) fn get(&self, connect: impl FnOnce(&Handle) -> C) -> Result<C, Error> {
        let runtime = of_caller()?;
        let id = runtime.id();
        if let Some(kept) = self.connections.get(&id) {
            return Ok(kept.connection.clone());
        }
        match self.connections.entry(id) {
            Entry::Occupied(kept) => Ok(kept.get().connection.clone()),
            Entry::Vacant(vacant) => {
                let (connection, until) = (connect(&runtime), Arc::<OnceLock<AbortHandle>>::default());
                drop(vacant.insert(Kept { connection: connection.clone(), until: Arc::clone(&until) }));
                // With the map unlocked: a runtime that ends just now drops the task at once, and that removes the connection.
                let ends = EndsWithRuntime { id, connections: Arc::downgrade(&self.connections) };
                let task = runtime.spawn(async move {
                    let _ends = ends;
                    pending::<()>().await;
                });
                let _ = until.set(task.abort_handle());
                Ok(connection)
            }
        }
    }
}

impl<C> Default for PerRuntime<C> {
    fn default() -> Self {
        Self { connections: Arc::default() }
    }
}

impl<C> Drop for Kept<C> {
    fn drop(&mut self) {
        if let Some(until) = self.until.get() {
            until.abort();
        }
    }
}

/// Waits in a task of the runtime, which drops it when it ends.
struct EndsWithRuntime<C> {
    id: Id,
    connections: Weak<Connections<C>>,
}

impl<C> Drop for EndsWithRuntime<C> {
    fn drop(&mut self) {
        if let Some(connections) = self.connections.upgrade() {
            connections.remove(&self.id);
        }
    }
}

impl<C> fmt::Debug for PerRuntime<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerRuntime").field("connections", &self.connections.len()).finish()
    }
}
