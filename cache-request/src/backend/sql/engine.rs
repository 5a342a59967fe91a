//! The databases: how to connect to them, and how to run a statement.

#[cfg(feature = "sqlite")]
use std::{
    path::{Path, PathBuf},
    process,
    sync::LazyLock,
    time::Duration,
};

use futures_lite::StreamExt;
#[cfg(feature = "postgres")]
use sqlx::postgres::{PgConnectOptions, PgConnection, Postgres};
#[cfg(feature = "sqlite")]
use sqlx::sqlite::{Sqlite, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Either, Executor, Row as _, error::ErrorKind};

use super::{
    dialect::Dialect,
    statement::{Argument, Outcome, Row, Statement},
};

/// How long a statement waits for the write lock of a SQLite file that other processes hold. They poll for it and keep no order, so it can take
/// long beside many. It is less than any statement may take.
#[cfg(feature = "sqlite")]
const BUSY_LIMIT: Duration = Duration::from_secs(9);

/// The address of a database.
pub(super) enum Engine {
    #[cfg(feature = "sqlite")]
    Sqlite(PathBuf),
    #[cfg(feature = "postgres")]
    Postgres { options: Box<PgConnectOptions>, password: Option<String> },
}

/// One connection to a database.
pub(super) enum Connection {
    #[cfg(feature = "sqlite")]
    Sqlite(SqliteConnection),
    #[cfg(feature = "postgres")]
    Postgres(PgConnection),
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
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => Dialect::SQLITE,
            #[cfg(feature = "postgres")]
            Self::Postgres { .. } => Dialect::POSTGRES,
        }
    }

    /// Whether the database allows one writer at a time. Writers then share one connection: with more, they would poll for the
    /// write lock.
    pub(super) fn has_single_writer(&self) -> bool {
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
            Self::Postgres { options, .. } => {
                let mut connection = options.connect().await?;
                // A user or a database may have another default. At this level, each statement sees what was committed before it
                // began, and a row that another one has changed meanwhile is no error.
                connection.execute("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
                Ok(Connection::Postgres(connection))
            }
        }
    }

    /// The text of an error, without the password if the server repeats it.
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

/// Whether the database refuses a value: it is too large, or violates a `CHECK` of the table.
pub(super) fn refuses_value(error: &sqlx::Error) -> bool {
    let Some(error) = error.as_database_error() else { return false };
    // SQLITE_TOOBIG, and PostgreSQL's program_limit_exceeded.
    let too_large = error.code().is_some_and(|code| ["18", "54000"].contains(&&*code));
    too_large || error.kind() == ErrorKind::CheckViolation
}

#[cfg(feature = "sqlite")]
async fn open(file: &Path) -> Result<SqliteConnection, sqlx::Error> {
    if !file.exists() {
        create(file)?;
    }
    refuse_inherited(file)?;
    let options = SqliteConnectOptions::new()
        .filename(file)
        .busy_timeout(BUSY_LIMIT)
        .journal_mode(SqliteJournalMode::Wal)
        // After a power cut, the last writes may be missing, but the file is consistent.
        .synchronous(SqliteSynchronous::Normal)
        .disable_statement_logging();
    let mut attempts = 0;
    loop {
        match options.connect().await {
            // SQLite does not wait while another process changes the journal mode.
            Err(sqlx::Error::Database(error)) if attempts < 50 && error.message().contains("locked") => attempts += 1,
            outcome => return outcome,
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Fails if a process that this one was forked from has opened the file.
///
/// SQLite's locks belong to a process, and SQLite remembers in memory which ones it holds. A child inherits that memory without
/// the locks, so even a new connection of the child would hold none. Another process could then remove the write-ahead log
/// that the child writes, and the child would miss what others write.
#[cfg(feature = "sqlite")]
fn refuse_inherited(file: &Path) -> Result<(), sqlx::Error> {
    /// Each file with the process that opened it first.
    static OPENED: LazyLock<papaya::HashMap<PathBuf, u32>> = LazyLock::new(papaya::HashMap::new);

    if *OPENED.pin().get_or_insert(file.canonicalize()?, process::id()) == process::id() {
        return Ok(());
    }
    Err(sqlx::Error::Configuration(
        "a SQLite file that was opened before a fork cannot be used in the child process: fork before the first call"
            .into(),
    ))
}

/// Makes the file, readable and writable by its owner alone.
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

/// Binds the arguments, runs the statement and collects its outcome.
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
        let mut outcome = Outcome::default();
        let mut parts = $connection.fetch_many(query);
        while let Some(part) = parts.next().await {
            match part? {
                Either::Left(done) => outcome.affected += done.rows_affected(),
                Either::Right(row) => {
                    // A SQLite column holds values of any type. A row of another type is an error of its own key alone.
                    let expires: Result<Option<i64>, _> = row.try_get(2);
                    let value = expires.and_then(|_| row.try_get(1)).ok();
                    let numbers = (3..row.len()).map(|column| row.try_get(column)).collect::<Result<_, _>>()?;
                    outcome.rows.push(Row { key: row.try_get(0)?, value, numbers });
                }
            }
        }
        Ok(outcome)
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
    /// A number that changes when another connection has written to the SQLite file.
    #[cfg(feature = "sqlite")]
    pub(super) async fn data_version(&mut self) -> Result<i64, sqlx::Error> {
        match self {
            Self::Sqlite(connection) => sqlx::query_scalar("PRAGMA data_version").fetch_one(connection).await,
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => Err(sqlx::Error::Protocol("not a SQLite file".to_owned())),
        }
    }

    pub(super) async fn run(&mut self, statement: Statement) -> Result<Outcome, sqlx::Error> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(connection) => run!(Sqlite, connection, statement, one_by_one),
            #[cfg(feature = "postgres")]
            Self::Postgres(connection) => run!(Postgres, connection, statement, as_array),
        }
    }
}
