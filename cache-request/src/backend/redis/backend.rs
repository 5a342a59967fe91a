//! The backend: its connections, commands and errors.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use redis::{Cmd, RedisError, cmd};
use tokio::runtime::Handle;

use super::{
    address::Scheme,
    blocking_connection::BlockingConnection,
    link::Link,
    live::{Live, Shared},
    server::Server,
    wire::{Expiry, Stored, was_there},
};
use crate::{Error, base::runtime::PerRuntime};

/// Redis and Valkey: one server, a cluster, or the master that sentinels name.
///
/// All callers of one tokio runtime share one connection, and commands do not wait for each other's answers. Callers that
/// block their thread, or that run on another executor, share a connection that threads of this library drive. To one server
/// without encryption, one blocked caller at a time reads over a further connection by itself. Writes to a cluster always use the
/// library's own connection. A connection that is lost, or over which the server does not answer, is replaced in the background;
/// meanwhile calls fail at once.
///
/// The key on the server is `<namespace>:<key>`. [`clear`](crate::Backend::clear) removes the keys of the namespace, by `SCAN` and
/// `UNLINK`. Timeouts run by the server's clock, in milliseconds.
///
/// A [claim](crate::Backend::claim) is a second key, `:{<namespace>:<key>}`, in the slot of the first one, or `::<namespace>:<key>…` if
/// the key has a `}`. It holds the number of the fence and ends with the lease. A claim or a fenced write is one script, which the server
/// runs in one step. A server that removes keys to free memory may remove claims as well, and refusals to store values: under the
/// policy `volatile-ttl`, these first. While the slot of a key is moved to another node, the server may refuse scripts for it.
///
/// An ACL user needs `GET`, `MGET`, `SET`, `PEXPIRE`, `PTTL`, `PERSIST`, `EXISTS`, `UNLINK`, `EVALSHA`, `EVAL` and, to clear, `SCAN`, for
/// the keys `<namespace>:*` and `:[{:]<namespace>:*`. In a cluster it also needs `CLUSTER SLOTS`, and behind sentinels `ROLE`. `CLIENT INFO`
/// and `CLIENT KILL` allow the backend to end a connection that it gave up, so that no abandoned write is executed after a later one.
/// `CONFIG GET` allows it to learn the largest value that the server takes; a larger one would end the connection. A near cache
/// ([`near_timeout`](crate::CacheBuilder::near_timeout)) needs `CLIENT TRACKING`, in a cluster also `CLUSTER NODES`, and RESP3, which is
/// Redis 6 or later.
pub struct RedisBackend {
    pub(super) scheme: Scheme,
    pub(super) server: Server,
    pub(super) namespace: String,
    pub(super) connect_limit: Duration,
    pub(super) links: PerRuntime<Arc<Link>>,
    pub(super) blocking_connection: Option<BlockingConnection>,
    pub(super) shared: Arc<Shared>,
}

impl RedisBackend {
    /// The connection of the caller's runtime.
    pub(super) async fn live(&self) -> Result<Arc<Live>, Error> {
        match self.links.look(|link| link.up()) {
            Some(live) => Ok(live),
            None => self.live_of(self.links.get(|runtime| self.begin(runtime))?).await,
        }
    }

    /// The connection for writes. All writes to a cluster use the same one, for the reason in `abandoned_writes`.
    pub(super) async fn live_to_change(&self) -> Result<Arc<Live>, Error> {
        if !self.server.is_cluster() {
            return self.live().await;
        }
        self.live_of(self.links.own(|runtime| self.begin(runtime))?).await
    }

    pub(super) fn begin(&self, runtime: &Handle) -> Arc<Link> {
        Link::begin(runtime, self.server.clone(), self.connect_limit, Arc::clone(&self.shared))
    }

    async fn live_of(&self, link: Arc<Link>) -> Result<Arc<Live>, Error> {
        if let Some(live) = link.up() {
            return Ok(live);
        }
        // Boxed, so that the future of every call stays small.
        Box::pin(link.live()).await.map_err(|error| Error::backend(format!("{}: {error}", self.scheme.name())))
    }

    /// Sends a command that writes, and returns whether its key was there.
    pub(super) async fn change(&self, command: &Cmd) -> Result<bool, Error> {
        let live = self.live_to_change().await?;
        let answer = live.change(command).await.map_err(|error| self.failed(&error))?;
        was_there(&answer).ok_or_else(|| self.out_of_step(&live))
    }

    /// A command with the key as its first argument.
    pub(super) fn about(&self, command: &str, key: &str) -> Cmd {
        let mut command = cmd(command);
        command.arg(self.stored(key));
        command
    }

    pub(super) fn setting(&self, key: &str, value: &[u8], expiry: Expiry) -> Cmd {
        let mut command = Cmd::with_capacity(5, self.namespace.len() + key.len() + value.len() + 32);
        command.arg("SET").arg(self.stored(key)).arg(value);
        if let Expiry::After(milliseconds) = expiry {
            command.arg("PX").arg(milliseconds);
        }
        command
    }

    pub(super) fn stored<'a>(&'a self, key: &'a str) -> Stored<'a> {
        Stored { namespace: &self.namespace, key }
    }

    /// Gives up a connection over which an answer does not fit its command, and returns the error. Answers and commands are out of step,
    /// so every later call could get the answer to another one.
    pub(super) fn out_of_step(&self, live: &Live) -> Error {
        live.health.lose();
        self.unexpected_answer()
    }

    pub(super) fn unexpected_answer(&self) -> Error {
        Error::backend(format!("{}: the server gives an answer that does not fit the command", self.scheme.name()))
    }

    pub(super) fn failed(&self, error: &RedisError) -> Error {
        // The server works, and the next `SET` replaces the value of another type.
        let is_about_the_key = error.code() == Some("WRONGTYPE");
        let kind = if is_about_the_key { crate::ErrorKind::Corrupt } else { crate::ErrorKind::Backend };
        Error::new(kind, format!("{}: {}", self.scheme.name(), self.server.explain(error)))
    }

    /// An error for a value that is larger than the server is known to take.
    pub(super) fn too_large(&self, value: &[u8]) -> Option<Error> {
        let largest = self.shared.largest.load(Ordering::Relaxed);
        (value.len() > largest).then(|| Error::too_large(value.len(), largest))
    }

    /// The error of a write of `value` that failed, and whether the server refused that value and works otherwise.
    pub(super) fn refused(&self, value: &[u8], error: &RedisError) -> (Error, bool) {
        if error.detail().is_some_and(|detail| detail.contains("invalid bulk length")) {
            let known = self.shared.largest.fetch_min(value.len().saturating_sub(1), Ordering::Relaxed);
            return (Error::too_large(value.len(), known.min(value.len().saturating_sub(1))), true);
        }
        (self.failed(error), error.code() == Some("OOM"))
    }
}

impl fmt::Debug for RedisBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBackend")
            .field("scheme", &self.scheme.name())
            .field("namespace", &self.namespace)
            .field("links", &self.links)
            .finish_non_exhaustive()
    }
}
