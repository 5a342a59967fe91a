//! A faulty row fails its own key alone.

use cache_request::{
    Cache, ErrorKind,
    backend::{Backend, Item, SqlBackend},
    cache_request, scoped_sync,
};
use futures_lite::future::block_on;

use super::Other;

/// In SQLite, a column of any type holds values of all types.
#[test]
fn a_row_of_another_type_stayed_and_closed_the_connections() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cache.db");
    let backend = SqlBackend::new(&format!("sqlite://{}", file.display())).unwrap();
    let other = &mut Other::of(&file);
    block_on(async {
        for spoil in ["value = 17", "value = 1.5", "expires = 'soon'", "expires = x'00'"] {
            backend.set("key", b"value", None).await.unwrap();
            backend.set("other", b"other", None).await.unwrap();
            other.run(&format!("UPDATE cache_request SET {spoil} WHERE key = 'key'"));
            assert_eq!(backend.get("key").await.unwrap_err().kind(), ErrorKind::Corrupt, "{spoil}");
            let found = backend.get_many(&["key", "other", "key", "none"]).await;
            let kinds = found.iter().map(|found| found.as_ref().err().map(cache_request::Error::kind));
            let corrupt = Some(ErrorKind::Corrupt);
            assert_eq!(kinds.collect::<Vec<_>>(), [corrupt, None, corrupt, None], "{spoil}");
            assert_eq!(found[1].as_ref().unwrap().as_deref(), Some(&b"other"[..]), "{spoil}");
            backend.set("key", b"new", None).await.unwrap();
            assert_eq!(backend.get("key").await.unwrap().as_deref(), Some(&b"new"[..]), "{spoil}");
            other.run(&format!("UPDATE cache_request SET {spoil} WHERE key = 'key'"));
            backend.delete("key").await.unwrap();
            assert_eq!(backend.get("key").await.unwrap(), None, "{spoil}");
        }
    });
}

#[cache_request]
fn square(number: u64) -> u64 {
    number * number
}

#[test]
fn a_call_replaces_a_row_that_it_cannot_read() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cache.db");
    let cache = Cache::from_url(&format!("sqlite://{}?soft_limit=1h&breaker_faults=2", file.display())).unwrap();
    scoped_sync(&cache, || {
        let squares = || (0..5).for_each(|number| assert_eq!(square(number), number * number));
        squares();
        Other::of(&file).run("UPDATE cache_request SET value = 17");
        squares();
        squares();
    });
    let stats = cache.stats();
    assert_eq!((stats.bodies(), stats.hits(), stats.faults()), (10, 5, 5), "{stats}");
    assert_eq!(stats.functions[0].misses.undecodable, 5, "{stats}");
}

/// The table may have been made by a user who limits what is stored.
#[test]
fn a_value_that_the_table_refuses_was_a_fault_of_the_backend() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cache.db");
    drop(
        SqlBackend::builder(&format!("sqlite://{}", file.display()))
            .connect(cache_request::backend::Connect::Now)
            .build()
            .unwrap(),
    );
    let other = &mut Other::of(&file);
    other.run("PRAGMA writable_schema = ON");
    other.run(
        "UPDATE sqlite_schema SET sql = replace(sql, 'BLOB NOT NULL', 'BLOB NOT NULL CHECK (length(value) < 100)')",
    );
    let backend = SqlBackend::new(&format!("sqlite://{}", file.display())).unwrap();
    block_on(async {
        backend.set("key", b"older", None).await.unwrap();
        let error = backend.set("key", &[b'v'; 100], None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{error:#}");
        assert_eq!(backend.get("key").await.unwrap(), None, "the older value outlived the failed write of a newer one");
        let error = backend.add("key", &[b'v'; 100], None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{error:#}");
        let item = Item { key: "key", value: &[b'v'; 100], timeout: None };
        let outcomes = backend.set_many(&[Item { key: "other", value: b"other", timeout: None }, item]).await;
        assert!(outcomes[0].is_ok(), "{outcomes:?}");
        assert_eq!(outcomes[1].as_ref().unwrap_err().kind(), ErrorKind::TooLarge);
        assert_eq!(backend.get("other").await.unwrap().as_deref(), Some(&b"other"[..]));
    });
}
