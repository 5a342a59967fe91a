//! The differences between the SQL of SQLite and PostgreSQL.

/// The differences between the SQL of the databases.
#[derive(Clone, Copy)]
pub(super) struct Dialect {
    /// The type of a text column.
    pub(super) text: &'static str,
    /// The type of a column of bytes.
    pub(super) bytes: &'static str,
    /// Locks the selected rows, in their order.
    pub(super) lock: &'static str,
    /// Locks the selected rows, and skips those that are locked already.
    pub(super) lock_unlocked: &'static str,
    /// Puts the rows of [`items`](Self::items) in the order of their keys' bytes.
    pub(super) order: &'static str,
    /// Whether the parts of a `WITH` may write.
    pub(super) with_writes: bool,
    /// Whether a parameter can be an array.
    arrays: bool,
    /// The time by the server's clock, in milliseconds since 1970. `None` if the database has no clock of its own.
    server_time: Option<&'static str>,
    /// The largest number of keys or items in one statement.
    pub(super) max_items: usize,
}

/// A column of [`Dialect::items`].
pub(super) struct Column {
    /// Which of the arrays has its values: 0 is the first one.
    pub(super) array: usize,
    pub(super) name: &'static str,
    /// The type of an array of them.
    pub(super) arrays: &'static str,
}

impl Dialect {
    #[cfg(feature = "sqlite")]
    pub(super) const SQLITE: Self = Self {
        text: "TEXT",
        bytes: "BLOB",
        // A writer locks the whole file.
        lock: "",
        lock_unlocked: "",
        order: "",
        with_writes: false,
        arrays: false,
        server_time: None,
        // SQLite searches for each parameter from the first one on: 20,000 items take 11 s in batches of 8192, and 0.3 s so.
        max_items: 256,
    };

    #[cfg(feature = "postgres")]
    pub(super) const POSTGRES: Self = Self {
        // In the order of the bytes, in which batches are sorted.
        text: "TEXT COLLATE \"C\"",
        bytes: "BYTEA",
        lock: " FOR UPDATE",
        lock_unlocked: " FOR UPDATE SKIP LOCKED",
        order: " ORDER BY item.key COLLATE \"C\"",
        with_writes: true,
        arrays: true,
        // Constant within a statement, so that an index is used.
        server_time: Some("FLOOR(EXTRACT(EPOCH FROM statement_timestamp()) * 1000)::bigint"),
        max_items: 8192,
    };

    /// The condition that a value is one of `count` keys, which begin at the parameter `first`.
    pub(super) fn is_one_of(&self, first: usize, count: usize) -> String {
        if self.arrays {
            return format!("= ANY(${first})");
        }
        let keys: Vec<_> = (first..first + count).map(|parameter| format!("${parameter}")).collect();
        format!("IN ({})", keys.join(", "))
    }

    /// The current time: the value of a parameter or, if that is null, the time of the server.
    pub(super) fn now(&self, parameter: usize) -> String {
        match self.server_time {
            Some(time) => format!("COALESCE(${parameter}, {time})"),
            None => format!("${parameter}"),
        }
    }

    /// Whether the server has a clock.
    pub(super) fn has_clock(&self) -> bool {
        self.server_time.is_some()
    }

    /// The source of an `INSERT` of `count` rows. Parameter 1 is the namespace and 2 the time. Keys, values and timeouts follow: three
    /// arrays, or all keys, then all values, then all timeouts.
    pub(super) fn rows(&self, count: usize) -> String {
        let now = self.now(2);
        if self.arrays {
            return format!(
                "SELECT $1, item.key, item.value, {now}, {now} + item.timeout \
                 FROM UNNEST($3::text[], $4::bytea[], $5::bigint[]) AS item (key, value, timeout)"
            );
        }
        let row = |key| format!("($1, ${key}, ${}, {now}, {now} + ${})", key + count, key + 2 * count);
        let rows: Vec<_> = (3..3 + count).map(row).collect();
        format!("VALUES {}", rows.join(", "))
    }

    /// A table `item` with `count` rows and these columns. The parameters from `first` on are arrays, or all values of the first one, then
    /// all of the second one and so on.
    pub(super) fn items(&self, first: usize, count: usize, columns: &[Column]) -> String {
        let names = |name: &dyn Fn(usize, &Column) -> String| {
            columns.iter().enumerate().map(|(place, column)| name(place, column)).collect::<Vec<_>>().join(", ")
        };
        if self.arrays {
            let arrays = names(&|_, column| format!("${}::{}", first + column.array, column.arrays));
            return format!("UNNEST({arrays}) AS item ({})", names(&|_, column| column.name.to_owned()));
        }
        let row = |row| format!("({})", names(&|_, column| format!("${}", first + column.array * count + row)));
        let rows: Vec<_> = (0..count).map(row).collect();
        let columns = names(&|place, column| format!("column{} AS {}", place + 1, column.name));
        format!("(SELECT {columns} FROM (VALUES {})) AS item", rows.join(", "))
    }
}
