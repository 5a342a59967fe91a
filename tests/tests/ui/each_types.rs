use std::collections::HashMap;

use cache_request::cache_request;
use serde::Serialize;

#[cache_request(each(ids))]
fn no_map(ids: &[u64]) -> u64 {
    ids.len() as u64
}

#[cache_request(each(ids))]
fn other_keys(ids: &[u64]) -> HashMap<String, u64> {
    ids.iter().map(|id| (id.to_string(), *id)).collect()
}

#[derive(Serialize)]
struct Unique(u64);

#[cache_request(each(ids))]
fn elements_that_are_not_clone(ids: &[Unique]) -> Vec<u64> {
    ids.iter().map(|id| id.0).collect()
}

#[cache_request(each(ids))]
fn an_argument_that_is_not_clone(ids: &[u64], unique: Unique) -> Vec<u64> {
    ids.iter().map(|id| id + unique.0).collect()
}

#[cache_request(each(ids), skip_none)]
fn nothing_to_skip(ids: &[u64]) -> Vec<u64> {
    ids.to_vec()
}

fn main() {}
