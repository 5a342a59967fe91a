use cache_request::cache_request;

#[cache_request(early = 1.5)]
fn late() -> u32 {
    1
}

#[cache_request(jitter = 0)]
fn none() -> u32 {
    1
}

#[cache_request(early = -0.5)]
fn before() -> u32 {
    1
}

fn main() {
    late();
    none();
    before();
}
