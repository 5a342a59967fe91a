//! Tells a near cache of changes, whichever program makes them.
//!
//! Triggers on the table notice each row that is written or removed. They do nothing unless a near cache has registered within the last
//! minute, in a table whose name ends with `_near`. What they notice is sent by the database (`postgres`), or written into a log in the
//! same transaction (`sqlite`). Where no near cache was ever used, there are no triggers.
//!
//! A [`Session`] begins with its registration. When no change can be missed any more, the near cache opens. If the connection is lost, or
//! the registration was not renewed in time, changes may have been missed: the near cache is emptied, and another session begins.

#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::{
    convert::Infallible,
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_lite::FutureExt;
use tokio::time::{Instant, sleep, timeout};

use super::{
    engine::Engine,
    pool::{Database, STATEMENT_LIMIT},
    statement::{Statement, Statements},
};
use crate::{
    Error,
    backend::{
        Changes,
        telling::{News, Teller, pause},
    },
    base::runtime::own,
};

/// How long triggers take note of a registration after it was renewed last.
const NOTED: Duration = Duration::from_secs(60);

/// How long a session relies on its registration after it was renewed last. Much less than [`NOTED`]: a trigger may look at a registration
/// that is being renewed.
const RELIED_ON: Duration = Duration::from_secs(30);

/// How often a registration is renewed.
const RENEWED: Duration = Duration::from_secs(10);

/// How long the database may take for one answer to a session.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// Tells `changes` of all changes in the namespace, from a task of the library's own runtime.
pub(super) fn track(database: Arc<Database>, changes: Changes) {
    match own() {
        Ok(runtime) => drop(runtime.spawn(async move {
            let (teller, until_gone) = Teller::begin(changes);
            keep_tracking(&database, &teller, until_gone).await;
        })),
        Err(error) => changes.lost(&error),
    }
}

async fn keep_tracking(database: &Database, teller: &Teller, until_gone: impl Future<Output = ()>) {
    let mut until_gone = pin!(until_gone);
    let mut failures = 0;
    loop {
        let mut session = None;
        let tracking = async { Some(track_once(database, teller, &mut session, &mut failures).await) };
        let gone = async {
            until_gone.as_mut().await;
            None
        };
        let Some(Err(why)) = tracking.or(gone).await else {
            if let Some(session) = session {
                // If that fails, the triggers forget it by themselves.
                let _ = timeout(ANSWER_LIMIT, session.end(database)).await;
            }
            return;
        };
        drop(session);
        // A table may have been removed.
        database.is_ready.store(false, Ordering::Release);
        failures += 1;
        teller.tell(News::Lost(why));
        let paused = async {
            sleep(pause(failures)).await;
            true
        };
        let gone = async {
            until_gone.as_mut().await;
            false
        };
        if !paused.or(gone).await {
            return;
        }
    }
}

/// Tells of changes until one may have been missed.
async fn track_once(
    database: &Database,
    teller: &Teller,
    session: &mut Option<Session>,
    failures: &mut u32,
) -> Result<Infallible, Error> {
    let limit = database.connect_limit.saturating_add(STATEMENT_LIMIT);
    let begun = timeout(limit, Session::begin(database));
    let session = session.insert(begun.await.unwrap_or_else(|_| Err(no_answer(database)))?);
    session.opens(database, teller).await?;
    *failures = 0;
    teller.tell(News::Begun);
    loop {
        session.tell(database, teller).await?;
    }
}

/// One connection that learns of changes, and its registration.
enum Session {
    #[cfg(feature = "sqlite")]
    Sqlite(sqlite::Session),
    #[cfg(feature = "postgres")]
    Postgres(postgres::Session),
}

impl Session {
    /// Connects and registers.
    async fn begin(database: &Database) -> Result<Self, Error> {
        match &database.engine {
            #[cfg(feature = "sqlite")]
            Engine::Sqlite(file) => sqlite::Session::begin(database, file).await.map(Self::Sqlite),
            #[cfg(feature = "postgres")]
            Engine::Postgres { options, .. } => postgres::Session::begin(database, options).await.map(Self::Postgres),
        }
    }

    /// Waits until no change can be missed any more.
    async fn opens(&mut self, database: &Database, teller: &Teller) -> Result<(), Error> {
        match self {
            // There is one writer at a time, and this session was one: no older transaction is left. What it reads first shows that the
            // triggers are there.
            #[cfg(feature = "sqlite")]
            Self::Sqlite(session) => session.tell(database, teller).await,
            #[cfg(feature = "postgres")]
            Self::Postgres(session) => session.opens(database, teller).await,
        }
    }

    /// Tells of some changes, or waits for them for a while.
    async fn tell(&mut self, database: &Database, teller: &Teller) -> Result<(), Error> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(session) => session.tell(database, teller).await,
            #[cfg(feature = "postgres")]
            Self::Postgres(session) => session.tell(database, teller).await,
        }
    }

    /// Ends the registration.
    async fn end(self, database: &Database) -> Result<(), Error> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(session) => session.end(database).await,
            #[cfg(feature = "postgres")]
            Self::Postgres(session) => session.end(database).await,
        }
    }
}

/// When a session has renewed its registration, by a clock that also counts while the process stands still.
struct Registration(Instant);

impl Registration {
    /// Note the time before the statement that registers or renews.
    fn at(before: Instant) -> Self {
        Self(before)
    }

    /// Fails if the triggers may have forgotten the session.
    fn check(&self) -> Result<(), Error> {
        if self.0.elapsed() < RELIED_ON { Ok(()) } else { Err(Error::backend("the process stood still for too long")) }
    }

    fn is_due(&self) -> bool {
        self.0.elapsed() >= RENEWED
    }
}

impl Statements {
    /// The table of registrations.
    fn near(&self) -> String {
        self.named("_near")
    }
}

fn plain(text: impl Into<String>) -> Statement {
    Statement { text: text.into(), arguments: Vec::new() }
}

fn no_answer(database: &Database) -> Error {
    Error::backend(format!("{}: no answer to what the near cache asks", database.engine.name()))
}

fn not_told(database: &Database) -> Error {
    let name = database.engine.name();
    Error::backend(format!("{name}: the table does not tell of changes: a trigger or the registration is missing"))
}
