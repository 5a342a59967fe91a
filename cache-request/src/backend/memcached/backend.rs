//! The backend, and how its operations begin.

use std::{fmt, sync::Arc};

use super::{
    link::Link,
    session::{Session, Store},
};
use crate::{Error, base::runtime::PerRuntime};

/// memcached: one server, or several among which the keys are divided.
///
/// Each key has one server, found by rendezvous hashing over the names in the address. So all processes must use the same names for
/// the servers, in any order. While a server is lost, operations on its keys fail at once; the keys of other servers are not affected.
/// Keys do not move to other servers meanwhile, as outdated values could be there when they move back.
///
/// Callers of one tokio runtime share connections. Callers that block their thread, or that run on another executor, share
/// connections that threads of this library drive. Gets of many callers to one server at the same time take one round trip.
///
/// The key on the server is `<namespace>:<generation>:<key>`, within memcached's 250 bytes. memcached cannot list keys, so
/// [`clear`](crate::Backend::clear) begins another generation, which each server keeps as `<namespace>!generation`. Values of older
/// generations are never read again, and memcached evicts them when it needs room. Other processes notice within a second. If a server
/// cannot be reached, `clear` fails, though it has cleared the other servers; the next process that reaches that server clears it.
/// Generations are dates, for which the clocks of all machines must agree to a second.
///
/// Timeouts run by the server's clock, which counts seconds. The millisecond at which a value ends is kept beside it and compared with
/// the reader's clock. If the clocks of writer and reader do not agree, a value ends up to 3 seconds early, and never later than the
/// server drops it, which is at most 2 seconds late. A timeout of more than 30 days counts as 30 days: memcached would take a longer one
/// as a date by the writer's clock.
///
/// A write takes two round trips, so that a write that arrives late never brings back what was deleted or replaced meanwhile. A server
/// without compare-and-swap (`memcached -C`) cannot prevent that.
///
/// A claim of a missing key takes one round trip, which is the look-up itself, and one more stores the value. The claim stands in place of the
/// missing value, and its fence is the number that compare-and-swap compares. To claim a key whose value stays takes two round trips, as a
/// record is added beside the value, and so does storing the new value. A claim anew of such a key takes three. [`invalidate`](crate::Backend::invalidate) takes two
/// if something is there. [`touch`](crate::Backend::touch) changes the number, which takes one round trip more if the value has
/// a claim: its record is told. Leases and refusals are counted by the server in whole seconds, and last up to two seconds longer. A server that restarts, or needs the room, loses claims, whose values are then not stored.
/// Without compare-and-swap, a value that was claimed before an invalidation can replace a newer one.
///
/// A value over 511 KiB is divided into chunks, each an item of its own on the server that has the key, so values may be larger than the
/// server's item limit (1 MiB by default), up to 511 MiB. To read one takes one round trip more, and to write one as well; all large values of
/// a batch share it, up to 4 MiB. If a chunk was evicted, the value is a miss. A chunk whose value was deleted, replaced or cleared is not
/// removed: it stays until its timeout, or until memcached needs the room. So give the server room (`-m`, 64 MiB by default) for more
/// than the large values that are there at one time.
///
/// A server whose item limit is below 512 KiB takes neither large items nor chunks. A value that is larger than a server takes is an error of
/// the kind [`TooLarge`](crate::ErrorKind::TooLarge), and larger values are not sent from then on. A key that is longer than [`max_key_bytes`](crate::Backend::max_key_bytes) is one of the kind
/// [`Key`](crate::ErrorKind::Key).
///
/// The client is `memcache::exp`, which its authors call experimental. This library depends on one exact version of that crate, so a
/// program that needs another version of `memcache` 0.21 cannot be built with it.
pub struct MemcachedBackend {
    pub(super) store: Store,
    pub(super) links: PerRuntime<Arc<Link>>,
}

impl MemcachedBackend {
    /// The connections of the caller's runtime.
    pub(super) fn link(&self) -> Result<Arc<Link>, Error> {
        let (servers, connections) = (self.store.fleet.len(), self.store.max_connections);
        self.links.get(|runtime| Arc::new(Link::new(runtime, servers, connections)))
    }

    pub(super) async fn session(&self) -> Result<Session<'_>, Error> {
        Session::begin(&self.store, self.link()?).await
    }
}

impl fmt::Debug for MemcachedBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemcachedBackend")
            .field("namespace", &self.store.namespace)
            .field("fleet", &self.store.fleet)
            .field("links", &self.links)
            .finish_non_exhaustive()
    }
}
