use cache_request::cache_request;

#[cache_request]
fn never() -> ! {
    loop {}
}

#[cache_request]
fn unsaid() -> impl Future {
    async { 1 }
}

fn main() {}
