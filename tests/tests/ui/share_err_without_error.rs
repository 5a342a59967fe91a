use std::error::Error;

use cache_request::cache_request;

type Answer = u64;

struct NotClone;

#[cache_request(share_err)]
fn certain() -> Option<u32> {
    None
}

#[cache_request(share_err)]
fn alias() -> Answer {
    1
}

#[cache_request(share_err)]
fn not_clone() -> Result<u32, NotClone> {
    Ok(1)
}

#[cache_request(share_err)]
async fn boxed() -> Result<u32, Box<dyn Error>> {
    Ok(1)
}

fn main() {}
