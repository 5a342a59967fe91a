//! A backend of one's own: seven short methods over bytes, and the suite that every backend has to pass.
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
    fn new(bytes: &[u8], timeout: Option<Duration>) -> Self {
        Self { bytes: bytes.to_vec(), end: end(timeout) }
    }

    fn is_fresh(&self) -> bool {
        self.end.is_none_or(|end| Instant::now() < end)
    }
}

/// Never, if no clock will ever show it.
fn end(timeout: Option<Duration>) -> Option<Instant> {
    Instant::now().checked_add(timeout?)
}

impl Backend for Map {
    fn name(&self) -> &'static str {
        "map"
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let map = self.0.lock().unwrap();
        Ok(map.get(key).filter(|entry| entry.is_fresh()).map(|entry| entry.bytes.clone()))
    }

    async fn set(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<(), Error> {
        self.0.lock().unwrap().insert(key.to_owned(), Entry::new(value, timeout));
        Ok(())
    }

    async fn add(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<bool, Error> {
        // Looked and written under one lock: of two at once, one finds the other's entry.
        let mut map = self.0.lock().unwrap();
        if map.get(key).is_some_and(Entry::is_fresh) {
            return Ok(false);
        }
        map.insert(key.to_owned(), Entry::new(value, timeout));
        Ok(timeout != Some(Duration::ZERO))
    }

    async fn touch(&self, key: &str, timeout: Option<Duration>) -> Result<bool, Error> {
        let mut map = self.0.lock().unwrap();
        let Some(entry) = map.get_mut(key).filter(|entry| entry.is_fresh()) else { return Ok(false) };
        entry.end = end(timeout);
        Ok(true)
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
