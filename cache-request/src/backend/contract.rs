//! The trait that every backend implements.

use std::{any::type_name, time::Duration};

use super::{
    changes::Changes,
    fencing::{Claim, Claimed, Fence},
};
use crate::{Error, ErrorKind};

/// A store of bytes by key, which processes and machines may share.
///
/// A backend returns the bytes that were stored under a key, or none. It may lose any of them at any time. It must never
/// return bytes that were stored under another key, or whose timeout has passed.
///
/// Keys are printable ASCII without spaces, at most [`max_key_bytes`](Self::max_key_bytes) long. Values are any bytes.
///
/// Only [`get`](Self::get), [`set`](Self::set), [`delete`](Self::delete) and [`clear`](Self::clear) have no default. The others
/// are for backends that can do better:
///
/// | method | default | what a better one brings |
/// | --- | --- | --- |
/// | [`name`](Self::name) | the name of the type | logs and statistics that are easy to read |
/// | [`max_key_bytes`](Self::max_key_bytes) | no limit | long keys are shortened, and not refused |
/// | [`add`](Self::add) | [`ErrorKind::Unsupported`] | what rests on it holds for all processes that share the backend, and not for one alone |
/// | [`touch`](Self::touch) | [`ErrorKind::Unsupported`] | values of functions with `idle` last while they are read |
/// | [`get_many`](Self::get_many), [`set_many`](Self::set_many), [`delete_many`](Self::delete_many) | one key after another | one round trip for many keys |
/// | [`has_fences`](Self::has_fences), [`claim`](Self::claim), [`set_fenced`](Self::set_fenced), [`renew`](Self::renew), [`release`](Self::release), [`invalidate`](Self::invalidate) | [`ErrorKind::Unsupported`] | one body for all processes, and an invalidation that no process's older value survives |
/// | [`claim_many`](Self::claim_many), [`set_fenced_many`](Self::set_fenced_many) | one key after another | one round trip for many keys |
/// | [`track`](Self::track) | tells of no changes | a near cache whose entries last until they change, and not for a fixed time |
///
/// # Errors
///
/// A call goes on after any error: the cache counts it, logs it and runs the function's body. A backend neither retries nor logs. The
/// [kind](ErrorKind) of its error says what is at fault:
///
/// - **one key**: [`Corrupt`](ErrorKind::Corrupt) if `get` finds something that this backend has not written,
///   [`TooLarge`](ErrorKind::TooLarge) if a value is larger than the backend takes. The call goes on, and its `set` must
///   replace what is stored. The breaker does not count it.
/// - **one server of several**: [`Unavailable`](ErrorKind::Unavailable) if the keys of the other servers are not affected. The call
///   asks the backend no more. The breaker does not count it.
/// - **the backend**: [`Backend`](ErrorKind::Backend), as of [`Error::backend`], or [`Timeout`](ErrorKind::Timeout). The call asks the
///   backend no more, and the circuit breaker of reads or of writes counts a fault.
///
/// The cache limits the time of each operation: it drops a future that takes longer. It also catches panics. It cannot stop an
/// operation that blocks its thread, or one that calls a function whose values are in this backend, which asks the backend again.
///
/// A dropped `set`, `add` or `set_fenced` takes effect before any operation on its key that begins afterwards, or not at all. Otherwise it
/// could store an old value again after it was deleted.
///
/// An [`Arc`](std::sync::Arc) or a `Box` of a backend is a backend as well.
pub trait Backend: Send + Sync + 'static {
    /// The backend's name in logs, statistics and errors, such as the scheme of its address. It is asked for once.
    fn name(&self) -> &'static str {
        type_name::<Self>()
    }

    /// The length of the longest key that the backend takes, in bytes. The end of a longer one is replaced by a 256-bit hash. It
    /// is asked for once.
    fn max_key_bytes(&self) -> usize {
        usize::MAX
    }

    /// Returns the bytes stored under `key`, or `None` if there are none or their timeout has passed.
    fn get(&self, key: &str) -> impl Future<Output = Result<Option<Vec<u8>>, Error>> + Send;

    /// [`get`](Self::get) for a caller whose thread may be blocked, where that is quicker than to wait for another thread. `None`
    /// if the backend cannot do it or would have to wait first: then the caller uses `get`.
    ///
    /// The call cannot be cancelled, so it must return an error of the kind [`Timeout`](ErrorKind::Timeout) after `limit`. The
    /// thread may be one that drives an executor.
    #[doc(hidden)]
    fn get_blocking(&self, key: &str, limit: Duration) -> Option<Result<Option<Vec<u8>>, Error>> {
        let _ = (key, limit);
        None
    }

    /// Stores `value` under `key` and replaces what is there. A timeout of `None` is for ever, and another can be too long to be added
    /// to an [`Instant`](std::time::Instant). A timeout of zero stores nothing and removes what is there.
    ///
    /// If the value is refused as [`TooLarge`](ErrorKind::TooLarge), what is there must be removed as well: the caller has meant to
    /// replace it.
    fn set(&self, key: &str, value: &[u8], timeout: Option<Duration>)
    -> impl Future<Output = Result<(), Error>> + Send;

    /// Stores `value` under `key` if nothing is there, and returns whether it did. Of several callers at once, exactly one is told
    /// `true`.
    ///
    /// An expired value counts as nothing. A timeout of zero stores nothing, and the answer is `false`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] each time, unless a backend implements it.
    fn add(
        &self,
        key: &str,
        value: &[u8],
        timeout: Option<Duration>,
    ) -> impl Future<Output = Result<bool, Error>> + Send {
        let _ = (key, value, timeout);
        let unsupported = unsupported(self.name(), "add");
        async move { Err(unsupported) }
    }

    /// Gives what is stored under `key` a new timeout, which begins now, and returns whether there was anything. `None` is for ever.
    /// A timeout of zero removes it. The key's [claim](Self::claim) stays as it is.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] each time, unless a backend implements it.
    fn touch(&self, key: &str, timeout: Option<Duration>) -> impl Future<Output = Result<bool, Error>> + Send {
        let _ = (key, timeout);
        let unsupported = unsupported(self.name(), "touch");
        async move { Err(unsupported) }
    }

    /// Removes what is stored under `key`, and returns whether there was anything. An expired value counts as nothing. A missing
    /// key is not an error.
    fn delete(&self, key: &str) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Removes everything that this backend's namespace, directory or table holds, and nothing else.
    fn clear(&self) -> impl Future<Output = Result<(), Error>> + Send;

    /// Whether the backend has [`claim`](Self::claim), [`set_fenced`](Self::set_fenced), [`renew`](Self::renew),
    /// [`release`](Self::release) and [`invalidate`](Self::invalidate). If so, the cache stores and removes values by these alone. It is
    /// asked for once.
    fn has_fences(&self) -> bool {
        false
    }

    /// Returns what is stored under `key`, and claims the key if nothing is, all in one step.
    ///
    /// A claim is the right to make the value, and the [`Fence`] to store it with. There is one claim of a key at a time. It ends when a value
    /// is stored with its fence, with [`release`](Self::release), [`invalidate`](Self::invalidate) and [`clear`](Self::clear), with a
    /// claim [anew](super::ClaimKind::Anew), and [`Claim::lease`] after it was made or renewed. It may also be lost earlier. A
    /// claim is no value: [`get`](Self::get) does not return it. [`track`](Self::track) should not tell of it.
    ///
    /// [`set`](Self::set) and [`delete`](Self::delete) need not know of claims.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] each time, unless [`has_fences`](Self::has_fences). [`ErrorKind::Corrupt`] if something is stored that this
    /// backend has not written. The cache then claims [anew](super::ClaimKind::Anew), for which that counts as nothing.
    fn claim(&self, key: &str, claim: Claim) -> impl Future<Output = Result<Claimed, Error>> + Send {
        let _ = (key, claim);
        let unsupported = unsupported(self.name(), "claim");
        async move { Err(unsupported) }
    }

    /// [`set`](Self::set), if the key's claim has this `fence`, and ends the claim. Returns whether it had: if not, nothing has changed. All of
    /// it is one step.
    ///
    /// A value that is refused as [`TooLarge`](ErrorKind::TooLarge) ends the claim, too, and removes what is there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] each time, unless [`has_fences`](Self::has_fences).
    fn set_fenced(
        &self,
        key: &str,
        value: &[u8],
        timeout: Option<Duration>,
        fence: Fence,
    ) -> impl Future<Output = Result<bool, Error>> + Send {
        let _ = (key, value, timeout, fence);
        let unsupported = unsupported(self.name(), "set_fenced");
        async move { Err(unsupported) }
    }

    /// Lets the claim with this `fence` last for `lease` from now on. Returns whether it was still there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] each time, unless [`has_fences`](Self::has_fences).
    fn renew(&self, key: &str, fence: Fence, lease: Duration) -> impl Future<Output = Result<bool, Error>> + Send {
        let _ = (key, fence, lease);
        let unsupported = unsupported(self.name(), "renew");
        async move { Err(unsupported) }
    }

    /// Ends the claim with this `fence`, if it is still there: its body has failed, and another caller may run its own.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] each time, unless [`has_fences`](Self::has_fences).
    fn release(&self, key: &str, fence: Fence) -> impl Future<Output = Result<(), Error>> + Send {
        let _ = (key, fence);
        let unsupported = unsupported(self.name(), "release");
        async move { Err(unsupported) }
    }

    /// [`delete`](Self::delete), and ends the key's claim, in one step. Until `refuse` is over, the key cannot be claimed, so that
    /// no value is stored. If an earlier invalidation refuses values for longer, that stays so.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] each time, unless [`has_fences`](Self::has_fences).
    fn invalidate(&self, key: &str, refuse: Duration) -> impl Future<Output = Result<bool, Error>> + Send {
        let _ = (key, refuse);
        let unsupported = unsupported(self.name(), "invalidate");
        async move { Err(unsupported) }
    }

    /// Begins to tell `changes` of all changes, whichever process makes them, until [`Changes::is_closed`]. Returns whether the backend
    /// does so. If not, `changes` is dropped, and entries of the near cache last for a fixed time.
    ///
    /// It is called once for each cache that has a near cache, and does not wait: a task or a thread of the backend connects. The
    /// near cache stays empty until [`Changes::begin`]. If two caches share a backend that tells of changes, each is told of all of
    /// them.
    fn track(&self, changes: Changes) -> bool {
        drop(changes);
        false
    }

    /// [`get`](Self::get) for each key. Returns one outcome for each key, in the order of the keys. An error of one key does not
    /// affect the others.
    fn get_many(&self, keys: &[&str]) -> impl Future<Output = Vec<Result<Option<Vec<u8>>, Error>>> + Send {
        async move {
            let mut outcomes = Vec::with_capacity(keys.len());
            for key in keys {
                outcomes.push(self.get(key).await);
            }
            outcomes
        }
    }

    /// [`set`](Self::set) for each item, with outcomes as of [`get_many`](Self::get_many). Of two items with one key, the later one
    /// stays.
    fn set_many(&self, items: &[Item<'_>]) -> impl Future<Output = Vec<Result<(), Error>>> + Send {
        async move {
            let mut outcomes = Vec::with_capacity(items.len());
            for item in items {
                outcomes.push(self.set(item.key, item.value, item.timeout).await);
            }
            outcomes
        }
    }

    /// [`delete`](Self::delete) for each key, with outcomes as of [`get_many`](Self::get_many). If a key is given twice, one outcome
    /// at most is `true`.
    fn delete_many(&self, keys: &[&str]) -> impl Future<Output = Vec<Result<bool, Error>>> + Send {
        async move {
            let mut outcomes = Vec::with_capacity(keys.len());
            for key in keys {
                outcomes.push(self.delete(key).await);
            }
            outcomes
        }
    }

    /// [`claim`](Self::claim) of each key, with outcomes as of [`get_many`](Self::get_many). If a key is given twice, the second claim
    /// finds the first one.
    fn claim_many(&self, keys: &[&str], claim: Claim) -> impl Future<Output = Vec<Result<Claimed, Error>>> + Send {
        async move {
            let mut outcomes = Vec::with_capacity(keys.len());
            for key in keys {
                outcomes.push(self.claim(key, claim).await);
            }
            outcomes
        }
    }

    /// [`set_fenced`](Self::set_fenced) for each item, with outcomes as of [`get_many`](Self::get_many).
    fn set_fenced_many(&self, items: &[(Item<'_>, Fence)]) -> impl Future<Output = Vec<Result<bool, Error>>> + Send {
        async move {
            let mut outcomes = Vec::with_capacity(items.len());
            for (item, fence) in items {
                outcomes.push(self.set_fenced(item.key, item.value, item.timeout, *fence).await);
            }
            outcomes
        }
    }
}

fn unsupported(name: &str, method: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("the {name} backend has no `{method}`"))
}

/// A value that [`Backend::set_many`] stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item<'a> {
    /// The key.
    pub key: &'a str,
    /// The bytes to store.
    pub value: &'a [u8],
    /// How long to keep them; `None` is for ever.
    pub timeout: Option<Duration>,
}
