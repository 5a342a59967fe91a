//! Checks the options, and makes a backend on a table.

use std::{
    fmt,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

#[cfg(feature = "postgres")]
use super::address;
use super::{backend::SqlBackend, engine::Engine, executor::Executor, pool::Database, statement::Statements};
#[cfg(feature = "postgres")]
use crate::options::{CacheOption, checks::belongs, kind::SslMode};
use crate::{
    Clock, Error,
    base::{block_on::block_on, process::PerProcess},
    options::{
        address::of_backend,
        checks::Checks,
        defaults,
        kind::Connect,
        scheme::{Scheme, Service},
        table,
    },
};

/// The largest number of connections, which is far below what a semaphore can count.
const MAX_CONNECTIONS: u64 = 10_000;

/// Makes a [`SqlBackend`].
///
/// Its methods have the names of the options of [`Config`](crate::Config), and refuse the same values: [`build`](Self::build)
/// returns the first error.
#[must_use = "a builder does nothing until `build`"]
pub struct SqlBackendBuilder {
    database: Result<(&'static Scheme, Engine), Error>,
    table: String,
    namespace: String,
    max_connections: u64,
    connect: Connect,
    connect_limit: Duration,
    cull_every: Duration,
    clock: Clock,
    checks: Checks,
}

impl SqlBackend {
    /// A backend on the database at `address`, with the defaults of [`builder`](Self::builder).
    ///
    /// # Errors
    ///
    /// As of [`SqlBackendBuilder::build`].
    pub fn new(address: &str) -> Result<Self, Error> {
        Self::builder(address).build()
    }

    /// Begins a backend on the database at `address`, which is percent-encoded and has no options.
    ///
    /// | address | database |
    /// | --- | --- |
    /// | `sqlite:///var/cache/app.db` | a SQLite file, which is made if it is missing (feature `sqlite`) |
    /// | `postgres://user:password@host:5432/database` | a PostgreSQL database (feature `postgres`) |
    ///
    /// Parts that are missing from a `postgres://` address come from the environment variables of PostgreSQL's own programs, such as
    /// `PGHOST`, `PGUSER` and `PGSSLMODE`. A host that begins with a percent-encoded slash is the directory of the server's socket.
    pub fn builder(address: &str) -> SqlBackendBuilder {
        SqlBackendBuilder::new(address)
    }
}

impl SqlBackendBuilder {
    /// Begins with an address that is percent-encoded and has no options.
    fn new(address: &str) -> Self {
        Self::of(of_backend(address, &[Service::Sqlite, Service::Postgres]))
    }

    /// Begins with an address that is already decoded.
    pub(crate) fn at(scheme: &'static Scheme, rest: &str) -> Self {
        Self::of(Ok((scheme, rest.to_owned())))
    }

    fn of(address: Result<(&'static Scheme, String), Error>) -> Self {
        let database = address.and_then(|(scheme, rest)| {
            scheme.require(&[])?;
            Ok((scheme, engine(scheme, &rest)?))
        });
        Self {
            database,
            table: defaults::TABLE.to_owned(),
            namespace: defaults::NAMESPACE.to_owned(),
            max_connections: defaults::SQL_MAX_CONNECTIONS,
            connect: Connect::Lazy,
            connect_limit: defaults::CONNECT_LIMIT,
            cull_every: defaults::CULL_EVERY,
            clock: Clock::system(),
            checks: Checks::default(),
        }
    }

    /// The name of the table: 1 to 55 ASCII letters, digits and underscores. Default:
    /// [`defaults::TABLE`](crate::defaults::TABLE). The table of claims has the same name with `_claims` after it.
    pub fn table(mut self, name: impl Into<String>) -> Self {
        self.table = name.into();
        self.checks.check(&table::TABLE, &self.table);
        self
    }

    /// The namespace of the rows: 1 to 100 characters of printable ASCII, without spaces and colons. Default:
    /// [`defaults::NAMESPACE`](crate::defaults::NAMESPACE).
    ///
    /// Backends of different namespaces never see each other's rows.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self.checks.check(&table::NAMESPACE, &self.namespace);
        self
    }

    /// The largest number of connections. A SQLite file has one more, for writing. Default:
    /// [`defaults::SQL_MAX_CONNECTIONS`](crate::defaults::SQL_MAX_CONNECTIONS).
    pub fn max_connections(mut self, connections: u64) -> Self {
        self.checks.check(&table::SQL_MAX_CONNECTIONS, &connections);
        self.max_connections = connections;
        self
    }

    /// Whether [`build`](Self::build) connects, and fails if it cannot. Default: [`Connect::Lazy`].
    pub fn connect(mut self, connect: Connect) -> Self {
        self.connect = connect;
        self
    }

    /// How long one attempt to connect may take. A call never waits longer than its soft limit. Default:
    /// [`defaults::CONNECT_LIMIT`](crate::defaults::CONNECT_LIMIT).
    pub fn connect_limit(mut self, limit: Duration) -> Self {
        self.checks.check(&table::CONNECT_LIMIT, &limit);
        self.connect_limit = limit;
        self
    }

    /// How often expired rows are removed. Default: [`defaults::CULL_EVERY`](crate::defaults::CULL_EVERY).
    pub fn cull_every(mut self, pause: Duration) -> Self {
        self.checks.check(&table::CULL_EVERY, &pause);
        self.cull_every = pause;
        self
    }

    /// The clock that decides what has expired, for tests. Default: the clock of the PostgreSQL server, or the machine's for SQLite.
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// The directory of the PostgreSQL server's socket, in place of a host.
    #[cfg(feature = "postgres")]
    pub fn socket(self, directory: impl Into<String>) -> Self {
        let directory = directory.into();
        self.of_postgres(&table::SOCKET, directory, sqlx::postgres::PgConnectOptions::socket)
    }

    /// Whether connections to PostgreSQL are encrypted. Default: the environment variable `PGSSLMODE`, else [`SslMode::Prefer`].
    #[cfg(feature = "postgres")]
    pub fn sslmode(self, mode: SslMode) -> Self {
        self.of_postgres(&table::SSLMODE, mode, |options, mode| options.ssl_mode(address::ssl_mode(mode)))
    }

    #[cfg(feature = "postgres")]
    fn of_postgres<T>(
        mut self,
        option: &CacheOption<T>,
        value: T,
        set: impl FnOnce(sqlx::postgres::PgConnectOptions, T) -> sqlx::postgres::PgConnectOptions,
    ) -> Self {
        self.checks.check(option, &value);
        if let Ok((scheme, engine)) = &mut self.database {
            self.checks.note(belongs(option, scheme));
            match engine {
                Engine::Postgres { options, .. } => **options = set((**options).clone(), value),
                #[cfg(feature = "sqlite")]
                Engine::Sqlite(_) => {}
            }
        }
        self
    }

    /// Makes the backend.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if the address or the value of an option is refused, the scheme does not
    /// have that option, or encryption is not compiled in.
    ///
    /// With [`Connect::Now`], also the error of a file that cannot be opened, or of a server that cannot be reached.
    pub fn build(self) -> Result<SqlBackend, Error> {
        let (_, engine) = self.database?;
        self.checks.finish()?;
        let statements = Statements::new(engine.dialect(), &self.table, self.namespace);
        let database = Arc::new(Database {
            engine,
            statements,
            connect_limit: self.connect_limit,
            is_ready: AtomicBool::new(false),
        });
        let backend = SqlBackend::of(Executor {
            database,
            // At most 10,000, which any machine can count.
            max_connections: self.max_connections.min(MAX_CONNECTIONS) as usize,
            clock: self.clock,
            cull_every: self.cull_every,
            sessions: PerProcess::new(),
        });
        if self.connect == Connect::Now {
            block_on(backend.probe())?;
        }
        Ok(backend)
    }
}

/// The database at the rest of an address.
fn engine(scheme: &Scheme, rest: &str) -> Result<Engine, Error> {
    match scheme.service {
        #[cfg(feature = "postgres")]
        Service::Postgres => address::parse(rest),
        #[cfg(feature = "sqlite")]
        Service::Sqlite => sqlite(rest),
        _ => Err(Error::config(format!("{scheme} is not a scheme of this backend"))),
    }
}

#[cfg(feature = "sqlite")]
fn sqlite(file: &str) -> Result<Engine, Error> {
    if file == ":memory:" {
        // Each connection would have a database of its own.
        return Err(Error::config("a SQLite database in memory cannot be shared by connections: use memory://"));
    }
    match std::path::absolute(file) {
        Ok(file) => Ok(Engine::Sqlite(file)),
        Err(cause) => {
            Err(Error::config("`sqlite://` needs a file, such as sqlite:///var/cache/app.db").with_source(cause))
        }
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
