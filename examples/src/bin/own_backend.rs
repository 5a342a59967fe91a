//! A backend of your own: four methods over bytes, and the tests that every backend has to pass.
//!
//! ```text
//! cargo run -p cache-request-examples --bin own_backend
//! ```

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cache_request::{Backend, Cache, Error, cache_request, install};

/// Nothing bounds this map, so it is no backend for a server.
#[derive(Clone, Default)]
struct Map(Arc<Mutex<BTreeMap<String, Entry>>>);

struct Entry {
    bytes: Vec<u8>,
    end: Option<Instant>,
}

impl Entry {
    fn is_fresh(&self) -> bool {
        self.end.is_none_or(|end| Instant::now() < end)
    }
}

impl Backend for Map {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let map = self.0.lock().unwrap();
        Ok(map.get(key).filter(|entry| entry.is_fresh()).map(|entry| entry.bytes.clone()))
    }

    async fn set(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<(), Error> {
        // Never, if the end is beyond all that a clock can show.
        let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        self.0.lock().unwrap().insert(key.to_owned(), Entry { bytes: value.to_vec(), end });
        Ok(())
    }

    async fn delete(&self, key: &str) -> Result<bool, Error> {
        Ok(self.0.lock().unwrap().remove(key).is_some_and(|entry| entry.is_fresh()))
    }

    async fn clear(&self) -> Result<(), Error> {
        self.0.lock().unwrap().clear();
        Ok(())
    }
}

#[cache_request]
fn square(number: u64) -> u64 {
    println!("  squaring {number}");
    number * number
}

fn main() -> Result<(), Error> {
    let map = Map::default();
    install(Cache::builder().backend(map.clone()).build()?)?;
    println!("{} {}", square(12), square(12));
    println!("keys: {:?}", map.0.lock().unwrap().keys());
    // Bytes that make no sense are no answer: the body runs again.
    map.0.lock().unwrap().values_mut().for_each(|entry| entry.bytes.reverse());
    println!("{}, faults: {}", square(12), cache_request::stats().faults());
    Ok(())
}

#[cfg(test)]
cache_request::conformance! { name: conformance, new: || async { Map::default() } }
