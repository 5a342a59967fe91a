use cache_request::cache_request;

struct State<T>(T);

#[cache_request(skip(state, lang))]
fn f(State(db): State<u32>, id: u32, lang: &str) -> u32 {
    id + db + lang.len() as u32
}

#[cache_request(skip(self))]
fn no_self(id: u32) -> u32 {
    id
}

#[cache_request(skip(id, id))]
fn twice(id: u32) -> u32 {
    id
}

fn main() {}
