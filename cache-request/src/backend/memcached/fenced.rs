//! What needs a fence, and what ends fences. See `record` for what stands on the server.

use std::time::Duration;

use memcache::exp::{Get, Meta, MutationStatus, Op, Set};

use super::{
    expiry::Expiry,
    failure::{Failure, Outcome},
    head::Body,
    record::{self, Record, Standing, Whereabouts},
    session::{ATTEMPTS, Place, Session},
};
use crate::{
    Error,
    backend::{Fence, Item},
};

/// A claim that stands, as far as is known.
pub(super) struct Held {
    /// The CAS number of what is under the key.
    cas: u64,
    /// The key and the CAS number of its record.
    record: Option<(String, u64)>,
}

impl Held {
    /// A command that needs the claim, and what ends its record in the same round trip.
    pub(super) fn operations(&self, command: impl FnOnce(u64) -> Op) -> Vec<Op> {
        let end = self.record.as_ref().map(|(key, cas)| record::remove(key, *cas).into());
        [command(self.cas)].into_iter().chain(end).collect()
    }
}

impl Session<'_> {
    /// The claims with these fences, each with its key on one server. Those under keys are not looked at: the command itself tells whether it
    /// still stands. `None` for those that do not stand.
    pub(super) async fn held(&self, server: usize, claims: &[(&str, Fence)]) -> Vec<Result<Option<Held>, Failure>> {
        let beside =
            claims.iter().filter(|(stored, fence)| matches!(Whereabouts::of(*fence, stored), Whereabouts::Beside));
        let looks: Vec<Op> = beside.map(|(stored, _)| Record::get(&self.record_key(stored)).into()).collect();
        let looked = if looks.is_empty() { Vec::new() } else { self.exchange(server, looks).await };
        let mut looked = looked.into_iter();
        let held = claims.iter().map(|(stored, fence)| match Whereabouts::of(*fence, stored) {
            Whereabouts::Nowhere => Ok(None),
            Whereabouts::Under(cas) => Ok(Some(Held { cas, record: None })),
            Whereabouts::Beside => {
                let answer = looked.next().ok_or_else(Failure::unexpected_answer)??;
                let record = Record::of(answer.as_get().ok_or_else(Failure::unexpected_answer)?);
                let record = record.filter(|record| record.fence == *fence);
                Ok(record.map(|record| Held { cas: record.value, record: Some((self.record_key(stored), record.cas)) }))
            }
        });
        held.collect()
    }

    async fn held_one(&self, place: &Place, fence: Fence) -> Result<Option<Held>, Failure> {
        self.held(place.server, &[(&place.stored, fence)]).await.pop().ok_or_else(Failure::unexpected_answer)?
    }

    fn record_key(&self, stored: &str) -> String {
        Record::key(&self.store.namespace, stored)
    }

    /// Runs a command that needs the claim, and returns whether it stood. The command gets the CAS number of what is under the key.
    async fn with_claim(&self, place: &Place, fence: Fence, command: impl Fn(u64) -> Op) -> Result<bool, Failure> {
        let Some(mut held) = self.held_one(place, fence).await? else { return Ok(false) };
        for _ in 0..ATTEMPTS {
            let answer = self.exchange(place.server, held.operations(&command)).await.into_iter().next();
            match status(answer.unwrap_or_else(|| Err(Failure::unexpected_answer())))? {
                MutationStatus::Applied => return Ok(true),
                MutationStatus::CasMismatch if held.record.is_none() => {
                    // It may have been renewed.
                    let get = Get::new(&place.stored).meta(Meta::NONE.ttl().cas());
                    match Standing::of(self.look(place, get).await?, &place.stored) {
                        Standing::Claim { fence: found, cas, .. } if found == fence => held.cas = cas,
                        _ => return Ok(false),
                    }
                }
                _ => return Ok(false),
            }
        }
        Err(Failure::contended())
    }

    /// Sets an item whose chunks may have been written, if its claim stands.
    pub(super) async fn set_fenced(&self, item: Item<'_>, fence: Fence, body: Option<Body<'_>>) -> Result<bool, Error> {
        let place = self.place(item.key)?;
        let remove = async || self.with_claim(&place, fence, |cas| record::remove(&place.stored, cas).into()).await;
        let Some(expiry) = Expiry::of(item.timeout) else { return remove().await.map_err(Failure::error) };
        if let Some(error) = self.store.too_large(item.value) {
            return if remove().await.map_err(Failure::error)? { Err(error) } else { Ok(false) };
        }
        let body = match body {
            Some(body) => Ok(body),
            None => self.spread(place.server, expiry, item.value).await,
        };
        let set = |body: &Body<'_>, cas| record::replace(cas, body.set(expiry, &place.stored)).into();
        let done = match body {
            Ok(body) => self.with_claim(&place, fence, |cas| set(&body, cas)).await,
            Err(failure) => Err(failure),
        };
        match done {
            Ok(stored) => Ok(stored),
            Err(failure) => {
                let (error, refused) = self.store.refused(item.value, failure);
                if refused {
                    // The older value must not stay.
                    remove().await.map_err(Failure::error)?;
                }
                Err(error)
            }
        }
    }

    pub(super) async fn renew(&self, place: &Place, fence: Fence, lease: Duration) -> Result<bool, Failure> {
        if !matches!(Whereabouts::of(fence, &place.stored), Whereabouts::Beside) {
            let renewed = |cas| record::replace(cas, record::renewed(&place.stored, fence, lease)).into();
            return self.with_claim(place, fence, renewed).await;
        }
        // Nothing but records is under this key, and another one may well last longer.
        let record = Record::get(&self.record_key(&place.stored)).touch_raw(record::seconds(lease));
        let value = Get::new(&place.stored).meta(Meta::NONE.cas()).without_value();
        let answers = self.exchange(place.server, vec![record.into(), value.into()]).await;
        let [record, value] = <[_; 2]>::try_from(answers).map_err(|_| Failure::unexpected_answer())?;
        let (record, value) = (record?, value?);
        let (Some(record), Some(value)) = (record.as_get(), value.as_get()) else {
            return Err(Failure::unexpected_answer());
        };
        let stands = |record: Record| record.fence == fence && value.item.cas == Some(record.value);
        Ok(Record::of(record).is_some_and(stands))
    }

    /// Writes the value with this number once more, if it is still there. Its claim stays, whose record names the value by its new number then.
    /// If the process dies in between, the claim is void.
    pub(super) async fn write_again(&self, place: &Place, set: Set, cas: u64) -> Result<bool, Failure> {
        let key = self.record_key(&place.stored);
        let answers = self.exchange(place.server, vec![set.into(), Record::get(&key).into()]).await;
        let [written, record] = <[_; 2]>::try_from(answers).map_err(|_| Failure::unexpected_answer())?;
        let written = written?;
        let written = written.as_mutation().ok_or_else(Failure::unexpected_answer)?;
        if written.status != MutationStatus::Applied {
            return Ok(false);
        }
        let record = Record::of(record?.as_get().ok_or_else(Failure::unexpected_answer)?);
        if let (Some(record), Some(new)) = (record.filter(|record| record.value == cas), written.cas) {
            // If it was changed meanwhile, that is another claim, which knows the new number.
            let renamed = record::replace(record.cas, record.renamed(&key, new));
            self.exchange(place.server, vec![renamed.into()])
                .await
                .into_iter()
                .try_for_each(|done| status(done).map(drop))?;
        }
        Ok(true)
    }

    pub(super) async fn release(&self, place: &Place, fence: Fence) -> Result<(), Failure> {
        if !matches!(Whereabouts::of(fence, &place.stored), Whereabouts::Beside) {
            return self.with_claim(place, fence, |cas| record::remove(&place.stored, cas).into()).await.map(drop);
        }
        let Some(Held { record: Some((key, cas)), .. }) = self.held_one(place, fence).await? else { return Ok(()) };
        let end = vec![record::remove(&key, cas).into()];
        self.exchange(place.server, end).await.into_iter().try_for_each(|outcome| status(outcome).map(drop))
    }

    /// Removes what is under a key, and ends its claim. The record of a claim is void without its value.
    pub(super) async fn invalidate(&self, place: &Place, refuse: Duration) -> Result<bool, Failure> {
        let refusal = || record::refusal(&place.stored, refuse);
        for _ in 0..ATTEMPTS {
            let get = Get::new(&place.stored).meta(Meta::NONE.ttl().cas().size()).without_value();
            let (there, was_there) = match Standing::of(self.look(place, get).await?, &place.stored) {
                Standing::Missing => (None, false),
                // It stays, if it is the longer one.
                Standing::Refusal { seconds, .. } if refuse.is_zero() || seconds >= record::seconds(refuse) => {
                    return Ok(false);
                }
                Standing::Claim { cas, .. } | Standing::Refusal { cas, .. } | Standing::Ended { cas } => {
                    (Some(cas), false)
                }
                Standing::Value { cas, .. } => (Some(cas), true),
            };
            let command: Op = match there {
                None if refuse.is_zero() => return Ok(false),
                None => refusal().add().into(),
                Some(cas) if refuse.is_zero() => record::remove(&place.stored, cas).into(),
                Some(cas) => record::replace(cas, refusal()).into(),
            };
            let done = self.exchange(place.server, vec![command]).await.into_iter().next();
            if let MutationStatus::Applied = status(done.unwrap_or_else(|| Err(Failure::unexpected_answer())))? {
                return Ok(was_there);
            }
        }
        // Others keep changing it, so there is no refusal whose time counts.
        if refuse.is_zero() {
            return self.remove(place).await.map_err(Failure::Other);
        }
        self.store(place, refusal()).await.map(|_| true)
    }
}

pub(super) fn status(outcome: Outcome) -> Result<MutationStatus, Failure> {
    Ok(outcome?.as_mutation().ok_or_else(Failure::unexpected_answer)?.status)
}
