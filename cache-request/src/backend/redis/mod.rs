//! `redis://` and its kin: Redis and Valkey, alone, as a cluster or behind sentinels.
//!
//! - [`address`]: what an address says.
//! - [`builder`]: what a backend is made of.
//! - [`server`]: how a connection to it is made.
//! - [`link`]: how a connection is kept up.
//! - [`multiplexed`]: what drives it.
//! - [`alone`]: the one that a plain function drives itself.
//! - [`batch`]: what asks for many keys at once.
//! - [`late`]: what was given up, and may still happen.
//! - [`clear`]: how a namespace is emptied.
//! - [`tls`]: how connections are encrypted.
//! - [`tracking`]: how memory in front hears of changes.
//! - [`masters`], [`topology`], [`sentinels`], [`readers`]: from which servers it has to hear, and which others are not read.
//!
//! This module says in the server's commands what a cache wants of it. It writes no protocol by hand.

mod abandoned_writes;
mod address;
mod batch;
mod blocking_connection;
mod builder;
mod clear;
mod link;
mod masters;
mod multiplexed;
mod readers;
mod sentinels;
mod server;
mod tls;
mod topology;
mod tracking;

use std::{
    fmt,
    io::Write,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use redis::{Cmd, ErrorKind, RedisError, RedisWrite, ToRedisArgs, Value, cmd};
use tokio::runtime::Handle;

pub use self::builder::RedisBackendBuilder;
use self::{
    address::Scheme,
    blocking_connection::BlockingConnection,
    link::{Link, Live, Shared},
    server::Server,
};
use super::{Backend, Changes, Item};
use crate::{Error, base::runtime::PerRuntime};

/// The largest value that is sent: what a server takes unless its `proto-max-bulk-len` says otherwise. What is larger ends
/// the connection, and with it what other callers wait for.
const MAX_VALUE_BYTES: usize = 512 << 20;

/// Redis and Valkey: one server, a cluster, or the master that sentinels name.
///
/// All callers of one tokio runtime share one connection, over which their commands go without waiting for one another's
/// answers. Callers that block their thread, or that run on another executor, share one that threads of this library drive;
/// of those that block, one at a time reads over one that it drives itself, if there is one server and no encryption.
/// Writes to a cluster take that of the library, whoever the caller is. A connection that is lost, or that does not answer any
/// more, is replaced in the background; meanwhile calls fail at once.
///
/// Keys stand on the server as `<namespace>:<key>`, and [`clear`](Backend::clear) removes those of the namespace, by `SCAN`
/// and `UNLINK`. Timeouts are the server's, in milliseconds.
///
/// The user of an ACL needs `GET`, `MGET`, `SET`, `PEXPIRE`, `PERSIST`, `EXISTS`, `UNLINK` and, to clear, `SCAN`, for the
/// keys `<namespace>:*`; in a cluster also `CLUSTER SLOTS`, and behind sentinels `ROLE`. With `CLIENT INFO` and `CLIENT KILL`,
/// what was written over a connection that had to be given up cannot come after what is written over the next one. With
/// `CONFIG GET`, a value that is larger than the server takes is not sent to it, which would end the connection. Memory
/// [in front](crate::CacheBuilder::near_timeout) needs `CLIENT TRACKING`, in a cluster also `CLUSTER NODES`, and RESP3: Redis from 6 on.
pub struct RedisBackend {
    scheme: Scheme,
    server: Server,
    namespace: String,
    connect_limit: Duration,
    links: PerRuntime<Arc<Link>>,
    blocking_connection: Option<BlockingConnection>,
    shared: Arc<Shared>,
}

impl RedisBackend {
    /// A backend on the server at `address`, with the defaults of [`builder`](Self::builder).
    ///
    /// # Errors
    ///
    /// As of [`RedisBackendBuilder::build`].
    pub fn new(address: &str) -> Result<Self, Error> {
        Self::builder(address).build()
    }

    /// Begins a backend on the server at `address`: percent-encoded, without options.
    ///
    /// | address | what it is |
    /// | --- | --- |
    /// | `redis://user:password@host:6379/2` | one server, and the number of a database |
    /// | `rediss://user:password@host:6379/2` | the same, encrypted (feature `redis-tls`) |
    /// | `redis+unix:///run/redis.sock` | one server, by its socket; `redis+unix://user:password@/run/redis.sock` |
    /// | `redis-cluster://user:password@a:6379,b:6379` | a cluster, of which these are some nodes |
    /// | `redis-sentinel://user:password@a:26379,b:26379/mymaster/2` | the master that these sentinels name |
    ///
    /// User, password, port and database may be left out. Behind sentinels, user and password are the master's.
    pub fn builder(address: &str) -> RedisBackendBuilder {
        RedisBackendBuilder::new(address)
    }
}

impl Backend for RedisBackend {
    fn name(&self) -> &'static str {
        self.scheme.name()
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let live = self.live().await?;
        let answer = live.ask(&self.about("GET", key)).await.map_err(|error| self.failed(&error))?;
        bytes(answer).ok_or_else(|| self.out_of_step(&live))
    }

    fn get_blocking(&self, key: &str, limit: Duration) -> Option<Result<Option<Vec<u8>>, Error>> {
        let blocking_connection = self.blocking_connection.as_ref()?;
        let live = self.links.own(|runtime| self.begin(runtime)).ok()?.up()?;
        let answer = blocking_connection.ask(&live, || self.about("GET", key), bytes, limit)?;
        Some(answer.map_err(|failure| match failure {
            blocking_connection::Failure::Failed(error) => self.failed(&error),
            blocking_connection::Failure::UnexpectedAnswer => self.answers_something_else(),
            blocking_connection::Failure::TimedOut => {
                let why = format!("{}: the server took longer than {limit:?}", self.name());
                Error::new(crate::ErrorKind::Timeout, why)
            }
        }))
    }

    async fn set(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<(), Error> {
        let Some(expiry) = Expiry::of(timeout) else { return self.delete(key).await.map(drop) };
        let live = self.live_to_change().await?;
        if let Some(error) = self.too_large(value) {
            self.delete(key).await?;
            return Err(error);
        }
        let error = match live.change(&self.setting(key, value, expiry)).await {
            Ok(Value::Okay) => return Ok(()),
            Ok(_) => return Err(self.out_of_step(&live)),
            Err(error) => error,
        };
        let (error, refused) = self.refused(value, &error);
        if refused {
            // It was to replace what is there.
            self.delete(key).await?;
        }
        Err(error)
    }

    async fn add(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<bool, Error> {
        let Some(expiry) = Expiry::of(timeout) else { return Ok(false) };
        let live = self.live_to_change().await?;
        if let Some(error) = self.too_large(value) {
            return Err(error);
        }
        let mut command = self.setting(key, value, expiry);
        command.arg("NX");
        match live.change(&command).await {
            Ok(Value::Nil) => Ok(false),
            Ok(Value::Okay) => Ok(true),
            Ok(_) => Err(self.out_of_step(&live)),
            Err(error) => Err(self.refused(value, &error).0),
        }
    }

    async fn touch(&self, key: &str, timeout: Option<Duration>) -> Result<bool, Error> {
        match Expiry::of(timeout) {
            Some(Expiry::After(milliseconds)) => {
                let mut command = self.about("PEXPIRE", key);
                command.arg(milliseconds);
                self.changes(&command).await
            }
            Some(Expiry::Never) => {
                // `PERSIST` says the same of what is not there and of what has no timeout already.
                let mut pipeline = redis::Pipeline::with_capacity(2);
                pipeline.add_command(self.about("PERSIST", key)).add_command(self.about("EXISTS", key));
                let live = self.live_to_change().await?;
                let answers = live.change_all(&pipeline).await.map_err(|error| self.failed(&error))?;
                let mut last = Value::Nil;
                for answer in answers {
                    last = answer.extract_error().map_err(|error| self.failed(&error))?;
                }
                was_there(&last).ok_or_else(|| self.out_of_step(&live))
            }
            None => self.delete(key).await,
        }
    }

    async fn delete(&self, key: &str) -> Result<bool, Error> {
        self.changes(&self.about("UNLINK", key)).await
    }

    async fn clear(&self) -> Result<(), Error> {
        let live = self.live_to_change().await?;
        clear::clear(&live, &self.namespace).await.map_err(|error| match error.kind() {
            ErrorKind::UnexpectedReturnType => self.out_of_step(&live),
            _ => self.failed(&error),
        })
    }

    fn track(&self, changes: Changes) -> bool {
        tracking::track(self.server.clone(), format!("{}:", self.namespace), self.connect_limit, changes);
        true
    }

    async fn get_many(&self, keys: &[&str]) -> Vec<Result<Option<Vec<u8>>, Error>> {
        batch::get(self, keys).await
    }

    async fn set_many(&self, items: &[Item<'_>]) -> Vec<Result<(), Error>> {
        batch::set(self, items).await
    }

    async fn delete_many(&self, keys: &[&str]) -> Vec<Result<bool, Error>> {
        batch::delete(self, keys).await
    }
}

impl RedisBackend {
    /// The connection of the caller's runtime.
    async fn live(&self) -> Result<Arc<Live>, Error> {
        match self.links.look(|link| link.up()) {
            Some(live) => Ok(live),
            None => self.live_of(self.links.get(|runtime| self.begin(runtime))?).await,
        }
    }

    /// The connection for what writes. All writes to a cluster take the same one: `late` says why.
    async fn live_to_change(&self) -> Result<Arc<Live>, Error> {
        if !self.server.is_cluster() {
            return self.live().await;
        }
        self.live_of(self.links.own(|runtime| self.begin(runtime))?).await
    }

    fn begin(&self, runtime: &Handle) -> Arc<Link> {
        Link::begin(runtime, self.server.clone(), self.connect_limit, Arc::clone(&self.shared))
    }

    async fn live_of(&self, link: Arc<Link>) -> Result<Arc<Live>, Error> {
        if let Some(live) = link.up() {
            return Ok(live);
        }
        // In a place of its own, so that what every call takes stays small.
        Box::pin(link.live()).await.map_err(|error| Error::backend(format!("{}: {error}", self.name())))
    }

    /// Whether there was something for the command to change.
    async fn changes(&self, command: &Cmd) -> Result<bool, Error> {
        let live = self.live_to_change().await?;
        let answer = live.change(command).await.map_err(|error| self.failed(&error))?;
        was_there(&answer).ok_or_else(|| self.out_of_step(&live))
    }

    fn about(&self, command: &str, key: &str) -> Cmd {
        let mut command = cmd(command);
        command.arg(self.stored(key));
        command
    }

    fn setting(&self, key: &str, value: &[u8], expiry: Expiry) -> Cmd {
        let mut command = Cmd::with_capacity(5, self.namespace.len() + key.len() + value.len() + 32);
        command.arg("SET").arg(self.stored(key)).arg(value);
        if let Expiry::After(milliseconds) = expiry {
            command.arg("PX").arg(milliseconds);
        }
        command
    }

    /// The key as it stands on the server.
    fn stored<'a>(&'a self, key: &'a str) -> Stored<'a> {
        Stored { namespace: &self.namespace, key }
    }

    /// An answer that is none to what was asked belongs to another question. Whatever was lost or made up on the way, every
    /// later call over this connection would be given what an earlier one had asked for.
    fn out_of_step(&self, live: &Live) -> Error {
        live.health().lose();
        self.answers_something_else()
    }

    fn answers_something_else(&self) -> Error {
        Error::backend(format!("{}: the server answers something else than what it was asked", self.name()))
    }

    fn failed(&self, error: &RedisError) -> Error {
        // The server is well. The next `SET` replaces the value, whatever its type.
        let is_about_the_key = error.code() == Some("WRONGTYPE");
        let kind = if is_about_the_key { crate::ErrorKind::Corrupt } else { crate::ErrorKind::Backend };
        Error::new(kind, format!("{}: {}", self.name(), self.server.explain(error)))
    }

    fn too_large(&self, value: &[u8]) -> Option<Error> {
        let largest = self.shared.largest.load(Ordering::Relaxed);
        (value.len() > largest).then(|| Error::too_large(value.len(), largest))
    }

    /// What is wrong with storing `value`, and whether that was the server's own decision, while it would do other things.
    fn refused(&self, value: &[u8], error: &RedisError) -> (Error, bool) {
        if error.detail().is_some_and(|detail| detail.contains("invalid bulk length")) {
            let known = self.shared.largest.fetch_min(value.len().saturating_sub(1), Ordering::Relaxed);
            return (Error::too_large(value.len(), known.min(value.len().saturating_sub(1))), true);
        }
        (self.failed(error), error.code() == Some("OOM"))
    }
}

/// What a `GET` found, if that is what the answer is about.
fn bytes(answer: Value) -> Option<Option<Vec<u8>>> {
    match answer {
        Value::BulkString(bytes) => Some(Some(bytes)),
        Value::Nil => Some(None),
        _ => None,
    }
}

/// Whether something was changed, if that is what the answer is about.
fn was_there(answer: &Value) -> Option<bool> {
    match answer {
        Value::Int(count) => Some(*count > 0),
        _ => None,
    }
}

/// How long the server keeps a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expiry {
    Never,
    After(u64),
}

impl Expiry {
    /// `None` if there is nothing to keep.
    fn of(timeout: Option<Duration>) -> Option<Self> {
        // The server adds the time that it is, and refuses what overflows an `i64`: 146 million years will do.
        const LONGEST: u64 = 1 << 62;

        let Some(timeout) = timeout else { return Some(Self::Never) };
        // A part of a millisecond is one more: nothing ends early, and nothing is rounded down to an end at once.
        let milliseconds = u64::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(LONGEST).min(LONGEST);
        (milliseconds > 0).then_some(Self::After(milliseconds))
    }
}

/// `<namespace>:<key>`, as an argument. No namespace has a colon, so that no two of these are alike.
#[derive(Clone, Copy)]
struct Stored<'a> {
    namespace: &'a str,
    key: &'a str,
}

impl ToRedisArgs for Stored<'_> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        // What it writes to is memory.
        let mut out = out.writer_for_next_arg();
        for part in [self.namespace, ":", self.key] {
            let _ = out.write_all(part.as_bytes());
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_rounded_up_and_never_to_none() {
        for (timeout, expiry) in [
            (None, Some(Expiry::Never)),
            (Some(Duration::ZERO), None),
            (Some(Duration::from_nanos(1)), Some(Expiry::After(1))),
            (Some(Duration::from_millis(1)), Some(Expiry::After(1))),
            (Some(Duration::from_nanos(1_000_001)), Some(Expiry::After(2))),
            (Some(Duration::from_secs(1)), Some(Expiry::After(1000))),
            (Some(Duration::from_secs(31 * 24 * 60 * 60)), Some(Expiry::After(2_678_400_000))),
            (Some(Duration::MAX), Some(Expiry::After(1 << 62))),
        ] {
            assert_eq!(Expiry::of(timeout), expiry, "{timeout:?}");
        }
    }

    #[test]
    fn nothing_shows_a_password() {
        let builder = RedisBackend::builder("redis://user:secret@localhost/2");
        assert!(!format!("{builder:?}").contains("secret"));
        let backend = builder.build().unwrap();
        assert!(!format!("{backend:?} {}", backend.name()).contains("secret"));
        let quoted = "unknown command `AUTH`, with args beginning with: `user`, `secret`";
        for (code, detail) in [(ErrorKind::Extension, quoted), (ErrorKind::Client, "secret is wrong")] {
            let error = RedisError::from((code, "no", detail.to_owned()));
            assert!(!backend.failed(&error).to_string().contains("secret"));
        }
    }
}
