//! The suite, on one server and on three.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use cache_request::{backend::MemcachedBackend, conformance::Harness};
use cache_request_tests::servers::{PATIENCE, memcached::Memcached};

cache_request::conformance! { name: one, harness: Namespaces::of(Memcached::shared()) }
cache_request::conformance! { name: three, harness: Namespaces::of(Fleet::shared()) }

/// Three servers, which tests that run at the same time share.
struct Fleet {
    _servers: Vec<Memcached>,
    url: String,
}

impl Fleet {
    fn shared() -> Arc<Self> {
        use std::sync::{Mutex, PoisonError, Weak};

        static SHARED: Mutex<Weak<Fleet>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let (servers, url) = Memcached::fleet(3);
            let fleet = Arc::new(Self { _servers: servers, url });
            *shared = Arc::downgrade(&fleet);
            fleet
        })
    }
}

trait Servers: Send + Sync + 'static {
    fn url(&self) -> String;
}

impl Servers for Memcached {
    fn url(&self) -> String {
        self.url()
    }
}

impl Servers for Fleet {
    fn url(&self) -> String {
        self.url.clone()
    }
}

/// Namespaces on the same servers.
struct Namespaces {
    servers: Arc<dyn Servers>,
}

impl Namespaces {
    fn of(servers: Arc<impl Servers>) -> Self {
        Self { servers }
    }
}

impl Harness for Namespaces {
    type Backend = MemcachedBackend;

    async fn backend(&self) -> MemcachedBackend {
        static NAMESPACE: AtomicU64 = AtomicU64::new(0);

        let namespace = format!("suite{}", NAMESPACE.fetch_add(1, Ordering::Relaxed));
        // A long limit, as many tests run at the same time, and send 20 MB.
        let builder = MemcachedBackend::builder(&self.servers.url()).answer_limit(PATIENCE);
        builder.namespace(namespace).build().unwrap()
    }

    /// Leases and refusals end by the server's clock, which counts seconds.
    fn slack(&self) -> Duration {
        Duration::from_secs(2)
    }
}
