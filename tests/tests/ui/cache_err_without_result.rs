use cache_request::cache_request;

type Answer = u64;

#[cache_request(cache_err)]
fn certain() -> Option<u32> {
    None
}

#[cache_request(cache_err)]
fn alias() -> Answer {
    1
}

fn main() {}
