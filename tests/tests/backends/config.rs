//! Addresses and configurations: what they mean, and what is said about those that mean nothing.

mod addresses;
mod builders;
mod configurations;
mod front;
mod options;
mod secrets;

use std::fs;

use cache_request::{Cache, CacheConfig, Config, Error, Setting, cache_request, scoped_sync};

/// What is said about `url`, with all causes.
fn refused(url: &str) -> String {
    told(&Cache::from_url(url).expect_err(url))
}

fn told(error: &Error) -> String {
    format!("{error:#}")
}

fn config(json: &str) -> Config {
    serde_json::from_str(json).unwrap()
}

/// What is said about a configuration that cannot be read.
fn unread(json: &str) -> String {
    serde_json::from_str::<Config>(json).expect_err(json).to_string()
}

#[cache_request]
fn double(number: u32) -> u32 {
    number * 2
}

/// Calls a function three times, twice alike, and says how many entries there are.
fn entries(cache: &Cache) -> u64 {
    scoped_sync(cache, || assert_eq!([double(1), double(2), double(2)], [2, 4, 4]));
    cache.stats().entries
}
