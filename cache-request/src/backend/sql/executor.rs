//! Runs the operations of a backend in tasks on the library's own runtime.
//!
//! A caller waits for the task's result. If it gives up, an operation that has not begun never begins.

use std::{
    sync::{Arc, Once, Weak},
    time::Duration,
};

use futures_lite::future::or;
use tokio::sync::oneshot;

use super::{
    locks::{KeyLocks, Stripes},
    pool::{Database, Pool, PooledConnection},
    statement::{BATCH, Now, Outcome, Script, Statement, Statements},
};
use crate::{
    Clock, Error,
    base::{clock::unix_millis, process::PerProcess, runtime},
};

/// A database, with the connections of this process.
pub(super) struct Executor {
    pub(super) database: Arc<Database>,
    pub(super) max_connections: usize,
    pub(super) clock: Clock,
    pub(super) cull_every: Duration,
    /// A child process neither uses nor closes the connections of its parent, but makes its own.
    pub(super) sessions: PerProcess<Session>,
}

/// What one process uses of a backend.
pub(super) struct Session {
    readers: Arc<Pool>,
    /// The same pool as `readers`, if the database allows several writers at a time.
    writers: Arc<Pool>,
    locks: KeyLocks,
    /// Starts the task that removes expired rows.
    culling: Once,
}

/// What a task is to do.
pub(super) enum Operation {
    Read(Statement),
    Write {
        stripes: Stripes,
        script: Script,
        /// Runs if the script fails.
        on_failure: Option<Script>,
    },
    /// Removes all claims, then all values of the namespace.
    Clear,
}

impl Executor {
    /// The time by the machine's clock, or by a mock clock. `None` if the time of the server counts.
    pub(super) fn now(&self) -> Now {
        let by_server = self.database.statements.server_has_clock() && !self.clock.is_mock();
        (!by_server).then(|| i64::try_from(unix_millis(self.clock.wall())).unwrap_or(i64::MAX))
    }

    fn session(&self) -> &Session {
        self.sessions.get(|| {
            let readers = Pool::new(Arc::clone(&self.database), self.max_connections);
            let single_writer = self.database.engine.has_single_writer();
            let writers = if single_writer { Pool::new(Arc::clone(&self.database), 1) } else { Arc::clone(&readers) };
            Session { readers, writers, locks: KeyLocks::new(), culling: Once::new() }
        })
    }

    /// Runs the operation in a task, and waits for its result.
    pub(super) async fn execute(self: &Arc<Self>, operation: Operation) -> Result<Outcome, Error> {
        let runtime = runtime::own()?;
        self.session().culling.call_once(|| {
            runtime.spawn(cull(Arc::downgrade(self), self.cull_every));
        });
        let (result, receiver) = oneshot::channel();
        let executor = Arc::clone(self);
        runtime.spawn(async move { executor.run(operation, result).await });
        receiver.await.unwrap_or_else(|_| Err(Error::backend("the task of the connection has ended")))
    }

    async fn run(&self, operation: Operation, mut result: oneshot::Sender<Result<Outcome, Error>>) {
        let session = self.session();
        let (pool, stripes) = match &operation {
            Operation::Read(_) => (&session.readers, Stripes::new()),
            Operation::Write { stripes, .. } => (&session.writers, stripes.clone()),
            Operation::Clear => (&session.writers, KeyLocks::all_stripes()),
        };
        let begin = async {
            let guards = session.locks.lock(&stripes).await;
            Some((guards, pool.acquire().await))
        };
        let given_up = async {
            result.closed().await;
            None
        };
        let Some((_guards, connection)) = or(begin, given_up).await else { return };
        // Asked again under the locks: an operation that begins after its caller has given up could come after a later deletion.
        if result.is_closed() {
            return;
        }
        let outcome = match (connection, operation) {
            (Err(error), _) => Err(error),
            (Ok(connection), Operation::Read(statement)) => connection.run(statement).await,
            (Ok(connection), Operation::Write { script, on_failure, .. }) => {
                let mut outcome = connection.run_all(script).await;
                if let (Err(_), Some(on_failure)) = (&outcome, on_failure)
                    && let Ok(connection) = pool.acquire().await
                    && let Err(second) = connection.run_all(on_failure).await
                {
                    outcome = Err(second);
                }
                outcome
            }
            (Ok(connection), Operation::Clear) => clear(&self.database.statements, pool, connection).await,
        };
        // The caller may have given up.
        let _ = result.send(outcome);
    }
}

/// Removes all claims before the first value: a value that a claim from before stores meanwhile is removed as well.
async fn clear(
    statements: &Statements,
    pool: &Arc<Pool>,
    mut connection: PooledConnection<'_>,
) -> Result<Outcome, Error> {
    for table in [&statements.claims, &statements.table] {
        while connection.run(statements.clear(table)).await?.affected == BATCH {
            connection = pool.acquire().await?;
        }
        connection = pool.acquire().await?;
    }
    Ok(Outcome::default())
}

/// Removes expired rows at intervals, until the backend is dropped.
async fn cull(executor: Weak<Executor>, pause: Duration) {
    loop {
        tokio::time::sleep(pause).await;
        let Some(executor) = executor.upgrade() else { return };
        let statements = &executor.database.statements;
        // An error is not reported here: the calls get it too.
        for cull in [Statements::cull, Statements::cull_claims] {
            while let Ok(connection) = executor.session().writers.acquire().await
                && let Ok(Outcome { affected: BATCH, .. }) = connection.run(cull(statements, executor.now())).await
            {
            }
        }
    }
}
