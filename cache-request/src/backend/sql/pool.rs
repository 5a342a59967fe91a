//! A pool of connections, which the library's own runtime drives.
//!
//! After a failed attempt to connect, there is a pause until the next one. Meanwhile, all callers get the error at once.

use std::{
    io, mem,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    sync::{Mutex as AsyncMutex, OwnedMutexGuard, Semaphore, SemaphorePermit},
    time::timeout,
};

use super::{
    engine::{self, Connection, Engine},
    statement::{Outcome, Script, Statement, Statements},
};
use crate::{
    Error, ErrorKind,
    base::sync::{Mutex, lock},
};

/// How long a statement may take. After that its connection is closed: the server may be gone without a sign.
pub(super) const STATEMENT_LIMIT: Duration = Duration::from_secs(10);

/// The pause after a failed attempt to connect.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// The database of a backend, and how it is used. All pools of the backend share it.
pub(super) struct Database {
    pub(super) engine: Engine,
    pub(super) statements: Statements,
    pub(super) connect_limit: Duration,
    /// Whether the tables existed when it was last checked, and nothing has failed since.
    pub(super) is_ready: AtomicBool,
}

/// Some connections to a database.
pub(super) struct Pool {
    database: Arc<Database>,
    /// One permit for each connection that there may be.
    permits: Semaphore,
    idle: Mutex<Vec<Connection>>,
    /// When the last attempt to connect failed, and why.
    last_failure: Mutex<Option<(Instant, String)>>,
    /// Locked during an attempt to connect, so that there is one at a time.
    connecting: Arc<AsyncMutex<()>>,
}

/// A connection in use.
pub(super) struct PooledConnection<'a> {
    pool: &'a Pool,
    connection: Connection,
    _permit: SemaphorePermit<'a>,
}

impl Database {
    pub(super) fn error(&self, error: &sqlx::Error) -> Error {
        let kind = if engine::refuses_value(error) { ErrorKind::TooLarge } else { ErrorKind::Backend };
        Error::new(kind, format!("{}: {}", self.engine.name(), self.engine.explain(error)))
    }

    pub(super) async fn connect(&self) -> Result<Connection, sqlx::Error> {
        let mut connection = self.engine.connect().await?;
        self.prepare(&mut connection).await?;
        Ok(connection)
    }

    /// Makes the tables if they do not exist. Another process may do so at the same time.
    async fn prepare(&self, connection: &mut Connection) -> Result<(), sqlx::Error> {
        if self.is_ready.load(Ordering::Acquire) {
            return Ok(());
        }
        // Checked first: a user without the right to make tables may use those that exist.
        if connection.run(self.statements.probe()).await.is_err() {
            let mut created = Ok(());
            for text in self.statements.create() {
                let outcome = connection.run(Statement { text, arguments: Vec::new() }).await;
                created = created.and(outcome.map(drop));
            }
            if let Err(unusable) = connection.run(self.statements.probe()).await {
                return Err(created.err().unwrap_or(unusable));
            }
        }
        self.is_ready.store(true, Ordering::Release);
        Ok(())
    }
}

impl Pool {
    pub(super) fn new(database: Arc<Database>, max_connections: usize) -> Arc<Self> {
        Arc::new(Self {
            database,
            permits: Semaphore::new(max_connections),
            idle: Mutex::default(),
            last_failure: Mutex::default(),
            connecting: Arc::default(),
        })
    }

    /// Waits for a connection to a database that has the tables.
    pub(super) async fn acquire(self: &Arc<Self>) -> Result<PooledConnection<'_>, Error> {
        let permit = self.permits.acquire().await.map_err(|_| Error::backend("the connections are closed"))?;
        loop {
            let idle = lock(&self.idle).pop();
            if let Some(mut connection) = idle {
                self.with_limit(self.database.prepare(&mut connection)).await?;
                return Ok(PooledConnection { pool: self, connection, _permit: permit });
            }
            self.check_pause()?;
            let connecting = Arc::clone(&self.connecting).lock_owned().await;
            if lock(&self.idle).is_empty() {
                self.check_pause()?;
                self.connect(connecting).await?;
            }
        }
    }

    /// Adds a connection to the idle ones. The attempt goes on if the caller gives up, for the sake of later callers.
    async fn connect(self: &Arc<Self>, connecting: OwnedMutexGuard<()>) -> Result<(), Error> {
        let pool = Arc::clone(self);
        let attempt = tokio::spawn(async move {
            let outcome = timeout(pool.database.connect_limit, pool.database.connect()).await;
            match outcome.unwrap_or_else(|_| Err(timed_out())) {
                Ok(connection) => lock(&pool.idle).push(connection),
                Err(error) => *lock(&pool.last_failure) = Some((Instant::now(), pool.database.engine.explain(&error))),
            }
            drop(connecting);
        });
        attempt.await.map_err(|cause| Error::backend(format!("{}: {cause}", self.database.engine.name())))
    }

    /// Fails during the pause after a failed attempt to connect.
    fn check_pause(&self) -> Result<(), Error> {
        match &*lock(&self.last_failure) {
            Some((when, cause)) if when.elapsed() < RETRY_PAUSE => {
                Err(Error::backend(format!("{}: not connected: {cause}", self.database.engine.name())))
            }
            _ => Ok(()),
        }
    }

    async fn with_limit<T>(&self, work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, Error> {
        let outcome = timeout(STATEMENT_LIMIT, work).await.unwrap_or_else(|_| Err(timed_out()));
        outcome.map_err(|error| {
            self.after_failure(&error);
            self.database.error(&error)
        })
    }

    /// Closes the idle connections too, if the error is of the connection and not of the statement.
    fn after_failure(&self, error: &sqlx::Error) {
        // A table may have been removed.
        self.database.is_ready.store(false, Ordering::Release);
        // 57P01 and the like: the server shuts down.
        let shuts_down = |code: &str| code.starts_with("57P");
        let of_statement =
            error.as_database_error().is_some_and(|error| !error.code().is_some_and(|code| shuts_down(&code)));
        if !of_statement {
            // They have most likely ended in the same way.
            let ended = mem::take(&mut *lock(&self.idle));
            drop(ended);
        }
    }
}

fn timed_out() -> sqlx::Error {
    sqlx::Error::Io(io::ErrorKind::TimedOut.into())
}

impl PooledConnection<'_> {
    /// Runs a statement, and gives the connection back to the pool. A connection on which it fails is closed.
    pub(super) async fn run(self, statement: Statement) -> Result<Outcome, Error> {
        self.run_all(vec![statement]).await
    }

    /// Runs the statements, and adds up what they affect and return. A transaction that is not committed ends with its connection.
    pub(super) async fn run_all(mut self, script: Script) -> Result<Outcome, Error> {
        let connection = &mut self.connection;
        let run = async {
            let mut all = Outcome::default();
            for statement in script {
                let Outcome { affected, rows } = connection.run(statement).await?;
                all.affected += affected;
                all.rows.extend(rows);
            }
            Ok(all)
        };
        let outcome = self.pool.with_limit(run).await?;
        lock(&self.pool.idle).push(self.connection);
        Ok(outcome)
    }
}
