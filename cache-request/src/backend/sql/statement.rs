//! The SQL statements, which are the same for all databases but for their [`Dialect`].

use std::time::Duration;

use super::dialect::Dialect;
use crate::base::clock::CLOCK_TOLERANCE;

/// How many rows a statement removes at most, so that others do not wait long for its locks.
pub(super) const BATCH: u64 = 1000;

/// The current time, in milliseconds since 1970. `None` leaves it to the server's clock.
pub(super) type Now = Option<i64>;

/// Statements that run one after the other, on one connection.
pub(super) type Script = Vec<Statement>;

/// The text of a statement, and its arguments.
pub(super) struct Statement {
    pub(super) text: String,
    pub(super) arguments: Vec<Argument>,
}

/// The value of a parameter. An array stands for several parameters if the database has no arrays.
pub(super) enum Argument {
    Text(String),
    Bytes(Vec<u8>),
    Number(Option<i64>),
    Texts(Vec<String>),
    Blobs(Vec<Vec<u8>>),
    Numbers(Vec<Option<i64>>),
}

/// The outcome of a statement.
#[derive(Default)]
pub(super) struct Outcome {
    /// How many rows were inserted, updated or deleted.
    pub(super) affected: u64,
    pub(super) rows: Vec<Row>,
}

/// A row that was found or removed.
pub(super) struct Row {
    /// `None` if the row was removed and had expired.
    pub(super) key: Option<String>,
    /// `None` if the row was removed, or its columns have other types than this backend stores.
    pub(super) value: Option<Vec<u8>>,
    /// The further columns of what a claim returns.
    pub(super) numbers: Vec<Option<i64>>,
}

/// One row to be written.
pub(super) struct NewRow {
    pub(super) key: String,
    pub(super) value: Vec<u8>,
    /// In milliseconds. `None` for never.
    pub(super) timeout: Option<i64>,
}

/// The statements of one namespace of one table.
pub(super) struct Statements {
    pub(super) dialect: Dialect,
    /// Quoted, so that a keyword of SQL may be a name.
    pub(super) table: String,
    /// The table of claims, quoted.
    pub(super) claims: String,
    /// The table's name, not quoted.
    name: String,
    namespace: String,
}

impl Statements {
    pub(super) fn new(dialect: Dialect, table: &str, namespace: String) -> Self {
        let (name, quoted) = (table.to_owned(), |suffix: &str| format!("\"{table}{suffix}\""));
        Self { dialect, table: quoted(""), claims: quoted("_claims"), name, namespace }
    }

    /// The name of something that belongs to the table, quoted.
    pub(super) fn named(&self, suffix: &str) -> String {
        format!("\"{}{suffix}\"", self.name)
    }

    #[cfg(feature = "postgres")]
    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The largest number of keys or items in one statement.
    pub(super) fn max_items(&self) -> usize {
        self.dialect.max_items
    }

    /// Whether the server has a clock.
    pub(super) fn server_has_clock(&self) -> bool {
        self.dialect.has_clock()
    }

    /// Fails unless both tables exist with all their columns.
    pub(super) fn probe(&self) -> Statement {
        let Self { table, claims, .. } = self;
        self.statement(
            format!(
                "SELECT {table}.key, {table}.value, {table}.expires, {table}.stored, \
                 {claims}.fence, {claims}.made, {claims}.until FROM {table} LEFT JOIN {claims} \
                 ON {claims}.namespace = {table}.namespace AND {claims}.key = {table}.key \
                 WHERE {table}.namespace = $1 LIMIT 0"
            ),
            [],
        )
    }

    /// Makes the tables and the index if they do not exist.
    pub(super) fn create(&self) -> [String; 3] {
        let (Self { dialect: Dialect { text, bytes, .. }, table, claims, .. }, index) = (self, self.named("_expires"));
        [
            format!(
                "CREATE TABLE IF NOT EXISTS {table} (namespace {text} NOT NULL, key {text} NOT NULL, \
                 value {bytes} NOT NULL, stored BIGINT NOT NULL, expires BIGINT, PRIMARY KEY (namespace, key))"
            ),
            format!("CREATE INDEX IF NOT EXISTS {index} ON {table} (expires) WHERE expires IS NOT NULL"),
            format!(
                "CREATE TABLE IF NOT EXISTS {claims} (namespace {text} NOT NULL, key {text} NOT NULL, \
                 fence BIGINT, made BIGINT NOT NULL, until BIGINT NOT NULL, PRIMARY KEY (namespace, key))"
            ),
        ]
    }

    /// The condition that a row has not expired and was not stored in the future. The time is parameter 2.
    pub(super) fn is_live(&self) -> String {
        let Self { table, dialect, .. } = self;
        let (now, tolerance) = (dialect.now(2), CLOCK_TOLERANCE.as_millis());
        format!("(({table}.expires IS NULL OR {table}.expires > {now}) AND {table}.stored <= {now} + {tolerance})")
    }

    pub(super) fn get(&self, key: &str, now: Now) -> Statement {
        let (table, live) = (&self.table, self.is_live());
        self.statement(
            format!("SELECT key, value, expires FROM {table} WHERE namespace = $1 AND key = $3 AND {live}"),
            [Argument::Number(now), Argument::Text(key.to_owned())],
        )
    }

    pub(super) fn get_many(&self, keys: Vec<String>, now: Now) -> Statement {
        let (table, live, one_of) = (&self.table, self.is_live(), self.dialect.is_one_of(3, keys.len()));
        self.statement(
            format!("SELECT key, value, expires FROM {table} WHERE namespace = $1 AND {live} AND key {one_of}"),
            [Argument::Number(now), Argument::Texts(keys)],
        )
    }

    pub(super) fn set(&self, item: NewRow, now: Now) -> Statement {
        let text = format!("{} {UPDATE}", self.insert_one());
        self.statement(text, item.arguments(now))
    }

    /// The keys must differ from one another.
    pub(super) fn set_many(&self, items: Vec<NewRow>, now: Now) -> Statement {
        let text = format!("{} {} {UPDATE}", self.insert(), self.dialect.rows(items.len()));
        let (mut keys, mut values, mut timeouts) = (Vec::new(), Vec::new(), Vec::new());
        for NewRow { key, value, timeout } in items {
            keys.push(key);
            values.push(value);
            timeouts.push(timeout);
        }
        let arguments =
            [Argument::Number(now), Argument::Texts(keys), Argument::Blobs(values), Argument::Numbers(timeouts)];
        self.statement(text, arguments)
    }

    /// Writes the row unless the key has a live one.
    pub(super) fn add(&self, item: NewRow, now: Now) -> Statement {
        let text = format!("{} {UPDATE} WHERE NOT {}", self.insert_one(), self.is_live());
        self.statement(text, item.arguments(now))
    }

    pub(super) fn touch(&self, key: &str, timeout: Option<i64>, now: Now) -> Statement {
        let (table, live, time) = (&self.table, self.is_live(), self.dialect.now(2));
        self.statement(
            format!(
                "UPDATE {table} SET stored = {time}, expires = {time} + $4 WHERE namespace = $1 AND key = $3 AND {live}"
            ),
            [Argument::Number(now), Argument::Text(key.to_owned()), Argument::Number(timeout)],
        )
    }

    /// Returns the key of the removed row if it was live, else null.
    pub(super) fn delete(&self, key: &str, now: Now) -> Statement {
        let (table, live) = (&self.table, self.is_live());
        self.statement(
            format!("DELETE FROM {table} WHERE namespace = $1 AND key = $3 RETURNING CASE WHEN {live} THEN key END"),
            [Argument::Number(now), Argument::Text(key.to_owned())],
        )
    }

    /// Like every statement on several rows, this locks them in the order of their keys, so that two statements never deadlock.
    pub(super) fn delete_many(&self, keys: Vec<String>, now: Now) -> Statement {
        let Self { table, dialect, .. } = self;
        let (one_of, lock, live) = (dialect.is_one_of(3, keys.len()), dialect.lock, self.is_live());
        self.statement(
            format!(
                "DELETE FROM {table} WHERE namespace = $1 AND key IN \
                 (SELECT key FROM {table} WHERE namespace = $1 AND key {one_of} ORDER BY key{lock}) \
                 RETURNING CASE WHEN {live} THEN key END"
            ),
            [Argument::Number(now), Argument::Texts(keys)],
        )
    }

    /// Removes up to [`BATCH`] rows of the namespace from a table.
    pub(super) fn clear(&self, table: &str) -> Statement {
        let lock = self.dialect.lock;
        self.statement(
            format!(
                "DELETE FROM {table} WHERE namespace = $1 AND key IN \
                 (SELECT key FROM {table} WHERE namespace = $1 ORDER BY key LIMIT {BATCH}{lock})"
            ),
            [],
        )
    }

    /// Removes up to [`BATCH`] expired rows of all namespaces, and skips those that another statement has locked.
    pub(super) fn cull(&self, now: Now) -> Statement {
        let Self { table, dialect, .. } = self;
        let (time, lock_unlocked) = (dialect.now(1), dialect.lock_unlocked);
        let text = format!(
            "DELETE FROM {table} WHERE expires <= {time} AND (namespace, key) IN \
             (SELECT namespace, key FROM {table} WHERE expires <= {time} ORDER BY expires LIMIT {BATCH}{lock_unlocked})"
        );
        Statement { text, arguments: vec![Argument::Number(now)] }
    }

    pub(super) fn insert(&self) -> String {
        format!("INSERT INTO {} (namespace, key, value, stored, expires)", self.table)
    }

    fn insert_one(&self) -> String {
        let now = self.dialect.now(2);
        format!("{} VALUES ($1, $3, $4, {now}, {now} + $5)", self.insert())
    }

    /// A statement whose first parameter is the namespace.
    pub(super) fn statement<const N: usize>(&self, text: String, arguments: [Argument; N]) -> Statement {
        let namespace = Argument::Text(self.namespace.clone());
        Statement { text, arguments: [namespace].into_iter().chain(arguments).collect() }
    }
}

/// What becomes of an `INSERT` if there is a row already.
pub(super) const UPDATE: &str = "ON CONFLICT (namespace, key) DO UPDATE \
                      SET value = excluded.value, stored = excluded.stored, expires = excluded.expires";

impl NewRow {
    fn arguments(self, now: Now) -> [Argument; 4] {
        let Self { key, value, timeout } = self;
        [Argument::Number(now), Argument::Text(key), Argument::Bytes(value), Argument::Number(timeout)]
    }
}

/// A timeout in milliseconds, rounded up, and limited so that its sum with a time does not overflow.
pub(super) fn milliseconds(timeout: Option<Duration>) -> Option<i64> {
    const LONGEST: i64 = i64::MAX / 2;
    let milliseconds = i64::try_from(timeout?.as_nanos().div_ceil(1_000_000)).unwrap_or(LONGEST);
    Some(milliseconds.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_rounded_up_and_never_to_none() {
        for (timeout, expected) in [
            (None, None),
            (Some(Duration::from_nanos(1)), Some(1)),
            (Some(Duration::from_millis(1)), Some(1)),
            (Some(Duration::from_nanos(1_000_001)), Some(2)),
            (Some(Duration::from_secs(31 * 24 * 60 * 60)), Some(2_678_400_000)),
            (Some(Duration::MAX), Some(i64::MAX / 2)),
        ] {
            assert_eq!(milliseconds(timeout), expected, "{timeout:?}");
        }
    }
}
