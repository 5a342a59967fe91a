//! Tables of SQLite and PostgreSQL: the suite that every backend runs, and the tests of this backend alone.

mod clocks;
mod conformance;
mod faults;
mod fences;
mod keys;
mod login;
mod near;
mod processes;
mod runtimes;
mod stored;

use std::{path::Path, str::FromStr, thread};

use cache_request_tests::servers::{postgres::Postgres, wait_until};
use sqlx::{
    ConnectOptions, Executor, PgConnection, SqliteConnection, postgres::PgConnectOptions, sqlite::SqliteConnectOptions,
};
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

/// Another program's transaction in a PostgreSQL database.
struct Transaction {
    connection: PgConnection,
    runtime: Runtime,
}

impl Transaction {
    fn begin(postgres: &Postgres, statements: &str) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let options = PgConnectOptions::from_str(&postgres.url()).unwrap();
        let connection = runtime.block_on(options.connect()).unwrap();
        let mut transaction = Self { connection, runtime };
        transaction.run(&format!("BEGIN; {statements}"));
        transaction
    }

    fn run(&mut self, statements: &str) {
        self.runtime.block_on(self.connection.execute(statements)).unwrap();
    }

    /// Runs the `last` statements and commits when `action`, on another thread, waits for what this transaction has locked.
    fn commit_beside<T: Send>(mut self, postgres: &Postgres, last: &str, action: impl FnOnce() -> T + Send) -> T {
        thread::scope(|threads| {
            let acting = threads.spawn(action);
            let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
            wait_until("it waits for the lock", || acting.is_finished() || postgres.ask(waiting) == "1");
            self.run(&format!("{last}; COMMIT"));
            acting.join().unwrap()
        })
    }
}
