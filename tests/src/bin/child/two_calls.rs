//! Makes one call twice: `two_calls <address>`. Prints what that came to, or why there is no such cache.

use cache_request::{Cache, scoped_sync};
use cache_request_tests::callers::double;

pub(crate) fn main(arguments: &[&str]) {
    match Cache::from_url(arguments[0]) {
        Ok(cache) => {
            scoped_sync(&cache, || assert_eq!([double(1), double(1)], [2, 2]));
            println!("{} hits, {} faults", cache.stats().hits(), cache.stats().faults());
        }
        Err(error) => println!("{:?}: {error:#}", error.kind()),
    }
}
