//! Claims: what they write, what they wait for, and what is left of them.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    thread,
    time::Duration,
};

use cache_request::{
    Clock, ErrorKind,
    backend::{Backend, Claim, ClaimKind, Connect, Fence, Item, Right, SqlBackend, SqlBackendBuilder},
};
use cache_request_tests::{
    claims::{HOUR, KINDS, Sets, assert_no_claim_lasts_by_a_clock_ahead, claim},
    servers::{PATIENCE, postgres::Postgres, wait_until},
};
use futures_lite::future::block_on;
use tempfile::TempDir;

use super::{Other, Transaction};

fn sqlite(directory: &TempDir) -> SqlBackendBuilder {
    SqlBackend::builder(&format!("sqlite://{}/cache.db", directory.path().display())).connect_limit(PATIENCE)
}

fn on(postgres: &Postgres) -> SqlBackendBuilder {
    SqlBackend::builder(&postgres.url()).connect_limit(PATIENCE)
}

/// What `set_fenced` does, of a process that has not committed yet.
const STORES: &str = "DELETE FROM cache_request_claims WHERE key = 'key'; \
                      INSERT INTO cache_request VALUES ('cache-request', 'key', 'older', 0, NULL)";

fn an_invalidation_waits_for_a_store(postgres: &Postgres, refuse: Duration) {
    let backend = on(postgres).build().unwrap();
    let (_, right) = claim(&backend, "key", ClaimKind::Missing, 1);
    assert_eq!(right, Right::Leased(Fence::new(1)));
    let storing = Transaction::begin(postgres, STORES);
    storing.commit_beside(postgres, "", || block_on(backend.invalidate("key", refuse)).unwrap());
    assert_eq!(block_on(backend.get("key")).unwrap(), None, "the value of an older claim outlived the invalidation");
    block_on(backend.clear()).unwrap();
}

/// The statement that ends the claim waits for the one that stores the value, but does not see the value.
#[test]
fn a_value_that_was_being_stored_outlived_an_invalidation() {
    let postgres = Postgres::start(&[]);
    an_invalidation_waits_for_a_store(&postgres, Duration::ZERO);
    an_invalidation_waits_for_a_store(&postgres, HOUR);
}

#[test]
fn a_value_that_was_being_stored_outlived_a_clear() {
    let postgres = Postgres::start(&[]);
    let backend = on(&postgres).build().unwrap();
    claim(&backend, "key", ClaimKind::Missing, 1);
    let storing = Transaction::begin(&postgres, STORES);
    storing.commit_beside(&postgres, "", || block_on(backend.clear()).unwrap());
    assert_eq!(block_on(backend.get("key")).unwrap(), None, "the value of an older claim outlived `clear`");
}

/// The statement does not see the row of the other claim, as it has begun before.
#[test]
fn a_claim_that_was_being_made_was_not_found() {
    let postgres = Postgres::start(&[]);
    let backend = on(&postgres).connect(Connect::Now).build().unwrap();
    for (number, kind) in KINDS.into_iter().enumerate() {
        for (fence, expected) in
            [("17", if kind == ClaimKind::Anew { "Leased(Fence(1))" } else { "Held(Fence(17)" }), ("NULL", "Refused(")]
        {
            let key = format!("key{number}{fence}");
            let now = "extract(epoch FROM now())::bigint * 1000";
            let claiming = Transaction::begin(
                &postgres,
                &format!(
                    "INSERT INTO cache_request_claims VALUES ('cache-request', '{key}', {fence}, {now}, {now} + 60000)"
                ),
            );
            let (value, right) = claiming.commit_beside(&postgres, "", || claim(&backend, &key, kind, 1));
            assert_eq!(value, None);
            assert!(format!("{right:?}").starts_with(expected), "{kind:?} beside {fence}: {right:?}");
        }
    }
}

/// Another process claims the key, makes the value and stores it, after the statement has looked for a value.
#[test]
fn a_value_that_was_stored_beside_a_claim_was_made_again() {
    let postgres = Postgres::start(&[]);
    let backend = on(&postgres).connect(Connect::Now).build().unwrap();
    for batch in [false, true] {
        let claiming = Transaction::begin(
            &postgres,
            "INSERT INTO cache_request_claims VALUES ('cache-request', 'key', 17, 0, 9000000000000000)",
        );
        let keys = if batch { &["key", "other"][..] } else { &["key"] };
        let claim = Claim { kind: ClaimKind::Missing, token: 1, lease: HOUR };
        let claimed =
            claiming.commit_beside(&postgres, STORES, || block_on(backend.claim_many(keys, claim)).remove(0).unwrap());
        assert_eq!((claimed.value, claimed.right), (Some(b"older".to_vec()), Right::None), "{keys:?}");
        assert_eq!(postgres.ask("SELECT count(*) FROM cache_request_claims WHERE key = 'key'"), "0");
        block_on(backend.clear()).unwrap();
    }
}

/// A user's transactions may be serializable by default. Then a row that was changed meanwhile is an error.
#[test]
fn a_claim_failed_where_transactions_are_serializable_by_default() {
    let postgres = Postgres::start(&["default_transaction_isolation=serializable"]);
    let backend = on(&postgres).connect(Connect::Now).build().unwrap();
    claim(&backend, "claimed", ClaimKind::Missing, 1);
    let renewing = Transaction::begin(&postgres, "UPDATE cache_request_claims SET until = until + 1");
    let renewed = renewing.commit_beside(&postgres, "", || block_on(backend.renew("claimed", Fence::new(1), HOUR)));
    assert!(renewed.unwrap());
    an_invalidation_waits_for_a_store(&postgres, Duration::ZERO);
}

/// Two backends do not share the locks that the calls of one process take, so each is as another process.
fn processes_leave_no_older_value(begin: impl Fn() -> SqlBackendBuilder) {
    let backends = [begin().build().unwrap(), begin().build().unwrap(), begin().build().unwrap()];
    let (counter, done) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|threads| {
        for backend in &backends[1..] {
            threads.spawn(|| {
                for token in 1.. {
                    if done.load(SeqCst) {
                        break;
                    }
                    let (_, right) = claim(backend, "key", ClaimKind::Any, token);
                    let (Right::Leased(fence) | Right::Held(fence, _)) = right else { continue };
                    let made = counter.load(SeqCst).to_le_bytes();
                    let item = Item { key: "key", value: &made, timeout: None };
                    if token % 2 == 0 {
                        block_on(backend.set_fenced("key", &made, None, fence)).unwrap();
                    } else {
                        block_on(backend.set_fenced_many(&[(item, fence)])).remove(0).unwrap();
                    }
                }
            });
        }
        let _ended = Sets(&done);
        for round in 0..60 {
            let now = counter.fetch_add(1, SeqCst) + 1;
            if round % 10 == 9 {
                block_on(backends[0].clear()).unwrap();
            } else {
                block_on(backends[0].invalidate("key", Duration::ZERO)).unwrap();
            }
            for _ in 0..3 {
                if let Some(value) = block_on(backends[0].get("key")).unwrap() {
                    let made = u64::from_le_bytes(value.try_into().unwrap());
                    assert!(made >= now, "a value made at {made} is there after the invalidation at {now}");
                }
            }
        }
    });
}

#[test]
fn a_value_of_another_process_outlived_an_invalidation() {
    let directory = tempfile::tempdir().unwrap();
    processes_leave_no_older_value(|| sqlite(&directory));
    let postgres = Postgres::start(&[]);
    processes_leave_no_older_value(|| on(&postgres));
}

/// Of the claims and stores of two processes that name the same keys in different orders, none waits for the other for ever.
#[test]
fn batches_of_claims_deadlocked() {
    let postgres = Postgres::start(&[]);
    let backends = [on(&postgres).build().unwrap(), on(&postgres).build().unwrap()];
    let keys: Vec<String> = (0..300).map(|number| format!("key{number}")).collect();
    thread::scope(|threads| {
        for (number, backend) in backends.iter().cycle().take(4).enumerate() {
            let mut keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            if number % 2 == 1 {
                keys.reverse();
            }
            threads.spawn(move || {
                for round in 0..10_u64 {
                    let claim = Claim { kind: KINDS[number % 3], token: 1000 * round + number as u64, lease: HOUR };
                    let claimed = block_on(backend.claim_many(&keys, claim));
                    let item = |key| Item { key, value: b"value", timeout: None };
                    let items: Vec<_> = claimed
                        .into_iter()
                        .zip(&keys)
                        .filter_map(|(claimed, key)| match claimed.unwrap().right {
                            Right::Leased(fence) | Right::Held(fence, _) => Some((item(*key), fence)),
                            Right::None | Right::Refused(_) => None,
                        })
                        .collect();
                    assert!(block_on(backend.set_fenced_many(&items)).iter().all(Result::is_ok));
                    assert!(block_on(backend.delete_many(&keys)).iter().all(Result::is_ok));
                    block_on(backend.clear()).unwrap();
                }
            });
        }
    });
}

/// The data version of a connection changes when another one has written.
#[test]
fn a_claim_of_a_value_that_is_there_wrote_to_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let backend = sqlite(&directory).build().unwrap();
    block_on(backend.set("key", b"value", None)).unwrap();
    let mut other = Other::of(&directory.path().join("cache.db"));
    let mut version = || {
        let query = sqlx::query_scalar::<_, i64>("PRAGMA data_version");
        other.runtime.block_on(query.fetch_one(&mut other.connection)).unwrap()
    };
    let before = version();
    for token in 1..10 {
        assert_eq!(claim(&backend, "key", ClaimKind::Missing, token), (Some(b"value".to_vec()), Right::None));
    }
    assert_eq!(version(), before);
    assert_eq!(claim(&backend, "other", ClaimKind::Missing, 1), (None, Right::Leased(Fence::new(1))));
    let claimed = version();
    assert_ne!(claimed, before);
    // Nor does a look at a claim of another caller.
    assert!(matches!(claim(&backend, "other", ClaimKind::Missing, 2).1, Right::Held(_, _)));
    assert_eq!(version(), claimed);
}

/// What writes takes a transaction id. The server's own tasks take none here.
#[test]
fn a_claim_of_a_value_that_is_there_took_a_transaction_id() {
    let postgres = Postgres::start(&["autovacuum=off"]);
    let backend = on(&postgres).build().unwrap();
    block_on(backend.set("key", b"value", None)).unwrap();
    let next = || postgres.ask("SELECT pg_snapshot_xmax(pg_current_snapshot())");
    let before = next();
    for token in 1..10 {
        assert_eq!(claim(&backend, "key", ClaimKind::Missing, token), (Some(b"value".to_vec()), Right::None));
    }
    assert_eq!(next(), before);
    assert_eq!(claim(&backend, "other", ClaimKind::Missing, 1), (None, Right::Leased(Fence::new(1))));
    let claimed = next();
    assert_ne!(claimed, before);
    assert!(matches!(claim(&backend, "other", ClaimKind::Missing, 2).1, Right::Held(_, _)));
    assert_eq!(next(), claimed);
}

/// The claims of a process that has ended are in the table until they are over.
fn claims_that_are_over_are_removed(begin: impl Fn() -> SqlBackendBuilder, mut rows: impl FnMut() -> String) {
    let clock = Clock::mock();
    let backend = begin().clock(&clock).cull_every(Duration::from_millis(50)).build().unwrap();
    let keys: Vec<String> = (0..1500).map(|number| format!("key{number}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let lease = Duration::from_secs(60);
    let claimed = block_on(backend.claim_many(&keys, Claim { kind: ClaimKind::Missing, token: 1, lease }));
    assert!(claimed.iter().all(Result::is_ok));
    claim(&backend, "longer", ClaimKind::Missing, 1);
    block_on(backend.invalidate("refused", lease)).unwrap();
    assert_eq!(rows(), "1502");
    clock.advance(lease);
    wait_until("the claims that are over are removed", || rows() == "1");
}

#[test]
fn claims_that_were_over_stayed_in_the_table() {
    let rows = "SELECT count(*) FROM cache_request_claims";
    let directory = tempfile::tempdir().unwrap();
    let mut other = Other::of(&directory.path().join("cache.db"));
    claims_that_are_over_are_removed(
        || sqlite(&directory),
        || {
            let query = sqlx::query_scalar::<_, i64>(rows);
            other.runtime.block_on(query.fetch_one(&mut other.connection)).unwrap().to_string()
        },
    );
    let postgres = Postgres::start(&[]);
    claims_that_are_over_are_removed(|| on(&postgres), || postgres.ask(rows));
}

#[test]
fn a_claim_of_a_process_whose_clock_was_ahead_lasted_too_long() {
    let directory = tempfile::tempdir().unwrap();
    let (right, ahead) = (Clock::mock(), Clock::mock());
    ahead.advance(HOUR);
    let [reader, writer] = [&right, &ahead].map(|clock| sqlite(&directory).clock(clock).build().unwrap());
    assert_no_claim_lasts_by_a_clock_ahead(&reader, &writer);
}

/// In SQLite, a column of any type holds values of all types.
#[test]
fn a_row_of_another_type_kept_its_key_from_being_claimed() {
    let directory = tempfile::tempdir().unwrap();
    let backend = sqlite(&directory).build().unwrap();
    let mut other = Other::of(&directory.path().join("cache.db"));
    for kind in KINDS {
        block_on(backend.set("key", b"value", None)).unwrap();
        other.run("UPDATE cache_request SET value = 17 WHERE key = 'key'");
        if kind != ClaimKind::Anew {
            let error = block_on(backend.claim("key", Claim { kind, token: 1, lease: HOUR })).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{kind:?}: {error:#}");
            block_on(backend.release("key", Fence::new(1))).unwrap();
        }
        assert_eq!(claim(&backend, "key", kind, 2), (None, Right::Leased(Fence::new(2))), "{kind:?}");
        assert!(block_on(backend.set_fenced("key", b"new", None, Fence::new(2))).unwrap(), "{kind:?}");
        assert_eq!(block_on(backend.get("key")).unwrap().as_deref(), Some(&b"new"[..]), "{kind:?}");
    }
}

/// The table may have been made by a user who limits what is stored.
#[test]
fn an_older_value_stayed_when_the_table_refused_a_fenced_one() {
    let postgres = Postgres::start(&[]);
    let backend = on(&postgres).connect(Connect::Now).build().unwrap();
    let _ = postgres.ask("ALTER TABLE cache_request ADD CHECK (length(value) < 100)");
    let claimed = |key: &str| {
        block_on(backend.set(key, b"older", None)).unwrap();
        claim(&backend, key, ClaimKind::Any, 1).1
    };
    assert_eq!(claimed("key"), Right::Leased(Fence::new(1)));
    let error = block_on(backend.set_fenced("key", &[b'v'; 100], None, Fence::new(1))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error:#}");
    assert_eq!(claim(&backend, "key", ClaimKind::Missing, 2), (None, Right::Leased(Fence::new(2))));
    // In a batch, the others are stored all the same.
    assert_eq!([claimed("large"), claimed("small")], [Right::Leased(Fence::new(1)); 2]);
    let item = |key, value| (Item { key, value, timeout: None }, Fence::new(1));
    let stored = block_on(backend.set_fenced_many(&[item("large", &[b'v'; 100]), item("small", b"new")]));
    assert_eq!(stored[0].as_ref().unwrap_err().kind(), ErrorKind::TooLarge);
    assert!(stored[1].as_ref().unwrap(), "the small value was refused with the large one");
    assert_eq!(block_on(backend.get("large")).unwrap(), None);
    assert_eq!(block_on(backend.get("small")).unwrap().as_deref(), Some(&b"new"[..]));
}
