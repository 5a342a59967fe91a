//! The statements: one set of them, with the few words in which the databases differ.

use std::time::Duration;

use super::engine::Dialect;
use crate::base::clock::CLOCK_TOLERANCE;

/// So many rows are removed at a time, where there may be any number: nobody waits long for their locks.
pub(super) const BATCH: u64 = 1000;

/// What time it is, in milliseconds since 1970; `None` is what the server's own clock says.
pub(super) type Now = Option<i64>;

/// A statement and what stands in the place of its parameters.
pub(super) struct Statement {
    pub(super) text: String,
    pub(super) arguments: Vec<Argument>,
}

/// What stands in the place of a parameter; of several ones, where the database knows no arrays.
pub(super) enum Argument {
    Text(String),
    Bytes(Vec<u8>),
    Number(Option<i64>),
    Texts(Vec<String>),
    Blobs(Vec<Vec<u8>>),
    Numbers(Vec<Option<i64>>),
}

/// What a statement came to.
#[derive(Default)]
pub(super) struct Answer {
    /// Rows that were written, given another timeout, or removed.
    pub(super) affected: u64,
    pub(super) rows: Vec<Row>,
}

/// A row that was found or removed.
pub(super) struct Row {
    /// `None` if it was removed, and had expired.
    pub(super) key: Option<String>,
    /// Its bytes. `None` if it was removed, or holds something else than a backend stores.
    pub(super) value: Option<Vec<u8>>,
}

/// One item that is to be written.
pub(super) struct Written {
    pub(super) key: String,
    pub(super) value: Vec<u8>,
    /// In milliseconds; `None` is for ever.
    pub(super) timeout: Option<i64>,
}

/// The statements of one namespace of one table.
pub(super) struct Statements {
    dialect: Dialect,
    /// Quoted, and so without a meaning of its own.
    table: String,
    index: String,
    namespace: String,
}

impl Statements {
    pub(super) fn new(dialect: Dialect, table: &str, namespace: String) -> Self {
        Self { dialect, table: format!("\"{table}\""), index: format!("\"{table}_expires\""), namespace }
    }

    /// So many keys or items at most are in one of them.
    pub(super) fn most_items(&self) -> usize {
        self.dialect.most_items
    }

    /// Whether the server knows what time it is.
    pub(super) fn server_has_clock(&self) -> bool {
        self.dialect.has_clock()
    }

    /// Fails unless the table is there, with the columns that the others speak of.
    pub(super) fn probe(&self) -> Statement {
        let Self { table, .. } = self;
        self.statement(format!("SELECT key, value, stored, expires FROM {table} WHERE namespace = $1 LIMIT 0"), [])
    }

    /// Makes what is missing.
    pub(super) fn create(&self) -> [String; 2] {
        let Self { dialect: Dialect { text, bytes, .. }, table, index, .. } = self;
        [
            format!(
                "CREATE TABLE IF NOT EXISTS {table} (namespace {text} NOT NULL, key {text} NOT NULL, \
                 value {bytes} NOT NULL, stored BIGINT NOT NULL, expires BIGINT, PRIMARY KEY (namespace, key))"
            ),
            format!("CREATE INDEX IF NOT EXISTS {index} ON {table} (expires) WHERE expires IS NOT NULL"),
        ]
    }

    /// Whether a row counts: it has not expired, and was not stored in the future. Now is the second parameter.
    fn is_live(&self) -> String {
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
        let (table, live, among) = (&self.table, self.is_live(), self.dialect.among(3, keys.len()));
        self.statement(
            format!("SELECT key, value, expires FROM {table} WHERE namespace = $1 AND {live} AND key {among}"),
            [Argument::Number(now), Argument::Texts(keys)],
        )
    }

    pub(super) fn set(&self, item: Written, now: Now) -> Statement {
        let text = format!("{} {UPDATE}", self.insert_one());
        self.statement(text, item.arguments(now))
    }

    /// No two items have the same key.
    pub(super) fn set_many(&self, items: Vec<Written>, now: Now) -> Statement {
        let text = format!("{} {} {UPDATE}", self.insert(), self.dialect.items(items.len()));
        let (mut keys, mut values, mut timeouts) = (Vec::new(), Vec::new(), Vec::new());
        for Written { key, value, timeout } in items {
            keys.push(key);
            values.push(value);
            timeouts.push(timeout);
        }
        let arguments =
            [Argument::Number(now), Argument::Texts(keys), Argument::Blobs(values), Argument::Numbers(timeouts)];
        self.statement(text, arguments)
    }

    /// Writes over what does not count, and over nothing else.
    pub(super) fn add(&self, item: Written, now: Now) -> Statement {
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

    /// Names the key of what it removed, if that counted.
    pub(super) fn delete(&self, key: &str, now: Now) -> Statement {
        let (table, live) = (&self.table, self.is_live());
        self.statement(
            format!("DELETE FROM {table} WHERE namespace = $1 AND key = $3 RETURNING CASE WHEN {live} THEN key END"),
            [Argument::Number(now), Argument::Text(key.to_owned())],
        )
    }

    /// Rows are locked in the order of their keys, by this and by all others that concern several: so that no two wait for
    /// each other.
    pub(super) fn delete_many(&self, keys: Vec<String>, now: Now) -> Statement {
        let Self { table, dialect, .. } = self;
        let (among, lock, live) = (dialect.among(3, keys.len()), dialect.lock, self.is_live());
        self.statement(
            format!(
                "DELETE FROM {table} WHERE namespace = $1 AND key IN \
                 (SELECT key FROM {table} WHERE namespace = $1 AND key {among} ORDER BY key{lock}) \
                 RETURNING CASE WHEN {live} THEN key END"
            ),
            [Argument::Number(now), Argument::Texts(keys)],
        )
    }

    /// Removes some [`BATCH`] of the namespace.
    pub(super) fn clear(&self) -> Statement {
        let Self { table, dialect: Dialect { lock, .. }, .. } = self;
        self.statement(
            format!(
                "DELETE FROM {table} WHERE namespace = $1 AND key IN \
                 (SELECT key FROM {table} WHERE namespace = $1 ORDER BY key LIMIT {BATCH}{lock})"
            ),
            [],
        )
    }

    /// Removes some [`BATCH`] of what has expired in all namespaces, but what another statement has locked.
    pub(super) fn cull(&self, now: Now) -> Statement {
        let Self { table, dialect, .. } = self;
        let (time, lock_free) = (dialect.now(1), dialect.lock_free);
        let text = format!(
            "DELETE FROM {table} WHERE expires <= {time} AND (namespace, key) IN \
             (SELECT namespace, key FROM {table} WHERE expires <= {time} ORDER BY expires LIMIT {BATCH}{lock_free})"
        );
        Statement { text, arguments: vec![Argument::Number(now)] }
    }

    fn insert(&self) -> String {
        format!("INSERT INTO {} (namespace, key, value, stored, expires)", self.table)
    }

    fn insert_one(&self) -> String {
        let now = self.dialect.now(2);
        format!("{} VALUES ($1, $3, $4, {now}, {now} + $5)", self.insert())
    }

    /// The first parameter of nearly all is the namespace.
    fn statement<const N: usize>(&self, text: String, arguments: [Argument; N]) -> Statement {
        let namespace = Argument::Text(self.namespace.clone());
        Statement { text, arguments: [namespace].into_iter().chain(arguments).collect() }
    }
}

const UPDATE: &str = "ON CONFLICT (namespace, key) DO UPDATE \
                      SET value = excluded.value, stored = excluded.stored, expires = excluded.expires";

impl Written {
    fn arguments(self, now: Now) -> [Argument; 4] {
        let Self { key, value, timeout } = self;
        [Argument::Number(now), Argument::Text(key), Argument::Bytes(value), Argument::Number(timeout)]
    }
}

/// A timeout in milliseconds, rounded up. What no clock will ever show is cut, so that a sum with a time is a number.
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
