//! Tests of cached functions: each has a cache of its own, and a clock that it moves by hand.
//!
//! ```text
//! cargo test -p cache-request-examples --bin testing
//! ```

use cache_request::cache_request;

/// `ask` stands for the database.
#[cache_request(timeout = "10m", skip(ask))]
fn rate(currency: &str, ask: fn(&str) -> f64) -> f64 {
    ask(currency)
}

fn main() {
    println!("{:.2}", rate("EUR", |_| 1.17));
    println!("{:.2}, cached", rate("EUR", |_| 1.20));
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use cache_request::{Cache, Clock, scoped_sync};

    use super::*;

    #[test]
    fn a_rate_is_asked_for_once() {
        // Other tests run at the same time, and share nothing with this one.
        let cache = Cache::memory();
        scoped_sync(&cache, || {
            assert_eq!(rate("EUR", |_| 1.17), 1.17);
            assert_eq!(rate("EUR", |_| 1.20), 1.17);
        });
        let stats = cache.stats();
        assert_eq!((stats.bodies(), stats.hits()), (1, 1));
    }

    #[test]
    fn a_rate_is_ten_minutes_old_at_most() {
        let clock = Clock::mock();
        let cache = Cache::builder().clock(&clock).build().unwrap();
        scoped_sync(&cache, || {
            assert_eq!(rate("EUR", |_| 1.17), 1.17);
            clock.advance(Duration::from_secs(599));
            assert_eq!(rate("EUR", |_| 1.20), 1.17);
            clock.advance(Duration::from_secs(1));
            assert_eq!(rate("EUR", |_| 1.20), 1.20);
        });
    }

    #[test]
    fn without_a_cache_each_call_asks() {
        scoped_sync(&Cache::null(), || {
            assert_eq!(rate("EUR", |_| 1.17), 1.17);
            assert_eq!(rate("EUR", |_| 1.20), 1.20);
        });
    }
}
