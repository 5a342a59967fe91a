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

struct Msg<'a>(&'a str);

#[cache_request]
fn borrows<'a>(text: &'a str) -> Msg<'a> {
    Msg(text)
}

#[cache_request(local)]
fn elided(text: &str) -> Result<Msg<'_>, ParseIntError> {
    Ok(Msg(text))
}

#[cache_request(local)]
fn object<'a>(text: &'a str) -> Box<dyn Iterator<Item = char> + 'a> {
    Box::new(text.chars())
}

fn main() {}
