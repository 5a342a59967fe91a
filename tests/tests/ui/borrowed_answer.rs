use cache_request::cache_request;

use std::num::ParseIntError;

#[cache_request]
fn reference(text: &str) -> &str {
    text
}

#[cache_request]
async fn inside<'a>(text: &'a str) -> Result<Option<&'a str>, ParseIntError> {
    Ok(Some(text))
}

#[cache_request]
fn future(text: &str) -> impl Future<Output = &str> {
    async move { text }
}

fn main() {}
