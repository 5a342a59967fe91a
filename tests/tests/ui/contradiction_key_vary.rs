use cache_request::cache_request;

#[cache_request(key = "user:{id}", vary(lang = "en"))]
fn template(id: u32) -> u32 {
    id
}

#[cache_request(vary(lang = "en"), key = key_of)]
fn function(id: u32) -> u32 {
    id
}

fn key_of(id: &u32) -> String {
    id.to_string()
}

fn main() {}
