use cache_request::cache_request;

#[cache_request]
fn iterator(n: u32) -> impl Iterator<Item = u32> {
    0..n
}

#[cache_request]
async fn inside(n: u32) -> Result<impl ToString, std::fmt::Error> {
    Ok(n)
}

fn main() {}
