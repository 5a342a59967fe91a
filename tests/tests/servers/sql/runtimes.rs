//! Callers on every kind of runtime, and on none.

use cache_request::Cache;
use cache_request_tests::{callers, servers::postgres::Postgres};

/// The connections survive the end of a caller's runtime, even during a call.
fn every_caller(url: &str) {
    let cache = Cache::from_url(&format!("{url}?soft_limit=60s&connect=now&connect_limit=60s")).unwrap();
    callers::every_caller_gets_its_answer(&cache);
    callers::a_runtime_may_end_and_another_one_goes_on(&cache);
}

#[test]
fn every_caller_gets_its_answer_from_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("made/for it/cache.db");
    every_caller(&format!("sqlite://{}", file.display().to_string().replace(' ', "%20")));
}

#[test]
fn every_caller_gets_its_answer_from_postgres() {
    let postgres = Postgres::start(&[]);
    every_caller(&postgres.url());
}
