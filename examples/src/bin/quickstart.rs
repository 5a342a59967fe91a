//! A plain function that remembers its answers, and what can be done about one of them.
//!
//! ```text
//! cargo run -p cache-request-examples --bin quickstart
//! ```

use cache_request::{Error, cache_request};

/// Each pair of airports is looked up once in five minutes.
#[cache_request(timeout = 300)]
fn miles(from: &str, to: &str) -> Option<u32> {
    println!("  looking up {from} to {to}");
    let distances = [(("JFK", "SFO"), 2586), (("JFK", "LHR"), 3451)];
    distances.into_iter().find_map(|(route, miles)| (route == (from, to)).then_some(miles))
}

fn main() -> Result<(), Error> {
    // The function is called as ever. The second answer comes from memory.
    println!("{:?}", miles("JFK", "SFO"));
    println!("{:?}", miles("JFK", "SFO"));
    // `None` is an answer like any other, and is remembered as well.
    println!("{:?}", miles("JFK", "XYZ"));
    println!("{:?}", miles("JFK", "XYZ"));

    // Beside the function stands its companion. It calls nothing: it is a handle on that one call.
    let call = miles_cache("JFK", "SFO");
    println!("key: {}", call.key()?);
    println!("remembered: {:?}", call.peek());
    println!("forgotten: {}", call.invalidate()?);
    println!("remembered: {:?}", call.peek());
    println!("{:?}", miles("JFK", "SFO"));

    println!("{}", cache_request::stats());
    Ok(())
}
