//! What happens to a database, while calls go on. Each test prints its figures: `--nocapture` shows them.

use std::{
    fs,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use cache_request::{
    Cache,
    backend::{Backend, SqlBackend},
    cache_request, scoped_sync,
};
use cache_request_tests::{
    load::{during, until_it_works},
    servers::{free_port, postgres::Postgres},
};
use futures_lite::future::block_on;

/// What a call may wait in all.
const LIMIT: Duration = Duration::from_millis(250);

#[cache_request(timeout = 60)]
fn double(number: u32) -> u32 {
    number * 2
}

#[test]
fn a_server_that_is_absent() {
    let url = format!("postgres://u:p@127.0.0.1:{}/d", free_port());
    let cache = Cache::from_url(&url).unwrap();
    let begun = Instant::now();
    scoped_sync(&cache, || assert_eq!(double(1), 2));
    let first = begun.elapsed();
    assert!(Cache::from_url(&format!("{url}?connect=now")).is_err());
    let figures = during(&cache, || thread::sleep(Duration::from_secs(1)));
    println!("absent: first call {first:.1?}, {figures}");
    figures.are_good(LIMIT);
    assert!(first < LIMIT, "{first:?}");
}

#[test]
fn a_server_that_nobody_can_reach_costs_the_soft_limit_once() {
    // Nobody answers here: the connection is neither accepted nor refused.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let cache = Cache::from_url(&format!("postgres://u:p@{}/d", listener.local_addr().unwrap())).unwrap();
    let figures = during(&cache, || thread::sleep(Duration::from_secs(3)));
    println!("never answers: {figures}");
    figures.are_good(LIMIT);
}

#[test]
fn a_server_that_is_killed_under_load_and_restarted() {
    let mut postgres = Postgres::start(&[]);
    let cache = Cache::from_url(&postgres.url()).unwrap();
    let mut recovered = Vec::new();
    let figures = during(&cache, || {
        for _ in 0..3 {
            until_it_works(&cache);
            thread::sleep(Duration::from_millis(300));
            postgres.server.kill();
            thread::sleep(Duration::from_millis(700));
            postgres.restart();
            recovered.push(until_it_works(&cache));
        }
    });
    println!("killed and restarted three times: {figures}, works {recovered:.0?} after the restarts");
    figures.are_good(LIMIT);
}

#[test]
fn a_server_that_ends_its_connections() {
    let postgres = Postgres::start(&[]);
    let cache = Cache::from_url(&postgres.url()).unwrap();
    let figures = during(&cache, || {
        for _ in 0..5 {
            until_it_works(&cache);
            let others =
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'cache-request'";
            let _ = postgres.ask(others);
            thread::sleep(Duration::from_millis(100));
        }
        until_it_works(&cache);
    });
    println!("connections ended five times: {figures}");
    figures.are_good(LIMIT);
}

/// The write lock is held by somebody else for longer than calls wait.
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
    figures.are_good(LIMIT);
}

#[test]
fn a_file_that_is_none_is_an_error_each_time() {
    let directory = tempfile::tempdir().unwrap();
    let garbage = directory.path().join("garbage.db");
    fs::write(&garbage, "no database ".repeat(1000)).unwrap();
    for file in [garbage.as_path(), directory.path()] {
        let backend = SqlBackend::sqlite(file).build().unwrap();
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
        figures.are_good(LIMIT);
    }
}

/// Its pages are overwritten while it is open.
#[test]
fn a_file_that_is_spoilt_is_never_a_panic() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cache.db");
    let cache = Cache::from_url(&format!("sqlite://{}", file.display())).unwrap();
    let figures = during(&cache, || {
        until_it_works(&cache);
        thread::sleep(Duration::from_millis(300));
        for entry in fs::read_dir(directory.path()).unwrap() {
            let path = entry.unwrap().path();
            // To shorten what is mapped (`-shm`) would be the end of the process.
            if !path.display().to_string().ends_with("-shm") {
                // Who closes it may take its journal away.
                if let Ok(length) = fs::metadata(&path).map(|metadata| metadata.len()) {
                    fs::write(&path, vec![0xa5; usize::try_from(length).unwrap()]).unwrap();
                }
            }
        }
        thread::sleep(Duration::from_secs(1));
    });
    println!("spoilt: {figures}");
    figures.are_good(LIMIT);
}

/// No file may be longer than 2 MB, so that SQLite cannot write on, as if there were no room: bodies run, nothing older is
/// left, and what fits is kept.
#[test]
fn a_full_disk() {
    let directory = tempfile::tempdir().unwrap();
    // In blocks of 512 or 1024 bytes, as the shell counts.
    let script = "trap '' XFSZ; ulimit -f 2000; exec \"$0\" \"$@\"";
    let output = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_sql_process"), "sqlite"])
        .arg(directory.path().join("cache.db"))
        .args(["full", "namespace", "10"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8_lossy(&output.stdout);
    println!("full: {told}");
    assert!(told.contains("bodies 10, ") && !told.contains(" 0 faults"), "{told}");
}
