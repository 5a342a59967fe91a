use cache_request::cache_request;

use std::{borrow::Cow, collections::HashMap, sync::Arc};

#[cache_request]
fn text(id: u8) -> &'static str {
    if id == 0 { "a" } else { "b" }
}

#[cache_request]
async fn inside(id: u8) -> Result<Option<(u8, &'static str)>, String> {
    Ok(Some((id, "a")))
}

#[cache_request]
fn values(id: u8) -> Vec<&'static [u8]> {
    vec![&[1]; usize::from(id)]
}

// These are right.

#[cache_request(local)]
fn kept_here(id: u8) -> HashMap<u8, &'static str> {
    HashMap::from([(id, "a")])
}

#[cache_request]
fn either(id: u8) -> Cow<'static, str> {
    if id == 0 { "a".into() } else { id.to_string().into() }
}

#[cache_request]
fn failing(id: u8) -> Result<u8, &'static str> {
    id.checked_add(1).ok_or("too large")
}

#[cache_request(local)]
fn shared(id: u8) -> Arc<(u8, &'static str)> {
    Arc::new((id, "a"))
}

fn main() {}
