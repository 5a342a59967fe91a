//! PostgreSQL: triggers send notices (`NOTIFY`), which the server delivers when the change is committed and visible to all.
//!
//! A transaction that has written before the registration was committed sends no notice, and may commit later. It holds a lock on
//! the table until it ends. So a session registers, looks for transactions with such locks, and waits for their end. The triggers read
//! what was committed when they run, unless the isolation level forbids that: then they send notices in any case.

use sqlx::{
    Row as _,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};

use super::{
    ANSWER_LIMIT, Database, Duration, Error, Instant, NOTED, News, RELIED_ON, Registration, Teller, no_answer,
    not_told, plain, timeout,
};
use crate::{
    backend::sql::{
        engine::Connection,
        statement::{Argument, Row, Statement, Statements},
    },
    base::random,
};

/// The name of the connection, as the server shows it.
const NAME: &str = "cache-request near cache";

/// The time between two checks of the connection and of the triggers.
const EVERY: Duration = Duration::from_secs(1);

/// The time between two looks for older writers.
const LOOKS: Duration = Duration::from_millis(50);

/// How long a statement that makes triggers waits for those that write to the table. Others that write wait behind it.
const LOCK_LIMIT: Duration = Duration::from_millis(500);

/// A larger payload is an error. Keys of this library are much shorter.
const MAX_PAYLOAD_BYTES: usize = 8000;

pub(super) struct Session {
    listener: PgListener,
    /// What notices of this namespace begin with.
    prefix: String,
    /// The table's number, by which it is told from one that has the same name later.
    table: i64,
    /// The triggers as they were when the session began.
    triggers: String,
    id: i64,
    registered: Registration,
    checked: Instant,
}

impl Session {
    pub(super) async fn begin(database: &Database, options: &PgConnectOptions) -> Result<Self, Error> {
        let explain = |error| database.error(&error);
        let statements = &database.statements;
        let mut plain = database.connect().await.map_err(explain)?;
        let (table, triggers) = prepare(database, &mut plain).await?;
        let channel = channel(table);
        let pool = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None);
        let pool = pool.connect_with(options.clone().application_name(NAME)).await.map_err(explain)?;
        let mut listener = PgListener::connect_with(&pool).await.map_err(explain)?;
        listener.eager_reconnect(false);
        listener.listen(&channel).await.map_err(explain)?;
        let id = random::number().cast_signed();
        let before = Instant::now();
        let own = [Argument::Number(Some(id)), Argument::Text(channel)];
        for statement in
            [statements.forget(), statements.register(id), Statement { text: ECHO.to_owned(), arguments: own.into() }]
        {
            plain.run(statement).await.map_err(explain)?;
        }
        let mut session = Self {
            listener,
            prefix: format!("{} ", statements.namespace()),
            table,
            triggers,
            id,
            registered: Registration::at(before),
            checked: before,
        };
        session.hear_itself(database).await?;
        Ok(session)
    }

    /// Waits for the notice that another connection of this session has sent. It does not come if something between client and
    /// server shares the server's connections, or if the two connections lead to two servers.
    async fn hear_itself(&mut self, database: &Database) -> Result<(), Error> {
        let (own, until) = (self.id.to_string(), Instant::now() + ANSWER_LIMIT);
        while let Some(payload) = self.hear(database, until).await? {
            if payload == own {
                return Ok(());
            }
        }
        Err(Error::backend("postgres: notices do not arrive: is there a pooler that shares connections?"))
    }

    pub(super) async fn opens(&mut self, database: &Database, teller: &Teller) -> Result<(), Error> {
        let mut older = self.writers(database).await?;
        while !older.is_empty() {
            let until = Instant::now() + LOOKS;
            while self.tell_one(database, teller, until).await? {}
            let writers = self.writers(database).await?;
            older.retain(|older| writers.contains(older));
        }
        Ok(())
    }

    pub(super) async fn tell(&mut self, database: &Database, teller: &Teller) -> Result<(), Error> {
        self.tell_one(database, teller, self.checked + EVERY).await.map(drop)
    }

    pub(super) async fn end(mut self, database: &Database) -> Result<(), Error> {
        let text = database.statements.end_registration(self.id);
        let end = sqlx::query(&text).execute(&mut self.listener).await;
        end.map(drop).map_err(|error| database.error(&error))
    }

    /// Tells of the next notice that comes until then. Returns whether one came.
    async fn tell_one(&mut self, database: &Database, teller: &Teller, until: Instant) -> Result<bool, Error> {
        self.check(database).await?;
        let Some(payload) = self.hear(database, until).await? else { return Ok(false) };
        if payload.is_empty() {
            teller.tell(News::AllChanged);
        } else if let Some(key) = payload.strip_prefix(&self.prefix) {
            teller.tell(News::Changed(key.to_owned()));
        }
        Ok(true)
    }

    /// The payload of the next notice that comes until then.
    async fn hear(&mut self, database: &Database, until: Instant) -> Result<Option<String>, Error> {
        match tokio::time::timeout_at(until, self.listener.try_recv()).await {
            Ok(Ok(Some(notice))) => Ok(Some(notice.payload().to_owned())),
            Ok(Ok(None)) => Err(Error::backend("postgres: the connection was lost")),
            Ok(Err(error)) => Err(database.error(&error)),
            Err(_) => Ok(None),
        }
    }

    /// Fails if the connection is lost, the triggers are gone or were gone for a while, or the registration cannot be renewed.
    async fn check(&mut self, database: &Database) -> Result<(), Error> {
        self.registered.check()?;
        if self.checked.elapsed() < EVERY {
            return Ok(());
        }
        self.checked = Instant::now();
        let statements = &database.statements;
        let registered =
            format!(" AND EXISTS (SELECT FROM {} WHERE {})", statements.near(), Statements::is_registration(self.id));
        let triggers: Option<String> = self.ask(database, &(statements.triggers(self.table) + &registered)).await?;
        if triggers.as_ref() != Some(&self.triggers) {
            return Err(not_told(database));
        }
        if self.registered.is_due() {
            let before = Instant::now();
            let text = statements.renew_registration(self.id);
            let renewed = sqlx::query(&text).execute(&mut self.listener);
            let renewed = timeout(ANSWER_LIMIT, renewed).await.map_err(|_| no_answer(database))?;
            if renewed.map_err(|error| database.error(&error))?.rows_affected() == 0 {
                return Err(not_told(database));
            }
            self.registered = Registration::at(before);
        }
        Ok(())
    }

    /// The transactions that have written to the table and not ended.
    async fn writers(&mut self, database: &Database) -> Result<Vec<String>, Error> {
        let text = format!(
            "SELECT COALESCE(ARRAY_AGG(virtualtransaction), '{{}}') FROM pg_catalog.pg_locks \
             WHERE relation = {} AND granted AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()) \
             AND mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')",
            self.table
        );
        self.ask(database, &text).await
    }

    async fn ask<T>(&mut self, database: &Database, text: &str) -> Result<T, Error>
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        let asked = sqlx::query(text).fetch_one(&mut self.listener);
        let answer = timeout(ANSWER_LIMIT, asked).await.map_err(|_| no_answer(database))?;
        answer.and_then(|row| row.try_get(0)).map_err(|error| database.error(&error))
    }
}

/// Makes the triggers and what they need, unless they are there. Returns the table's number, and what tells these triggers from later ones.
async fn prepare(database: &Database, connection: &mut Connection) -> Result<(i64, String), Error> {
    let explain = |error| database.error(&error);
    let statements = &database.statements;
    let found = connection.run(statements.place()).await.map_err(explain)?.rows.pop();
    let Some(Row { key: Some(schema), numbers, .. }) = found else { return Err(not_told(database)) };
    let [Some(table), Some(parts)] = numbers[..] else { return Err(not_told(database)) };
    if parts > 0 {
        return Err(Error::backend(
            "postgres: a table with partitions, or with others that inherit it, does not tell of all changes",
        ));
    }
    if let Some(triggers) = find_triggers(database, connection, table).await? {
        return Ok((table, triggers));
    }
    let mut made = Ok(());
    for text in statements.create_triggers(&schema) {
        // Another process may do so at the same time.
        made = made.and(connection.run(plain(text)).await.map(drop));
    }
    match find_triggers(database, connection, table).await? {
        Some(triggers) => Ok((table, triggers)),
        None => Err(made.err().map_or_else(|| not_told(database), explain)),
    }
}

async fn find_triggers(database: &Database, connection: &mut Connection, table: i64) -> Result<Option<String>, Error> {
    let text = format!("SELECT ({}), NULL::bytea, NULL::bigint", database.statements.triggers(table));
    let outcome = connection.run(plain(text)).await.map_err(|error| database.error(&error))?;
    Ok(outcome.rows.into_iter().next().and_then(|row| row.key))
}

/// The channel of a table's notices, which the database distinguishes from those of its other tables.
fn channel(table: i64) -> String {
    format!("cache_request_{table}")
}

/// Sends a notice to this session itself.
const ECHO: &str = "SELECT NULL::text, NULL::bytea, NULL::bigint FROM pg_catalog.pg_notify($2, $1::bigint::text)";

/// What the names of the triggers end with: of that for rows, and of that for `TRUNCATE`.
const TRIGGERS: [&str; 2] = ["_near", "_near_t"];

impl Statements {
    /// The schema of the table, quoted, and the table's number, and whether it has or is a part.
    fn place(&self) -> Statement {
        plain(format!(
            "SELECT quote_ident(nspname)::text, NULL::bytea, NULL::bigint, pg_class.oid::bigint, \
             (relkind <> 'r' OR relispartition OR relhassubclass)::int::bigint FROM pg_catalog.pg_class \
             JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace WHERE pg_class.oid = to_regclass('{}')",
            self.table
        ))
    }

    /// The triggers that the table has, with the transactions that changed them last. NULL if one is missing or disabled, if what they read is,
    /// or if the table has another number by now or has parts.
    fn triggers(&self, table: i64) -> String {
        let [rows, all] = TRIGGERS.map(|suffix| self.named(suffix).replace('"', "'"));
        format!(
            "SELECT CASE WHEN count(*) = {} THEN string_agg(t.oid::text || ' ' || t.xmin::text, ',' ORDER BY tgname) END \
             FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = tgrelid \
             WHERE tgrelid = {table} AND tgrelid = to_regclass('{}') AND NOT relhassubclass AND to_regclass('{}') IS NOT NULL \
             AND tgname IN ({rows}, {all}) AND tgenabled IN ('O', 'A')",
            TRIGGERS.len(),
            self.table,
            self.near()
        )
    }

    fn create_triggers(&self, schema: &str) -> [String; 6] {
        let (near, table) = (format!("{schema}.{}", self.near()), format!("{schema}.{}", self.table));
        let [rows, all] = TRIGGERS.map(|suffix| self.named(suffix));
        let (noted, limit) = (NOTED.as_secs(), LOCK_LIMIT.as_millis());
        [
            format!("SET lock_timeout = {limit}"),
            // After a crash it is empty, and all sessions have ended.
            format!(
                "CREATE UNLOGGED TABLE IF NOT EXISTS {near} \
                 (id BIGINT PRIMARY KEY, namespace TEXT COLLATE \"C\" NOT NULL, seen TIMESTAMPTZ NOT NULL)"
            ),
            // The triggers read it with the rights of the user who writes.
            format!("GRANT SELECT ON {near} TO PUBLIC"),
            format!(
                "CREATE OR REPLACE FUNCTION {near}() RETURNS trigger LANGUAGE plpgsql AS $near$
DECLARE
    channel CONSTANT text := 'cache_request_' || TG_RELID;
    payload text;
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        PERFORM pg_catalog.pg_notify(channel, '');
        RETURN NULL;
    END IF;
    IF current_setting('transaction_isolation') = 'read committed' AND NOT EXISTS (
        SELECT FROM {near}
        WHERE namespace IN (OLD.namespace, NEW.namespace) AND seen > statement_timestamp() - interval '{noted} seconds'
    ) THEN
        RETURN NULL;
    END IF;
    payload := NEW.namespace || ' ' || NEW.key;
    IF octet_length(payload) < {MAX_PAYLOAD_BYTES} THEN
        PERFORM pg_catalog.pg_notify(channel, payload);
    END IF;
    IF payload IS DISTINCT FROM OLD.namespace || ' ' || OLD.key THEN
        payload := OLD.namespace || ' ' || OLD.key;
        IF octet_length(payload) < {MAX_PAYLOAD_BYTES} THEN
            PERFORM pg_catalog.pg_notify(channel, payload);
        END IF;
    END IF;
    RETURN NULL;
END
$near$"
            ),
            format!("CREATE TRIGGER {all} AFTER TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {near}()"),
            format!(
                "CREATE TRIGGER {rows} AFTER INSERT OR UPDATE OR DELETE ON {table} \
                 FOR EACH ROW EXECUTE FUNCTION {near}()"
            ),
        ]
    }

    /// Removes registrations that the triggers have forgotten.
    fn forget(&self) -> Statement {
        let (near, noted) = (self.near(), NOTED.as_secs());
        plain(format!("DELETE FROM {near} WHERE seen < statement_timestamp() - interval '{noted} seconds'"))
    }

    fn register(&self, id: i64) -> Statement {
        self.statement(
            format!("INSERT INTO {} (id, namespace, seen) VALUES ($2, $1, statement_timestamp())", self.near()),
            [Argument::Number(Some(id))],
        )
    }

    /// The condition that selects the registration, unless it was not renewed in time by the server's clock.
    fn is_registration(id: i64) -> String {
        let relied_on = RELIED_ON.as_secs();
        format!("id = {id} AND seen > statement_timestamp() - interval '{relied_on} seconds'")
    }

    fn renew_registration(&self, id: i64) -> String {
        format!("UPDATE {} SET seen = statement_timestamp() WHERE {}", self.near(), Self::is_registration(id))
    }

    fn end_registration(&self, id: i64) -> String {
        format!("DELETE FROM {} WHERE id = {id}", self.near())
    }
}
