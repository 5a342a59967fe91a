//! `memcached://`: one memcached, or several among which the keys are divided.
//!
//! - [`address`]: what an address says.
//! - [`builder`]: makes a backend.
//! - [`fleet`]: which server has a key, and which of them answer.
//! - [`generation`]: how a namespace is emptied of what nobody can list.
//! - [`expiry`]: timeouts to the millisecond, on servers that count seconds.
//! - [`claim`]: writes that are done in time or not at all.
//! - [`gets`]: what many callers want at the same time.
//! - [`batch`]: what asks for many keys at once.
//!
//! The client is `memcache`'s `exp::AsyncMetaClient`: of those that are kept it alone offers compare-and-swap, without which
//! an `add` over what has expired and a `touch` cannot be right, and any mix of commands in one round trip, with an outcome
//! for each; and a future that is dropped takes its connection along, so that nobody reads another one's answer.
//! `async-memcached` 0.9 has one connection for each client and neither pool nor fleet, and its batches are gets alone or
//! sets of one timeout; `mtop-client` 0.17 has no compare-and-swap and no batches but of gets, speaks the older protocol, and
//! brings rustls along. What we do not use of `memcache` is its division of keys: its hash is one that Rust may
//! change from release to release, and a name that cannot be resolved fails the whole fleet. So there is one client for each
//! server.

mod address;
mod batch;
mod builder;
mod claim;
mod expiry;
mod fleet;
mod generation;
mod get_batch;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use memcache::exp::{Delete, Get, GetResult, Meta, MutationStatus, Op, Set};

pub use self::builder::MemcachedBackendBuilder;
use self::{
    claim::Claim,
    expiry::Expiry,
    fleet::{Failure, Fleet, Link},
    generation::Generation,
};
use super::{Backend, Item};
use crate::{
    Error,
    base::{
        clock::{coarse_now, coarse_since},
        runtime::PerRuntime,
    },
};

/// The longest key that a memcached takes.
const MAX_KEY_BYTES: usize = 250;

/// The two colons of `<namespace>:<generation>:<key>`, and the generation in hexadecimal digits.
const AROUND_KEY: usize = 2 + 16;

/// How often an operation begins anew because others changed its key meanwhile.
const ATTEMPTS: usize = 64;

/// memcached: one server, or several among which the keys are divided.
///
/// Each key has its server, found by rendezvous hashing over the names in the address: so all processes have to name the
/// servers alike, in any order. A server that is lost costs its own keys, which fail at once until it is back, and no others;
/// they do not move to other servers meanwhile, as an outdated value might be there when they move back.
///
/// Callers of one tokio runtime share connections. Callers that block their thread, or that run on another executor,
/// share some that threads of this library drive. What many callers get of one server at the same time takes one round trip.
///
/// Keys stand on the server as `<namespace>:<generation>:<key>`, within memcached's 250 bytes. memcached cannot list keys, so
/// [`clear`](Backend::clear) begins another generation, which each server keeps as `<namespace>!generation`; what is of an older one is
/// never asked for again, and goes when its room is needed. Another process notices within a second. If a server cannot be reached,
/// `clear` fails, though all others are cleared; and that server is told by whoever reaches it first. Generations are
/// dates: clocks that are apart by no more than a second will do.
///
/// memcached counts seconds. So an item's flags tell the millisecond at which it ends, by the clocks of those who write and read it,
/// and the server keeps it a little longer.
///
/// A value is written in two round trips, so that none that is late brings back what was deleted or replaced meanwhile. A server
/// without compare-and-swap (`memcached -C`) cannot prevent that.
///
/// A value that is larger than the server takes is an error of the kind [`TooLarge`](crate::ErrorKind::TooLarge), and
/// from then on such values are not sent any more.
///
/// The client is `memcache::exp`, which its authors call experimental. The library depends on one exact version of that crate, so a
/// program that needs another version of `memcache` 0.21 cannot be built with it.
pub struct MemcachedBackend {
    store: Arc<Store>,
    links: PerRuntime<Arc<Link>>,
}

/// What connections of all runtimes have in common.
struct Store {
    namespace: String,
    fleet: Arc<Fleet>,
    generation: Generation,
    max_connections: usize,
    /// The most bytes that the servers took a value of, as far as is known.
    largest: AtomicUsize,
}

impl MemcachedBackend {
    /// A backend on the servers at `address`, with the defaults of [`builder`](Self::builder).
    ///
    /// # Errors
    ///
    /// As of [`MemcachedBackendBuilder::build`].
    pub fn new(address: &str) -> Result<Self, Error> {
        Self::builder(address).build()
    }

    /// Begins a backend on the servers at `address`: `memcached://a:11211,b:11211,c`, or `memcached://[::1]:11211`. The port may
    /// be left out.
    pub fn builder(address: &str) -> MemcachedBackendBuilder {
        MemcachedBackendBuilder::new(address)
    }
}

impl MemcachedBackend {
    fn link(&self) -> Result<Arc<Link>, Error> {
        let (servers, connections) = (self.store.fleet.len(), self.store.max_connections);
        self.links.get(|runtime| Arc::new(Link::new(runtime, servers, connections)))
    }

    /// What one operation needs.
    async fn session(&self) -> Result<Session<'_>, Error> {
        let link = self.link()?;
        let generation = self.store.generation(&link).await?;
        Ok(Session { store: &self.store, link, generation })
    }
}

/// One operation, or one batch of them: through the connections of the caller's runtime, in the generation that it is.
struct Session<'a> {
    store: &'a Arc<Store>,
    link: Arc<Link>,
    generation: u64,
}

impl Session<'_> {
    /// A key as it stands on the server. No namespace has a colon, so that no two of these are alike.
    fn stored(&self, key: &str) -> String {
        let (namespace, generation) = (&self.store.namespace, self.generation);
        // Without a width, which is written a digit at a time: the nanoseconds since 1970 have all 16 digits.
        format!("{namespace}:{generation:x}:{key}")
    }

    fn place(&self, key: &str) -> Place {
        Place { server: self.store.fleet.server_of(key), stored: self.stored(key) }
    }

    async fn look(&self, place: &Place, get: Get) -> Result<GetResult, Failure> {
        self.store.fleet.ask(&self.link, place.server, async move |client| client.run(get).await).await
    }

    /// The item that is to be replaced.
    async fn claim(&self, place: &Place) -> Result<Option<Claim>, Failure> {
        let outcomes = self.exchange(place.server, Claim::ask(&place.stored).into()).await;
        let [looked, put] = <[_; 2]>::try_from(outcomes).map_err(|_| Failure::nonsense())?;
        Claim::of(looked, put)
    }

    /// Stores, and says how that went.
    async fn store(&self, place: &Place, set: Set) -> Result<MutationStatus, Failure> {
        let fleet = &self.store.fleet;
        fleet.ask(&self.link, place.server, async move |client| Ok(client.run(set).await?.status)).await
    }

    /// Whether it was there and is not any more. What has expired may be there on the server, but is nothing.
    async fn remove(&self, place: &Place) -> Result<bool, Error> {
        let outcomes = self.exchange(place.server, removal(&place.stored).into()).await;
        let [looked, removed] = <[_; 2]>::try_from(outcomes).map_err(|_| Failure::nonsense().error())?;
        was_removed(looked, removed)
    }

    /// Some operations in one round trip, with an outcome for each.
    async fn exchange(&self, server: usize, operations: Vec<Op>) -> Vec<Result<memcache::exp::OpResult, Failure>> {
        self.store.fleet.exchange(&self.link, server, operations).await
    }

    async fn set(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<(), Error> {
        let place = self.place(key);
        let Some(expiry) = Expiry::of(timeout) else { return self.remove(&place).await.map(drop) };
        if let Some(error) = self.store.too_large(value) {
            self.remove(&place).await?;
            return Err(error);
        }
        match self.replace(&place, expiry, value).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(contended()),
            Err(failure) => {
                let (error, refused) = self.store.refused(value, failure);
                if refused {
                    // It was to replace what is there.
                    self.remove(&place).await?;
                }
                Err(error)
            }
        }
    }

    /// Whether nobody was quicker each time.
    async fn replace(&self, place: &Place, expiry: Expiry, value: &[u8]) -> Result<bool, Failure> {
        for _ in 0..ATTEMPTS {
            let Some(claim) = self.claim(place).await? else { continue };
            match self.store(place, claim.replace(expiry.set(&place.stored, value))).await? {
                // What was deleted meanwhile has been deleted after this.
                MutationStatus::Applied | MutationStatus::NotFound => return Ok(true),
                // What was written meanwhile may be a write that began before.
                MutationStatus::CasMismatch => {}
                _ => return Err(Failure::nonsense()),
            }
        }
        Ok(false)
    }
}

/// Where a key is.
struct Place {
    server: usize,
    stored: String,
}

/// Says of an item whether it is there, without its value, and removes it.
fn removal(stored: &str) -> [Op; 2] {
    [Get::new(stored).meta(Meta::NONE.ttl()).without_value().into(), Delete::new(stored).into()]
}

type Outcome = Result<memcache::exp::OpResult, Failure>;

fn was_removed(looked: Outcome, removed: Outcome) -> Result<bool, Error> {
    let (looked, removed) = (looked.map_err(Failure::error)?, removed.map_err(Failure::error)?);
    match (looked.as_get(), removed.as_mutation()) {
        (Some(looked), Some(removed)) => Ok(expiry::is_there(looked) && removed.applied()),
        _ => Err(Failure::nonsense().error()),
    }
}

/// The value of an item that is there.
fn value(found: GetResult) -> Option<Vec<u8>> {
    if expiry::is_there(&found) { found.value } else { None }
}

impl Store {
    /// An error for a value that the servers are known not to take.
    fn too_large(&self, value: &[u8]) -> Option<Error> {
        let largest = self.largest.load(Ordering::Relaxed);
        (value.len() > largest).then(|| Error::too_large(value.len(), largest))
    }

    /// What is wrong with storing `value`, and whether that was the server's own decision, while it would do other things.
    fn refused(&self, value: &[u8], failure: Failure) -> (Error, bool) {
        if failure.is_too_large() {
            let shorter = value.len().saturating_sub(1);
            let known = self.largest.fetch_min(shorter, Ordering::Relaxed);
            return (Error::too_large(value.len(), known.min(shorter)), true);
        }
        let refused = failure.is_refusal();
        (failure.error(), refused)
    }
}

impl Backend for MemcachedBackend {
    fn name(&self) -> &'static str {
        "memcached"
    }

    fn max_key_bytes(&self) -> usize {
        MAX_KEY_BYTES - AROUND_KEY - self.store.namespace.len()
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let session = self.session().await?;
        let get = async || {
            let Place { server, stored } = session.place(key);
            let get = Get::new(stored).meta(Meta::NONE.ttl());
            get_batch::get(&self.store.fleet, &session.link, server, get).await
        };
        let begun = coarse_now();
        let found = match get().await {
            // One connection serves many callers at a time, and one that has ended is no reason that all of them go without.
            Err(cut) if cut.is_cut() && coarse_since(begun) < self.store.fleet.answer_limit() / 4 => get().await,
            found => found,
        };
        found.map(value).map_err(Failure::error)
    }

    async fn set(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<(), Error> {
        self.session().await?.set(key, value, timeout).await
    }

    async fn add(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<bool, Error> {
        let Some(expiry) = Expiry::of(timeout) else { return Ok(false) };
        if let Some(error) = self.store.too_large(value) {
            return Err(error);
        }
        let session = self.session().await?;
        let place = session.place(key);
        let refused = |failure| session.store.refused(value, failure).0;
        for _ in 0..ATTEMPTS {
            let Some(claim) = session.claim(&place).await.map_err(Failure::error)? else { continue };
            if claim.is_there {
                return Ok(false);
            }
            // Of all who see that there is nothing, one replaces it.
            let set = claim.replace(expiry.set(&place.stored, value));
            if session.store(&place, set).await.map_err(refused)? == MutationStatus::Applied {
                return Ok(true);
            }
        }
        Err(contended())
    }

    async fn touch(&self, key: &str, timeout: Option<Duration>) -> Result<bool, Error> {
        let Some(expiry) = Expiry::of(timeout) else { return self.delete(key).await };
        let session = self.session().await?;
        let place = session.place(key);
        for _ in 0..ATTEMPTS {
            // The server's own `touch` knows nothing of the milliseconds in the flags. So the value is written again, unless
            // somebody else has written meanwhile.
            let get = Get::new(&place.stored).meta(Meta::NONE.ttl().cas());
            let found = session.look(&place, get).await.map_err(Failure::error)?;
            if !expiry::is_there(&found) {
                return Ok(false);
            }
            let (Some(cas), Some(value)) = (found.item.cas, found.value) else {
                return Err(Failure::nonsense().error());
            };
            let set = claim::replace(cas, expiry.set(&place.stored, &value));
            if session.store(&place, set).await.map_err(Failure::error)? == MutationStatus::Applied {
                return Ok(true);
            }
        }
        Err(contended())
    }

    async fn delete(&self, key: &str) -> Result<bool, Error> {
        let session = self.session().await?;
        session.remove(&session.place(key)).await
    }

    async fn clear(&self) -> Result<(), Error> {
        let link = self.link()?;
        self.store.clear(&link).await
    }

    async fn get_many(&self, keys: &[&str]) -> Vec<Result<Option<Vec<u8>>, Error>> {
        batch::get(self, keys).await
    }

    async fn set_many(&self, items: &[Item<'_>]) -> Vec<Result<(), Error>> {
        batch::set(self, items).await
    }

    async fn delete_many(&self, keys: &[&str]) -> Vec<Result<bool, Error>> {
        batch::delete(self, keys).await
    }
}

#[cold]
fn contended() -> Error {
    Error::backend("others keep changing the same key")
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
