//! A plain function whose answers are cached, and what its companion does with one of them.
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
    // The function is called as usual. The second answer comes from memory.
    println!("{:?}", miles("JFK", "SFO"));
    println!("{:?}", miles("JFK", "SFO"));
    // `None` is an answer like any other, and is cached as well.
    println!("{:?}", miles("JFK", "XYZ"));
    println!("{:?}", miles("JFK", "XYZ"));

    // The companion of the function calls nothing. It returns a handle on that one call.
    let call = miles_cache("JFK", "SFO");
    println!("key: {}", call.key()?);
    println!("cached: {:?}", call.peek());
    println!("invalidated: {}", call.invalidate()?);
    println!("cached: {:?}", call.peek());
    println!("{:?}", miles("JFK", "SFO"));

    println!("{}", cache_request::stats());
    Ok(())
}
