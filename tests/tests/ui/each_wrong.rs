use std::collections::{HashMap, HashSet};

use cache_request::cache_request;

#[cache_request(each(ids))]
fn of_a_set(ids: &HashSet<u64>) -> HashMap<u64, u64> {
    ids.iter().map(|id| (*id, *id)).collect()
}

#[cache_request(each(ids))]
fn of_a_number(ids: u64) -> Vec<u64> {
    vec![ids]
}

#[cache_request(each(id))]
fn of_nothing(ids: &[u64]) -> Vec<u64> {
    ids.to_vec()
}

#[cache_request(each())]
fn without_a_name(ids: &[u64]) -> Vec<u64> {
    ids.to_vec()
}

#[cache_request(each(ids, more))]
fn of_two(ids: &[u64], more: &[u64]) -> Vec<u64> {
    [ids, more].concat()
}

#[cache_request(each(ids))]
fn in_a_pattern((ids, _): (Vec<u64>, u64)) -> Vec<u64> {
    ids
}

#[cache_request(each(ids), skip(ids))]
fn skipped(ids: &[u64]) -> Vec<u64> {
    ids.to_vec()
}

#[cache_request(each(ids), stale = 60, early = 0.9, foreground)]
fn beyond_the_timeout(ids: &[u64]) -> Vec<u64> {
    ids.to_vec()
}

#[cache_request(each(ids), cache_err, share_err)]
fn errors(ids: &[u64]) -> Result<Vec<u64>, String> {
    Ok(ids.to_vec())
}

#[cache_request(each(ids), timeout_err = 5)]
fn kept_errors(ids: &[u64]) -> Result<Vec<u64>, String> {
    Ok(ids.to_vec())
}

#[cache_request(each(ids), detach)]
async fn detached(ids: Vec<u64>) -> Vec<u64> {
    ids
}

#[cache_request(each(ids), status(200))]
fn responses(ids: &[u64]) -> Vec<u64> {
    ids.to_vec()
}

#[cache_request(each(ids), handle = false)]
fn without_companion(ids: &[u64]) -> Vec<u64> {
    ids.to_vec()
}

#[cache_request(each(ids), skip(written))]
fn written(written: &mut u64, ids: &[u64]) -> Vec<u64> {
    *written += 1;
    ids.to_vec()
}

#[cache_request(each(ids))]
fn opaque(ids: &[u64], other: impl Into<u64> + serde::Serialize) -> Vec<u64> {
    let other = other.into();
    ids.iter().map(|id| id + other).collect()
}

#[cache_request(each(ids), share = "user", name = "users")]
fn two_names(ids: &[u64]) -> Vec<u64> {
    ids.to_vec()
}

#[cache_request(share = "user", stale = 60)]
fn shared_and_stale(id: u64) -> u64 {
    id
}

#[cache_request(share = "user")]
fn shared_and_generic<T: serde::Serialize>(id: T) -> u64 {
    drop(id);
    1
}

#[cache_request(share = "user", key = "user:{id}")]
fn shared_by_a_key(id: u64) -> u64 {
    id
}

#[cache_request(each(ids as id), key = "greeting:{lang}")]
fn without_the_element(ids: &[u64], lang: &str) -> Vec<u64> {
    drop(lang);
    ids.to_vec()
}

fn main() {}
