//! Writes, reads and touches the chunks of large values, of many values at a time.

use std::sync::Arc;

use memcache::exp::{Get, MutationStatus, Op, OpResult};

use super::{
    expiry::Expiry,
    failure::{Failure, Outcome},
    fleet::Fleet,
    head::Head,
    link::Link,
};

/// The most chunks of a round trip: 4 MiB. The client copies what it sends, and a server has one answer limit for all of a round, so that on
/// a slow network a longer one would count it as lost. The
/// requests of so many gets fit into the buffers of a connection.
const ROUND: usize = 8;

/// Where chunks are: on the server that has the key of their value, so that a lost server costs its own keys only.
pub(super) struct Chunks<'s> {
    pub(super) fleet: &'s Arc<Fleet>,
    pub(super) link: &'s Link,
    pub(super) namespace: &'s str,
    pub(super) server: usize,
}

impl Chunks<'_> {
    /// Writes the chunks of these values, each with the expiry of its head.
    pub(super) async fn write(&self, values: &[(Head, Expiry, &[u8])]) -> Vec<Result<(), Failure>> {
        let mut chunks = Vec::new();
        for (head, expiry, value) in values {
            let keys = head.keys(self.namespace);
            chunks.extend(keys.zip(head.divide(value)).map(|(key, bytes)| Chunk { key, bytes, expiry: *expiry }));
        }
        let mut outcomes = self.exchange(&chunks, Chunk::set).await.into_iter();
        let done = values.iter().map(|(head, ..)| outcomes.by_ref().take(head.count()).map(was_set).collect());
        // The first failure of a value counts, and not those of the connection that come after a refusal.
        done.map(|done: Vec<_>| done.into_iter().collect()).collect()
    }

    /// Reads the values of these heads; `None` for one whose chunks are not all there.
    pub(super) async fn read(&self, heads: &[Head]) -> Vec<Result<Option<Vec<u8>>, Failure>> {
        let keys: Vec<String> = heads.iter().flat_map(|head| head.keys(self.namespace)).collect();
        let mut outcomes = self.exchange(&keys, |key| Get::new(key).into()).await.into_iter();
        let chunks = heads.iter().map(|head| outcomes.by_ref().take(head.count()).map(found).collect());
        let chunks: Vec<Result<Vec<_>, _>> = chunks.collect();
        heads.iter().zip(chunks).map(|(head, chunks)| Ok(head.join(chunks?))).collect()
    }

    /// Gives all chunks another timeout, and says whether they are there.
    ///
    /// A touch that was abandoned and arrives late may end them before their head, which is then a miss.
    pub(super) async fn touch(&self, head: &Head, expiry: Expiry) -> Result<bool, Failure> {
        let chunks: Vec<_> = head.keys(self.namespace).map(|key| Chunk { key, bytes: &[], expiry }).collect();
        let mut are_there = true;
        for outcome in self.exchange(&chunks, Chunk::touch).await {
            are_there &= outcome?.as_get().ok_or_else(Failure::unexpected_answer)?.hit();
        }
        Ok(are_there)
    }

    /// Runs one operation for each of these, in rounds, and returns one outcome for each. When one has failed, no further round is sent.
    async fn exchange<T>(&self, all: &[T], operation: fn(&T) -> Op) -> Vec<Outcome> {
        let mut outcomes: Vec<Outcome> = Vec::with_capacity(all.len());
        for round in all.chunks(ROUND) {
            let failure = outcomes.iter().find_map(|outcome| outcome.as_ref().err().map(Failure::copy));
            if let Some(failure) = failure {
                outcomes.extend(round.iter().map(|_| Err(failure.copy())));
            } else {
                let operations = round.iter().map(operation).collect();
                outcomes.extend(self.fleet.exchange(self.link, self.server, operations).await);
            }
        }
        outcomes
    }
}

/// A chunk that is to be written or touched.
struct Chunk<'v> {
    key: String,
    bytes: &'v [u8],
    expiry: Expiry,
}

impl Chunk<'_> {
    fn set(&self) -> Op {
        self.expiry.set_chunk(&self.key, self.bytes).into()
    }

    fn touch(&self) -> Op {
        Get::new(&self.key).touch_raw(self.expiry.chunk_seconds()).without_value().into()
    }
}

fn was_set(outcome: Outcome) -> Result<(), Failure> {
    match outcome?.as_mutation() {
        Some(set) if set.status == MutationStatus::Applied => Ok(()),
        _ => Err(Failure::unexpected_answer()),
    }
}

fn found(outcome: Outcome) -> Result<Option<Vec<u8>>, Failure> {
    match outcome? {
        OpResult::Get(found) => Ok(found.value),
        _ => Err(Failure::unexpected_answer()),
    }
}
