use cache_request::cache_request;

#[derive(Clone)]
struct Page(String);

#[cache_request]
fn plain(id: u32) -> Page {
    Page(id.to_string())
}

#[cache_request]
async fn fallible(id: u32) -> Result<Page, std::fmt::Error> {
    Ok(Page(id.to_string()))
}

fn main() {}
