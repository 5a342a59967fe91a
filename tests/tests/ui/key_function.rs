use cache_request::cache_request;

fn key_of(id: &u32) -> Vec<u32> {
    vec![*id]
}

fn fewer() -> String {
    String::new()
}

#[cache_request(key = key_of)]
fn no_text(id: u32) -> u32 {
    id
}

#[cache_request(key = fewer)]
fn arguments(id: u32) -> u32 {
    id
}

fn main() {}
