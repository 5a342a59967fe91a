use cache_request::cache_request;

#[cache_request]
const fn constant() -> u32 {
    1
}

#[cache_request]
unsafe fn promised() -> u32 {
    1
}

#[cache_request]
extern "C" fn foreign() -> u32 {
    1
}

fn main() {}
