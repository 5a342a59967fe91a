//! Functions that return nothing, and names that end in an underscore.

use std::cell::Cell;

use cache_request::{Cache, cache_request, scoped_sync};
use futures_lite::future::block_on;

thread_local! {
    static RUNS: Cell<u32> = const { Cell::new(0) };
}

fn ran() {
    RUNS.set(RUNS.get() + 1);
}

#[cache_request(timeout = "1h")]
fn remind(user: u32) {
    let _ = user;
    ran();
}

#[cache_request(timeout = "1h")]
async fn notify(user: u32) -> () {
    let _ = user;
    ran();
}

#[cache_request(timeout = "1h")]
fn send(fails: bool) -> Result<(), String> {
    ran();
    if fails { Err("no network".to_owned()) } else { Ok(()) }
}

#[deny(warnings)]
mod lints {
    #[super::cache_request]
    pub(super) fn type_(id: u32) -> u32 {
        id
    }
}

fn runs(calls: impl Fn()) -> u32 {
    RUNS.set(0);
    scoped_sync(&Cache::memory(), calls);
    RUNS.get()
}

#[test]
fn a_function_that_returns_nothing_was_refused() {
    assert_eq!(runs(|| (0..3).for_each(|_| remind(1))), 1);
    assert_eq!(runs(|| (0..3).for_each(remind)), 3);
    assert_eq!(runs(|| (0..3).for_each(|_| block_on(notify(1)))), 1);
    assert_eq!(runs(|| (0..3).for_each(|_| assert_eq!(send(false), Ok(())))), 1);
    assert_eq!(runs(|| (0..3).for_each(|_| assert!(send(true).is_err()))), 3);
    scoped_sync(&Cache::memory(), || {
        assert_eq!(remind_cache(1).peek(), None);
        remind(1);
        assert_eq!(remind_cache(1).peek(), Some(()));
        assert!(remind_cache(1).invalidate().unwrap());
    });
}

#[test]
fn the_companion_of_a_name_that_ends_in_an_underscore_was_no_snake_case() {
    assert_eq!(lints::type_(1), 1);
    assert_eq!(lints::type_cache(1).peek(), Some(1));
    assert!(lints::type_cache(1).key().unwrap().contains(".type_?id=1"));
}
