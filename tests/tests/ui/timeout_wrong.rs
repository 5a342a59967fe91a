use cache_request::cache_request;

#[cache_request(timeout = "5 parsecs")]
fn text() -> u32 {
    1
}

#[cache_request(timeout = -1)]
fn negative() -> u32 {
    1
}

#[cache_request(timeout = 1.5)]
fn float() -> u32 {
    1
}

#[cache_request(timeout = 5m)]
fn suffix() -> u32 {
    1
}

#[cache_request(timeout = 99999999999999999999999)]
fn too_long() -> u32 {
    1
}

#[cache_request(timeout)]
fn missing() -> u32 {
    1
}

const SECONDS: &str = "5s";

#[cache_request(timeout = SECONDS)]
fn not_a_duration() -> u32 {
    1
}

fn main() {}
