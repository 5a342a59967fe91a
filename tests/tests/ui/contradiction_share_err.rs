use cache_request::cache_request;

#[cache_request(cache_err, share_err)]
fn kept() -> Result<u32, String> {
    Ok(1)
}

#[cache_request(share_err, coalesce = false)]
fn apart() -> Result<u32, String> {
    Ok(1)
}

fn main() {}
