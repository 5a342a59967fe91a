//! Processes and threads that share a table.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use cache_request::backend::{Backend, SqlBackend};
use cache_request_tests::servers::postgres::Postgres;
use futures_lite::future::block_on;

pub(super) fn process(kind: &str, address: &str, command: &str, namespace: &str, count: u32) -> Command {
    let mut process = Command::new(env!("CARGO_BIN_EXE_child"));
    process.args(["sql", kind, address, command, namespace, &count.to_string()]);
    process.stdout(Stdio::piped()).stderr(Stdio::piped());
    process
}

/// The numbers that four processes print, which run the same command at the same time.
fn four(kind: &str, address: &str, command: &str, count: u32) -> Vec<u32> {
    let started: Vec<_> = (0..4).map(|_| process(kind, address, command, "shared", count).spawn().unwrap()).collect();
    let ended = started.into_iter().map(|process| process.wait_with_output().unwrap());
    ended
        .map(|output| {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
        })
        .collect()
}

fn add_and_set(kind: &str, address: &str) {
    // The first process makes the table.
    let won = four(kind, address, "add", 200);
    println!("{kind}: four processes added {won:?} of 200");
    assert_eq!(won.iter().sum::<u32>(), 200, "{won:?}");
    assert_eq!(four(kind, address, "set", 100), [100; 4]);
}

#[test]
fn processes_share_a_file() {
    let directory = tempfile::tempdir().unwrap();
    add_and_set("sqlite", &directory.path().join("cache.db").display().to_string());
}

#[test]
fn processes_share_a_server() {
    let postgres = Postgres::start(&[]);
    add_and_set("postgres", &postgres.url());
}

/// A backend on `file`, with a limit for opening it that no slow machine reaches.
fn backend(file: &Path) -> SqlBackend {
    let url = format!("sqlite://{}", file.display());
    SqlBackend::builder(&url).namespace("shared").connect_limit(Duration::from_secs(60)).build().unwrap()
}

#[test]
fn of_threads_that_add_one_wins() {
    let directory = tempfile::tempdir().unwrap();
    let backend = &backend(&directory.path().join("cache.db"));
    for round in 0..20 {
        let key = &format!("key{round}");
        let winners = thread::scope(|threads| {
            let add = move || block_on(backend.add(key, b"", None)).unwrap();
            let adding: Vec<_> = (0..8).map(|_| threads.spawn(add)).collect();
            adding.into_iter().map(|thread| thread.join().unwrap()).filter(|won| *won).count()
        });
        assert_eq!(winners, 1);
    }
}

#[test]
fn a_killed_process_leaves_a_usable_file() {
    let directory = tempfile::tempdir().unwrap();
    let file: PathBuf = directory.path().join("cache.db");
    for round in 0..5 {
        let mut writer = process("sqlite", &file.display().to_string(), "set", "shared", 1_000_000).spawn().unwrap();
        thread::sleep(Duration::from_millis(100 + 37 * round));
        writer.kill().unwrap();
        writer.wait().unwrap();
        check_usable(&file);
    }
}

fn check_usable(file: &Path) {
    let backend = backend(file);
    block_on(async {
        if let Some(found) = backend.get("set").await.unwrap() {
            assert!(found.len() == 5000 && found.iter().all(|byte| *byte == found[0]));
        }
        backend.set("own", b"value", None).await.unwrap();
        assert_eq!(backend.get("own").await.unwrap().as_deref(), Some(&b"value"[..]));
    });
}

/// Root may write everywhere, so the test process runs as another user.
#[test]
fn a_file_that_may_only_be_read_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cache.db");
    check_usable(&file);
    let set_mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    };
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        set_mode(&entry.unwrap().path(), 0o444);
    }
    set_mode(directory.path(), 0o555);
    let mut reader = Command::new(env!("CARGO_BIN_EXE_child"));
    if rustix::process::geteuid().is_root() {
        reader = Command::new("setpriv");
        reader.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--", env!("CARGO_BIN_EXE_child")]);
    }
    let output = reader.args(["sql", "sqlite", &file.display().to_string(), "try", "shared", "1"]).output().unwrap();
    set_mode(directory.path(), 0o755);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.starts_with("(true, "), "writing is an error: {told}");
}
