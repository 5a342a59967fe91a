//! Tables of SQLite and PostgreSQL: the suite that every backend runs, and the tests of this backend alone.

mod clocks;
mod conformance;
mod faults;
mod fences;
mod keys;
mod login;
mod processes;
mod runtimes;
mod stored;

use std::path::Path;

use sqlx::{ConnectOptions, Executor, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::runtime::{Builder, Runtime};

/// Another program's connection to a SQLite file.
struct Other {
    connection: SqliteConnection,
    runtime: Runtime,
}

impl Other {
    fn of(file: &Path) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
        let connection = runtime.block_on(options.connect()).unwrap();
        Self { connection, runtime }
    }

    fn run(&mut self, statement: &str) {
        self.runtime.block_on(self.connection.execute(statement)).unwrap();
    }
}
