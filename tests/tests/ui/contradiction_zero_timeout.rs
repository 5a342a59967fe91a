use cache_request::cache_request;

#[cache_request(timeout = 0, when = |_| true, skip_none)]
fn f() -> Option<u32> {
    None
}

fn main() {}
