//! Builds a backend.

use std::{
    fmt, fs,
    path::PathBuf,
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use super::{
    abandoned_writes::AbandonedWrites,
    address::{self, Address, Login, wrong},
    backend::RedisBackend,
    blocking_connection::BlockingConnection,
    live::Shared,
    server::Server,
    tls::Tls,
    wire::MAX_VALUE_BYTES,
};
use crate::{
    Error,
    base::{block_on::block_on, runtime::PerRuntime},
    options::{
        CacheOption,
        address::of_backend,
        checks::{Checks, belongs},
        defaults,
        kind::Connect,
        scheme::{Scheme, Service},
        table,
    },
};

impl RedisBackend {
    /// A backend on the server at `address`, with the defaults of [`builder`](Self::builder).
    ///
    /// # Errors
    ///
    /// Those of [`RedisBackendBuilder::build`].
    pub fn new(address: &str) -> Result<Self, Error> {
        Self::builder(address).build()
    }

    /// A builder for a backend on the server at `address`, which is percent-encoded and has no options.
    ///
    /// | address | what it is |
    /// | --- | --- |
    /// | `redis://user:password@host:6379/2` | one server, and the number of a database |
    /// | `rediss://user:password@host:6379/2` | the same, encrypted (feature `redis-tls`) |
    /// | `redis+unix:///run/redis.sock` | one server, by its socket; `redis+unix://user:password@/run/redis.sock` |
    /// | `redis-cluster://user:password@a:6379,b:6379` | a cluster, of which these are some nodes |
    /// | `redis-sentinel://user:password@a:26379,b:26379/mymaster/2` | the master that these sentinels name |
    ///
    /// User, password, port and database may be left out. Behind sentinels, user and password are the master's.
    pub fn builder(address: &str) -> RedisBackendBuilder {
        RedisBackendBuilder::new(address)
    }
}

/// Builds a [`RedisBackend`].
///
/// Its methods have the names of the options of [`Config`](crate::Config), and refuse the same values: [`build`](Self::build)
/// returns the first error.
#[must_use = "a builder does nothing until `build`"]
pub struct RedisBackendBuilder {
    place: Result<(&'static Scheme, Address), Error>,
    namespace: String,
    db: Option<u32>,
    connect: Connect,
    connect_limit: Duration,
    sentinel: Login,
    tls: bool,
    tls_ca: Option<PathBuf>,
    checks: Checks,
}

impl RedisBackendBuilder {
    /// A builder for a percent-encoded address without options.
    fn new(address: &str) -> Self {
        Self::of(of_backend(address, &[Service::Redis]))
    }

    /// A builder for a decoded address.
    pub(crate) fn at(scheme: &'static Scheme, rest: &str) -> Self {
        Self::of(Ok((scheme, rest.to_owned())))
    }

    fn of(address: Result<(&'static Scheme, String), Error>) -> Self {
        let place = address.and_then(|(scheme, rest)| {
            scheme.require(&[])?;
            Ok((scheme, Address::parse(address::Scheme::of(scheme.name)?, &rest)?))
        });
        Self {
            place,
            namespace: defaults::NAMESPACE.to_owned(),
            db: None,
            connect: Connect::Lazy,
            connect_limit: defaults::CONNECT_LIMIT,
            sentinel: Login::default(),
            tls: false,
            tls_ca: None,
            checks: Checks::default(),
        }
    }

    /// The first part of all keys on the server: 1 to 100 characters of printable ASCII, without spaces and colons. Default:
    /// [`defaults::NAMESPACE`](crate::defaults::NAMESPACE).
    ///
    /// Backends with different namespaces do not see each other's keys.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self.checks.check(&table::NAMESPACE, &self.namespace);
        self
    }

    /// The number of the database, where the address does not name it. Default: 0. A cluster has one database only.
    pub fn db(mut self, number: u32) -> Self {
        self.check(&table::DB, &number);
        self.db = Some(number);
        self
    }

    /// Whether [`build`](Self::build) connects, and fails if the server cannot be reached. Default: [`Connect::Lazy`].
    pub fn connect(mut self, connect: Connect) -> Self {
        self.connect = connect;
        self
    }

    /// How long one attempt to connect may take. A call never waits longer than its soft limit. Default:
    /// [`defaults::CONNECT_LIMIT`](crate::defaults::CONNECT_LIMIT).
    pub fn connect_limit(mut self, limit: Duration) -> Self {
        self.checks.check(&table::CONNECT_LIMIT, &limit);
        self.connect_limit = limit;
        self
    }

    /// The user at the sentinels. Needs a [`sentinel_password`](Self::sentinel_password).
    pub fn sentinel_user(mut self, user: impl Into<String>) -> Self {
        let user = user.into();
        self.check(&table::SENTINEL_USER, &user);
        self.sentinel.user = Some(user).filter(|user| !user.is_empty());
        self
    }

    /// The password at the sentinels. That of the master is in the address.
    pub fn sentinel_password(mut self, password: impl Into<String>) -> Self {
        let password = password.into();
        self.check(&table::SENTINEL_PASSWORD, &password);
        self.sentinel.password = Some(password);
        self
    }

    /// Whether connections to the nodes of a cluster, or to sentinels and their master, are encrypted. Those of `rediss://`
    /// always are. Needs the feature `redis-tls`. Default: `false`.
    pub fn tls(mut self, tls: bool) -> Self {
        self.check(&table::TLS, &tls);
        self.tls = tls;
        self
    }

    /// A file: the certificate of the authority to trust, in PEM format, in place of those that the system trusts. Needs the
    /// feature `redis-tls`.
    pub fn tls_ca(mut self, file: impl Into<PathBuf>) -> Self {
        let file = file.into();
        self.check(&table::TLS_CA, &file.display().to_string());
        self.tls_ca = Some(file);
        self
    }

    /// Checks the value of an option that not all schemes have.
    fn check<T>(&mut self, option: &CacheOption<T>, value: &T) {
        if let Ok((scheme, _)) = &self.place {
            self.checks.note(belongs(option, scheme));
        }
        self.checks.check(option, value);
    }

    /// Builds the backend.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if the address or the value of an option is refused, the scheme does not
    /// have that option, the certificate cannot be read, or encryption is not compiled in.
    ///
    /// With [`Connect::Now`], also the error of a server that cannot be reached.
    pub fn build(self) -> Result<RedisBackend, Error> {
        let (scheme, mut address) = self.place?;
        self.checks.finish()?;
        let kind = address::Scheme::of(scheme.name)?;
        if let Some(db) = self.db
            && address.database.replace(db.into()).is_some()
        {
            return Err(wrong(kind, "names a database, and the option `db` another one"));
        }
        if self.sentinel.user.is_some() && self.sentinel.password.is_none() {
            return Err(Error::config("option `sentinel_user` needs a `sentinel_password`"));
        }
        let tls = self.tls || kind == address::Scheme::Rediss;
        let authority = match &self.tls_ca {
            Some(_) if !tls => return Err(Error::config("option `tls_ca` needs `tls` to be `true`")),
            Some(file) => Some(fs::read(file).map_err(|cause| {
                Error::config(format!("option `tls_ca`: `{}` cannot be read", file.display())).with_source(cause)
            })?),
            None => None,
        };
        let server = Server::new(address, self.sentinel, tls.then(|| Tls::new(authority)).transpose()?);
        let backend = RedisBackend {
            scheme: kind,
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
        if self.connect == Connect::Now {
            // This thread waits, so the library's own runtime connects.
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

#[cfg(test)]
mod tests {
    use redis::{ErrorKind, RedisError};

    use super::*;
    use crate::Backend;

    #[test]
    fn nothing_shows_a_password() {
        let builder = RedisBackend::builder("redis://user:secret@localhost/2");
        assert!(!format!("{builder:?}").contains("secret"));
        let backend = builder.build().unwrap();
        assert!(!format!("{backend:?} {}", backend.name()).contains("secret"));
        let quoted = "unknown command `AUTH`, with args beginning with: `user`, `secret`";
        for (code, detail) in [(ErrorKind::Extension, quoted), (ErrorKind::Client, "secret is wrong")] {
            let error = RedisError::from((code, "no", detail.to_owned()));
            assert!(!backend.failed(&error).to_string().contains("secret"));
        }
    }
}
