//! How the backend claims and fences, rightly but for its fault.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    thread,
    time::Duration,
};

use cache_request::{
    Error, ErrorKind,
    backend::{Claim, ClaimKind, Claimed, Fence, Item, Right},
};
use futures_lite::future::yield_now;

use super::{Fault, LateWrite, Stored, WrongBackend, unsupported};

type Place = (u64, String);

/// What stands of each key: its claim, or its refusal of values.
pub(super) type Records = Arc<Mutex<HashMap<Place, Record>>>;

#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    /// None while values are refused.
    fence: Option<Fence>,
    /// In milliseconds of the clock.
    end: u64,
    lease: u64,
}

const MONTH: Duration = Duration::from_secs(30 * 86_400);

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl WrongBackend {
    pub(super) fn fences(&self) -> Result<(), Error> {
        if self.is(Fault::NoFences) { Err(unsupported()) } else { Ok(()) }
    }

    /// Held for a whole step, so that each is one.
    fn records(&self) -> MutexGuard<'_, HashMap<Place, Record>> {
        self.records.lock().unwrap()
    }

    fn place(&self, key: &str) -> Place {
        let (prefix, key) = self.key(key);
        match self.fault {
            Fault::ClaimsOfAllKeysAreOne => (prefix, String::new()),
            Fault::ClaimsFoldCase => (prefix, key.to_ascii_lowercase()),
            Fault::ClaimsCutKeys => (prefix, key.chars().take(200).collect()),
            Fault::ClaimsAreShared => (0, key),
            _ => (prefix, key),
        }
    }

    fn standing(&self, records: &HashMap<Place, Record>, place: &Place) -> Option<Record> {
        let now = match self.fault {
            Fault::LeasesNeverEnd => 0,
            Fault::LeasesEndTooSoon => self.now() + 1,
            Fault::LeasesEndTooLate => self.now().saturating_sub(1),
            _ => self.now(),
        };
        records
            .get(place)
            .filter(|record| match (self.fault, record.fence) {
                (Fault::RefusalsNeverEnd, None) => true,
                (Fault::RefusalsEndTooSoon, None) => now + 1 < record.end,
                _ => now < record.end,
            })
            .copied()
    }

    pub(super) fn is_claimed(&self, key: &Place) -> bool {
        self.standing(&self.records(), key).is_some_and(|record| record.fence.is_some())
    }

    pub(super) fn forget_claim(&self, key: &Place) {
        self.records().remove(key);
    }

    pub(super) fn clear_claims(&self) {
        match self.fault {
            Fault::ClearLeavesClaims => {}
            Fault::ClearsTheNeighboursClaims => self.records().clear(),
            _ => self.records().retain(|(prefix, _), _| *prefix != self.prefix),
        }
    }

    fn found(&self, key: &str) -> Option<Vec<u8>> {
        let over = |stored: &&Stored| self.is_over(stored) && !self.is(Fault::ClaimsFindWhatHasExpired);
        self.store().get(&self.key(key)).filter(|stored| !over(stored)).map(|stored| stored.value.clone())
    }

    pub(super) async fn claim_one(&self, key: &str, claim: Claim) -> Result<Claimed, Error> {
        self.wait().await?;
        let place = self.place(key);
        if self.is(Fault::ClaimsLookThenWrite) && self.standing(&self.records(), &place).is_none() {
            yield_now().await;
            self.records().remove(&place);
        }
        let mut records = self.records();
        let value = self.found(key);
        let standing = self.standing(&records, &place);
        let end = self.now().saturating_add(milliseconds(claim.lease));
        let missing = match self.fault {
            Fault::ClaimsTakeEmptyForMissing => value.as_ref().is_none_or(Vec::is_empty),
            Fault::ClaimsSeeTheOlderClaimFirst => value.is_none() || standing.is_some(),
            _ => value.is_none(),
        };
        let kind = match (self.fault, claim.kind) {
            (Fault::AnewKeepsTheOlder, ClaimKind::Anew) => ClaimKind::Any,
            (Fault::AnewWantsAnOlder, ClaimKind::Anew) if standing.is_none() => {
                return Err(Error::backend("no claim to replace, on purpose"));
            }
            (_, kind) => kind,
        };
        let left = |record: &Record| {
            Duration::from_millis(if self.is(Fault::HeldForTheWholeLease) {
                record.lease
            } else {
                record.end.saturating_sub(self.now())
            })
        };
        let mut insert = |fence| {
            let lease = milliseconds(claim.lease);
            records.insert(place.clone(), Record { fence: Some(fence), end, lease });
        };
        let right = match standing {
            _ if kind == ClaimKind::Missing && !missing => {
                if self.is(Fault::ClaimsWhatIsThere) {
                    insert(Fence::new(claim.token));
                }
                Right::None
            }
            Some(record)
                if record.fence.is_none() && (kind != ClaimKind::Anew || !self.is(Fault::AnewIsNotRefused)) =>
            {
                match self.fault {
                    Fault::RefusalsAreLeases => Right::Held(Fence::new(claim.token), left(&record)),
                    _ => Right::Refused(left(&record)),
                }
            }
            Some(Record { fence: Some(fence), .. }) if kind != ClaimKind::Anew => {
                let record = standing.unwrap();
                match self.fault {
                    Fault::EachClaimIsLeased => Right::Leased(fence),
                    Fault::HeldHasAnotherFence => Right::Held(Fence::new(claim.token), left(&record)),
                    Fault::HeldIsProlonged => {
                        insert(fence);
                        Right::Held(fence, left(&record))
                    }
                    _ => Right::Held(fence, left(&record)),
                }
            }
            _ => {
                let fence = Fence::new(if self.is(Fault::FencesAreUsedAgain) { 1 } else { claim.token });
                insert(fence);
                match self.fault {
                    Fault::ClaimsAreValues => {
                        let stored = Stored { value: Vec::new(), end: Some(end) };
                        self.store().entry(self.key(key)).or_insert(stored);
                    }
                    Fault::ClaimsRemoveTheValue => drop(self.store().remove(&self.key(key))),
                    _ => {}
                }
                Right::Leased(fence)
            }
        };
        let hidden = match self.fault {
            Fault::ClaimsHideTheValue => true,
            Fault::AnewHidesTheValue => kind == ClaimKind::Anew,
            _ => false,
        };
        Ok(Claimed { value: value.filter(|_| !hidden), right })
    }

    pub(super) async fn set_with_fence(&self, item: Item<'_>, fence: Fence) -> Result<bool, Error> {
        let Item { key, value, timeout } = item;
        let stored = Stored { value: value.to_owned(), end: self.end(timeout) };
        let mut dropped =
            LateWrite { backend: self, fault: Fault::DroppedFencedSetsComeLate, entry: Some((self.key(key), stored)) };
        self.wait().await?;
        dropped.entry = None;
        let place = self.place(key);
        if self.is(Fault::FencedSetsLookThenWrite) {
            let stands = self.standing(&self.records(), &place).is_some_and(|record| record.fence == Some(fence));
            yield_now().await;
            return if stands { self.store_fenced(item, &mut self.records(), &place) } else { Ok(false) };
        }
        let mut records = self.records();
        let stands = match self.fault {
            Fault::FencesAreNotCompared => true,
            Fault::FencesOfAllKeys => records.values().any(|record| record.fence == Some(fence)),
            Fault::EndedFencesStore => records.get(&place).is_some_and(|record| record.fence == Some(fence)),
            Fault::ZeroIsNotFenced if timeout == Some(Duration::ZERO) => true,
            _ => self.standing(&records, &place).is_some_and(|record| record.fence == Some(fence)),
        };
        if stands { self.store_fenced(item, &mut records, &place) } else { Ok(false) }
    }

    fn store_fenced(&self, item: Item<'_>, records: &mut HashMap<Place, Record>, place: &Place) -> Result<bool, Error> {
        let Item { key, value, timeout } = item;
        let zero = timeout == Some(Duration::ZERO);
        let large = value.len() > 1_500_000
            && matches!(self.fault, Fault::LargeFencedKeepsTheOld | Fault::LargeFencedKeepsItsClaim);
        match self.fault {
            Fault::FencesStoreForEver => {}
            Fault::ZeroFencedKeepsItsClaim if zero => {}
            Fault::LargeFencedKeepsItsClaim if large => {}
            _ => drop(records.remove(place)),
        }
        let key = self.key(key);
        let mut store = self.store();
        if large {
            if !self.is(Fault::LargeFencedKeepsTheOld) {
                store.remove(&key);
            }
            return Err(Error::new(ErrorKind::TooLarge, "on purpose"));
        }
        if zero && !self.is(Fault::ZeroFencedIsForEver) {
            store.remove(&key);
            return Ok(true);
        }
        let old = store.get(&key);
        let end = match (self.fault, timeout) {
            (Fault::FencedForgetsTheTimeout, _) | (Fault::ZeroFencedIsForEver, Some(Duration::ZERO)) => None,
            (Fault::FencedForEverIsAMonth, None) => self.end(Some(MONTH)),
            (Fault::FencedKeepsTheOldTimeout, _) if old.is_some() => old.unwrap().end,
            _ => self.end(timeout),
        };
        let value = match self.fault {
            Fault::FencedTextOnly => String::from_utf8_lossy(value).into_owned().into_bytes(),
            _ => value.to_owned(),
        };
        if self.is(Fault::FencedSetsAreWrittenBehind) && self.thread != thread::current().id() {
            self.late.lock().unwrap().push((key, Stored { value, end }));
            return Ok(true);
        }
        store.insert(key, Stored { value, end });
        Ok(!self.is(Fault::FencedStoresAndSaysNo))
    }

    pub(super) async fn renew_claim(&self, key: &str, fence: Fence, lease: Duration) -> Result<bool, Error> {
        self.wait().await?;
        if self.is(Fault::HasNoRenew) {
            return Err(unsupported());
        }
        let (place, mut records) = (self.place(key), self.records());
        let end = self.now().saturating_add(milliseconds(lease));
        let standing = match self.fault {
            Fault::RenewRevives => records.get(&place).copied(),
            _ => self.standing(&records, &place),
        };
        let stands = standing
            .filter(|record| record.fence == Some(fence) || self.is(Fault::RenewsAnyFence) && record.fence.is_some());
        let Some(old) = stands else {
            if self.is(Fault::RenewClaims) && standing.is_none() {
                records.insert(place, Record { fence: Some(fence), end, lease: milliseconds(lease) });
            }
            return Ok(false);
        };
        let end = match self.fault {
            Fault::RenewDoesNothing => old.end,
            Fault::RenewOnlyProlongs => end.max(old.end),
            Fault::RenewOnlyShortens => end.min(old.end),
            Fault::RenewAddsToTheLease => old.end.saturating_add(milliseconds(lease)),
            _ => end,
        };
        records.insert(place, Record { end, lease: milliseconds(lease), ..old });
        Ok(!self.is(Fault::RenewSaysNo))
    }

    pub(super) async fn release_claim(&self, key: &str, fence: Fence) -> Result<(), Error> {
        self.wait().await?;
        let (place, mut records) = (self.place(key), self.records());
        let stands = self.standing(&records, &place).is_some_and(|record| {
            record.fence == Some(fence)
                || self.is(Fault::ReleasesAnyFence) && record.fence.is_some()
                || self.is(Fault::ReleaseEndsRefusals) && record.fence.is_none()
        });
        match self.fault {
            Fault::ReleaseRemovesTheValue => drop(self.store().remove(&self.key(key))),
            Fault::ReleaseStoresNothing if stands => {
                self.store().insert(self.key(key), Stored { value: Vec::new(), end: None });
            }
            _ => {}
        }
        if stands && !self.is(Fault::ReleaseDoesNothing) {
            records.remove(&place);
        }
        Ok(())
    }

    pub(super) async fn end_claim_and_value(&self, key: &str, refuse: Duration) -> Result<bool, Error> {
        self.wait().await?;
        let (place, mut records) = (self.place(key), self.records());
        let now = self.now();
        let standing = self.standing(&records, &place);
        let earlier = standing.filter(|record| record.fence.is_none()).map_or(now, |record| record.end);
        let end = now.saturating_add(milliseconds(refuse));
        let end = match self.fault {
            Fault::RefusalsAreForgotten => now,
            Fault::TheLastRefusalCounts => end,
            Fault::TheFirstRefusalCounts if earlier > now => earlier,
            Fault::ZeroEndsRefusals if refuse.is_zero() => now,
            _ => end.max(earlier),
        };
        if end > now {
            records.insert(place, Record { fence: None, end, lease: end - now });
        } else if !self.is(Fault::InvalidateLeavesTheClaim) {
            records.remove(&place);
        }
        let late = std::mem::take(&mut *self.late.lock().unwrap());
        let mut store = self.store();
        let old = match self.fault {
            Fault::InvalidateLeavesTheValue => store.get(&self.key(key)).cloned(),
            _ => store.remove(&self.key(key)),
        };
        store.extend(late);
        let there = old.is_some_and(|old| !self.is_over(&old));
        Ok(there || self.is(Fault::ClaimsAreInvalidated) && standing.is_some())
    }

    pub(super) async fn claim_each(&self, keys: &[&str], claim: Claim) -> Vec<Result<Claimed, Error>> {
        let mut outcomes = Vec::new();
        let claim = match self.fault {
            Fault::ManyClaimsAreOfOneKind => Claim { kind: ClaimKind::Missing, ..claim },
            _ => claim,
        };
        let mut keys = keys.to_vec();
        match self.fault {
            Fault::ManyClaimsInOrderOfKeys => keys.sort_unstable(),
            Fault::ManyClaimsForgetDuplicates => {
                keys.sort_unstable();
                keys.dedup();
            }
            _ => {}
        }
        for (number, key) in keys.iter().enumerate() {
            outcomes.push(match self.fault {
                Fault::HasNoBatchesOfClaims => Err(unsupported()),
                Fault::ManyClaimsAreAHundred if number >= 100 => Err(Error::backend("too many, on purpose")),
                _ => match self.fences() {
                    Ok(()) => self.claim_one(key, claim).await,
                    Err(error) => Err(error),
                },
            });
        }
        outcomes
    }

    pub(super) async fn set_each_with_fence(&self, items: &[(Item<'_>, Fence)]) -> Vec<Result<bool, Error>> {
        let mut outcomes = Vec::new();
        for (number, (item, fence)) in items.iter().enumerate() {
            let mut item = *item;
            match self.fault {
                Fault::ManyFencedHaveOneTimeout => item.timeout = items[0].0.timeout,
                Fault::ManyFencedAreAHundredAndSayNothing if number >= 100 => {
                    outcomes.push(Ok(true));
                    continue;
                }
                Fault::ManyFencedAreNotCompared => {
                    outcomes.push(self.store_fenced(item, &mut self.records(), &self.place(item.key)));
                    continue;
                }
                _ => {}
            }
            outcomes.push(match self.fences() {
                Ok(()) => self.set_with_fence(item, *fence).await,
                Err(error) => Err(error),
            });
        }
        if self.is(Fault::NoFencedIsOneOutcome) && outcomes.is_empty() {
            outcomes.push(Ok(true));
        }
        outcomes
    }
}
