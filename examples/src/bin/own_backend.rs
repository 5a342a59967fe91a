//! A backend of one's own: five short methods over bytes, and the suite that every backend has to pass.
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

/// The bytes, and until when they are kept.
type Entry = (Vec<u8>, Option<Instant>);

fn is_fresh((_, end): &&Entry) -> bool {
    end.is_none_or(|end| Instant::now() < end)
}

impl Backend for Map {
    fn name(&self) -> &'static str {
        "map"
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.0.lock().unwrap().get(key).filter(is_fresh).map(|(bytes, _)| bytes.clone()))
    }

    async fn set(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<(), Error> {
        let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        self.0.lock().unwrap().insert(key.to_owned(), (value.to_vec(), end));
        Ok(())
    }

    async fn delete(&self, key: &str) -> Result<bool, Error> {
        Ok(self.0.lock().unwrap().remove(key).as_ref().filter(is_fresh).is_some())
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
    install(Cache::builder().backend(map.clone()).build())?;
    println!("{} {}", square(12), square(12));
    println!("keys: {:?}", map.0.lock().unwrap().keys());
    // Bytes that make no sense are no answer: the body runs again.
    map.0.lock().unwrap().values_mut().for_each(|(bytes, _)| bytes.reverse());
    println!("{}, faults: {}", square(12), cache_request::stats().faults());
    Ok(())
}

#[cfg(test)]
cache_request::conformance! { name: conformance, new: || async { Map::default() } }
