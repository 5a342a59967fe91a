//! The rows of the table: their content, their lifetime and their namespaces.

use std::time::Duration;

use cache_request::{
    Cache, Clock, ErrorKind,
    backend::{Backend, Connect, Item, SqlBackend, SqlBackendBuilder},
};
use cache_request_tests::{
    servers::{PATIENCE, postgres::Postgres, wait_until},
    sharing::{assert_each_clears_its_own, assert_processes_share},
};
use futures_lite::future::block_on;

fn processes_share(url: &str) {
    let url = format!("{url}?prefix=paint&soft_limit=60s&connect_limit=60s");
    assert_processes_share(|| Cache::from_url(&url).unwrap(), || {});
}

#[test]
fn an_annotated_function_keeps_its_answers_there() {
    let directory = tempfile::tempdir().unwrap();
    processes_share(&format!("sqlite://{}/cache.db", directory.path().display()));
    let postgres = Postgres::start(&[]);
    let begun = std::time::Instant::now();
    processes_share(&postgres.url());
    let soonest = 60 - begun.elapsed().as_secs() as i64 - 1;
    let row = format!(
        "SELECT namespace, key, expires / 1000 - extract(epoch FROM now())::bigint BETWEEN {soonest} AND 61 \
         FROM cache_request WHERE key NOT LIKE '%acme%'"
    );
    assert_eq!(postgres.ask(&row), "cache-request|paint..colour?name=red|t");
}

/// Namespaces and tables are separate, even when one is cleared of more rows than one statement removes.
fn namespaces_are_separate(begin: impl Fn() -> SqlBackendBuilder) {
    let slowly = || begin().connect_limit(PATIENCE);
    block_on(async {
        let backends = [
            slowly().namespace("shop").build().unwrap(),
            slowly().namespace("shop2").build().unwrap(),
            slowly().namespace("SHOP").build().unwrap(),
            slowly().namespace("s%").build().unwrap(),
            slowly().namespace("shop").table("Other_1").build().unwrap(),
            slowly().namespace("shop").table("select").build().unwrap(),
        ];
        for (number, backend) in backends.iter().enumerate() {
            assert_eq!(backend.get("key").await.unwrap(), None, "{number}");
            backend.set("key", &[u8::try_from(number).unwrap()], None).await.unwrap();
        }
        let keys: Vec<String> = (0..20_000).map(|number| format!("key{number}")).collect();
        let items: Vec<_> = keys.iter().map(|key| Item { key, value: key.as_bytes(), timeout: None }).collect();
        let begun = std::time::Instant::now();
        assert!(backends[0].set_many(&items).await.iter().all(Result::is_ok));
        let written = begun.elapsed();
        let names: Vec<&str> = keys.iter().map(String::as_str).collect();
        let found = backends[0].get_many(&names).await;
        assert!(found.iter().zip(&keys).all(|(found, key)| found.as_ref().unwrap().as_deref() == Some(key.as_bytes())));
        println!("{}: 20,000 set in {written:.0?}, got in {:.0?}", backends[0].name(), begun.elapsed() - written);
        assert_each_clears_its_own(&backends).await;
        assert!(backends[0].get_many(&names).await.iter().all(|found| matches!(found, Ok(None))));
    });
    for wrong in ["", "1a", "a b", "a\"", "a;b", "sqlite_a", "ä", &"a".repeat(56)] {
        assert_eq!(begin().table(wrong).build().unwrap_err().kind(), ErrorKind::Config, "{wrong}");
    }
    for wrong in ["", "a b", "ä", "a\n", &"a".repeat(129)] {
        assert_eq!(begin().namespace(wrong).build().unwrap_err().kind(), ErrorKind::Config, "{wrong}");
    }
}

/// Batches that have the same keys in different orders do not deadlock.
fn batches_do_not_deadlock(begin: impl Fn() -> SqlBackendBuilder) {
    let backends = [begin().build().unwrap(), begin().build().unwrap()];
    let keys: Vec<String> = (0..300).map(|number| format!("key{number}")).collect();
    std::thread::scope(|threads| {
        for caller in 0..4 {
            let (backend, mut keys) = (&backends[caller % 2], keys.iter().map(String::as_str).collect::<Vec<_>>());
            if caller > 1 {
                keys.reverse();
            }
            threads.spawn(move || {
                for _ in 0..10 {
                    let items: Vec<_> = keys.iter().map(|key| Item { key, value: b"v", timeout: None }).collect();
                    assert!(block_on(backend.set_many(&items)).iter().all(Result::is_ok));
                    assert!(block_on(backend.delete_many(&keys)).iter().all(Result::is_ok));
                    block_on(backend.clear()).unwrap();
                }
            });
        }
    });
}

/// Expired rows of all namespaces are removed in the background, and no others.
fn expired_rows_are_removed(begin: impl Fn() -> SqlBackendBuilder, rows: impl Fn() -> String) {
    let clock = Clock::mock();
    let backend = begin().clock(&clock).cull_every(Duration::from_millis(50)).build().unwrap();
    let other = begin().clock(&clock).namespace("another").build().unwrap();
    let keys: Vec<String> = (0..2500).map(|number| format!("key{number}")).collect();
    block_on(async {
        let timeout = Some(Duration::from_secs(60));
        let items: Vec<_> = keys.iter().map(|key| Item { key, value: b"v", timeout }).collect();
        assert!(other.set_many(&items).await.iter().all(Result::is_ok));
        backend.set("for-ever", b"v", None).await.unwrap();
        backend.set("longer", b"v", Some(Duration::from_secs(61))).await.unwrap();
    });
    assert_eq!(rows(), "2502");
    clock.advance(Duration::from_secs(60));
    wait_until("the expired rows are removed", || rows() == "2");
}

#[test]
fn rows_of_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| {
        SqlBackend::builder(&format!("sqlite://{}/{name}", directory.path().display())).connect_limit(PATIENCE)
    };
    namespaces_are_separate(|| at("apart.db"));
    batches_do_not_deadlock(|| at("cross.db"));
}

#[test]
fn expired_rows_of_sqlite_are_culled() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/cache.db", directory.path().display());
    // Backends with a mock clock at its start see the rows as not yet expired.
    let keys: Vec<String> = (0..2500).map(|number| format!("key{number}")).collect();
    let begin = || SqlBackend::builder(&url).connect_limit(PATIENCE);
    let early = begin().clock(Clock::mock()).namespace("another").build().unwrap();
    let own = begin().clock(Clock::mock()).build().unwrap();
    let rows = || {
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let found = block_on(early.get_many(&keys));
        let found = found.into_iter().chain(block_on(own.get_many(&["for-ever", "longer"])));
        found.filter(|found| found.as_ref().unwrap().is_some()).count().to_string()
    };
    expired_rows_are_removed(begin, rows);
}

#[test]
fn rows_of_postgres() {
    let postgres = Postgres::start(&[]);
    namespaces_are_separate(|| SqlBackend::builder(&postgres.url()));
    batches_do_not_deadlock(|| SqlBackend::builder(&postgres.url()).connect_limit(PATIENCE));
    // Every row was removed.
    assert_eq!(postgres.ask("SELECT count(*) FROM cache_request"), "0");
    let begin = || SqlBackend::builder(&postgres.url()).connect_limit(PATIENCE);
    expired_rows_are_removed(begin, || postgres.ask("SELECT count(*) FROM cache_request"));

    // A dropped table is made again. A user who may not make tables can use an existing one.
    let backend = begin().build().unwrap();
    block_on(async {
        backend.set("key", b"value", None).await.unwrap();
        let _ = postgres.ask("DROP TABLE cache_request");
        let _ = backend.get("key").await;
        backend.set("key", b"value", None).await.unwrap();
        assert_eq!(backend.get("key").await.unwrap().as_deref(), Some(&b"value"[..]));
    });
    let _ = postgres
        .ask("CREATE USER guest PASSWORD 'guest'; GRANT SELECT, INSERT, UPDATE, DELETE ON cache_request, cache_request_claims TO guest;");
    let guest = |password: &str| {
        SqlBackend::builder(&format!("postgres://guest:{password}@127.0.0.1:{}/cache", postgres.server.port))
            .connect_limit(PATIENCE)
    };
    block_on(async {
        let backend = guest("guest").build().unwrap();
        assert_eq!(backend.get("key").await.unwrap().as_deref(), Some(&b"value"[..]));
        assert!(backend.delete("key").await.unwrap());
        let denied = guest("guest").table("another").build().unwrap().get("key").await.unwrap_err();
        assert!(denied.to_string().contains("permission denied"), "{denied}");
        let refused = guest("wrongsecret").build().unwrap().get("key").await.unwrap_err();
        assert!(refused.kind() == ErrorKind::Backend && refused.to_string().contains("guest"), "{refused}");
        assert!(!format!("{refused} {refused:?}").contains("wrongsecret"), "{refused:?}");
        assert!(guest("wrongsecret").connect(Connect::Now).build().is_err());
    });
}
