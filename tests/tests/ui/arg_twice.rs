use cache_request::cache_request;

#[cache_request(timeout = 300, local, timeout = 60, local)]
fn f() -> u32 {
    1
}

fn main() {}
