use cache_request::cache_request;

#[cache_request(cache_err, skip_none)]
fn f() -> Result<Option<u32>, String> {
    Ok(None)
}

fn main() {}
