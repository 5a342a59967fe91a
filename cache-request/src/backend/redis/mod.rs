//! `redis://` and related schemes: Redis and Valkey, as one server, as a cluster or behind sentinels.
//!
//! The files, each of which uses only files above it:
//!
//! - [`address`]: parses the address.
//! - [`wire`]: keys, timeouts and answers as they are on the wire.
//! - [`record`]: the key of the record of a claim.
//! - [`scripts`]: scripts that the server runs.
//! - [`health`]: what is known about one connection.
//! - [`tls`]: encrypts connections.
//! - [`answers`]: divides what a server sends into its answers.
//! - [`queue`]: commands on their way, and the calls that wait for their answers.
//! - [`driver`]: writes the commands of one connection, and hands out the answers.
//! - [`multiplexed`]: a connection to one server that all callers share.
//! - [`topology`]: what the nodes of a cluster say about it.
//! - [`readers`]: ends connections to servers that were replaced, below a near cache.
//! - [`server`]: connects to a server, a cluster or a master behind sentinels.
//! - [`abandoned_writes`]: writes whose caller gave up.
//! - [`live`]: a connection that is up, and the calls over it.
//! - [`link`]: keeps the connection of one runtime up.
//! - [`blocking_connection`]: the connection over which a blocked caller reads by itself.
//! - [`sentinels`], [`masters`], [`tracking`]: tell a near cache of changes.
//! - [`clear`]: clears a namespace.
//! - [`backend`]: the backend's connections, commands and errors.
//! - [`batch`]: operations on many keys of one server.
//! - [`fences`]: claims and fenced writes.
//! - [`builder`]: builds a backend.
//!
//! This module has the operations. In a cluster, operations on many keys are one operation for each key, all at once: the client
//! collects the commands for each node. The crate `redis` logs in, encrypts, drives clusters, and parses answers other than values.

mod abandoned_writes;
mod address;
mod answers;
mod backend;
mod batch;
mod blocking_connection;
mod builder;
mod clear;
mod driver;
mod fences;
mod health;
mod link;
mod live;
mod masters;
mod multiplexed;
mod queue;
mod readers;
mod record;
mod scripts;
mod sentinels;
mod server;
mod tls;
mod topology;
mod tracking;
mod wire;

use std::{collections::HashSet, time::Duration};

use futures_util::future::join_all;
use redis::{ErrorKind, Value};

use self::wire::{Expiry, bytes, was_there};
pub use self::{backend::RedisBackend, builder::RedisBackendBuilder};
use super::{Backend, Changes, Claim, Claimed, Fence, Item};
use crate::Error;

impl Backend for RedisBackend {
    fn name(&self) -> &'static str {
        self.scheme.name()
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let live = self.live().await?;
        let answer = live.get(self.stored(key)).await.map_err(|error| self.failed(&error))?;
        bytes(answer).ok_or_else(|| self.out_of_step(&live))
    }

    fn get_blocking(&self, key: &str, limit: Duration) -> Option<Result<Option<Vec<u8>>, Error>> {
        let blocking_connection = self.blocking_connection.as_ref()?;
        let live = self.links.own(|runtime| self.begin(runtime)).ok()?.up()?;
        let answer = blocking_connection.get(&live, self.stored(key), bytes, limit)?;
        Some(answer.map_err(|failure| match failure {
            blocking_connection::Failure::Failed(error) => self.failed(&error),
            blocking_connection::Failure::UnexpectedAnswer => self.unexpected_answer(),
            blocking_connection::Failure::TimedOut => {
                let why = format!("{}: the server took longer than {limit:?}", self.name());
                Error::new(crate::ErrorKind::Timeout, why)
            }
        }))
    }

    async fn set(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<(), Error> {
        let Some(expiry) = Expiry::of(timeout) else { return self.delete(key).await.map(drop) };
        let live = self.live_to_change().await?;
        if let Some(error) = self.too_large(value) {
            self.delete(key).await?;
            return Err(error);
        }
        let error = match live.change(&self.setting(key, value, expiry)).await {
            Ok(Value::Okay) => return Ok(()),
            Ok(_) => return Err(self.out_of_step(&live)),
            Err(error) => error,
        };
        let (error, refused) = self.refused(value, &error);
        if refused {
            // The older value must not stay.
            self.delete(key).await?;
        }
        Err(error)
    }

    async fn add(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<bool, Error> {
        let Some(expiry) = Expiry::of(timeout) else { return Ok(false) };
        let live = self.live_to_change().await?;
        if let Some(error) = self.too_large(value) {
            return Err(error);
        }
        let mut command = self.setting(key, value, expiry);
        command.arg("NX");
        match live.change(&command).await {
            Ok(Value::Nil) => Ok(false),
            Ok(Value::Okay) => Ok(true),
            Ok(_) => Err(self.out_of_step(&live)),
            Err(error) => Err(self.refused(value, &error).0),
        }
    }

    async fn touch(&self, key: &str, timeout: Option<Duration>) -> Result<bool, Error> {
        match Expiry::of(timeout) {
            Some(Expiry::After(milliseconds)) => {
                let mut command = self.about("PEXPIRE", key);
                command.arg(milliseconds);
                self.change(&command).await
            }
            Some(Expiry::Never) => {
                // `PERSIST` gives the same answer for a missing key and for a key without timeout.
                let mut pipeline = redis::Pipeline::with_capacity(2);
                pipeline.add_command(self.about("PERSIST", key)).add_command(self.about("EXISTS", key));
                let live = self.live_to_change().await?;
                let answers = live.change_all(&pipeline).await.map_err(|error| self.failed(&error))?;
                let mut last = Value::Nil;
                for answer in answers {
                    last = answer.extract_error().map_err(|error| self.failed(&error))?;
                }
                was_there(&last).ok_or_else(|| self.out_of_step(&live))
            }
            None => self.delete(key).await,
        }
    }

    async fn delete(&self, key: &str) -> Result<bool, Error> {
        self.change(&self.about("UNLINK", key)).await
    }

    async fn clear(&self) -> Result<(), Error> {
        let live = self.live_to_change().await?;
        clear::clear(&live, &self.namespace).await.map_err(|error| match error.kind() {
            ErrorKind::UnexpectedReturnType => self.out_of_step(&live),
            _ => self.failed(&error),
        })
    }

    fn has_fences(&self) -> bool {
        true
    }

    async fn claim(&self, key: &str, claim: Claim) -> Result<Claimed, Error> {
        fences::claim(self, key, claim).await
    }

    async fn set_fenced(
        &self,
        key: &str,
        value: &[u8],
        timeout: Option<Duration>,
        fence: Fence,
    ) -> Result<bool, Error> {
        fences::set(self, Item { key, value, timeout }, fence).await
    }

    async fn renew(&self, key: &str, fence: Fence, lease: Duration) -> Result<bool, Error> {
        fences::renew(self, key, fence, lease).await
    }

    async fn release(&self, key: &str, fence: Fence) -> Result<(), Error> {
        fences::release(self, key, fence).await
    }

    async fn invalidate(&self, key: &str, refuse: Duration) -> Result<bool, Error> {
        fences::invalidate(self, key, refuse).await
    }

    fn track(&self, changes: Changes) -> bool {
        tracking::track(self.server.clone(), format!("{}:", self.namespace), self.connect_limit, changes);
        true
    }

    async fn get_many(&self, keys: &[&str]) -> Vec<Result<Option<Vec<u8>>, Error>> {
        if self.server.is_cluster() {
            return join_all(keys.iter().map(|key| self.get(key))).await;
        }
        batch::get(self, keys).await
    }

    async fn set_many(&self, items: &[Item<'_>]) -> Vec<Result<(), Error>> {
        if !self.server.is_cluster() {
            return batch::set(self, items).await;
        }
        if differ(items.iter().map(|item| item.key)) {
            return join_all(items.iter().map(|item| self.set(item.key, item.value, item.timeout))).await;
        }
        let mut outcomes = Vec::with_capacity(items.len());
        for item in items {
            outcomes.push(self.set(item.key, item.value, item.timeout).await);
        }
        outcomes
    }

    async fn delete_many(&self, keys: &[&str]) -> Vec<Result<bool, Error>> {
        if self.server.is_cluster() {
            return join_all(keys.iter().map(|key| self.delete(key))).await;
        }
        batch::delete(self, keys).await
    }

    async fn claim_many(&self, keys: &[&str], claim: Claim) -> Vec<Result<Claimed, Error>> {
        if !self.server.is_cluster() {
            return fences::claim_many(self, keys, claim).await;
        }
        if differ(keys.iter().copied()) {
            return join_all(keys.iter().map(|key| self.claim(key, claim))).await;
        }
        let mut outcomes = Vec::with_capacity(keys.len());
        for key in keys {
            outcomes.push(self.claim(key, claim).await);
        }
        outcomes
    }

    async fn set_fenced_many(&self, items: &[(Item<'_>, Fence)]) -> Vec<Result<bool, Error>> {
        if !self.server.is_cluster() {
            return fences::set_many(self, items).await;
        }
        if differ(items.iter().map(|(item, _)| item.key)) {
            return join_all(items.iter().map(|(item, fence)| fences::set(self, *item, *fence))).await;
        }
        let mut outcomes = Vec::with_capacity(items.len());
        for (item, fence) in items {
            outcomes.push(fences::set(self, *item, *fence).await);
        }
        outcomes
    }
}

/// Whether no key is given twice. Operations on one key must be executed in order.
fn differ<'a>(keys: impl ExactSizeIterator<Item = &'a str>) -> bool {
    let mut seen = HashSet::with_capacity(keys.len());
    keys.into_iter().all(|key| seen.insert(key))
}
