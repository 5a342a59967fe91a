//! Encrypted connections, by rustls.

#[cfg(feature = "redis-tls")]
mod enabled {
    use redis::{
        Client, ConnectionAddr, IntoConnectionInfo, RedisResult, TlsCertificates,
        cluster::{ClusterClientBuilder, TlsMode},
        sentinel::SentinelClientBuilder,
    };
    use rustls::crypto::{CryptoProvider, ring};

    use crate::Error;

    /// The certificates to trust: those of the system, or one authority alone.
    #[derive(Clone)]
    pub(crate) struct Tls {
        certificates: TlsCertificates,
    }

    impl Tls {
        pub(crate) fn new(authority: Option<Vec<u8>>) -> Result<Self, Error> {
            if CryptoProvider::get_default().is_none() {
                // A program that wants another provider installs it first, and then this fails.
                let _ = ring::default_provider().install_default();
            }
            let tls = Self { certificates: TlsCertificates { client_tls: None, root_cert: authority } };
            match tls.address("localhost", 0) {
                Ok(_) => Ok(tls),
                Err(_) => Err(Error::config("the certificate authority is no certificate in PEM format")),
            }
        }

        pub(crate) fn address(&self, host: &str, port: u16) -> RedisResult<ConnectionAddr> {
            let plain = ConnectionAddr::TcpTls { host: host.to_owned(), port, insecure: false, tls_params: None };
            if self.certificates.root_cert.is_none() {
                return Ok(plain);
            }
            let client = Client::build_with_tls(plain.into_connection_info()?, self.certificates.clone())?;
            Ok(client.get_connection_info().addr().clone())
        }

        pub(crate) fn of_cluster(&self, builder: ClusterClientBuilder) -> ClusterClientBuilder {
            let builder = builder.tls(TlsMode::Secure);
            match self.certificates.root_cert {
                Some(_) => builder.certs(self.certificates.clone()),
                None => builder,
            }
        }

        pub(crate) fn of_sentinel(&self, builder: SentinelClientBuilder) -> SentinelClientBuilder {
            let builder =
                builder.set_client_to_redis_tls_mode(TlsMode::Secure).set_client_to_sentinel_tls_mode(TlsMode::Secure);
            match self.certificates.root_cert {
                Some(_) => builder
                    .set_client_to_redis_certificates(self.certificates.clone())
                    .set_client_to_sentinel_certificates(self.certificates.clone()),
                None => builder,
            }
        }
    }
}

#[cfg(not(feature = "redis-tls"))]
mod disabled {
    use std::convert::Infallible;

    use redis::{ConnectionAddr, RedisResult, cluster::ClusterClientBuilder, sentinel::SentinelClientBuilder};

    use crate::Error;

    /// Never exists.
    #[derive(Clone)]
    pub(crate) struct Tls(Infallible);

    impl Tls {
        pub(crate) fn new(_: Option<Vec<u8>>) -> Result<Self, Error> {
            Err(Error::config("TLS is not compiled in: enable the feature `redis-tls` of cache-request"))
        }

        pub(crate) fn address(&self, _: &str, _: u16) -> RedisResult<ConnectionAddr> {
            match self.0 {}
        }

        pub(crate) fn of_cluster(&self, _: ClusterClientBuilder) -> ClusterClientBuilder {
            match self.0 {}
        }

        pub(crate) fn of_sentinel(&self, _: SentinelClientBuilder) -> SentinelClientBuilder {
            match self.0 {}
        }
    }
}

#[cfg(not(feature = "redis-tls"))]
pub(super) use disabled::Tls;
#[cfg(feature = "redis-tls")]
pub(super) use enabled::Tls;
