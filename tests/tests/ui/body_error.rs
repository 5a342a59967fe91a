use cache_request::cache_request;

// An error of the body's own is reported once, where it is.
#[cache_request]
fn plain(id: u32) -> String {
    id
}

#[cache_request]
async fn asynchronous(id: u32) -> Result<String, std::fmt::Error> {
    let unused = 1;
    Ok(id)
}

fn main() {}
