//! Where answers are kept outside this process: the trait, and the backends that come with the crate.

mod breaker;
#[cfg(feature = "file")]
mod file;
mod guard;
mod memory;

use std::time::Duration;

pub use self::breaker::BreakerState;
#[cfg(feature = "file")]
pub use self::file::{FileBackend, FileBackendBuilder};
pub(crate) use self::guard::{Erased, Guarded, Limits as GuardLimits, Patience};
pub use self::memory::MemoryBackend;
use crate::Error;

/// A store of bytes by key, shared by whoever reaches it.
///
/// A backend keeps what it is given and gives back exactly that, or nothing. It may forget anything at any time; it must
/// never return bytes that were stored under another key, nor bytes past their timeout.
///
/// Keys are printable ASCII without spaces, at most [`max_key_bytes`](Self::max_key_bytes) long. Values are any bytes.
///
/// An error is counted and logged by the caller, and means a miss; a backend neither retries nor logs by itself.
pub trait Backend: Send + Sync + 'static {
    /// The name that logs, counters and errors use: the address's scheme.
    fn name(&self) -> &'static str;

    /// The longest key it takes, in bytes. A longer one is shortened, with a 256-bit hash in the place of its tail.
    fn max_key_bytes(&self) -> usize {
        usize::MAX
    }

    /// The bytes stored under `key`, or `None` if there are none or their timeout is over.
    fn get(&self, key: &str) -> impl Future<Output = Result<Option<Vec<u8>>, Error>> + Send;

    /// Stores `value` under `key`, in the place of what was there. `None` keeps it for ever; a zero timeout keeps nothing
    /// and removes what was there.
    fn set(&self, key: &str, value: &[u8], timeout: Option<Duration>)
    -> impl Future<Output = Result<(), Error>> + Send;

    /// Removes what is stored under `key`, and says whether there was anything; what has expired is nothing. A key that is
    /// not there is no error.
    fn delete(&self, key: &str) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Removes all that this backend's prefix, directory or table holds, and nothing else.
    fn clear(&self) -> impl Future<Output = Result<(), Error>> + Send;
}
