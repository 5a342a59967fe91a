//! SQLite: triggers write the changed keys into a log, in the transaction of the change.
//!
//! A session looks at the version of the data every few milliseconds, which waits for no lock, and reads the log when it has changed.
//! There is one writer at a time, and what it writes rests on all that was committed before. So the log has every change since
//! the registration. It is cut now and then: a session that finds its place gone has missed changes.

#[cfg(unix)]
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{
    ANSWER_LIMIT, Database, Duration, Error, Instant, NOTED, News, RELIED_ON, Registration, Teller, no_answer,
    not_told, plain, sleep, timeout,
};
use crate::{
    backend::sql::{
        engine::Connection,
        statement::{Argument, Outcome, Row, Script, Statement, Statements},
    },
    base::random,
};

/// The time between two looks at the version of the data.
const EVERY: Duration = Duration::from_millis(25);

/// How many changes the log keeps at least.
const KEPT: i64 = 10_000;

/// How many changes are read at once.
const BATCH: usize = 1000;

pub(super) struct Session {
    connection: Connection,
    /// Which file this is, by whatever name.
    file: FileId,
    id: i64,
    registered: Registration,
    /// The version of the data of which all changes were told.
    version: Option<i64>,
    /// The last entry of the log that was read. It stays in the log for a while.
    place: i64,
}

impl Session {
    pub(super) async fn begin(database: &Database, file: &Path) -> Result<Self, Error> {
        let explain = |error| database.error(&error);
        let statements = &database.statements;
        let mut connection = database.connect().await.map_err(explain)?;
        for text in statements.create_log() {
            connection.run(plain(text)).await.map_err(explain)?;
        }
        let id = random::number().cast_signed();
        let before = Instant::now();
        let mut place = None;
        for statement in statements.register_in_log(id) {
            let rows = connection.run(statement).await.map_err(explain)?.rows;
            place = place.or(rows.first().and_then(number));
        }
        Ok(Self {
            connection,
            file: FileId::of(file)?,
            id,
            registered: Registration::at(before),
            version: None,
            place: place.ok_or_else(|| not_told(database))?,
        })
    }

    pub(super) async fn tell(&mut self, database: &Database, teller: &Teller) -> Result<(), Error> {
        self.registered.check()?;
        self.file.check()?;
        let version = self.data_version(database).await?;
        if self.version != Some(version) {
            while self.tell_batch(database, teller).await? {}
            self.version = Some(version);
        }
        if self.registered.is_due() {
            let before = Instant::now();
            if self.run(database, database.statements.renew_in_log(self.id)).await?.affected == 0 {
                return Err(not_told(database));
            }
            self.registered = Registration::at(before);
            self.run(database, database.statements.trim_log()).await?;
        }
        sleep(EVERY).await;
        Ok(())
    }

    pub(super) async fn end(mut self, database: &Database) -> Result<(), Error> {
        self.run(database, database.statements.end_in_log(self.id)).await.map(drop)
    }

    /// Tells of some changes. Returns whether there may be more.
    async fn tell_batch(&mut self, database: &Database, teller: &Teller) -> Result<bool, Error> {
        let rows = self.run(database, database.statements.read_log(self.place, self.id)).await?.rows;
        let is_last = rows.len() < BATCH;
        let mut rows = rows.into_iter();
        match rows.next().map(|row| row.numbers) {
            Some(numbers) if numbers.first() == Some(&Some(self.place)) => {
                if numbers[1..] != [Some(TRIGGERS.len() as i64), Some(1)] {
                    return Err(not_told(database));
                }
            }
            _ => return Err(Error::backend("sqlite: the log of changes was cut before it was read")),
        }
        for row in rows {
            self.place = number(&row).unwrap_or(self.place);
            if let Some(key) = row.key {
                teller.tell(News::Changed(key));
            }
        }
        Ok(!is_last)
    }

    async fn data_version(&mut self, database: &Database) -> Result<i64, Error> {
        let answer = timeout(ANSWER_LIMIT, self.connection.data_version()).await.map_err(|_| no_answer(database))?;
        answer.map_err(|error| database.error(&error))
    }

    async fn run(&mut self, database: &Database, statement: Statement) -> Result<Outcome, Error> {
        self.connection.run(statement).await.map_err(|error| database.error(&error))
    }
}

/// The number that follows key, value and end of a row.
fn number(row: &Row) -> Option<i64> {
    row.numbers.first().copied().flatten()
}

/// What tells a file from one that has taken its place.
struct FileId {
    #[cfg(unix)]
    path: std::path::PathBuf,
    #[cfg(unix)]
    number: (u64, u64),
}

impl FileId {
    #[cfg(unix)]
    fn of(path: &Path) -> Result<Self, Error> {
        Ok(Self { path: path.to_owned(), number: file_number(path)? })
    }

    /// Fails if the file was removed, or another one is in its place.
    #[cfg(unix)]
    fn check(&self) -> Result<(), Error> {
        if file_number(&self.path)? == self.number {
            Ok(())
        } else {
            Err(Error::backend("sqlite: another file has taken the place of the database"))
        }
    }

    /// An open file cannot be replaced on other systems.
    #[cfg(not(unix))]
    fn of(_: &Path) -> Result<Self, Error> {
        Ok(Self {})
    }

    #[cfg(not(unix))]
    fn check(&self) -> Result<(), Error> {
        Ok(())
    }
}

#[cfg(unix)]
fn file_number(path: &Path) -> Result<(u64, u64), Error> {
    match path.metadata() {
        Ok(found) => Ok((found.dev(), found.ino())),
        Err(cause) => Err(Error::backend("sqlite: the file is gone").with_source(cause)),
    }
}

/// What the names of the triggers end with.
const TRIGGERS: [&str; 3] = ["_near_i", "_near_u", "_near_d"];

/// The time by the machine's clock, in seconds since 1970.
const NOW: &str = "CAST(strftime('%s', 'now') AS INTEGER)";

impl Statements {
    fn log(&self) -> String {
        self.named("_changes")
    }

    fn create_log(&self) -> [String; 5] {
        let (table, near, log, noted) = (&self.table, self.near(), self.log(), NOTED.as_secs());
        let trigger = |suffix, event, namespaces, body| {
            let name = self.named(suffix);
            format!(
                "CREATE TRIGGER IF NOT EXISTS {name} AFTER {event} ON {table} \
                 WHEN EXISTS (SELECT 1 FROM {near} WHERE namespace IN ({namespaces}) AND seen > {NOW} - {noted}) \
                 BEGIN {body} END"
            )
        };
        let insert = |row| format!("INSERT INTO {log} (namespace, key) SELECT {row}.namespace, {row}.key");
        let (new, old) = (insert("NEW"), insert("OLD"));
        let [inserted, updated, deleted] = TRIGGERS;
        [
            format!(
                "CREATE TABLE IF NOT EXISTS {near} (id INTEGER PRIMARY KEY, namespace TEXT NOT NULL, seen BIGINT NOT NULL)"
            ),
            // No number is used again, so a place that is gone is seen to be.
            format!(
                "CREATE TABLE IF NOT EXISTS {log} (seq INTEGER PRIMARY KEY AUTOINCREMENT, namespace TEXT, key TEXT)"
            ),
            trigger(inserted, "INSERT", "NEW.namespace", format!("{new};")),
            trigger(
                updated,
                "UPDATE",
                "OLD.namespace, NEW.namespace",
                format!("{new}; {old} WHERE OLD.namespace IS NOT NEW.namespace OR OLD.key IS NOT NEW.key;"),
            ),
            trigger(deleted, "DELETE", "OLD.namespace", format!("{old};")),
        ]
    }

    /// Registers, and returns the place in the log from which on all changes are there.
    fn register_in_log(&self, id: i64) -> Script {
        let (near, log, noted) = (self.near(), self.log(), NOTED.as_secs());
        vec![
            plain("BEGIN IMMEDIATE"),
            plain(format!("DELETE FROM {near} WHERE seen <= {NOW} - {noted}")),
            self.statement(
                format!("INSERT INTO {near} (id, namespace, seen) VALUES ($2, $1, {NOW})"),
                [Argument::Number(Some(id))],
            ),
            plain(format!("INSERT INTO {log} (namespace, key) VALUES (NULL, NULL) RETURNING NULL, NULL, NULL, seq")),
            self.trim_log(),
            plain("COMMIT"),
        ]
    }

    fn renew_in_log(&self, id: i64) -> Statement {
        let (near, relied_on) = (self.near(), RELIED_ON.as_secs());
        let text = format!("UPDATE {near} SET seen = {NOW} WHERE id = $1 AND seen > {NOW} - {relied_on}");
        Statement { text, arguments: vec![Argument::Number(Some(id))] }
    }

    fn end_in_log(&self, id: i64) -> Statement {
        let text = format!("DELETE FROM {} WHERE id = $1", self.near());
        Statement { text, arguments: vec![Argument::Number(Some(id))] }
    }

    /// The entry at the place and those that follow: the key, if it is of this namespace, and the entry's number. Also, how many
    /// triggers there are, and whether the session is registered.
    fn read_log(&self, place: i64, id: i64) -> Statement {
        let (near, log, relied_on) = (self.near(), self.log(), RELIED_ON.as_secs());
        let text = |name: String| name.replace('"', "'");
        let (table, names) = (text(self.table.clone()), TRIGGERS.map(|suffix| text(self.named(suffix))).join(", "));
        self.statement(
            format!(
                "SELECT CASE WHEN namespace = $1 THEN key END, NULL, NULL, seq, \
                 (SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND tbl_name = {table} AND name IN ({names})), \
                 EXISTS (SELECT 1 FROM {near} WHERE id = $3 AND seen > {NOW} - {relied_on}) \
                 FROM {log} WHERE seq >= $2 ORDER BY seq LIMIT {BATCH}"
            ),
            [Argument::Number(Some(place)), Argument::Number(Some(id))],
        )
    }

    fn trim_log(&self) -> Statement {
        let log = self.log();
        plain(format!("DELETE FROM {log} WHERE seq <= (SELECT max(seq) FROM {log}) - {KEPT}"))
    }
}
