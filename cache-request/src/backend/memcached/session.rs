//! One operation or one batch: its keys as they are on the servers, and the commands that more than one operation needs.

use std::{
    fmt::Write,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use memcache::exp::{Delete, Get, GetResult, Meta, MutationStatus, Op, Set};

use super::{
    chunks::Chunks,
    claim::Claim,
    expiry::{self, Expiry},
    failure::{Failure, Outcome},
    fleet::Fleet,
    generation::Generation,
    head::{Body, CHUNK_BYTES, Head},
    link::Link,
};
use crate::{Error, ErrorKind, backend::Item};

/// The longest key that memcached takes, in bytes.
const MAX_KEY_BYTES: usize = 250;

/// What `<namespace>:<generation>:<key>` adds to namespace and key: two colons, and a generation of 16 hexadecimal digits.
const ADDED_KEY_BYTES: usize = 2 + 16;

/// How often an operation is repeated if other callers keep changing its key.
pub(super) const ATTEMPTS: usize = 64;

/// What the connections of all runtimes share.
pub(super) struct Store {
    pub(super) namespace: String,
    pub(super) fleet: Arc<Fleet>,
    pub(super) generation: Arc<Generation>,
    pub(super) max_connections: usize,
    /// The largest value that the servers are believed to take, in bytes.
    pub(super) largest: AtomicUsize,
}

impl Store {
    /// The longest key that fits beside namespace and generation, in bytes.
    pub(super) fn max_key_bytes(&self) -> usize {
        MAX_KEY_BYTES - ADDED_KEY_BYTES - self.namespace.len()
    }

    /// An error for a key that is too long. The client would fail the whole batch for it.
    pub(super) fn check_key(&self, key: &str) -> Result<(), Error> {
        if key.len() <= self.max_key_bytes() {
            return Ok(());
        }
        let why =
            format!("a key of {} bytes is longer than memcached takes: {} bytes", key.len(), self.max_key_bytes());
        Err(Error::new(ErrorKind::Key, why))
    }

    /// An error for a value that is larger than the servers are known to take.
    pub(super) fn too_large(&self, value: &[u8]) -> Option<Error> {
        let largest = self.largest.load(Ordering::Relaxed);
        (value.len() > largest).then(|| Error::too_large(value.len(), largest))
    }

    /// The error of a write of `value` that failed, and whether the server refused that value and works otherwise.
    pub(super) fn refused(&self, value: &[u8], failure: Failure) -> (Error, bool) {
        if failure.is_too_large() {
            // Of a value in chunks, the first chunk was refused, and so would be that of any other.
            let shorter = value.len().min(CHUNK_BYTES).saturating_sub(1);
            let known = self.largest.fetch_min(shorter, Ordering::Relaxed);
            return (Error::too_large(value.len(), known.min(shorter)), true);
        }
        let refused = failure.is_refusal();
        (failure.error(), refused)
    }
}

/// One operation or one batch, over the connections of the caller's runtime and in one generation.
pub(super) struct Session<'a> {
    pub(super) store: &'a Store,
    pub(super) link: Arc<Link>,
    generation: u64,
}

impl<'a> Session<'a> {
    pub(super) async fn begin(store: &'a Store, link: Arc<Link>) -> Result<Self, Error> {
        let generation = store.generation.current(&link).await?;
        Ok(Self { store, link, generation })
    }

    /// The key on the server. A namespace has no colon, so different keys differ there, too.
    pub(super) fn stored(&self, key: &str) -> String {
        let (namespace, generation) = (&self.store.namespace, self.generation);
        // With room, so that it grows once. Without a width, as padding is slow: the nanoseconds since 1970 have 16 digits.
        let mut stored = String::with_capacity(namespace.len() + key.len() + ADDED_KEY_BYTES);
        let _ = write!(stored, "{namespace}:{generation:x}:");
        stored + key
    }

    /// Fails if the key is too long.
    pub(super) fn place(&self, key: &str) -> Result<Place, Error> {
        self.store.check_key(key)?;
        Ok(Place { server: self.store.fleet.server_of(key), stored: self.stored(key) })
    }

    pub(super) async fn look(&self, place: &Place, get: Get) -> Result<GetResult, Failure> {
        self.store.fleet.ask(&self.link, place.server, async move |client| client.run(get).await).await
    }

    /// Begins a write.
    pub(super) async fn claim(&self, place: &Place) -> Result<Option<Claim>, Failure> {
        let outcomes = self.exchange(place.server, Claim::ask(&place.stored).into()).await;
        let [looked, added] = <[_; 2]>::try_from(outcomes).map_err(|_| Failure::unexpected_answer())?;
        Claim::of(looked, added)
    }

    pub(super) async fn store(&self, place: &Place, set: Set) -> Result<MutationStatus, Failure> {
        let fleet = &self.store.fleet;
        fleet.ask(&self.link, place.server, async move |client| Ok(client.run(set).await?.status)).await
    }

    /// Removes an item, and returns whether there was one that had not ended.
    pub(super) async fn remove(&self, place: &Place) -> Result<bool, Error> {
        let outcomes = self.exchange(place.server, removal(&place.stored).into()).await;
        let [looked, removed] = <[_; 2]>::try_from(outcomes).map_err(|_| Failure::unexpected_answer().error())?;
        was_removed(looked, removed)
    }

    /// Runs some operations in one round trip, and returns one outcome for each.
    pub(super) async fn exchange(&self, server: usize, operations: Vec<Op>) -> Vec<Outcome> {
        self.store.fleet.exchange(&self.link, server, operations).await
    }

    /// The chunks on a server.
    pub(super) fn chunks(&self, server: usize) -> Chunks<'_> {
        Chunks { fleet: &self.store.fleet, link: &self.link, namespace: &self.store.namespace, server }
    }

    /// The whole value of what was found under a key.
    pub(super) async fn whole(&self, server: usize, found: GetResult) -> Result<Option<Vec<u8>>, Failure> {
        match Body::of(found)? {
            None => Ok(None),
            Some(Body::Value(value)) => Ok(Some(value.into_owned())),
            Some(Body::Head(head)) => {
                self.chunks(server).read(&[head]).await.pop().ok_or_else(Failure::unexpected_answer)?
            }
        }
    }

    /// Writes the chunks of a large value, and returns what to write under its key. Until that is there, no reader asks for them.
    pub(super) async fn spread<'v>(&self, server: usize, expiry: Expiry, value: &'v [u8]) -> Result<Body<'v>, Failure> {
        let Some(head) = Head::of(value) else { return Ok(Body::Value(value.into())) };
        let written = self.chunks(server).write(&[(head, expiry, value)]).await;
        written.into_iter().collect::<Result<(), _>>().map(|()| Body::Head(head))
    }

    /// Sets an item whose chunks may have been written.
    pub(super) async fn set(&self, item: Item<'_>, body: Option<Body<'_>>) -> Result<(), Error> {
        let place = self.place(item.key)?;
        let Some(expiry) = Expiry::of(item.timeout) else { return self.remove(&place).await.map(drop) };
        if let Some(error) = self.store.too_large(item.value) {
            self.remove(&place).await?;
            return Err(error);
        }
        let body = match body {
            Some(body) => Ok(body),
            None => self.spread(place.server, expiry, item.value).await,
        };
        let done = match body {
            Ok(body) => self.replace(&place, expiry, &body).await,
            Err(failure) => Err(failure),
        };
        match done {
            Ok(true) => Ok(()),
            Ok(false) => Err(Failure::contended().error()),
            Err(failure) => {
                let (error, refused) = self.store.refused(item.value, failure);
                if refused {
                    // The older value must not stay.
                    self.remove(&place).await?;
                }
                Err(error)
            }
        }
    }

    /// Writes a value in place of what is there. `false` if other callers were faster each time.
    async fn replace(&self, place: &Place, expiry: Expiry, body: &Body<'_>) -> Result<bool, Failure> {
        for _ in 0..ATTEMPTS {
            let Some(claim) = self.claim(place).await? else { continue };
            match self.store(place, claim.replace(body.set(expiry, &place.stored))).await? {
                // A deletion in between counts as one after this write.
                MutationStatus::Applied | MutationStatus::NotFound => return Ok(true),
                // Another write came in between, which may have begun before this one.
                MutationStatus::CasMismatch => {}
                _ => return Err(Failure::unexpected_answer()),
            }
        }
        Ok(false)
    }
}

/// Where a key is.
pub(super) struct Place {
    pub(super) server: usize,
    /// The key on that server.
    pub(super) stored: String,
}

/// The operations that look whether an item is there and remove it. Their outcomes are for [`was_removed`].
pub(super) fn removal(stored: &str) -> [Op; 2] {
    [Get::new(stored).meta(Meta::NONE.ttl()).without_value().into(), Delete::new(stored).into()]
}

/// Whether there was an item that had not ended, and it is removed.
pub(super) fn was_removed(looked: Outcome, removed: Outcome) -> Result<bool, Error> {
    let (looked, removed) = (looked.map_err(Failure::error)?, removed.map_err(Failure::error)?);
    match (looked.as_get(), removed.as_mutation()) {
        (Some(looked), Some(removed)) => Ok(expiry::is_there(looked) && removed.applied()),
        _ => Err(Failure::unexpected_answer().error()),
    }
}
