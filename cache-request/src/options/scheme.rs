//! What may stand before `://`.

use std::fmt;

use super::feature::{self, FILE, Feature, MEMCACHED, POSTGRES, REDIS, REDIS_TLS, SQLITE};
use crate::Error;

/// What an address leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Memory,
    Null,
    File,
    Redis,
    Sqlite,
    Postgres,
    Memcached,
}

/// What may stand before `://`, the `tiered+` in front of it left out.
pub(crate) struct Scheme {
    pub(crate) name: &'static str,
    pub(crate) service: Service,
    /// The feature without which it is not compiled in.
    pub(super) feature: Option<&'static Feature>,
}

/// All schemes.
pub(crate) static SCHEMES: [Scheme; 12] = [
    Scheme { name: "memory", service: Service::Memory, feature: None },
    Scheme { name: "null", service: Service::Null, feature: None },
    Scheme { name: "file", service: Service::File, feature: Some(&FILE) },
    Scheme { name: "redis", service: Service::Redis, feature: Some(&REDIS) },
    Scheme { name: "rediss", service: Service::Redis, feature: Some(&REDIS_TLS) },
    Scheme { name: "redis+unix", service: Service::Redis, feature: Some(&REDIS) },
    Scheme { name: "redis-cluster", service: Service::Redis, feature: Some(&REDIS) },
    Scheme { name: "redis-sentinel", service: Service::Redis, feature: Some(&REDIS) },
    Scheme { name: "sqlite", service: Service::Sqlite, feature: Some(&SQLITE) },
    Scheme { name: "postgres", service: Service::Postgres, feature: Some(&POSTGRES) },
    Scheme { name: "postgresql", service: Service::Postgres, feature: Some(&POSTGRES) },
    Scheme { name: "memcached", service: Service::Memcached, feature: Some(&MEMCACHED) },
];

/// What puts this process's memory in front of a scheme's backend.
const TIERED: &str = "tiered+";

impl Scheme {
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        SCHEMES.iter().find(|scheme| scheme.name == name)
    }

    /// Whether values are kept outside of the cache's own memory.
    pub(crate) fn has_backend(&self) -> bool {
        !matches!(self.service, Service::Memory | Service::Null)
    }

    /// Checks that it is compiled in. The error also names the features that its options need.
    pub(crate) fn require(&self, of_options: &[&'static Feature]) -> Result<(), Error> {
        match self.feature {
            Some(own) if !own.is_enabled => feature::require(self, &[&[own], of_options].concat()),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}://`", self.name)
    }
}

/// What an address chooses: a scheme, and whether memory is in front of its backend.
#[derive(Clone, Copy)]
pub(crate) struct Choice {
    pub(crate) scheme: &'static Scheme,
    pub(crate) is_tiered: bool,
}

impl Choice {
    /// What `name` chooses, which stands before `://`, in small letters.
    ///
    /// # Errors
    ///
    /// If there is no such scheme. The error lists those that there are.
    pub(crate) fn parse(name: &str) -> Result<Self, Error> {
        let (is_tiered, behind) = name.strip_prefix(TIERED).map_or((false, name), |behind| (true, behind));
        let Some(scheme) = Scheme::find(behind) else {
            let known: Vec<_> = SCHEMES.iter().map(|scheme| format!("{}://", scheme.name)).collect();
            let known = known.join(", ");
            return Err(Error::config(format!(
                "unknown scheme `{name}://`: there is {known}, and `{TIERED}` before one with a backend, such as tiered+redis://"
            )));
        };
        if is_tiered && !scheme.has_backend() {
            return Err(Error::config(format!(
                "`{name}://`: {scheme} has no backend that memory could be in front of, as in tiered+redis://"
            )));
        }
        Ok(Self { scheme, is_tiered })
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}{}://`", if self.is_tiered { TIERED } else { "" }, self.scheme.name)
    }
}
