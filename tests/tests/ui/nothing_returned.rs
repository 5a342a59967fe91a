use cache_request::cache_request;

use std::pin::Pin;

#[cache_request]
fn nothing(id: u32) {
    let _ = id;
}

#[cache_request]
async fn unit(id: u32) -> () {
    let _ = id;
}

#[cache_request]
fn boxed() -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async {})
}

#[cache_request]
fn never() -> ! {
    loop {}
}

#[cache_request]
fn unsaid() -> impl Future {
    async { 1 }
}

fn main() {}
