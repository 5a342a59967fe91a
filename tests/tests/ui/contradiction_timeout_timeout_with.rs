use cache_request::cache_request;

#[cache_request(timeout_with = |_| std::time::Duration::ZERO, timeout = 300)]
fn f() -> u32 {
    1
}

fn main() {}
