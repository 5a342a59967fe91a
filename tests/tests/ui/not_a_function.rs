use cache_request::cache_request;

#[cache_request]
struct Struct;

#[cache_request]
const CONST: u32 = 1;

#[cache_request]
trait Trait {
    #[cache_request]
    fn no_body(&self) -> u32;
}

#[cache_request]
impl Struct {
    fn method(&self) -> u32 {
        1
    }
}

#[cache_request]
mod module {
    fn function() -> u32 {
        1
    }
}

fn main() {}
