//! The tokio runtime that drives a backend's connections: the caller's if there is one, else the library's own.
//!
//! Waking another thread costs more than a server on the same machine takes to answer. So a caller on tokio uses a connection
//! that its own runtime drives. A caller that blocks its thread, or runs on another executor, uses a connection that the
//! library's threads drive, and so never waits for its own thread.
//!
//! A runtime may have been built without I/O or without time, and tokio reports that only by panicking. So each runtime is
//! tried once, and the panic is caught; only the program's panic hook sees it.

use std::{
    fmt,
    future::pending,
    net::{Ipv4Addr, UdpSocket},
    sync::{Arc, Weak},
    thread,
    time::Duration,
};

use dashmap::{DashMap, Entry};
use foldhash::fast::RandomState;
use tokio::{
    runtime::{Builder, Handle, Id, Runtime},
    task::AbortHandle,
};

use super::{block_on::is_blocking, panic::catch_panic, process::PerProcess};
use crate::Error;

/// The library's own runtime. It lives as long as the process; a forked child makes its own.
pub(crate) fn own() -> Result<&'static Handle, Error> {
    static RUNTIME: PerProcess<Result<Runtime, String>> = PerProcess::new();

    let runtime = RUNTIME.get(|| {
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
        // A blocked thread may be the only one of its runtime.
        Ok(handle) if !is_blocking() => Ok(handle),
        _ => own().cloned(),
    }
}

/// Whether the runtime can drive connections. With `panic = "abort"` it is assumed to: a failed try would end the program.
fn has_io_and_time(runtime: &Handle) -> bool {
    if cfg!(panic = "abort") {
        return true;
    }
    let _entered = runtime.enter();
    let tried = catch_panic(|| {
        drop(tokio::time::sleep(Duration::ZERO));
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_nonblocking(true)?;
        tokio::net::UdpSocket::from_std(socket)
    });
    if tried.is_none() {
        tracing::warn!(
            "a tokio runtime was built without I/O or without time: the library's own threads drive its callers' connections"
        );
    }
    // Another error, such as no free socket, says nothing about the runtime.
    tried.is_some()
}

/// One connection for each runtime that callers run on.
///
/// A connection ends with its runtime, and the next caller gets a new one. Runtimes that cannot drive connections share that of
/// the library's own runtime.
pub(crate) struct PerRuntime<C: 'static> {
    /// A forked child has the ids of its parent's runtimes, and must neither use nor close their connections.
    connections: PerProcess<Arc<Connections<C>>>,
}

type Connections<C> = DashMap<Id, Registered<C>, RandomState>;

struct Registered<C> {
    connection: C,
    /// The task that notices the end of the runtime.
    watcher: Option<AbortHandle>,
}

impl<C: Clone + Send + Sync + 'static> PerRuntime<C> {
    /// The connection of the caller's runtime. If there is none, `connect` begins one and does not wait for it.
    pub(crate) fn get(&self, connect: impl Fn(&Handle) -> C) -> Result<C, Error> {
        self.of(&of_caller()?, &connect)
    }

    /// Part of the connection of the caller's runtime, if there is one. It spares the reference count of the whole connection.
    #[cfg(feature = "redis")]
    pub(crate) fn look<T>(&self, at: impl FnOnce(&C) -> Option<T>) -> Option<T> {
        at(&self.connections().get(&of_caller().ok()?.id())?.connection)
    }

    /// The connection of the library's own runtime, wherever the caller runs.
    #[cfg(feature = "redis")]
    pub(crate) fn own(&self, connect: impl Fn(&Handle) -> C) -> Result<C, Error> {
        self.of(own()?, &connect)
    }

    fn of(&self, runtime: &Handle, connect: &impl Fn(&Handle) -> C) -> Result<C, Error> {
        let (id, connections) = (runtime.id(), self.connections());
        if let Some(registered) = connections.get(&id) {
            return Ok(registered.connection.clone());
        }
        // Not while the map is locked: trying a runtime may run the program's panic hook.
        let shared = if has_io_and_time(runtime) { None } else { Some(self.of(own()?, connect)?) };
        let connection = match connections.entry(id) {
            Entry::Occupied(registered) => return Ok(registered.get().connection.clone()),
            Entry::Vacant(vacant) => {
                let connection = shared.unwrap_or_else(|| connect(runtime));
                vacant.insert(Registered { connection: connection.clone(), watcher: None });
                connection
            }
        };
        // Not while the map is locked: a runtime that is ending drops the task at once, and that looks into the map.
        let end = EndOfRuntime { id, connections: Arc::downgrade(connections) };
        let watcher = runtime.spawn(async move {
            let _end = end;
            pending::<()>().await;
        });
        if let Some(mut registered) = connections.get_mut(&id) {
            registered.watcher = Some(watcher.abort_handle());
        }
        Ok(connection)
    }
}

impl<C> PerRuntime<C> {
    /// The connections of this process.
    fn connections(&self) -> &Arc<Connections<C>> {
        self.connections.get(Arc::default)
    }
}

impl<C> Default for PerRuntime<C> {
    fn default() -> Self {
        Self { connections: PerProcess::new() }
    }
}

impl<C> Drop for Registered<C> {
    fn drop(&mut self) {
        if let Some(watcher) = &self.watcher {
            watcher.abort();
        }
    }
}

/// Waits in a task of the runtime, which drops it when the runtime ends.
struct EndOfRuntime<C> {
    id: Id,
    connections: Weak<Connections<C>>,
}

impl<C> Drop for EndOfRuntime<C> {
    fn drop(&mut self) {
        if let Some(connections) = self.connections.upgrade() {
            connections.remove(&self.id);
        }
    }
}

impl<C> fmt::Debug for PerRuntime<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerRuntime").field("connections", &self.connections().len()).finish()
    }
}
