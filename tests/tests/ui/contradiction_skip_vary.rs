use cache_request::cache_request;

#[cache_request(skip(id), vary(id))]
fn both(id: u32) -> u32 {
    id
}

#[cache_request(vary(id))]
fn already(id: u32) -> u32 {
    id
}

#[cache_request(vary(lang = 1, lang = 2))]
fn twice() -> u32 {
    1
}

fn main() {}
