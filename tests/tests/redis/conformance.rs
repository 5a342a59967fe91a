//! The suite, over the loopback and over a socket.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use cache_request::{backend::RedisBackend, conformance::Harness};
use cache_request_tests::servers::redis::Redis;

cache_request::conformance! { name: tcp, harness: Namespaces::new(Redis::url) }
cache_request::conformance! {
    name: socket,
    harness: Namespaces::new(|redis| format!("redis+unix://{}", redis.socket().display()))
}

/// Namespaces on one server.
struct Namespaces {
    redis: Arc<Redis>,
    url: String,
    made: AtomicU64,
}

impl Namespaces {
    fn new(url: fn(&Redis) -> String) -> Self {
        let redis = Redis::shared();
        let url = url(&redis);
        Self { redis, url, made: AtomicU64::new(0) }
    }
}

impl Harness for Namespaces {
    type Backend = RedisBackend;

    async fn backend(&self) -> RedisBackend {
        static NAMESPACE: AtomicU64 = AtomicU64::new(0);

        assert!(self.redis.server.port > 0);
        self.made.fetch_add(1, Ordering::Relaxed);
        let namespace = format!("suite{}", NAMESPACE.fetch_add(1, Ordering::Relaxed));
        RedisBackend::builder(&self.url).namespace(namespace).build().unwrap()
    }

    fn slack(&self) -> Duration {
        Duration::from_millis(20)
    }
}
