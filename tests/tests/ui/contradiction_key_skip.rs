use cache_request::cache_request;

#[cache_request(key = "user:{id}", skip(lang))]
fn f(id: u32, lang: &str) -> usize {
    id as usize + lang.len()
}

fn main() {}
