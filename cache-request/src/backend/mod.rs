//! Backends: the trait, the backends that come with the crate, and the guard around each of their operations.

// `contract` has the trait, `guard` is what a call uses, `changes` leads from a backend to the near cache, and
// `telling` is what the backends share that use it.

mod breaker;
mod changes;
#[cfg(feature = "conformance")]
pub mod conformance;
mod contract;
mod erased;
mod fencing;
#[cfg(feature = "file")]
mod file;
mod guard;
#[cfg(feature = "memcached")]
mod memcached;
mod memory;
mod pointer;
#[cfg(feature = "redis")]
mod redis;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod sql;
#[cfg(any(feature = "redis", feature = "sqlite", feature = "postgres"))]
mod telling;

pub(crate) use self::changes::ChangeListener;
pub use self::changes::Changes;
#[cfg(feature = "file")]
pub use self::file::{FileBackend, FileBackendBuilder};
#[cfg(feature = "memcached")]
pub use self::memcached::{MemcachedBackend, MemcachedBackendBuilder};
pub use self::memory::{MemoryBackend, MemoryBackendBuilder};
#[cfg(feature = "redis")]
pub use self::redis::{RedisBackend, RedisBackendBuilder};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use self::sql::{SqlBackend, SqlBackendBuilder};
pub use self::{
    contract::{Backend, Item},
    fencing::{Claim, ClaimKind, Claimed, Fence, Right},
};
pub(crate) use self::{
    erased::{DynBackend, Outcomes},
    guard::{Guarded, Here, Limits as GuardLimits, TimeBudget},
};
#[cfg(feature = "_connections")]
pub use crate::options::kind::Connect;
#[cfg(feature = "postgres")]
pub use crate::options::kind::SslMode;
pub use crate::stats::{BreakerState, Tracking};
