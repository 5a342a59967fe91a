//! What a backend on Redis is made of.

use std::{
    fmt,
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use super::{
    super::namespace,
    MAX_VALUE_BYTES, RedisBackend,
    abandoned_writes::AbandonedWrites,
    address::{Address, Login, Scheme, wrong},
    blocking_connection::BlockingConnection,
    link::Shared,
    server::Server,
    tls::Tls,
};
use crate::{
    Error,
    base::{block_on::block_on, runtime::PerRuntime},
};

/// How long one attempt to connect may take, unless told otherwise.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);

/// Makes a [`RedisBackend`].
#[must_use = "a builder does nothing until `build`"]
pub struct RedisBackendBuilder {
    address: Result<(Scheme, Address), Error>,
    namespace: String,
    database: Option<u32>,
    connect_now: bool,
    connect_limit: Duration,
    sentinel_login: Login,
    tls: bool,
    authority: Option<Vec<u8>>,
}

impl RedisBackendBuilder {
    pub(super) fn at(address: Result<(Scheme, Address), Error>) -> Self {
        Self {
            address,
            namespace: namespace::DEFAULT.to_owned(),
            database: None,
            connect_now: false,
            connect_limit: CONNECT_LIMIT,
            sentinel_login: Login::default(),
            tls: false,
            authority: None,
        }
    }

    /// What keys begin with on the server: `cache-request` unless said otherwise.
    ///
    /// Backends of different namespaces never see one another's keys. It is printable ASCII without a colon, which ends it.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// The number of the database, where the address has no place for it.
    pub fn database(mut self, number: u32) -> Self {
        self.database = Some(number);
        self
    }

    /// Whether [`build`](Self::build) connects, and fails if it cannot. Otherwise the first call begins to.
    pub fn connect_now(mut self, now: bool) -> Self {
        self.connect_now = now;
        self
    }

    /// How long one attempt to connect may take: 1 s unless said otherwise. A call never waits longer than its soft limit.
    pub fn connect_limit(mut self, limit: Duration) -> Self {
        self.connect_limit = limit;
        self
    }

    /// Who we are at the sentinels, if they ask. The user may be empty.
    pub fn sentinel_login(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.sentinel_login =
            Login { user: Some(user.into()).filter(|user| !user.is_empty()), password: Some(password.into()) };
        self
    }

    /// Whether connections to the nodes of a cluster, or to sentinels and their master, are encrypted. Those of
    /// `rediss://` are. Needs the feature `redis-tls`.
    pub fn tls(mut self, tls: bool) -> Self {
        self.tls = tls;
        self
    }

    /// The certificate of the authority that signed the server's, in PEM format, in the place of those that the system
    /// trusts.
    pub fn authority(mut self, certificate: impl Into<Vec<u8>>) -> Self {
        self.authority = Some(certificate.into());
        self
    }

    /// Makes the backend.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if the address, the namespace or a certificate cannot be meant, or
    /// if encryption is asked for that is not compiled in.
    ///
    /// A server that cannot be reached is an error only with [`connect_now`](Self::connect_now).
    pub fn build(self) -> Result<RedisBackend, Error> {
        let (scheme, mut address) = self.address?;
        if !namespace::is_fit_before_colon(&self.namespace) {
            return Err(Error::config("a namespace is printable ASCII without spaces and colons, and not empty"));
        }
        if let Some(database) = self.database {
            if scheme == Scheme::Cluster {
                return Err(wrong(scheme, "has one database only"));
            }
            if address.database.replace(database.into()).is_some() {
                return Err(wrong(scheme, "is given two databases"));
            }
        }
        let tls = self.tls || scheme == Scheme::Rediss;
        if tls && !matches!(scheme, Scheme::Rediss | Scheme::Cluster | Scheme::Sentinel) {
            return Err(wrong(scheme, "is not encrypted: rediss:// is"));
        }
        if self.authority.is_some() && !tls {
            return Err(wrong(scheme, "is not encrypted, and needs no certificate"));
        }
        let server = Server::new(address, self.sentinel_login, tls.then(|| Tls::new(self.authority)).transpose()?);
        let backend = RedisBackend {
            scheme,
            blocking_connection: BlockingConnection::new(&server, self.connect_limit),
            server,
            namespace: self.namespace,
            connect_limit: self.connect_limit,
            links: PerRuntime::default(),
            shared: Arc::new(Shared {
                abandoned_writes: AbandonedWrites::default(),
                largest: AtomicUsize::new(MAX_VALUE_BYTES),
            }),
        };
        if self.connect_now {
            // On the library's own runtime: this thread waits.
            block_on(async { backend.live().await.map(drop) })?;
        }
        Ok(backend)
    }
}

impl fmt::Debug for RedisBackendBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBackendBuilder").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}
