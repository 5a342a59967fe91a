//! Connections, and the order in which they are used.
//!
//! They belong to the library's own runtime, and whoever asks for something waits for a task there. Nobody waits for a
//! reconnection that has failed: until the next attempt is due, all are told so at once.
//!
//! A caller that gives up leaves its statement behind. If that has not begun, it never does; if it has, whatever else this
//! process wants of the same key comes after it.

use std::{
    collections::BTreeSet,
    hash::BuildHasher,
    io, mem,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use foldhash::fast::FixedState;
use tokio::{
    sync::{Mutex as AsyncMutex, MutexGuard as AsyncMutexGuard, OwnedMutexGuard, Semaphore, SemaphorePermit},
    time::timeout,
};

use super::{
    engine::{self, Connection, Engine},
    statement::{Answer, Statement, Statements},
};
use crate::{
    Error, ErrorKind,
    base::sync::{Mutex, lock},
};

/// How long a statement may take. After that its connection is given up: the server may be gone without a word.
const STATEMENT_LIMIT: Duration = Duration::from_secs(10);

/// How long nobody connects after it has failed.
const PAUSE: Duration = Duration::from_millis(200);

/// What all pools of a backend share.
pub(super) struct Database {
    pub(super) engine: Engine,
    pub(super) statements: Statements,
    pub(super) connect_limit: Duration,
    /// Whether the table was there when we last looked, and nothing has failed since.
    pub(super) is_ready: AtomicBool,
}

/// Some connections to a database.
pub(super) struct Pool {
    database: Arc<Database>,
    seats: Semaphore,
    idle: Mutex<Vec<Connection>>,
    /// When the last attempt to connect has failed, and why.
    failed: Mutex<Option<(Instant, String)>>,
    /// Held by whoever connects.
    connecting: Arc<AsyncMutex<()>>,
}

/// A connection in use.
pub(super) struct Seated<'a> {
    pool: &'a Pool,
    connection: Connection,
    _seat: SemaphorePermit<'a>,
}

impl Database {
    pub(super) fn failed(&self, error: &sqlx::Error) -> Error {
        let kind = if engine::refuses_value(error) { ErrorKind::TooLarge } else { ErrorKind::Backend };
        Error::new(kind, format!("{}: {}", self.engine.name(), self.engine.explain(error)))
    }

    async fn connect(&self) -> Result<Connection, sqlx::Error> {
        let mut connection = self.engine.connect().await?;
        self.prepare(&mut connection).await?;
        Ok(connection)
    }

    /// Makes the table where it is missing. Somebody else may do so at the same time.
    async fn prepare(&self, connection: &mut Connection) -> Result<(), sqlx::Error> {
        if self.is_ready.load(Ordering::Acquire) {
            return Ok(());
        }
        // Who may not make tables may well use one that is there.
        if connection.run(self.statements.probe()).await.is_err() {
            let mut created = Ok(());
            for text in self.statements.create() {
                let outcome = connection.run(Statement { text, arguments: Vec::new() }).await;
                created = created.and(outcome.map(drop));
            }
            if let Err(unseen) = connection.run(self.statements.probe()).await {
                return Err(created.err().unwrap_or(unseen));
            }
        }
        self.is_ready.store(true, Ordering::Release);
        Ok(())
    }
}

impl Pool {
    pub(super) fn new(database: Arc<Database>, connections: usize) -> Arc<Self> {
        Arc::new(Self {
            database,
            seats: Semaphore::new(connections),
            idle: Mutex::default(),
            failed: Mutex::default(),
            connecting: Arc::default(),
        })
    }

    /// A connection that nobody else uses, to a database that has the table.
    pub(super) async fn take(self: &Arc<Self>) -> Result<Seated<'_>, Error> {
        let seat = self.seats.acquire().await.map_err(|_| Error::backend("the connections are closed"))?;
        loop {
            let idle = lock(&self.idle).pop();
            if let Some(mut connection) = idle {
                self.limited(self.database.prepare(&mut connection)).await?;
                return Ok(Seated { pool: self, connection, _seat: seat });
            }
            self.is_resting()?;
            let turn = Arc::clone(&self.connecting).lock_owned().await;
            if lock(&self.idle).is_empty() {
                self.is_resting()?;
                self.connect(turn).await?;
            }
        }
    }

    /// Connects, even if the caller gives up meanwhile: others may want it.
    async fn connect(self: &Arc<Self>, turn: OwnedMutexGuard<()>) -> Result<(), Error> {
        let pool = Arc::clone(self);
        let attempt = tokio::spawn(async move {
            let outcome = timeout(pool.database.connect_limit, pool.database.connect()).await;
            match outcome.unwrap_or_else(|_| Err(timed_out())) {
                Ok(connection) => lock(&pool.idle).push(connection),
                Err(error) => *lock(&pool.failed) = Some((Instant::now(), pool.database.engine.explain(&error))),
            }
            drop(turn);
        });
        attempt.await.map_err(|cause| Error::backend(format!("{}: {cause}", self.database.engine.name())))
    }

    fn is_resting(&self) -> Result<(), Error> {
        match &*lock(&self.failed) {
            Some((when, cause)) if when.elapsed() < PAUSE => {
                Err(Error::backend(format!("{}: not connected: {cause}", self.database.engine.name())))
            }
            _ => Ok(()),
        }
    }

    async fn limited<T>(&self, work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, Error> {
        let outcome = timeout(STATEMENT_LIMIT, work).await.unwrap_or_else(|_| Err(timed_out()));
        outcome.map_err(|error| {
            self.has_failed(&error);
            self.database.failed(&error)
        })
    }

    /// A connection that has failed is closed. What else it means depends.
    fn has_failed(&self, error: &sqlx::Error) {
        // The table may be gone.
        self.database.is_ready.store(false, Ordering::Release);
        // 57P01 and its like: the server goes down.
        let goes_down = |code: &str| code.starts_with("57P");
        let of_statement =
            error.as_database_error().is_some_and(|error| !error.code().is_some_and(|code| goes_down(&code)));
        if !of_statement {
            // All connections that wait will have ended as this one has.
            let ended = mem::take(&mut *lock(&self.idle));
            drop(ended);
        }
    }
}

fn timed_out() -> sqlx::Error {
    sqlx::Error::Io(io::ErrorKind::TimedOut.into())
}

impl Seated<'_> {
    pub(super) async fn run(mut self, statement: Statement) -> Result<Answer, Error> {
        let answer = self.pool.limited(self.connection.run(statement)).await?;
        lock(&self.pool.idle).push(self.connection);
        Ok(answer)
    }
}

/// Whose turn it is to write: one mutex for some of the keys.
pub(super) struct Turns([AsyncMutex<()>; 64]);

impl Turns {
    pub(super) fn new() -> Self {
        Self([const { AsyncMutex::const_new(()) }; 64])
    }

    pub(super) fn of<'k>(&self, keys: impl IntoIterator<Item = &'k str>) -> Stripes {
        let stripe = |key: &str| FixedState::default().hash_one(key) as usize % self.0.len();
        keys.into_iter().map(stripe).collect()
    }

    pub(super) fn all(&self) -> Stripes {
        (0..self.0.len()).collect()
    }

    /// In their order, so that no two wait for each other.
    pub(super) async fn take(&self, stripes: &Stripes) -> Vec<AsyncMutexGuard<'_, ()>> {
        let mut turns = Vec::with_capacity(stripes.len());
        for stripe in stripes {
            turns.push(self.0[*stripe].lock().await);
        }
        turns
    }
}

pub(super) type Stripes = BTreeSet<usize>;
