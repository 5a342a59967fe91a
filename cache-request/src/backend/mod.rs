//! Where answers are kept outside this process: the trait, and the backends that come with the crate.

mod breaker;
mod changes;
#[cfg(feature = "conformance")]
pub mod conformance;
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

use std::time::Duration;

pub(crate) use self::changes::ChangeListener;
pub use self::changes::Changes;
#[cfg(feature = "file")]
pub use self::file::{FileBackend, FileBackendBuilder};
pub(crate) use self::guard::{DynBackend, Guarded, Limits as GuardLimits, TimeBudget};
#[cfg(feature = "memcached")]
pub use self::memcached::{MemcachedBackend, MemcachedBackendBuilder};
pub use self::memory::{MemoryBackend, MemoryBackendBuilder};
#[cfg(feature = "redis")]
pub use self::redis::{RedisBackend, RedisBackendBuilder};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use self::sql::{SqlBackend, SqlBackendBuilder};
use crate::Error;
#[cfg(feature = "_connections")]
pub use crate::options::kind::Connect;
#[cfg(feature = "postgres")]
pub use crate::options::kind::SslMode;
pub use crate::stats::{BreakerState, Tracking};

/// A store of bytes by key, shared by whoever reaches it.
///
/// A backend keeps what it is given and gives back exactly that, or nothing. It may forget anything at any time; it must
/// never return bytes that were stored under another key, nor bytes past their timeout.
///
/// Keys are printable ASCII without spaces, at most [`max_key_bytes`](Self::max_key_bytes) long. Values are any bytes.
///
/// An error is counted and logged by the caller, and means a miss; a backend neither retries nor logs by itself.
///
/// An [`Arc`](std::sync::Arc) or a `Box` of a backend is a backend, too.
pub trait Backend: Send + Sync + 'static {
    /// The name that logs, counters and errors use: the address's scheme.
    fn name(&self) -> &'static str;

    /// The longest key it takes, in bytes. A longer one is shortened, with a 256-bit hash in the place of its tail.
    fn max_key_bytes(&self) -> usize {
        usize::MAX
    }

    /// The bytes stored under `key`, or `None` if there are none or their timeout is over.
    fn get(&self, key: &str) -> impl Future<Output = Result<Option<Vec<u8>>, Error>> + Send;

    /// [`get`](Self::get) for a plain function, which may block the caller's thread until there is an answer. `None` means
    /// that the caller is to use `get`.
    ///
    /// The call cannot be cancelled. It returns an error of the kind [`Timeout`](crate::ErrorKind::Timeout) after `limit`, and
    /// never returns `None` once it has waited for a considerable part of that. The thread may be one that drives an executor.
    #[doc(hidden)]
    fn get_blocking(&self, key: &str, limit: Duration) -> Option<Result<Option<Vec<u8>>, Error>> {
        let _ = (key, limit);
        None
    }

    /// Stores `value` under `key`, in the place of what was there. `None` keeps it for ever; a zero timeout keeps nothing
    /// and removes what was there.
    fn set(&self, key: &str, value: &[u8], timeout: Option<Duration>)
    -> impl Future<Output = Result<(), Error>> + Send;

    /// Stores `value` under `key` if nothing is there, and says whether it did: of several callers at once, exactly one.
    ///
    /// What has expired is nothing. A zero timeout stores nothing, and says so.
    fn add(
        &self,
        key: &str,
        value: &[u8],
        timeout: Option<Duration>,
    ) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Gives what is stored under `key` another timeout, from now on, and says whether there was anything. `None` keeps it
    /// for ever; a zero timeout removes it.
    fn touch(&self, key: &str, timeout: Option<Duration>) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Removes what is stored under `key`, and says whether there was anything; what has expired is nothing. A key that is
    /// not there is no error.
    fn delete(&self, key: &str) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Removes all that this backend's prefix, directory or table holds, and nothing else.
    fn clear(&self) -> impl Future<Output = Result<(), Error>> + Send;

    /// Begins to tell the memory in front of this backend of all changes, whoever makes them, until
    /// [`Changes::is_closed`]. Returns whether it will: if not, `changes` is closed from then on, and what is in front lasts until
    /// its timeout.
    ///
    /// It is called once for each cache with a front, when that is made, and does not wait: what is to be connected is connected
    /// by a task or a thread of the backend's. Nothing is put in front before [`Changes::begin`]. Of two caches that share a
    /// backend, each hears of all changes; where the backend tells of none, each knows of its own only.
    fn track(&self, changes: Changes) -> bool {
        drop(changes);
        false
    }

    /// [`get`](Self::get) for each key. The outcomes are as many as the keys, and in their order: what fails for some leaves
    /// the others as they are.
    ///
    /// Unless a backend knows better, one after the other. One that has a server asks it once for all of them.
    fn get_many(&self, keys: &[&str]) -> impl Future<Output = Vec<Result<Option<Vec<u8>>, Error>>> + Send {
        async move {
            let mut outcomes = Vec::with_capacity(keys.len());
            for key in keys {
                outcomes.push(self.get(key).await);
            }
            outcomes
        }
    }

    /// [`set`](Self::set) for each item, with outcomes as of [`get_many`](Self::get_many). Of two items of one key, the later
    /// one stays.
    fn set_many(&self, items: &[Item<'_>]) -> impl Future<Output = Vec<Result<(), Error>>> + Send {
        async move {
            let mut outcomes = Vec::with_capacity(items.len());
            for item in items {
                outcomes.push(self.set(item.key, item.value, item.timeout).await);
            }
            outcomes
        }
    }

    /// [`delete`](Self::delete) for each key, with outcomes as of [`get_many`](Self::get_many). If a key is named twice,
    /// only one of the two outcomes says that there was anything.
    fn delete_many(&self, keys: &[&str]) -> impl Future<Output = Vec<Result<bool, Error>>> + Send {
        async move {
            let mut outcomes = Vec::with_capacity(keys.len());
            for key in keys {
                outcomes.push(self.delete(key).await);
            }
            outcomes
        }
    }
}

/// One of the values that [`Backend::set_many`] stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item<'a> {
    /// As of [`Backend::set`].
    pub key: &'a str,
    /// The bytes to store.
    pub value: &'a [u8],
    /// How long to keep them; `None` is for ever.
    pub timeout: Option<Duration>,
}
