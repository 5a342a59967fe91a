use cache_request::cache_request;

#[cache_request(when = |value| *value > least)]
fn f(least: u32) -> u32 {
    least
}

#[cache_request(weight = |value| value)]
fn wrong_type() -> u32 {
    1
}

fn main() {}
