use cache_request::cache_request;

#[cache_request(key = "user:{user}:{id}")]
fn unknown(id: u32, lang: &str) -> usize {
    id as usize + lang.len()
}

#[cache_request(key = "user:{id")]
fn open(id: u32) -> u32 {
    id
}

#[cache_request(key = "user:{id + 1}")]
fn expression(id: u32) -> u32 {
    id
}

#[cache_request(key = "")]
fn empty(id: u32) -> u32 {
    id
}

#[cache_request(key = 5)]
fn number(id: u32) -> u32 {
    id
}

struct User {
    id: u32,
}

#[cache_request(key = "user:{user.name}")]
fn field(user: User) -> u32 {
    user.id
}

fn main() {}
