//! The user's code for keys runs once a call: in a hit, in a miss, and in a call of the companion.

use std::{
    cell::Cell,
    future::{Future, ready},
};

use cache_request::cache_request;
use futures_lite::future::block_on;

thread_local! {
    static RUNS: Cell<u32> = const { Cell::new(0) };
}

fn language() -> &'static str {
    RUNS.set(RUNS.get() + 1);
    "en"
}

fn own_key(id: &u32) -> String {
    RUNS.set(RUNS.get() + 1);
    format!("own:{id}")
}

/// How often the code for the key ran in `call`.
fn runs<T>(call: impl FnOnce() -> T) -> u32 {
    RUNS.set(0);
    call();
    RUNS.get()
}

#[cache_request(vary(language = language()))]
fn varied(id: u32) -> u32 {
    id
}

#[cache_request(key = own_key)]
async fn own(id: u32) -> u32 {
    id
}

#[cache_request(vary(language = language()))]
fn future(id: u32) -> impl Future<Output = u32> {
    ready(id)
}

#[cache_request(vary(language = language()))]
fn generic<T: std::fmt::Display + serde::Serialize>(shown: T) -> String {
    shown.to_string()
}

#[cache_request(vary(language = language()))]
fn unnameable(shown: impl std::fmt::Display + serde::Serialize) -> String {
    shown.to_string()
}

struct Shop;

impl Shop {
    #[cache_request(skip(self), vary(language = language()))]
    async fn price(&self, id: u32) -> u32 {
        id
    }
}

trait Store {
    fn stock(&self, id: u32) -> u32;
}

impl Store for Shop {
    #[cache_request(skip(self), handle = false, key = own_key)]
    fn stock(&self, id: u32) -> u32 {
        id
    }
}

#[test]
fn a_key_function_ran_twice_on_a_miss() {
    for what in ["miss", "hit"] {
        assert_eq!(runs(|| varied(1)), 1, "{what}");
        assert_eq!(runs(|| block_on(own(1))), 1, "{what}");
        assert_eq!(runs(|| block_on(future(1))), 1, "{what}");
        assert_eq!(runs(|| generic(1)), 1, "{what}");
        assert_eq!(runs(|| unnameable(1)), 1, "{what}");
        assert_eq!(runs(|| block_on(Shop.price(1))), 1, "{what}");
        assert_eq!(runs(|| Shop.stock(1)), 1, "{what}");
    }
}

#[test]
fn a_companion_makes_its_key_once() {
    assert_eq!(runs(|| varied_cache(2).peek()), 1);
    assert_eq!(runs(|| varied_cache(2).refresh()), 1);
    assert_eq!(runs(|| block_on(own_cache(2).invalidate())), 1);
    assert_eq!(runs(|| unnameable_cache(2).key()), 1);
}
