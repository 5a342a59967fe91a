use cache_request::cache_request;

#[cache_request(skip_none)]
fn f() -> Result<u32, String> {
    Ok(1)
}

fn main() {}
