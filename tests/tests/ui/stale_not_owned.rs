use cache_request::cache_request;

#[derive(Clone, serde::Serialize)]
struct Borrowed<'a>(&'a str);

#[cache_request(stale = 60)]
fn borrows(text: Borrowed<'_>) -> u32 {
    let _ = text;
    1
}

#[cache_request(early = 0.9, skip(log))]
fn writes(log: &mut Vec<u32>) -> u32 {
    log.push(1);
    1
}

#[cache_request(stale = 60, handle = false)]
fn alone() -> u32 {
    1
}

#[cache_request(stale = 60)]
fn opaque(text: impl serde::Serialize) -> u32 {
    let _ = text;
    1
}

fn main() {}
