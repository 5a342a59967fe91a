use cache_request::cache_request;

#[cache_request(timout = 300)]
fn near() -> u32 {
    1
}

#[cache_request(labels("a"))]
fn far() -> u32 {
    1
}

#[cache_request(ttl = 300)]
fn elsewhere() -> u32 {
    1
}

#[cache_request(time = 60, size = 100, result = true, key_prefix = "shop", unless = "is_empty")]
fn of_other_caches() -> u32 {
    1
}

fn main() {}
