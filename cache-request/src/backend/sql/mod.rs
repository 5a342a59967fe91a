//! `sqlite://` and `postgres://`: a table in a file, or in a database that a server has.
//!
//! - [`builder`]: what a backend is made of.
//! - [`statement`]: what is said to a database.
//! - [`engine`]: the databases, and in which words they differ.
//! - [`pool`]: connections, and the order in which they are used.
//! - [`address`]: what the address of a PostgreSQL server says.
//!
//! This module says in statements what a cache wants, and has them run on the library's own runtime.

#[cfg(feature = "postgres")]
mod address;
mod builder;
mod engine;
mod pool;
mod statement;

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Arc, Once, Weak},
    time::Duration,
};

use futures_lite::future::or;
use tokio::sync::oneshot;

pub use self::builder::SqlBackendBuilder;
use self::{
    pool::{Database, Pool, Stripes, Turns},
    statement::{Answer, BATCH, Now, Statement, Statements, Written, milliseconds},
};
use super::{Backend, Item};
use crate::{
    Clock, Error, ErrorKind,
    base::{clock::unix_millis, runtime},
};

/// What the primary key's index takes: PostgreSQL's has 2,700 bytes for the key and the namespace.
const MAX_KEY_BYTES: usize = 2048;

/// The largest value that is sent. Both databases end somewhat below 1 GB, of all that a statement says.
const MAX_VALUE_BYTES: usize = 512 << 20;

/// Values of so many bytes are in one statement, or a single one.
const MOST_BYTES: usize = 64 << 20;

/// A table in a SQLite file, or in a PostgreSQL database.
///
/// The table and its index are made where they are missing. Several programs may share them; each sees the rows of its
/// [namespace](SqlBackendBuilder::namespace) only. Rows that have expired are never returned, and are removed in the
/// background, once a minute. Nothing else bounds the table: what has no timeout stays until it is deleted or cleared.
///
/// | column | |
/// | --- | --- |
/// | `namespace`, `key` | text, the primary key |
/// | `value` | bytes |
/// | `stored` | when the row was stored or last touched, in milliseconds since 1970 |
/// | `expires` | when it expires, in milliseconds since 1970; null for never |
///
/// Timeouts are exact to the millisecond. In PostgreSQL they go by the server's clock, in SQLite by the machine's. A row that was
/// stored more than 5 seconds in the future, by a clock that was wrong, is a miss.
///
/// All statements run on threads of this library, so that any executor will do, or none. What cannot be reached is an error
/// at once, and tried again in the background of the next calls.
///
/// A SQLite file is in WAL mode, beside which two more files lie, and must not be on a file system that reaches over a
/// network. It does not become smaller; its room is used again. It is made readable by its owner alone.
/// A disk that is full and a file that is spoilt make calls errors, and no call a panic; a spoilt one stays so until it is
/// removed.
///
/// A user of PostgreSQL who may not make tables needs one that is there, and may `SELECT`, `INSERT`, `UPDATE` and `DELETE`:
///
/// ```sql
/// CREATE TABLE cache_request (
///     namespace TEXT COLLATE "C" NOT NULL, key TEXT COLLATE "C" NOT NULL,
///     value BYTEA NOT NULL, stored BIGINT NOT NULL, expires BIGINT, PRIMARY KEY (namespace, key)
/// );
/// CREATE INDEX cache_request_expires ON cache_request (expires) WHERE expires IS NOT NULL;
/// ```
#[derive(Clone)]
pub struct SqlBackend {
    inner: Arc<Inner>,
}

struct Inner {
    database: Arc<Database>,
    readers: Arc<Pool>,
    /// The same, where several may write at a time.
    writers: Arc<Pool>,
    turns: Turns,
    clock: Clock,
    cull_every: Duration,
    culling: Once,
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
    /// | address | what it is |
    /// | --- | --- |
    /// | `sqlite:///var/cache/app.db` | a SQLite file, which is made when it is missing (feature `sqlite`) |
    /// | `postgres://user:password@host:5432/database` | a PostgreSQL database (feature `postgres`) |
    ///
    /// What is left out of the address of PostgreSQL comes from the variables of PostgreSQL's own programs, such as `PGHOST`,
    /// `PGUSER` and `PGSSLMODE`. A host that begins with a slash, percent-encoded, is the directory of the server's socket.
    pub fn builder(address: &str) -> SqlBackendBuilder {
        SqlBackendBuilder::new(address)
    }
}

/// What is to be done, whoever waits for it.
enum Work {
    Read(Statement),
    Write {
        turns: Stripes,
        statement: Statement,
        /// If that fails.
        otherwise: Option<Statement>,
    },
    Clear,
}

impl SqlBackend {
    fn statements(&self) -> &Statements {
        &self.inner.database.statements
    }

    fn now(&self) -> Now {
        self.inner.now()
    }

    async fn read(&self, statement: Statement) -> Result<Answer, Error> {
        self.perform(Work::Read(statement)).await
    }

    async fn write<'k>(&self, keys: impl IntoIterator<Item = &'k str>, statement: Statement) -> Result<Answer, Error> {
        let turns = self.inner.turns.of(keys);
        self.perform(Work::Write { turns, statement, otherwise: None }).await
    }

    /// Of a value that cannot be written, no older one is left.
    async fn replace<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k str>,
        statement: Statement,
        otherwise: Statement,
    ) -> Result<Answer, Error> {
        let turns = self.inner.turns.of(keys);
        self.perform(Work::Write { turns, statement, otherwise: Some(otherwise) }).await
    }

    async fn perform(&self, work: Work) -> Result<Answer, Error> {
        let runtime = runtime::own()?;
        self.inner.culling.call_once(|| {
            runtime.spawn(cull(Arc::downgrade(&self.inner), self.inner.cull_every));
        });
        let (answer, told) = oneshot::channel();
        let inner = Arc::clone(&self.inner);
        runtime.spawn(async move { inner.perform(work, answer).await });
        told.await.unwrap_or_else(|_| Err(Error::backend("the connection's task has ended")))
    }
}

impl Inner {
    /// The time by the machine's clock, unless the server has one; by a mocked clock in any case.
    fn now(&self) -> Now {
        let by_server = self.database.statements.server_has_clock() && !self.clock.is_mock();
        (!by_server).then(|| i64::try_from(unix_millis(self.clock.wall())).unwrap_or(i64::MAX))
    }

    async fn perform(&self, work: Work, mut answer: oneshot::Sender<Result<Answer, Error>>) {
        let (pool, stripes) = match &work {
            Work::Read(_) => (&self.readers, Stripes::new()),
            Work::Write { turns, .. } => (&self.writers, turns.clone()),
            Work::Clear => (&self.writers, self.turns.all()),
        };
        let begin = async {
            let turns = self.turns.take(&stripes).await;
            Some((turns, pool.take().await))
        };
        let given_up = async {
            answer.closed().await;
            None
        };
        let Some((_turns, seated)) = or(begin, given_up).await else { return };
        let outcome = match (seated, work) {
            (Err(error), _) => Err(error),
            (Ok(seated), Work::Read(statement)) => seated.run(statement).await,
            (Ok(seated), Work::Write { statement, otherwise, .. }) => {
                let mut outcome = seated.run(statement).await;
                if let (Err(_), Some(otherwise)) = (&outcome, otherwise)
                    && let Ok(seated) = pool.take().await
                    && let Err(worse) = seated.run(otherwise).await
                {
                    outcome = Err(worse);
                }
                outcome
            }
            (Ok(mut seated), Work::Clear) => loop {
                match seated.run(self.database.statements.clear()).await {
                    Ok(answer) if answer.affected == BATCH => {}
                    outcome => break outcome,
                }
                seated = match pool.take().await {
                    Ok(seated) => seated,
                    Err(error) => break Err(error),
                };
            },
        };
        // Whoever waited may have given up.
        let _ = answer.send(outcome);
    }
}

/// Removes what has expired, as long as the backend is there.
async fn cull(inner: Weak<Inner>, pause: Duration) {
    loop {
        tokio::time::sleep(pause).await;
        let Some(inner) = inner.upgrade() else { return };
        // A fault is told to those who call.
        while let Ok(seated) = inner.writers.take().await
            && let Ok(Answer { affected: BATCH, .. }) = seated.run(inner.database.statements.cull(inner.now())).await
        {
        }
    }
}

impl Backend for SqlBackend {
    fn name(&self) -> &'static str {
        self.inner.database.engine.name()
    }

    fn max_key_bytes(&self) -> usize {
        MAX_KEY_BYTES
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let answer = self.read(self.statements().get(key, self.now())).await?;
        answer.rows.into_iter().next().map(|row| row.value.ok_or_else(corrupt)).transpose()
    }

    async fn set(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<(), Error> {
        if timeout == Some(Duration::ZERO) {
            return self.delete(key).await.map(drop);
        }
        if let Some(error) = too_large(value) {
            self.delete(key).await?;
            return Err(error);
        }
        let now = self.now();
        let statement = self.statements().set(written(key, value, timeout), now);
        self.replace([key], statement, self.statements().delete(key, now)).await.map(drop)
    }

    async fn add(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<bool, Error> {
        if timeout == Some(Duration::ZERO) {
            return Ok(false);
        }
        if let Some(error) = too_large(value) {
            return Err(error);
        }
        let answer = self.write([key], self.statements().add(written(key, value, timeout), self.now())).await?;
        Ok(answer.affected > 0)
    }

    async fn touch(&self, key: &str, timeout: Option<Duration>) -> Result<bool, Error> {
        if timeout == Some(Duration::ZERO) {
            return self.delete(key).await;
        }
        let answer = self.write([key], self.statements().touch(key, milliseconds(timeout), self.now())).await?;
        Ok(answer.affected > 0)
    }

    async fn delete(&self, key: &str) -> Result<bool, Error> {
        let answer = self.write([key], self.statements().delete(key, self.now())).await?;
        Ok(answer.rows.iter().any(|row| row.key.is_some()))
    }

    async fn clear(&self) -> Result<(), Error> {
        self.perform(Work::Clear).await.map(drop)
    }

    async fn get_many(&self, keys: &[&str]) -> Vec<Result<Option<Vec<u8>>, Error>> {
        let mut outcomes = Vec::with_capacity(keys.len());
        for keys in keys.chunks(self.statements().most_items()) {
            match self.read(self.statements().get_many(sorted(keys), self.now())).await {
                Ok(answer) => {
                    let mut left: HashMap<&str, usize> = HashMap::new();
                    for key in keys {
                        *left.entry(key).or_default() += 1;
                    }
                    let mut found: HashMap<_, _> =
                        answer.rows.into_iter().filter_map(|row| Some((row.key?, row.value))).collect();
                    outcomes.extend(keys.iter().map(|key| {
                        let times = left.entry(key).or_default();
                        *times -= 1;
                        // The last of those who ask for it gets it itself.
                        let value = if *times == 0 { found.remove(*key) } else { found.get(*key).cloned() };
                        value.map(|value| value.ok_or_else(corrupt)).transpose()
                    }));
                }
                Err(error) => outcomes.extend(keys.iter().map(|_| Err(again(&error)))),
            }
        }
        outcomes
    }

    async fn set_many(&self, items: &[Item<'_>]) -> Vec<Result<(), Error>> {
        let mut outcomes: Vec<_> = items.iter().map(|item| too_large(item.value).map_or(Ok(()), Err)).collect();
        // The later one stays.
        let last: HashMap<&str, usize> = items.iter().enumerate().map(|(place, item)| (item.key, place)).collect();
        let mut places: Vec<usize> = last.into_values().collect();
        places.sort_unstable_by_key(|place| items[*place].key);
        let (kept, removed): (Vec<_>, Vec<_>) = places
            .into_iter()
            .partition(|place| outcomes[*place].is_ok() && items[*place].timeout != Some(Duration::ZERO));
        let removed_keys: Vec<&str> = removed.iter().map(|place| items[*place].key).collect();
        for (place, outcome) in removed.into_iter().zip(self.delete_many(&removed_keys).await) {
            if let Err(error) = outcome {
                outcomes[place] = Err(error);
            }
        }
        let mut kept = kept.into_iter().peekable();
        while kept.peek().is_some() {
            let (mut chunk, mut bytes) = (Vec::new(), 0);
            while let Some(place) = kept.next_if(|place| {
                chunk.is_empty()
                    || (chunk.len() < self.statements().most_items() && bytes + items[*place].value.len() <= MOST_BYTES)
            }) {
                bytes += items[place].value.len();
                chunk.push(place);
            }
            let now = self.now();
            let keys: Vec<&str> = chunk.iter().map(|place| items[*place].key).collect();
            let rows = chunk.iter().map(|place| {
                let Item { key, value, timeout } = items[*place];
                written(key, value, timeout)
            });
            let statement = self.statements().set_many(rows.collect(), now);
            let otherwise = self.statements().delete_many(owned(&keys), now);
            let Err(error) = self.replace(keys.iter().copied(), statement, otherwise).await else { continue };
            let one_is_refused = error.kind() == ErrorKind::TooLarge && chunk.len() > 1;
            for place in chunk {
                let Item { key, value, timeout } = items[place];
                outcomes[place] = if one_is_refused { self.set(key, value, timeout).await } else { Err(again(&error)) };
            }
        }
        outcomes
    }

    async fn delete_many(&self, keys: &[&str]) -> Vec<Result<bool, Error>> {
        let mut outcomes = Vec::with_capacity(keys.len());
        for keys in keys.chunks(self.statements().most_items()) {
            match self.write(keys.iter().copied(), self.statements().delete_many(sorted(keys), self.now())).await {
                Ok(answer) => {
                    let mut removed: HashSet<_> = answer.rows.into_iter().filter_map(|row| row.key).collect();
                    outcomes.extend(keys.iter().map(|key| Ok(removed.remove(*key))));
                }
                Err(error) => outcomes.extend(keys.iter().map(|_| Err(again(&error)))),
            }
        }
        outcomes
    }
}

fn written(key: &str, value: &[u8], timeout: Option<Duration>) -> Written {
    Written { key: key.to_owned(), value: value.to_vec(), timeout: milliseconds(timeout) }
}

fn owned(keys: &[&str]) -> Vec<String> {
    keys.iter().copied().map(str::to_owned).collect()
}

fn sorted(keys: &[&str]) -> Vec<String> {
    let mut keys = owned(keys);
    keys.sort_unstable();
    keys.dedup();
    keys
}

fn too_large(value: &[u8]) -> Option<Error> {
    (value.len() > MAX_VALUE_BYTES).then(|| Error::too_large(value.len(), MAX_VALUE_BYTES))
}

fn corrupt() -> Error {
    Error::new(ErrorKind::Corrupt, "the stored row has a value of another type")
}

/// The same error, for another item of a batch.
fn again(error: &Error) -> Error {
    Error::new(error.kind(), error.to_string())
}

impl fmt::Debug for SqlBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlBackend").field("engine", &self.name()).finish_non_exhaustive()
    }
}
