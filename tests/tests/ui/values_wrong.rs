use cache_request::cache_request;

#[cache_request(name = 5)]
fn name() -> u32 {
    1
}

#[cache_request(prefix = "")]
fn prefix() -> u32 {
    1
}

#[cache_request(version = 1.5)]
fn version() -> u32 {
    1
}

#[cache_request(coalesce)]
fn coalesce() -> u32 {
    1
}

#[cache_request(handle = "no")]
fn handle() -> u32 {
    1
}

#[cache_request(max_entries = 0)]
fn no_entries() -> u32 {
    1
}

#[cache_request(max_entries = "1000")]
fn entries() -> u32 {
    1
}

#[cache_request(skip)]
fn skip(a: u32) -> u32 {
    a
}

#[cache_request(skip())]
fn skip_nothing(a: u32) -> u32 {
    a
}

#[cache_request(vary(1 + 1))]
fn vary() -> u32 {
    1
}

#[cache_request(local timeout = 5)]
fn comma() -> u32 {
    1
}

#[cache_request("5m")]
fn no_name() -> u32 {
    1
}

fn main() {}
