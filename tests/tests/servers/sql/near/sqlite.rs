//! SQLite, with a log of changes in the file.

use std::path::PathBuf;

use cache_request::backend::Tracking;
use cache_request_tests::servers::wait_until;
use tempfile::TempDir;

use super::{
    SOURCE, another_process_is_heard, ask, changes_of_other_namespaces_are_none, each_change_is_seen, filled, front,
    have_in_front, many_changes_at_once_are_all_seen, other, put, tiered, two_fronts_follow_one_another, until,
};
use crate::sql::Other;

/// A file in a directory of its own, and its address.
struct File {
    path: PathBuf,
    url: String,
    _directory: TempDir,
}

impl File {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cache.db");
        Self { url: format!("sqlite://{}", path.display()), path, _directory: directory }
    }

    /// Runs a statement of another program.
    fn run(&self, statement: &str) {
        Other::of(&self.path).run(statement);
    }

    fn number(&self, query: &str) -> i64 {
        let mut other = Other::of(&self.path);
        other.runtime.block_on(sqlx::query_scalar(query).fetch_one(&mut other.connection)).unwrap()
    }
}

#[test]
fn a_change_by_another_program_was_not_seen() {
    let file = File::new();
    let run = |statement: String| file.run(&statement);
    each_change_is_seen(
        &file.url,
        &[
            ("UPDATE", &|_, key| run(format!("UPDATE cache_request SET value = x'00' WHERE key = '{key}'"))),
            ("another key", &|_, key| run(format!("UPDATE cache_request SET key = 'elsewhere' WHERE key = '{key}'"))),
            ("expiry", &|_, key| run(format!("UPDATE cache_request SET expires = 1 WHERE key = '{key}'"))),
            ("REPLACE", &|_, key| {
                run(format!("REPLACE INTO cache_request VALUES ('cache-request', '{key}', x'00', 0, NULL)"));
            }),
            ("DELETE", &|_, key| run(format!("DELETE FROM cache_request WHERE key = '{key}'"))),
            ("DELETE of all", &|_, _| run("DELETE FROM cache_request".to_owned())),
        ],
    );
}

#[test]
fn fronts_did_not_follow_one_another() {
    two_fronts_follow_one_another(&File::new().url);
}

#[test]
fn changes_of_other_namespaces_were_told() {
    changes_of_other_namespaces_are_none(&File::new().url);
}

#[test]
fn some_of_many_changes_were_forgotten() {
    let file = File::new();
    many_changes_at_once_are_all_seen(&file.url, || file.run("DELETE FROM cache_request"));
}

#[test]
fn another_process_was_not_heard() {
    let file = File::new();
    another_process_is_heard("sqlite", &file.path.display().to_string(), &file.url);
}

/// Its place in the log is gone, and it does not know what else was there.
#[test]
fn changes_that_were_cut_from_the_log_were_missed() {
    let file = File::new();
    let cache = filled(&file.url);
    SOURCE.set(2);
    file.run("BEGIN IMMEDIATE; DELETE FROM cache_request; DELETE FROM cache_request_changes; COMMIT");
    wait_until("it is noticed", || front(&cache).lost == 1);
    wait_until("the change is seen", || ask(&cache, 0) == 2);
    until(&cache, Tracking::Live);
    have_in_front(&cache, 0..10);
    put(&other(&file.url), 0, 3);
    wait_until("changes are told again", || ask(&cache, 0) == 3);
}

#[test]
fn another_file_in_its_place_was_not_noticed() {
    let file = File::new();
    let cache = filled(&file.url);
    std::fs::rename(&file.path, file.path.with_extension("old")).unwrap();
    wait_until("it is noticed", || front(&cache).lost >= 1);
}

#[test]
fn a_table_without_triggers_was_relied_on() {
    let file = File::new();
    let cache = filled(&file.url);
    for statement in [
        "DROP TABLE cache_request",
        "DROP TRIGGER cache_request_near_u",
        "DROP TABLE cache_request_changes",
        "DELETE FROM cache_request_near",
    ] {
        let before = front(&cache).lost;
        file.run(statement);
        wait_until(statement, || front(&cache).lost > before);
        until(&cache, Tracking::Live);
        put(&other(&file.url), 0, 1);
        wait_until("it is in front", || ask(&cache, 0) == 1);
        put(&other(&file.url), 0, 2);
        wait_until("changes are told again", || ask(&cache, 0) == 2);
    }
}

#[test]
fn changes_were_logged_for_nobody() {
    const ENTRIES: &str = "SELECT coalesce(max(seq), 0) FROM cache_request_changes";

    let file = File::new();
    let another = other(&file.url);
    put(&another, 0, 1);
    let tables = "SELECT count(*) FROM sqlite_master WHERE name LIKE 'cache_request_near%' OR name LIKE '%_changes'";
    assert_eq!(file.number(tables), 0, "no near cache was ever used");
    let cache = tiered(&file.url);
    until(&cache, Tracking::Live);
    assert_eq!(file.number(tables), 5);
    let logged = || {
        let before = file.number(ENTRIES);
        put(&another, 0, 2);
        another.clear_sync().unwrap();
        file.number(ENTRIES) - before
    };
    assert_eq!(logged(), 2, "one for each row that is written or removed");
    drop(cache);
    wait_until("its registration has ended", || file.number("SELECT count(*) FROM cache_request_near") == 0);
    assert_eq!(logged(), 0);
    // As of a process that was killed.
    file.run("INSERT INTO cache_request_near VALUES (1, 'cache-request', strftime('%s', 'now') - 61)");
    assert_eq!(logged(), 0);
}

#[test]
fn the_log_grew_without_end() {
    let file = File::new();
    drop(filled(&file.url));
    file.run(
        "WITH RECURSIVE numbers (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < 20000) \
         INSERT INTO cache_request_changes (namespace, key) SELECT 'cache-request', number FROM numbers",
    );
    let _cache = filled(&file.url);
    let entries = file.number("SELECT count(*) FROM cache_request_changes");
    assert!((10_000..10_100).contains(&entries), "{entries}");
}
