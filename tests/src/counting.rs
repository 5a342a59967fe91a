//! A backend that keeps what it was asked for.

use std::{
    mem,
    sync::{Arc, Mutex},
    time::Duration,
};

use cache_request::{
    Backend, Error, MockClock,
    backend::{Claim, Claimed, Fence, MemoryBackend},
};

use crate::delegate;

/// Keeps what it was asked for: the operations, and for how many keys.
pub struct Counting {
    memory: MemoryBackend,
    log: Mutex<Vec<(&'static str, usize)>>,
    /// Of all operations.
    pub keys: Mutex<Vec<String>>,
}

impl Counting {
    /// One with nothing in it.
    ///
    /// # Panics
    ///
    /// If a backend in memory cannot be made.
    pub fn new(clock: &MockClock) -> Arc<Self> {
        Arc::new(Self {
            memory: MemoryBackend::builder().clock(clock).build().expect("no option is wrong"),
            log: Mutex::default(),
            keys: Mutex::default(),
        })
    }

    fn note(&self, operation: &'static str, keys: &[&str]) {
        self.log.lock().expect("no test panics in it").push((operation, keys.len()));
        self.keys.lock().expect("no test panics in it").extend(keys.iter().map(|key| (*key).to_owned()));
    }

    /// What it was asked for since the last look.
    ///
    /// # Panics
    ///
    /// If a test has panicked while it was asked.
    pub fn take(&self) -> Vec<(&'static str, usize)> {
        mem::take(&mut *self.log.lock().expect("no test panics in it"))
    }
}

impl Backend for Counting {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.note("get", &[key]);
        self.memory.get(key).await
    }

    async fn get_many(&self, keys: &[&str]) -> Vec<Result<Option<Vec<u8>>, Error>> {
        self.note("get_many", keys);
        self.memory.get_many(keys).await
    }

    async fn set(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<(), Error> {
        self.note("set", &[key]);
        self.memory.set(key, value, timeout).await
    }

    async fn add(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<bool, Error> {
        self.note("add", &[key]);
        self.memory.add(key, value, timeout).await
    }

    async fn delete(&self, key: &str) -> Result<bool, Error> {
        self.note("delete", &[key]);
        self.memory.delete(key).await
    }

    async fn claim(&self, key: &str, claim: Claim) -> Result<Claimed, Error> {
        self.note("claim", &[key]);
        self.memory.claim(key, claim).await
    }

    async fn set_fenced(
        &self,
        key: &str,
        value: &[u8],
        timeout: Option<Duration>,
        fence: Fence,
    ) -> Result<bool, Error> {
        self.note("set_fenced", &[key]);
        self.memory.set_fenced(key, value, timeout, fence).await
    }

    async fn release(&self, key: &str, fence: Fence) -> Result<(), Error> {
        self.note("release", &[key]);
        self.memory.release(key, fence).await
    }

    async fn invalidate(&self, key: &str, refuse: Duration) -> Result<bool, Error> {
        self.note("invalidate", &[key]);
        self.memory.invalidate(key, refuse).await
    }

    delegate!(self => self.memory; clear has_fences renew);
}
