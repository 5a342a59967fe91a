//! PostgreSQL, which sends notices.

use std::{
    io::{Read, Write, copy},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    str::FromStr,
    thread,
};

use cache_request::backend::Tracking;
use cache_request_tests::servers::{postgres::Postgres, wait_until};
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};

use super::{
    SOURCE, another_process_is_heard, ask, changes_of_other_namespaces_are_none, each_change_is_seen, filled, front,
    have_in_front, lasting_cache, many_changes_at_once_are_all_seen, other, put, stored, tiered,
    two_fronts_follow_one_another, until, with,
};
use crate::sql::Transaction;

/// The connections that are told.
fn listeners(postgres: &Postgres, condition: &str) -> String {
    postgres.ask(&format!(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'cache-request near cache' AND {condition}"
    ))
}

#[test]
fn a_change_by_another_program_was_not_seen() {
    let postgres = Postgres::start(&[]);
    let run = |statement: String| assert_eq!(postgres.ask(&statement), "", "{statement}");
    let renamed = |key: &str, more: &str| {
        run(format!("UPDATE cache_request SET key = 'elsewhere{more}' WHERE key = '{key}'"));
    };
    each_change_is_seen(
        &postgres.url(),
        &[
            ("UPDATE", &|_, key| run(format!("UPDATE cache_request SET value = 'garbage' WHERE key = '{key}'"))),
            ("another key", &|_, key| renamed(key, "")),
            ("a key that no notice has room for", &|_, key| renamed(key, &"e".repeat(9000))),
            ("expiry", &|_, key| run(format!("UPDATE cache_request SET expires = 1 WHERE key = '{key}'"))),
            ("DELETE", &|_, key| run(format!("DELETE FROM cache_request WHERE key = '{key}'"))),
            ("TRUNCATE", &|_, _| run("TRUNCATE cache_request".to_owned())),
        ],
    );
}

#[test]
fn fronts_did_not_follow_one_another() {
    let postgres = Postgres::start(&[]);
    two_fronts_follow_one_another(&postgres.url());
}

#[test]
fn changes_of_other_namespaces_were_told() {
    let postgres = Postgres::start(&[]);
    changes_of_other_namespaces_are_none(&postgres.url());
}

#[test]
fn some_of_many_changes_were_forgotten() {
    let postgres = Postgres::start(&[]);
    let delete_all = || assert_eq!(postgres.ask("DELETE FROM cache_request"), "");
    many_changes_at_once_are_all_seen(&postgres.url(), delete_all);
}

#[test]
fn another_process_was_not_heard() {
    let postgres = Postgres::start(&[]);
    another_process_is_heard("postgres", &postgres.url(), &postgres.url());
}

#[test]
fn a_lost_connection_left_older_answers_in_front() {
    let postgres = Postgres::start(&[]);
    let cache = filled(&postgres.url());
    let another = other(&postgres.url());
    for round in 1..4 {
        let ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                     WHERE application_name = 'cache-request near cache'";
        assert_eq!(postgres.ask(ended), "1");
        put(&another, 0, round + 1);
        wait_until("it is noticed", || front(&cache).lost >= u64::from(round));
        wait_until("the change is seen", || ask(&cache, 0) == round + 1);
        until(&cache, Tracking::Live);
        have_in_front(&cache, 0..10);
    }
    assert_eq!(cache.stats().faults(), 0, "calls go over other connections");
}

#[test]
fn a_server_that_was_killed_left_answers_in_front() {
    let mut postgres = Postgres::start(&[]);
    let cache = filled(&postgres.url());
    postgres.server.kill();
    until(&cache, Tracking::Suspended);
    assert_eq!(cache.stats().entries, 0);
    postgres.server.restart();
    until(&cache, Tracking::Live);
    have_in_front(&cache, 0..10);
    put(&other(&postgres.url()), 0, 2);
    wait_until("changes are told again", || ask(&cache, 0) == 2);
}

#[test]
fn a_server_that_did_not_answer_was_relied_on() {
    let postgres = Postgres::start(&[]);
    let cache = filled(&postgres.url());
    postgres.server.stop();
    until(&cache, Tracking::Suspended);
    assert_eq!(cache.stats().entries, 0);
    postgres.server.go_on();
    until(&cache, Tracking::Live);
    have_in_front(&cache, 0..10);
    put(&other(&postgres.url()), 0, 2);
    wait_until("changes are told again", || ask(&cache, 0) == 2);
}

/// It has written before there was anyone to tell, and commits later.
#[test]
fn a_transaction_from_before_was_missed() {
    let postgres = Postgres::start(&[]);
    let another = other(&postgres.url());
    put(&another, 0, 1);
    put(&another, 1, 1);
    drop(filled(&postgres.url()));
    wait_until("no near cache is told", || postgres.ask("SELECT count(*) FROM cache_request_near") == "0");
    let mut writer =
        Transaction::begin(&postgres, &format!("DELETE FROM cache_request WHERE key = '{}'", stored(&another, 0)));
    let cache = tiered(&postgres.url());
    wait_until("it has looked for others", || listeners(&postgres, "query LIKE '%pg_locks%'") == "1");
    SOURCE.set(2);
    for _ in 0..10 {
        assert_eq!((ask(&cache, 0), front(&cache).tracking), (1, Tracking::Suspended));
    }
    writer.run("COMMIT");
    until(&cache, Tracking::Live);
    assert_eq!(ask(&cache, 0), 2, "the older answer was kept");
    assert_eq!(front(&cache).lost, 0);
}

/// Its triggers see only what was there when it began, and it has locked nothing by then.
#[test]
fn a_transaction_with_a_snapshot_from_before_was_missed() {
    let postgres = Postgres::start(&[]);
    let another = other(&postgres.url());
    drop(filled(&postgres.url()));
    wait_until("no near cache is told", || postgres.ask("SELECT count(*) FROM cache_request_near") == "0");
    let mut writer = Transaction::begin(&postgres, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT 1");
    let cache = filled(&postgres.url());
    SOURCE.set(2);
    writer.run(&format!("DELETE FROM cache_request WHERE key = '{}'; COMMIT", stored(&another, 0)));
    wait_until("the change is seen", || ask(&cache, 0) == 2);
}

/// The notices that are sent from a table, as another program is told of them.
struct Notices {
    listener: Option<PgListener>,
    channel: String,
    runtime: tokio::runtime::Runtime,
}

impl Notices {
    fn of(postgres: &Postgres) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let channel = postgres.ask("SELECT 'cache_request_' || 'cache_request'::regclass::oid");
        let listener = runtime.block_on(async {
            let options = PgConnectOptions::from_str(&postgres.url()).unwrap();
            let pool = PgPoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
            let mut listener = PgListener::connect_with(&pool).await.unwrap();
            listener.listen(&channel).await.unwrap();
            listener
        });
        Self { listener: Some(listener), channel, runtime }
    }

    /// How many were sent until now.
    fn count(&mut self, postgres: &Postgres) -> usize {
        assert_eq!(postgres.ask(&format!("NOTIFY {}, 'until here'", self.channel)), "");
        let listener = self.listener.as_mut().unwrap();
        self.runtime.block_on(async {
            let mut count = 0;
            while listener.recv().await.unwrap().payload() != "until here" {
                count += 1;
            }
            count
        })
    }
}

impl Drop for Notices {
    fn drop(&mut self) {
        // It spawns what ends it.
        let _entered = self.runtime.enter();
        self.listener = None;
    }
}

#[test]
fn notices_were_sent_where_no_near_cache_is() {
    let postgres = Postgres::start(&[]);
    let another = other(&postgres.url());
    let writes = || {
        SOURCE.set(1);
        put(&another, 0, 1);
        put(&another, 0, 2);
        cache_request::scoped_sync(&another, || lasting_cache(0).invalidate()).unwrap();
        another.clear_sync().unwrap();
    };
    writes();
    let mut notices = Notices::of(&postgres);
    let triggers = "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'cache_request'::regclass";
    assert_eq!(postgres.ask(triggers), "0", "no near cache was ever used");
    let cache = tiered(&postgres.url());
    until(&cache, Tracking::Live);
    assert_eq!(postgres.ask(triggers), "2");
    notices.count(&postgres);
    writes();
    assert_eq!(notices.count(&postgres), 3, "one for each row that is written or removed");
    drop(cache);
    let registered = "SELECT count(*) FROM cache_request_near";
    wait_until("its registration has ended", || postgres.ask(registered) == "0");
    writes();
    assert_eq!(notices.count(&postgres), 0);
    // As of a process that was killed.
    let dead = "INSERT INTO cache_request_near VALUES (1, 'cache-request', now() - interval '61 seconds')";
    assert_eq!(postgres.ask(dead), "");
    writes();
    assert_eq!(notices.count(&postgres), 0);
    wait_until("its connection has ended", || listeners(&postgres, "TRUE") == "0");
}

#[test]
fn a_table_without_triggers_was_relied_on() {
    let postgres = Postgres::start(&[]);
    let cache = filled(&postgres.url());
    let missing = [
        ("DROP TABLE cache_request, cache_request_claims", ""),
        ("DROP FUNCTION cache_request_near CASCADE", ""),
        ("DELETE FROM cache_request_near", ""),
        (
            "ALTER TABLE cache_request DISABLE TRIGGER cache_request_near",
            "ALTER TABLE cache_request ENABLE TRIGGER cache_request_near",
        ),
        // Between two looks.
        (
            "ALTER TABLE cache_request DISABLE TRIGGER cache_request_near; \
             ALTER TABLE cache_request ENABLE TRIGGER cache_request_near",
            "",
        ),
        ("DROP TABLE cache_request_near", ""),
    ];
    for (statement, repair) in missing {
        let before = front(&cache).lost;
        assert_eq!(postgres.ask(statement), "");
        wait_until(statement, || front(&cache).lost > before);
        if !repair.is_empty() {
            assert_eq!(postgres.ask(repair), "");
        }
        until(&cache, Tracking::Live);
        SOURCE.set(1);
        put(&other(&postgres.url()), 0, 1);
        wait_until("it is in front", || ask(&cache, 0) == 1);
        put(&other(&postgres.url()), 0, 2);
        wait_until("changes are told again", || ask(&cache, 0) == 2);
    }
}

/// The values are used without a near cache until the user has the rights that are documented.
#[test]
fn rights_that_are_documented_were_not_enough() {
    let postgres = Postgres::start(&[]);
    put(&other(&postgres.url()), 0, 1);
    let admin = |statement: &str| assert_eq!(postgres.ask(statement), "", "{statement}");
    admin("REVOKE CREATE ON SCHEMA public FROM PUBLIC");
    admin("CREATE USER app PASSWORD 'secret'");
    admin("GRANT SELECT, INSERT, UPDATE, DELETE ON cache_request, cache_request_claims TO app");
    let url = format!("postgres://app:secret@127.0.0.1:{}/cache", postgres.server.port);
    let cache = tiered(&url);
    wait_until("it was tried", || front(&cache).lost >= 2);
    assert_eq!((ask(&cache, 0), cache.stats().entries), (1, 0));

    // By a user who may make tables.
    drop(filled(&postgres.url()));
    put(&other(&url), 0, 2);
    assert_eq!(front(&cache).tracking, Tracking::Suspended);
    admin("GRANT SELECT, INSERT, UPDATE, DELETE ON cache_request_near TO app");
    until(&cache, Tracking::Live);
    have_in_front(&cache, 0..10);
    put(&other(&postgres.url()), 0, 3);
    wait_until("the change is seen", || ask(&cache, 0) == 3);
    assert_eq!(cache.stats().faults(), 0, "{}", cache.stats());
}

/// A way to a server on which no notices come, as behind a pooler that shares the server's connections between its clients.
fn without_notices(server: u16) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let server = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).unwrap();
            let (mut asks, mut asked) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || {
                let _ = copy(&mut asks, &mut asked);
                let _ = asked.shutdown(Shutdown::Both);
            });
            thread::spawn(move || {
                let _ = pass_all_but_notices(server, &client);
                let _ = client.shutdown(Shutdown::Both);
            });
        }
    });
    port
}

/// Each message has a letter and its length.
fn pass_all_but_notices(mut server: TcpStream, mut client: &TcpStream) -> std::io::Result<()> {
    loop {
        let mut head = [0; 5];
        server.read_exact(&mut head)?;
        let length = u32::from_be_bytes(head[1..].try_into().unwrap());
        let mut message = head.to_vec();
        message.resize(length as usize + 1, 0);
        server.read_exact(&mut message[5..])?;
        if head[0] != b'A' {
            client.write_all(&message)?;
        }
    }
}

#[test]
fn a_connection_that_no_notices_come_over_was_relied_on() {
    let postgres = Postgres::start(&[]);
    let cache = tiered(&with(&Postgres::url_at(without_notices(postgres.server.port)), "sslmode=disable"));
    wait_until("it was tried", || front(&cache).lost >= 2 || front(&cache).tracking == Tracking::Live);
    assert_eq!(front(&cache).tracking, Tracking::Suspended);
    SOURCE.set(1);
    assert_eq!((ask(&cache, 0), cache.stats().faults()), (1, 0), "calls go on without it");
}

/// Each partition has triggers of its own, which send their notices elsewhere.
#[test]
fn a_partitioned_table_was_relied_on() {
    let postgres = Postgres::start(&[]);
    let plain = other(&postgres.url());
    put(&plain, 0, 1);
    let shape = "CREATE TABLE parts (LIKE cache_request INCLUDING DEFAULTS) PARTITION BY LIST (namespace); \
                 CREATE TABLE part PARTITION OF parts DEFAULT; DROP TABLE cache_request; \
                 CREATE UNIQUE INDEX ON parts (namespace, key); ALTER TABLE parts RENAME TO cache_request";
    assert_eq!(postgres.ask(shape), "");
    let cache = tiered(&postgres.url());
    wait_until("its session has failed", || front(&cache).lost > 0);
    assert_ne!(front(&cache).tracking, Tracking::Live);
    put(&other(&postgres.url()), 0, 2);
    assert_eq!(ask(&cache, 0), 2, "it reads the database");
    put(&other(&postgres.url()), 0, 3);
    assert_eq!(ask(&cache, 0), 3);
}
