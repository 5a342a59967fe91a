//! The tokio runtime that drives a backend's connections: the caller's, where there is one, else the library's own.
//!
//! To wake another thread costs more than a server on the same machine takes to answer. So where the caller runs on tokio, a
//! connection is driven there. A caller that blocks its thread, or that runs on another executor, uses a connection that is
//! driven by threads of the library, and can never wait for itself.
//!
//! A runtime may have been built without I/O or without time, and tokio tells in one way: who asks for them panics. So each
//! runtime is tried once, where that panic goes no further than the program's panic hook.

use std::{
    fmt,
    future::pending,
    net::{Ipv4Addr, UdpSocket},
    sync::{Arc, OnceLock, Weak},
    thread,
    time::Duration,
};

use dashmap::{DashMap, Entry};
use tokio::{
    runtime::{Builder, Handle, Id, Runtime},
    task::AbortHandle,
};

use super::{block_on::is_blocking, panic::catch_panic};
use crate::Error;

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

/// Whether it can drive connections. Where panics abort the program, that is taken for granted: to try it would be to abort.
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
            "a tokio runtime was built without I/O or without time: the library's own threads drive the connections of its callers"
        );
    }
    // Any other error says nothing about it.
    tried.is_some()
}

/// One connection for each runtime that callers run on. It ends with its runtime, and the next caller gets another one. Runtimes
/// that cannot drive any have that of the library's own runtime.
pub(crate) struct PerRuntime<C> {
    connections: Arc<Connections<C>>,
}

type Connections<C> = DashMap<Id, Registered<C>>;

struct Registered<C> {
    connection: C,
    /// The task that tells when the runtime ends.
    until: Option<AbortHandle>,
}

impl<C: Clone + Send + Sync + 'static> PerRuntime<C> {
    /// The connection of the caller's runtime. If there is none, `connect` begins one, and does not wait for it.
    pub(crate) fn get(&self, connect: impl Fn(&Handle) -> C) -> Result<C, Error> {
        self.of(&of_caller()?, &connect)
    }

    /// Something of the connection of the caller's runtime, if there is one: for what is asked so often that it must not be counted
    /// who has it.
    #[cfg(feature = "redis")]
    pub(crate) fn look<T>(&self, at: impl FnOnce(&C) -> Option<T>) -> Option<T> {
        let id = of_caller().ok()?.id();
        at(&self.connections.get(&id)?.connection)
    }

    /// The connection of the library's own runtime, whoever the caller is.
    #[cfg(feature = "redis")]
    pub(crate) fn own(&self, connect: impl Fn(&Handle) -> C) -> Result<C, Error> {
        self.of(own()?, &connect)
    }

    fn of(&self, runtime: &Handle, connect: &impl Fn(&Handle) -> C) -> Result<C, Error> {
        let id = runtime.id();
        if let Some(kept) = self.connections.get(&id) {
            return Ok(kept.connection.clone());
        }
        // Not while the map is locked: to try a runtime may run the program's panic hook.
        let lent = if has_io_and_time(runtime) { None } else { Some(self.of(own()?, connect)?) };
        let connection = match self.connections.entry(id) {
            Entry::Occupied(kept) => return Ok(kept.get().connection.clone()),
            Entry::Vacant(vacant) => {
                let connection = lent.unwrap_or_else(|| connect(runtime));
                vacant.insert(Registered { connection: connection.clone(), until: None });
                connection
            }
        };
        // Not while the map is locked: a runtime that is ending drops the task at once, and the task looks into the map.
        let ends = EndsWithRuntime { id, connections: Arc::downgrade(&self.connections) };
        let until = runtime.spawn(async move {
            let _ends = ends;
            pending::<()>().await;
        });
        if let Some(mut kept) = self.connections.get_mut(&id) {
            kept.until = Some(until.abort_handle());
        }
        Ok(connection)
    }
}

impl<C> Default for PerRuntime<C> {
    fn default() -> Self {
        Self { connections: Arc::default() }
    }
}

impl<C> Drop for Registered<C> {
    fn drop(&mut self) {
        if let Some(until) = &self.until {
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
