//! Whether each function is worth caching, as the cache finds it itself.
//!
//! ```text
//! cargo run -p cache-request-examples --bin report
//! ```

use std::{thread, time::Duration};

use cache_request::{Cache, Error, cache_request, current, install};

/// As slow as a query.
#[cache_request(timeout = 3600)]
fn delays(airport: u32) -> u32 {
    thread::sleep(Duration::from_millis(5));
    airport
}

/// Slow as well, but there is room for only half of its answers.
#[cache_request(timeout = 3600, max_entries = 10)]
fn flights(airport: u32) -> u32 {
    thread::sleep(Duration::from_millis(1));
    airport
}

/// As quick as the cache, or quicker.
#[cache_request(timeout = 3600)]
fn double(number: u32) -> u32 {
    number * 2
}

fn main() -> Result<(), Error> {
    install(Cache::from_url("memory://?measure=true")?)?;
    for call in 0..2000 {
        delays(call % 100);
        flights(call % 20);
        // This one is asked for all the time, so it stays.
        flights(20);
        double(call % 100);
    }
    println!("{}", current().report());
    Ok(())
}
