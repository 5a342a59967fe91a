//! The clock by which timeouts go, and rows that a wrong clock has stored.

use std::time::Duration;

use cache_request::{
    Clock, MockClock,
    backend::{Backend, SqlBackend, SqlBackendBuilder},
};
use cache_request_tests::servers::postgres::Postgres;
use futures_lite::future::block_on;

const HOUR: Duration = Duration::from_secs(60 * 60);

fn a_writer_is_ahead(begin: impl Fn() -> SqlBackendBuilder) {
    let (right, ahead) = (Clock::mock(), Clock::mock());
    ahead.advance(HOUR);
    let by = |clock: &MockClock| begin().clock(clock).connect_limit(Duration::from_secs(20)).build().unwrap();
    let (reader, writer) = (by(&right), by(&ahead));
    block_on(async {
        let get = async |backend: &SqlBackend| backend.get("key").await.unwrap();
        writer.set("key", b"too long", Some(HOUR)).await.unwrap();
        assert_eq!(get(&writer).await.as_deref(), Some(&b"too long"[..]));
        assert_eq!(get(&reader).await, None);
        assert_eq!(reader.get_many(&["key"]).await[0].as_ref().unwrap(), &None);
        assert!(!reader.touch("key", None).await.unwrap());
        assert!(!reader.delete("key").await.unwrap());
        writer.set("key", b"for ever", None).await.unwrap();
        assert!(!reader.delete_many(&["key"]).await[0].as_ref().unwrap());
        writer.set("key", b"for ever", None).await.unwrap();
        assert!(reader.add("key", b"new", None).await.unwrap());
        assert_eq!(get(&reader).await.as_deref(), Some(&b"new"[..]));
        // A touch begins a timeout as a write does.
        assert!(writer.touch("key", Some(HOUR)).await.unwrap());
        assert_eq!(get(&reader).await, None);
        // Clocks differ by a little.
        right.advance(HOUR - Duration::from_secs(5));
        writer.set("key", b"value", None).await.unwrap();
        assert_eq!(get(&reader).await.as_deref(), Some(&b"value"[..]));
        ahead.advance(Duration::from_millis(1));
        writer.set("key", b"value", None).await.unwrap();
        assert_eq!(get(&reader).await, None);
    });
}

#[test]
fn a_value_of_a_writer_whose_clock_was_ahead_lived_too_long() {
    let directory = tempfile::tempdir().unwrap();
    a_writer_is_ahead(|| SqlBackend::builder(&format!("sqlite://{}/cache.db", directory.path().display())));
    let postgres = Postgres::start(&[]);
    a_writer_is_ahead(|| SqlBackend::builder(&postgres.url()));
}

/// The server's time is what its function says, which another one hides here.
#[test]
fn values_expired_by_the_clock_of_the_process_and_not_of_the_server() {
    let postgres = Postgres::start(&[]);
    let _ = postgres.ask(
        "CREATE SCHEMA late; CREATE TABLE late.clock (later interval); INSERT INTO late.clock VALUES ('0'); \
         CREATE FUNCTION late.statement_timestamp() RETURNS timestamptz STABLE LANGUAGE sql \
         AS 'SELECT pg_catalog.statement_timestamp() - interval ''1 hour'' - later FROM late.clock'; \
         ALTER ROLE cache SET search_path = late, pg_catalog, public",
    );
    let backend = SqlBackend::builder(&postgres.url()).connect_limit(Duration::from_secs(20)).build().unwrap();
    block_on(async {
        backend.set("key", b"value", Some(HOUR)).await.unwrap();
        assert_eq!(backend.get("key").await.unwrap().as_deref(), Some(&b"value"[..]));
        // Half an hour, as seen by other clients.
        let stored = "SELECT extract(epoch FROM pg_catalog.now()) * 1000 - stored BETWEEN 1800000 AND 5400000, \
                      expires - stored FROM late.cache_request";
        assert_eq!(postgres.ask(stored), "t|3600000");
        // The server's clock goes on by two hours, and this process's does not.
        let _ = postgres.ask("UPDATE late.clock SET later = '-2 hours'");
        assert_eq!(backend.get("key").await.unwrap(), None);
        assert!(!backend.delete("key").await.unwrap());
    });
}
