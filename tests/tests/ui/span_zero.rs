use cache_request::cache_request;

#[cache_request(stale = 0)]
fn zero() -> u32 {
    1
}

#[cache_request(idle = never)]
fn for_ever() -> u32 {
    1
}

#[cache_request(stale_if_error = -5)]
fn negative() -> Result<u32, ()> {
    Ok(1)
}

fn main() {
    zero();
    for_ever();
    negative();
}
