//! `memcached://`: one memcached, or several among which the keys are divided.
//!
//! The files, each of which uses only files above it:
//!
//! - [`address`]: parses the address.
//! - [`failure`]: why an operation failed.
//! - [`expiry`]: timeouts to the millisecond, on servers that count seconds.
//! - [`claim`]: writes that the server executes in time or not at all.
//! - [`record`]: what stands for claims and refusals, and their fences.
//! - [`get_queue`]: the gets that wait for one server.
//! - [`link`]: the connections of one runtime.
//! - [`fleet`]: which server has a key, and which servers answer.
//! - [`head`]: large values: their chunks, and what stands under their key.
//! - [`chunks`]: writes, reads and touches chunks.
//! - [`get_batch`]: sends gets of many callers together.
//! - [`generation`]: clears a namespace.
//! - [`session`]: one operation or one batch.
//! - [`leases`]: claims keys.
//! - [`fenced`]: what needs a fence, and what ends fences.
//! - [`backend`]: the backend, and how its operations begin.
//! - [`batch`]: operations on many keys.
//! - [`builder`]: builds a backend.
//!
//! This module has the operations on one key.
//!
//! The client is `exp::AsyncMetaClient` of the crate `memcache`: of the maintained clients, it alone has compare-and-swap, which fences, `add`
//! and `touch` need, and batches of any commands with an outcome for each. If its future is dropped, it closes the connection, so that no
//! later caller reads the answer. `async-memcached` 0.9 has one connection for each client, without a pool, and its batches are gets
//! alone or sets with one timeout. `mtop-client` 0.17 has no compare-and-swap, has batches of gets alone, speaks the older protocol, and
//! needs rustls. We do not let the client divide the keys among servers: its hash may change from one release of Rust to the next, and one
//! name that cannot be resolved would fail all servers. So there is one client for each server.

mod address;
mod backend;
mod batch;
mod builder;
mod chunks;
mod claim;
mod expiry;
mod failure;
mod fenced;
mod fleet;
mod generation;
mod get_batch;
mod get_queue;
mod head;
mod leases;
mod link;
mod record;
mod session;

use std::time::Duration;

use memcache::exp::{Get, Meta, MutationStatus};

pub use self::{backend::MemcachedBackend, builder::MemcachedBackendBuilder};
use self::{
    expiry::Expiry,
    failure::Failure,
    head::Body,
    session::{ATTEMPTS, Place},
};
use super::{Backend, Claim, Claimed, Fence, Item};
use crate::{
    Error,
    base::clock::{coarse_now, coarse_since},
};

impl Backend for MemcachedBackend {
    fn name(&self) -> &'static str {
        "memcached"
    }

    fn max_key_bytes(&self) -> usize {
        self.store.max_key_bytes()
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let session = self.session().await?;
        let Place { server, stored } = session.place(key)?;
        let get = async || {
            let get = Get::new(&stored).meta(Meta::NONE.ttl());
            get_batch::get(&self.store.fleet, &session.link, server, get).await
        };
        let begun = coarse_now();
        let found = match get().await {
            // A connection that is closed fails the gets of many callers at once, and another connection may work.
            Err(failure) if failure.is_closed() && coarse_since(begun) < self.store.fleet.answer_limit() / 4 => {
                get().await
            }
            found => found,
        };
        let whole = async { session.whole(server, found?).await };
        whole.await.map_err(Failure::error)
    }

    async fn set(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<(), Error> {
        self.session().await?.set(Item { key, value, timeout }, None).await
    }

    async fn add(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<bool, Error> {
        let Some(expiry) = Expiry::of(timeout) else { return Ok(false) };
        if let Some(error) = self.store.too_large(value) {
            return Err(error);
        }
        let session = self.session().await?;
        let place = session.place(key)?;
        let refused = |failure| session.store.refused(value, failure).0;
        let mut body = None;
        for _ in 0..ATTEMPTS {
            let Some(claim) = session.claim(&place).await.map_err(Failure::error)? else { continue };
            // A head whose chunks are gone is nothing.
            if claim.is_there && !(claim.is_head && self.get(key).await?.is_none()) {
                return Ok(false);
            }
            let body = match &mut body {
                Some(body) => body,
                none => none.insert(session.spread(place.server, expiry, value).await.map_err(refused)?),
            };
            // If several callers find nothing there, one of them is the first to replace it.
            let set = claim.replace(body.set(expiry, &place.stored));
            if session.store(&place, set).await.map_err(refused)? == MutationStatus::Applied {
                return Ok(true);
            }
        }
        Err(Failure::contended().error())
    }

    async fn touch(&self, key: &str, timeout: Option<Duration>) -> Result<bool, Error> {
        let Some(expiry) = Expiry::of(timeout) else { return self.delete(key).await };
        let session = self.session().await?;
        let place = session.place(key)?;
        for _ in 0..ATTEMPTS {
            // The server's own `touch` does not change the flags. So the value is written again, unless another caller
            // writes meanwhile.
            let get = Get::new(&place.stored).meta(Meta::NONE.ttl().cas());
            let found = session.look(&place, get).await.map_err(Failure::error)?;
            let cas = found.item.cas;
            let Some(body) = Body::of(found).map_err(Failure::error)? else { return Ok(false) };
            if let Body::Head(head) = &body
                && !session.chunks(place.server).touch(head, expiry).await.map_err(Failure::error)?
            {
                return Ok(false);
            }
            let cas = cas.ok_or_else(|| Failure::unexpected_answer().error())?;
            let set = claim::replace(cas, body.set(expiry, &place.stored)).return_cas();
            if session.write_again(&place, set, cas).await.map_err(Failure::error)? {
                return Ok(true);
            }
        }
        Err(Failure::contended().error())
    }

    async fn delete(&self, key: &str) -> Result<bool, Error> {
        let session = self.session().await?;
        session.remove(&session.place(key)?).await
    }

    async fn clear(&self) -> Result<(), Error> {
        let link = self.link()?;
        self.store.generation.clear(&link).await
    }

    fn has_fences(&self) -> bool {
        true
    }

    async fn claim(&self, key: &str, claim: Claim) -> Result<Claimed, Error> {
        let session = self.session().await?;
        session.claim_key(session.place(key)?, claim).await.map_err(Failure::error)
    }

    async fn set_fenced(
        &self,
        key: &str,
        value: &[u8],
        timeout: Option<Duration>,
        fence: Fence,
    ) -> Result<bool, Error> {
        self.session().await?.set_fenced(Item { key, value, timeout }, fence, None).await
    }

    async fn renew(&self, key: &str, fence: Fence, lease: Duration) -> Result<bool, Error> {
        let session = self.session().await?;
        session.renew(&session.place(key)?, fence, lease).await.map_err(Failure::error)
    }

    async fn release(&self, key: &str, fence: Fence) -> Result<(), Error> {
        let session = self.session().await?;
        session.release(&session.place(key)?, fence).await.map_err(Failure::error)
    }

    async fn invalidate(&self, key: &str, refuse: Duration) -> Result<bool, Error> {
        let session = self.session().await?;
        session.invalidate(&session.place(key)?, refuse).await.map_err(Failure::error)
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
    async fn claim_many(&self, keys: &[&str], claim: Claim) -> Vec<Result<Claimed, Error>> {
        batch::claim(self, keys, claim).await
    }

    async fn set_fenced_many(&self, items: &[(Item<'_>, Fence)]) -> Vec<Result<bool, Error>> {
        batch::set_fenced(self, items).await
    }
}
