//! Builds a backend.

use std::{
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use super::{
    address, backend::MemcachedBackend, fleet::Fleet, generation::Generation, head::MAX_VALUE_BYTES, session::Store,
};
use crate::{
    Error,
    base::{block_on::block_on, runtime::PerRuntime},
    options::{address::of_backend, checks::Checks, defaults, kind::Connect, scheme::Service, table},
};

impl MemcachedBackend {
    /// A backend on the servers at `address`, with the defaults of [`builder`](Self::builder).
    ///
    /// # Errors
    ///
    /// Those of [`MemcachedBackendBuilder::build`].
    pub fn new(address: &str) -> Result<Self, Error> {
        Self::builder(address).build()
    }

    /// A builder for a backend on the servers at `address`: `memcached://a:11211,b:11211,c`, or `memcached://[::1]:11211`. The
    /// default port is 11211.
    pub fn builder(address: &str) -> MemcachedBackendBuilder {
        MemcachedBackendBuilder::new(address)
    }
}

/// Builds a [`MemcachedBackend`].
///
/// Its methods have the names of the options of [`Config`](crate::Config), and refuse the same values: [`build`](Self::build)
/// returns the first error.
#[derive(Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct MemcachedBackendBuilder {
    servers: Result<Vec<String>, Error>,
    namespace: String,
    connect: Connect,
    answer_limit: Duration,
    max_connections: u64,
    checks: Checks,
}

impl MemcachedBackendBuilder {
    /// A builder for a percent-encoded address without options.
    fn new(address: &str) -> Self {
        Self::of(of_backend(address, &[Service::Memcached]).and_then(|(_, rest)| address::parse(&rest)))
    }

    /// A builder for a decoded address without its scheme.
    pub(crate) fn at(rest: &str) -> Self {
        Self::of(address::parse(rest))
    }

    fn of(servers: Result<Vec<String>, Error>) -> Self {
        Self {
            servers,
            namespace: defaults::NAMESPACE.to_owned(),
            connect: Connect::Lazy,
            answer_limit: defaults::ANSWER_LIMIT,
            max_connections: defaults::MEMCACHED_MAX_CONNECTIONS,
            checks: Checks::default(),
        }
    }

    /// The first part of all keys on the servers: 1 to 100 characters of printable ASCII, without spaces and colons. Default:
    /// [`defaults::NAMESPACE`](crate::defaults::NAMESPACE).
    ///
    /// Backends with different namespaces do not see each other's keys.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self.checks.check(&table::NAMESPACE, &self.namespace);
        self
    }

    /// Whether [`build`](Self::build) connects, and fails if a server does not answer. Default: [`Connect::Lazy`].
    pub fn connect(mut self, connect: Connect) -> Self {
        self.connect = connect;
        self
    }

    /// How long a server may take to answer or to connect. A server that takes longer counts as lost until it answers again. Default:
    /// [`defaults::ANSWER_LIMIT`](crate::defaults::ANSWER_LIMIT); in an address, 0.8 of the soft limit.
    ///
    /// It should be less than the soft limit of the cache, which does not tell servers apart: if the soft limit passes first too often,
    /// the circuit breaker opens, and the other servers are not asked either.
    pub fn answer_limit(mut self, limit: Duration) -> Self {
        self.checks.check(&table::ANSWER_LIMIT, &limit);
        self.answer_limit = limit;
        self
    }

    /// The most connections of one runtime to each server. Further callers wait for a free one. Gets share connections and need
    /// few. Default: [`defaults::MEMCACHED_MAX_CONNECTIONS`](crate::defaults::MEMCACHED_MAX_CONNECTIONS).
    pub fn max_connections(mut self, connections: u64) -> Self {
        self.checks.check(&table::MEMCACHED_MAX_CONNECTIONS, &connections);
        self.max_connections = connections;
        self
    }

    /// Builds the backend.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if the address or the value of an option is refused.
    ///
    /// With [`Connect::Now`], also the error of a server that cannot be reached.
    pub fn build(self) -> Result<MemcachedBackend, Error> {
        let servers = self.servers?;
        self.checks.finish()?;
        let fleet = Fleet::new(servers, self.answer_limit);
        let backend = MemcachedBackend {
            store: Store {
                generation: Generation::of(&self.namespace, Arc::clone(&fleet)),
                namespace: self.namespace,
                fleet,
                max_connections: usize::try_from(self.max_connections).unwrap_or(usize::MAX),
                largest: AtomicUsize::new(MAX_VALUE_BYTES),
            },
            links: PerRuntime::default(),
        };
        if self.connect == Connect::Now {
            // This thread waits, so the library's own runtime connects.
            block_on(async { backend.store.fleet.all_answer(&*backend.link()?).await })?;
        }
        Ok(backend)
    }
}
