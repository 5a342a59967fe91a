//! What a backend on a table is made of.

use std::{
    fmt,
    sync::{Arc, Once, atomic::AtomicBool},
    time::Duration,
};

#[cfg(feature = "postgres")]
use super::address;
use super::{
    super::namespace,
    Inner, SqlBackend, Work,
    engine::Engine,
    pool::{Database, Pool, Turns},
    statement::Statements,
};
use crate::{Clock, Error, base::block_on::block_on};

/// However many are asked for: a semaphore counts no further than some of these.
const MOST_CONNECTIONS: usize = 10_000;

/// Makes a [`SqlBackend`].
#[must_use = "a builder does nothing until `build`"]
pub struct SqlBackendBuilder {
    engine: Result<Engine, Error>,
    table: String,
    namespace: String,
    connections: usize,
    connect_now: bool,
    connect_limit: Duration,
    cull_every: Duration,
    clock: Clock,
}

impl SqlBackendBuilder {
    pub(super) fn new(engine: Result<Engine, Error>) -> Self {
        Self {
            engine,
            table: "cache_request".to_owned(),
            namespace: namespace::DEFAULT.to_owned(),
            connections: 8,
            connect_now: false,
            connect_limit: Duration::from_secs(1),
            cull_every: Duration::from_secs(60),
            clock: Clock::system(),
        }
    }

    /// The table's name: `cache_request` unless said otherwise. It is of ASCII letters, digits and underscores.
    pub fn table(mut self, name: impl Into<String>) -> Self {
        self.table = name.into();
        self
    }

    /// Whose rows these are in the table: `cache-request` unless said otherwise.
    ///
    /// Backends of different namespaces never see one another's rows. It is printable ASCII, of at most 128 characters.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// How many connections there may be: 8 unless said otherwise, at least 1. One of those to a SQLite file writes, beside
    /// so many that read.
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    /// Whether [`build`](Self::build) connects, and fails if it cannot. Otherwise the first call begins to.
    pub fn connect_now(mut self, now: bool) -> Self {
        self.connect_now = now;
        self
    }

    /// How long one attempt to connect may take: 1 s unless said otherwise. A call never waits longer than its soft limit.
    pub fn connect_limit(mut self, limit: Duration) -> Self {
        self.connect_limit = limit;
        self
    }

    /// How often rows that have expired are removed: every minute unless said otherwise.
    pub fn cull_every(mut self, pause: Duration) -> Self {
        self.cull_every = pause;
        self
    }

    /// The clock that timeouts go by: the machine's unless said otherwise.
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// The directory of the server's socket, in the place of a host.
    #[cfg(feature = "postgres")]
    pub fn socket(self, directory: impl AsRef<std::path::Path>) -> Self {
        self.of_postgres(|options| Ok(options.socket(directory)))
    }

    /// Whether connections are encrypted, as PostgreSQL calls it: `disable`, `allow`, `prefer`, `require`, `verify-ca` or
    /// `verify-full`. All but the first three need the feature `postgres-tls`; without it, these do not encrypt.
    #[cfg(feature = "postgres")]
    pub fn ssl_mode(self, mode: &str) -> Self {
        let mode = address::ssl_mode(mode);
        self.of_postgres(|options| mode.map(|mode| options.ssl_mode(mode)))
    }

    #[cfg(feature = "postgres")]
    fn of_postgres(
        mut self,
        change: impl FnOnce(sqlx::postgres::PgConnectOptions) -> Result<sqlx::postgres::PgConnectOptions, Error>,
    ) -> Self {
        self.engine = match self.engine {
            Ok(Engine::Postgres { options, password }) => {
                change(*options).map(|options| Engine::Postgres { options: options.into(), password })
            }
            #[cfg(feature = "sqlite")]
            Ok(Engine::Sqlite(_)) => Err(Error::config("a SQLite file has neither a socket nor a mode of encryption")),
            Err(error) => Err(error),
        };
        self
    }

    /// Makes the backend.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if the address or an option cannot be meant.
    ///
    /// A file that cannot be opened, or a server that cannot be reached, is an error only with
    /// [`connect_now`](Self::connect_now).
    pub fn build(self) -> Result<SqlBackend, Error> {
        let engine = self.engine?;
        // PostgreSQL cuts names after 63 characters, and the index's is longer by 8.
        let is_name = !self.table.is_empty()
            && self.table.len() <= 55
            && self.table.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && !self.table.starts_with(|first: char| first.is_ascii_digit())
            && !self.table.to_ascii_lowercase().starts_with("sqlite_");
        if !is_name {
            return Err(Error::config("a table's name is of at most 55 ASCII letters, digits and underscores"));
        }
        if !namespace::is_fit(&self.namespace) || self.namespace.len() > 128 {
            return Err(Error::config("a namespace is printable ASCII without spaces, of 1 to 128 characters"));
        }
        if self.connections == 0 || self.cull_every.is_zero() || self.connect_limit.is_zero() {
            return Err(Error::config("`connections`, `connect_limit` and `cull_every` are more than 0"));
        }
        let statements = Statements::new(engine.dialect(), &self.table, self.namespace);
        let writes_alone = engine.writes_alone();
        let database = Arc::new(Database {
            engine,
            statements,
            connect_limit: self.connect_limit,
            is_ready: AtomicBool::new(false),
        });
        let readers = Pool::new(Arc::clone(&database), self.connections.min(MOST_CONNECTIONS));
        let writers = if writes_alone { Pool::new(Arc::clone(&database), 1) } else { Arc::clone(&readers) };
        let backend = SqlBackend {
            inner: Arc::new(Inner {
                database,
                readers,
                writers,
                turns: Turns::new(),
                clock: self.clock,
                cull_every: self.cull_every,
                culling: Once::new(),
            }),
        };
        if self.connect_now {
            let probe = Work::Read(backend.statements().probe());
            block_on(backend.perform(probe))?;
        }
        Ok(backend)
    }
}

impl fmt::Debug for SqlBackendBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlBackendBuilder")
            .field("table", &self.table)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}
