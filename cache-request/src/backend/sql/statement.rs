//! The statements: one set of them, with the few words in which the databases differ.

use std::time::Duration;

use super::engine::Dialect;

/// So many rows are removed at a time, where there may be any number: nobody waits long for their locks.
pub(super) const BATCH: u64 = 1000;

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
    pub(super) key: String,
    pub(super) expires: Option<i64>,
    /// Its bytes. `None` if it was removed, or holds something else than a backend stores.
    pub(super) value: Option<Vec<u8>>,
}

/// One item that is to be written.
pub(super) struct Written {
    pub(super) key: String,
    pub(super) value: Vec<u8>,
    pub(super) expires: Option<i64>,
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

    /// Fails unless the table is there, with the columns that the others speak of.
    pub(super) fn probe(&self) -> Statement {
        let Self { table, .. } = self;
        self.statement(format!("SELECT key, expires, value FROM {table} WHERE namespace = $1 LIMIT 0"), [])
    }

    /// Makes what is missing.
    pub(super) fn create(&self) -> [String; 2] {
        let Self { dialect: Dialect { text, bytes, .. }, table, index, .. } = self;
        [
            format!(
                "CREATE TABLE IF NOT EXISTS {table} (namespace {text} NOT NULL, key {text} NOT NULL, \
                 value {bytes} NOT NULL, expires BIGINT, PRIMARY KEY (namespace, key))"
            ),
            format!("CREATE INDEX IF NOT EXISTS {index} ON {table} (expires) WHERE expires IS NOT NULL"),
        ]
    }

    pub(super) fn get(&self, key: &str, now: i64) -> Statement {
        let Self { table, .. } = self;
        self.statement(
            format!(
                "SELECT key, expires, value FROM {table} \
                 WHERE namespace = $1 AND key = $2 AND (expires IS NULL OR expires > $3)"
            ),
            [Argument::Text(key.to_owned()), Argument::Number(Some(now))],
        )
    }

    pub(super) fn get_many(&self, keys: Vec<String>, now: i64) -> Statement {
        let Self { table, dialect, .. } = self;
        let among = dialect.among(3, keys.len());
        self.statement(
            format!(
                "SELECT key, expires, value FROM {table} \
                 WHERE namespace = $1 AND (expires IS NULL OR expires > $2) AND key {among}"
            ),
            [Argument::Number(Some(now)), Argument::Texts(keys)],
        )
    }

    pub(super) fn set(&self, item: Written) -> Statement {
        let text = format!("{} VALUES ($1, $2, $3, $4) {}", self.insert(), UPDATE);
        self.statement(text, item.arguments())
    }

    /// No two items have the same key.
    pub(super) fn set_many(&self, items: Vec<Written>) -> Statement {
        let text = format!("{} {} {}", self.insert(), self.dialect.items(items.len()), UPDATE);
        let (mut keys, mut values, mut expiries) = (Vec::new(), Vec::new(), Vec::new());
        for Written { key, value, expires } in items {
            keys.push(key);
            values.push(value);
            expiries.push(expires);
        }
        self.statement(text, [Argument::Texts(keys), Argument::Blobs(values), Argument::Numbers(expiries)])
    }

    /// Writes over what has expired, and over nothing else.
    pub(super) fn add(&self, item: Written, now: i64) -> Statement {
        let text = format!("{} VALUES ($1, $2, $3, $4) {} WHERE {}.expires <= $5", self.insert(), UPDATE, self.table);
        let mut statement = self.statement(text, item.arguments());
        statement.arguments.push(Argument::Number(Some(now)));
        statement
    }

    pub(super) fn touch(&self, key: &str, expires: Option<i64>, now: i64) -> Statement {
        let Self { table, .. } = self;
        self.statement(
            format!(
                "UPDATE {table} SET expires = $3 \
                 WHERE namespace = $1 AND key = $2 AND (expires IS NULL OR expires > $4)"
            ),
            [Argument::Text(key.to_owned()), Argument::Number(expires), Argument::Number(Some(now))],
        )
    }

    /// Tells when what it removed would have expired.
    pub(super) fn delete(&self, key: &str) -> Statement {
        let Self { table, .. } = self;
        self.statement(
            format!("DELETE FROM {table} WHERE namespace = $1 AND key = $2 RETURNING key, expires"),
            [Argument::Text(key.to_owned())],
        )
    }

    /// Rows are locked in the order of their keys, by this and by all others that concern several: so that no two wait for
    /// each other.
    pub(super) fn delete_many(&self, keys: Vec<String>) -> Statement {
        let Self { table, dialect, .. } = self;
        let among = dialect.among(2, keys.len());
        let lock = dialect.lock;
        self.statement(
            format!(
                "DELETE FROM {table} WHERE namespace = $1 AND key IN \
                 (SELECT key FROM {table} WHERE namespace = $1 AND key {among} ORDER BY key{lock}) RETURNING key, expires"
            ),
            [Argument::Texts(keys)],
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

    /// Removes some [`BATCH`] of what has expired, whosesoever it is, but what somebody else is at.
    pub(super) fn cull(&self, now: i64) -> Statement {
        let Self { table, dialect: Dialect { lock_free, .. }, .. } = self;
        let text = format!(
            "DELETE FROM {table} WHERE expires <= $1 AND (namespace, key) IN \
             (SELECT namespace, key FROM {table} WHERE expires <= $1 ORDER BY expires LIMIT {BATCH}{lock_free})"
        );
        Statement { text, arguments: vec![Argument::Number(Some(now))] }
    }

    fn insert(&self) -> String {
        format!("INSERT INTO {} (namespace, key, value, expires)", self.table)
    }

    /// The first parameter of nearly all is the namespace.
    fn statement<const N: usize>(&self, text: String, arguments: [Argument; N]) -> Statement {
        let namespace = Argument::Text(self.namespace.clone());
        Statement { text, arguments: [namespace].into_iter().chain(arguments).collect() }
    }
}

const UPDATE: &str = "ON CONFLICT (namespace, key) DO UPDATE SET value = excluded.value, expires = excluded.expires";

impl Written {
    fn arguments(self) -> [Argument; 3] {
        [Argument::Text(self.key), Argument::Bytes(self.value), Argument::Number(self.expires)]
    }
}

/// When what is kept from `now` on has expired, in milliseconds since 1970.
///
/// A part of a millisecond of the timeout is one more; one of the time that it is does not count. So a value is never seen too
/// long, and is at most a millisecond short.
pub(super) fn expiry(now: i64, timeout: Option<Duration>) -> Option<i64> {
    let timeout = timeout?;
    let milliseconds = i64::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX);
    Some(now.saturating_add(milliseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_rounded_up_and_never_to_none() {
        let now = 1_000_000_000_000;
        for (timeout, expires) in [
            (None, None),
            (Some(Duration::from_nanos(1)), Some(now + 1)),
            (Some(Duration::from_millis(1)), Some(now + 1)),
            (Some(Duration::from_nanos(1_000_001)), Some(now + 2)),
            (Some(Duration::from_secs(31 * 24 * 60 * 60)), Some(now + 2_678_400_000)),
            (Some(Duration::MAX), Some(i64::MAX)),
        ] {
            assert_eq!(expiry(now, timeout), expires, "{timeout:?}");
        }
    }
}
