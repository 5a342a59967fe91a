//! What happens to a database, while calls go on. Each test prints its figures: `--nocapture` shows them.

use std::{
    fs,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use cache_request::{
    Cache, Clock, Error,
    backend::{Backend, BreakerState, Connect, SqlBackend},
    cache_request, scoped_sync,
};
use cache_request_tests::{
    delegate,
    load::{during, until_it_works},
    outages::{self, full_disk},
    servers::postgres::Postgres,
};
use futures_lite::future::block_on;

use super::Other;

#[test]
fn a_server_that_is_absent_and_comes() {
    let mut postgres = Postgres::start(&[]);
    outages::is_absent_and_comes(&postgres.url(), &mut postgres.server, "not connected");
}

#[test]
fn a_server_that_cannot_be_reached_costs_the_soft_limit_once() {
    outages::never_answers(|address| format!("postgres://u:p@{address}/d"));
}

#[test]
fn a_server_that_is_killed_under_load_and_restarted() {
    let mut postgres = Postgres::start(&[]);
    outages::is_killed_and_restarted(&postgres.url(), &mut postgres.server);
}

/// The processes that serve the connections are stopped too.
#[test]
fn a_server_that_is_stopped_and_goes_on() {
    let postgres = Postgres::start(&[]);
    outages::is_stopped_and_goes_on(&postgres.url(), &postgres.server);
}

#[test]
fn a_server_that_ends_its_connections() {
    let postgres = Postgres::start(&[]);
    outages::ends_its_connections(&postgres.url(), || {
        let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'cache-request'";
        let _ = postgres.ask(others);
    });
}

/// Another process holds the write lock for longer than calls wait.
#[test]
fn a_table_that_is_locked() {
    let postgres = Postgres::start(&[]);
    let cache = Cache::from_url(&postgres.url()).unwrap();
    let figures = during(&cache, || {
        until_it_works(&cache);
        let _ = postgres.ask("BEGIN; LOCK TABLE cache_request; SELECT pg_sleep(3); COMMIT");
        until_it_works(&cache);
    });
    println!("locked for 3 s: {figures}");
    figures.are_good();
}

/// A backend that counts its writes.
struct Counting(SqlBackend, AtomicU32);

impl Backend for Counting {
    fn name(&self) -> &'static str {
        "counting"
    }

    async fn set(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<(), Error> {
        self.1.fetch_add(1, SeqCst);
        self.0.set(key, value, timeout).await
    }

    delegate!(self => self.0; get add touch delete clear);
}

#[cache_request(timeout = 60)]
fn square(number: u64) -> u64 {
    number * number
}

#[test]
fn each_cold_call_waited_for_a_file_that_others_keep_locked() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cache.db");
    let sqlite = SqlBackend::builder(&format!("sqlite://{}", file.display())).connect(Connect::Now).build().unwrap();
    let backend = Arc::new(Counting(sqlite, AtomicU32::default()));
    // The mock clock never advances, so the breaker stays open.
    let cache = Cache::builder()
        .backend(Arc::clone(&backend))
        .clock(Clock::mock())
        .soft_limit(Duration::from_secs(2))
        .breaker_faults(2)
        .build()
        .unwrap();
    scoped_sync(&cache, || {
        square(1);
        assert_eq!(backend.1.load(SeqCst), 1);
        let other = &mut Other::of(&file);
        other.run("BEGIN IMMEDIATE");
        for number in 2..30 {
            // Between two writes that fail, a read succeeds.
            assert_eq!([square(number), square(1)], [number * number, 1]);
        }
    });
    assert_eq!(backend.1.load(SeqCst), 3, "no further write was attempted");
    let stats = cache.stats();
    let backend = stats.backend.as_ref().unwrap();
    assert_eq!((backend.reads.state, backend.writes.state), (BreakerState::Closed, BreakerState::Open), "{stats}");
    let function = &stats.functions[0];
    assert_eq!((function.hits, function.faults.timeout, function.faults.unavailable), (28, 2, 26), "{stats}");
}

#[test]
fn a_file_that_is_not_a_database_is_an_error_each_time() {
    let directory = tempfile::tempdir().unwrap();
    let garbage = directory.path().join("garbage.db");
    fs::write(&garbage, "no database ".repeat(1000)).unwrap();
    for file in [garbage.as_path(), directory.path()] {
        let backend = SqlBackend::new(&format!("sqlite://{}", file.display())).unwrap();
        block_on(async {
            for _ in 0..3 {
                assert!(backend.set("key", b"value", None).await.is_err());
                assert!(backend.get("key").await.is_err());
                assert!(backend.add("key", b"value", None).await.is_err());
                assert!(backend.delete("key").await.is_err());
                assert!(backend.clear().await.is_err());
                assert!(backend.get_many(&["a", "b"]).await.iter().all(Result::is_err));
            }
        });
        let cache = Cache::from_url(&format!("sqlite://{}", file.display())).unwrap();
        let figures = during(&cache, || thread::sleep(Duration::from_millis(500)));
        println!("no database: {figures}");
        figures.are_good();
    }
}

/// Its pages are overwritten while it is open.
#[test]
fn a_damaged_file_never_causes_a_panic() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cache.db");
    let cache = Cache::from_url(&format!("sqlite://{}", file.display())).unwrap();
    let figures = during(&cache, || {
        until_it_works(&cache);
        thread::sleep(Duration::from_millis(300));
        for entry in fs::read_dir(directory.path()).unwrap() {
            let path = entry.unwrap().path();
            // The process maps `-shm`, and would be killed if that became shorter.
            if !path.display().to_string().ends_with("-shm") {
                // The journal may have been removed when a connection was closed.
                if let Ok(length) = fs::metadata(&path).map(|metadata| metadata.len()) {
                    fs::write(&path, vec![0xa5; usize::try_from(length).unwrap()]).unwrap();
                }
            }
        }
        thread::sleep(Duration::from_secs(1));
    });
    println!("damaged: {figures}");
    figures.are_good();
}

/// A limit of 2 MB on the size of files acts like a full disk: bodies run, no older value is left, and what fits is stored.
#[test]
fn a_full_disk() {
    let directory = tempfile::tempdir().unwrap();
    // In blocks of 512 or 1024 bytes, as the shell counts.
    let script = "trap '' XFSZ; ulimit -f 2000; exec \"$0\" \"$@\"";
    let output = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_child"), "sql", "sqlite"])
        .arg(directory.path().join("cache.db"))
        .args(["full", "namespace", "10"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8_lossy(&output.stdout);
    println!("full: {told}");
    assert!(told.contains("bodies 10, ") && !told.contains(" 0 faults"), "{told}");
}

/// A limit on the size of files keeps the table from growing.
#[cfg(target_os = "linux")]
#[test]
fn a_server_whose_disk_is_full() {
    let postgres = Postgres::start(&[]);
    let cache = Cache::from_url(&postgres.url()).unwrap();
    outages::cannot_work(
        "full disk of the server",
        &cache,
        || {
            // The table must be larger than a file of the write-ahead log, 16 MB: the server ends if it cannot write that.
            let longer = "INSERT INTO cache_request SELECT 'other', number::text, repeat('x', 1900)::bytea, 0, NULL \
                          FROM generate_series(1, 10000) number; CHECKPOINT";
            let _ = postgres.ask(longer);
            let length: u64 = postgres.ask("SELECT pg_relation_size('cache_request')").parse().unwrap();
            assert!(length > 16 << 20, "{length}");
            postgres.limit_files(Some(length));
        },
        || postgres.server.log().contains("could not extend file"),
        || postgres.limit_files(None),
    );
}

#[cfg(unix)]
#[test]
fn a_disk_that_is_full_while_calls_go_on() {
    let directory = tempfile::tempdir().unwrap();
    full_disk(env!("CARGO_BIN_EXE_child"), &format!("sqlite://{}/cache.db", directory.path().display()), 16 << 10);
}
