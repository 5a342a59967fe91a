//! The databases: how one is connected to, how it is spoken to, and in which words it differs from the others.

#[cfg(feature = "sqlite")]
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use futures_lite::StreamExt;
#[cfg(feature = "postgres")]
use sqlx::postgres::{PgConnectOptions, PgConnection, Postgres};
#[cfg(feature = "sqlite")]
use sqlx::sqlite::{Sqlite, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Either, Executor, Row as _, error::ErrorKind};

use super::statement::{Answer, Argument, Row, Statement};

/// How long a statement waits for the write lock of a SQLite file that other processes write.
#[cfg(feature = "sqlite")]
const BUSY_LIMIT: Duration = Duration::from_secs(5);

/// Where the table is.
pub(super) enum Engine {
    #[cfg(feature = "sqlite")]
    Sqlite(PathBuf),
    #[cfg(feature = "postgres")]
    Postgres { options: Box<PgConnectOptions>, password: Option<String> },
}

/// One connection to it.
pub(super) enum Connection {
    #[cfg(feature = "sqlite")]
    Sqlite(SqliteConnection),
    #[cfg(feature = "postgres")]
    Postgres(PgConnection),
}

/// The words in which the databases differ.
#[derive(Clone, Copy)]
pub(super) struct Dialect {
    pub(super) text: &'static str,
    pub(super) bytes: &'static str,
    /// Locks what is selected, in that order.
    pub(super) lock: &'static str,
    /// Locks what is selected, and leaves out what is locked.
    pub(super) lock_free: &'static str,
    /// Whether one parameter may stand for many values.
    arrays: bool,
    /// So many items are in one statement.
    pub(super) most_items: usize,
}

impl Dialect {
    /// One of so many keys that begin at this parameter.
    pub(super) fn among(&self, first: usize, count: usize) -> String {
        if self.arrays {
            return format!("= ANY(${first})");
        }
        let keys: Vec<_> = (first..first + count).map(|parameter| format!("${parameter}")).collect();
        format!("IN ({})", keys.join(", "))
    }

    /// So many rows, of a namespace, keys, values and expiries.
    pub(super) fn items(&self, count: usize) -> String {
        if self.arrays {
            return "SELECT $1, item.* FROM UNNEST($2::text[], $3::bytea[], $4::bigint[]) AS item".to_owned();
        }
        let row = |key| format!("($1, ${key}, ${}, ${})", key + count, key + 2 * count);
        let rows: Vec<_> = (2..2 + count).map(row).collect();
        format!("VALUES {}", rows.join(", "))
    }
}

impl Engine {
    pub(super) fn name(&self) -> &'static str {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => "sqlite",
            #[cfg(feature = "postgres")]
            Self::Postgres { .. } => "postgres",
        }
    }

    pub(super) fn dialect(&self) -> Dialect {
        match self {
            // One writer at a time has all of the file.
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => Dialect {
                text: "TEXT",
                bytes: "BLOB",
                lock: "",
                lock_free: "",
                arrays: false,
                // It looks for each parameter from the first on: 20,000 items take 11 s by 8192, and 0.3 s so.
                most_items: 256,
            },
            // In the order of the bytes, which is that of the keys in our batches.
            #[cfg(feature = "postgres")]
            Self::Postgres { .. } => Dialect {
                text: "TEXT COLLATE \"C\"",
                bytes: "BYTEA",
                lock: " FOR UPDATE",
                lock_free: " FOR UPDATE SKIP LOCKED",
                arrays: true,
                most_items: 8192,
            },
        }
    }

    /// Whether there is one writer at a time anyway, who had better not wait for others by asking again and again.
    pub(super) fn writes_alone(&self) -> bool {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => true,
            #[cfg(feature = "postgres")]
            Self::Postgres { .. } => false,
        }
    }

    pub(super) async fn connect(&self) -> Result<Connection, sqlx::Error> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(file) => open(file).await.map(Connection::Sqlite),
            #[cfg(feature = "postgres")]
            Self::Postgres { options, .. } => options.connect().await.map(Connection::Postgres),
        }
    }

    /// What went wrong. No server should say a password, and none does so through us.
    pub(super) fn explain(&self, error: &sqlx::Error) -> String {
        let text = error.to_string();
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => text,
            #[cfg(feature = "postgres")]
            Self::Postgres { password, .. } => match password {
                Some(password) if !password.is_empty() => text.replace(password, "…"),
                _ => text,
            },
        }
    }
}

/// Whether the database refuses a value, and not the statement: it is too large, or is against a `CHECK` of the table.
pub(super) fn refuses_value(error: &sqlx::Error) -> bool {
    let Some(error) = error.as_database_error() else { return false };
    // SQLite: the value is too big. PostgreSQL: a limit is exceeded.
    let too_large = error.code().is_some_and(|code| ["18", "54000"].contains(&&*code));
    too_large || error.kind() == ErrorKind::CheckViolation
}

#[cfg(feature = "sqlite")]
async fn open(file: &Path) -> Result<SqliteConnection, sqlx::Error> {
    if !file.exists() {
        create(file)?;
    }
    let options = SqliteConnectOptions::new()
        .filename(file)
        .busy_timeout(BUSY_LIMIT)
        .journal_mode(SqliteJournalMode::Wal)
        // After a loss of power the last writes may be missing, and the file is whole.
        .synchronous(SqliteSynchronous::Normal)
        .disable_statement_logging();
    let mut attempts = 0;
    loop {
        match options.connect().await {
            // While another process changes the journal's mode, nobody is made to wait.
            Err(sqlx::Error::Database(error)) if attempts < 50 && error.message().contains("locked") => attempts += 1,
            outcome => return outcome,
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// For its owner alone: whoever can write there decides the answers.
#[cfg(feature = "sqlite")]
fn create(file: &Path) -> std::io::Result<()> {
    if let Some(directory) = file.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let mut options = std::fs::File::options();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file).map(drop)
}

/// Puts the arguments in their places, and gathers what the database answers.
macro_rules! run {
    ($database:ty, $connection:expr, $statement:expr, $array:ident) => {{
        let Statement { text, arguments } = $statement;
        let mut query = sqlx::query::<$database>(&text);
        for argument in arguments {
            query = match argument {
                Argument::Text(text) => query.bind(text),
                Argument::Bytes(bytes) => query.bind(bytes),
                Argument::Number(number) => query.bind(number),
                Argument::Texts(texts) => $array!(query, texts),
                Argument::Blobs(blobs) => $array!(query, blobs),
                Argument::Numbers(numbers) => $array!(query, numbers),
            };
        }
        let mut answer = Answer::default();
        let mut answers = $connection.fetch_many(query);
        while let Some(part) = answers.next().await {
            match part? {
                Either::Left(done) => answer.affected += done.rows_affected(),
                Either::Right(row) => {
                    // In SQLite, a column holds values of any type. Such a row must not spoil the others.
                    let expires = row.try_get(1);
                    answer.rows.push(Row {
                        key: row.try_get(0)?,
                        value: expires.is_ok().then(|| row.try_get(2).ok()).flatten(),
                        expires: expires.unwrap_or(Some(0)),
                    });
                }
            }
        }
        Ok(answer)
    }};
}

#[cfg(feature = "postgres")]
macro_rules! as_array {
    ($query:expr, $values:expr) => {
        $query.bind($values)
    };
}

#[cfg(feature = "sqlite")]
macro_rules! one_by_one {
    ($query:expr, $values:expr) => {
        $values.into_iter().fold($query, |query, value| query.bind(value))
    };
}

impl Connection {
    pub(super) async fn run(&mut self, statement: Statement) -> Result<Answer, sqlx::Error> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(connection) => run!(Sqlite, connection, statement, one_by_one),
            #[cfg(feature = "postgres")]
            Self::Postgres(connection) => run!(Postgres, connection, statement, as_array),
        }
    }
}
