//! A backend that is right but for one fault.

mod batches;
mod fences;
mod harness;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, ThreadId},
    time::{Duration, SystemTime},
};

use cache_request::{
    Error, ErrorKind,
    backend::{Backend, Claim, Claimed, Fence, Item},
};
use futures_lite::future::yield_now;

use self::fences::Records;
pub(crate) use self::harness::Wrong;
use super::faults::Fault;

type Store = Arc<Mutex<HashMap<(u64, String), Stored>>>;

#[derive(Debug, Clone)]
struct Stored {
    value: Vec<u8>,
    /// In milliseconds of the clock.
    end: Option<u64>,
}

pub(crate) enum Clock {
    Still(Arc<AtomicU64>),
    Real,
}

/// Right but for its fault.
pub(crate) struct WrongBackend {
    fault: Fault,
    clock: Clock,
    prefix: u64,
    store: Store,
    records: Records,
    thread: ThreadId,
    broken: AtomicBool,
    under_way: AtomicU64,
    /// All keys that were ever added.
    added: Mutex<BTreeSet<String>>,
    /// What dropped `set`s have still to store.
    late: Mutex<Vec<((u64, String), Stored)>>,
}

impl WrongBackend {
    pub(crate) fn new(fault: Fault, clock: Clock) -> Self {
        Self {
            fault,
            clock,
            prefix: 0,
            store: Store::default(),
            records: Records::default(),
            thread: thread::current().id(),
            broken: AtomicBool::new(false),
            under_way: AtomicU64::new(0),
            added: Mutex::default(),
            late: Mutex::default(),
        }
    }

    fn is(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn now(&self) -> u64 {
        match &self.clock {
            Clock::Still(now) => now.load(Ordering::Relaxed),
            Clock::Real => SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64,
        }
    }

    fn store(&self) -> MutexGuard<'_, HashMap<(u64, String), Stored>> {
        self.store.lock().unwrap()
    }

    fn key(&self, key: &str) -> (u64, String) {
        let key = match self.fault {
            Fault::CutsKeys => key.chars().take(200).collect(),
            Fault::FoldsCase => key.to_ascii_lowercase(),
            Fault::DecodesKeys => key.replace("%31", "1"),
            _ => key.to_owned(),
        };
        (self.prefix, key)
    }

    fn is_over(&self, stored: &Stored) -> bool {
        stored.end.is_some_and(|end| self.now() >= end)
    }

    fn end(&self, timeout: Option<Duration>) -> Option<u64> {
        let timeout = match timeout {
            None if self.is(Fault::NoTimeoutIsAMonth) => Duration::from_secs(30 * 86400),
            timeout => timeout?,
        };
        let milliseconds = u64::try_from(timeout.as_millis()).ok()?;
        let milliseconds = match self.fault {
            Fault::NeverExpires => return None,
            Fault::ZeroIsForEver if milliseconds == 0 => return None,
            Fault::WholeSeconds => milliseconds.next_multiple_of(1000),
            Fault::AMillisecondTooLong => milliseconds + 1,
            Fault::AMillisecondTooShort => milliseconds.saturating_sub(1),
            Fault::LongTimeoutsAreDates if milliseconds > 30 * 86_400_000 => return Some(milliseconds.min(self.now())),
            _ => milliseconds,
        };
        self.now().checked_add(milliseconds)
    }

    /// Waits once, like a backend that asks a server, and fails where the fault says so.
    async fn wait(&self) -> Result<(), Error> {
        struct Guard<'a>(&'a WrongBackend, bool);
        impl Drop for Guard<'_> {
            fn drop(&mut self) {
                self.0.under_way.fetch_sub(1, Ordering::Relaxed);
                if !self.1 && self.0.is(Fault::DropBreaksIt) {
                    self.0.broken.store(true, Ordering::Relaxed);
                }
            }
        }
        let under_way = self.under_way.fetch_add(1, Ordering::Relaxed);
        let mut guard = Guard(self, false);
        yield_now().await;
        guard.1 = true;
        if self.broken.load(Ordering::Relaxed)
            || self.is(Fault::RefusesMoreThan500AtOnce) && under_way >= 500
            || self.is(Fault::OnlyItsOwnThread) && self.thread != thread::current().id()
        {
            return Err(Error::backend("broken on purpose"));
        }
        Ok(())
    }

    fn room_for_one_more(&self) {
        let most = match self.fault {
            Fault::EvictsAfterTen => 10,
            Fault::EvictsAfterAHundred => 100,
            _ => return,
        };
        let mut store = self.store();
        if store.len() >= most {
            let any = store.keys().next().unwrap().clone();
            store.remove(&any);
        }
    }
}

/// A value that is stored late if its `set` is dropped, by a backend with that fault.
struct LateWrite<'a> {
    backend: &'a WrongBackend,
    fault: Fault,
    entry: Option<((u64, String), Stored)>,
}

impl Drop for LateWrite<'_> {
    fn drop(&mut self) {
        if self.backend.is(self.fault) {
            self.backend.late.lock().unwrap().extend(self.entry.take());
        }
    }
}

impl Backend for WrongBackend {
    fn name(&self) -> &'static str {
        "wrong"
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.wait().await?;
        let found = self.store().get(&self.key(key)).filter(|stored| !self.is_over(stored)).cloned();
        let found = found.map(|stored| stored.value);
        if self.is(Fault::GivesOnce) {
            self.store().remove(&self.key(key));
        }
        Ok(match self.fault {
            Fault::FindsWhatIsMissing => Some(found.unwrap_or_default()),
            Fault::TakesEmptyForMissing => found.filter(|value| !value.is_empty()),
            _ => found,
        })
    }

    async fn set(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<(), Error> {
        let stored = Stored { value: value.to_owned(), end: self.end(timeout) };
        let mut dropped =
            LateWrite { backend: self, fault: Fault::DroppedSetsComeLate, entry: Some((self.key(key), stored)) };
        self.wait().await?;
        dropped.entry = None;
        let key = self.key(key);
        if timeout == Some(Duration::ZERO) && !self.is(Fault::ZeroIsForEver) {
            if !self.is(Fault::ZeroKeepsTheOld) {
                self.store().remove(&key);
            }
            return Ok(());
        }
        let mut new = Stored { value: value.to_owned(), end: self.end(timeout) };
        if value.len() > 1_500_000 {
            match self.fault {
                Fault::RefusesLargeAndKeepsTheOld => return Err(Error::new(ErrorKind::TooLarge, "on purpose")),
                Fault::FailsLarge => return Err(Error::backend("on purpose")),
                _ => {}
            }
        }
        self.room_for_one_more();
        if self.is(Fault::WritesByHalves) {
            let (first, _) = value.split_at(value.len() / 2);
            self.store().insert(key.clone(), Stored { value: first.to_owned(), end: new.end });
            yield_now().await;
            thread::yield_now();
        }
        let old = self.store().get(&key).cloned();
        match (self.fault, old) {
            (Fault::KeepsTheFirst, Some(old)) => new = old,
            (Fault::OverwritesInPlace, Some(old)) if old.value.len() > value.len() => {
                new.value.extend_from_slice(&old.value[value.len()..]);
            }
            (Fault::TheFirstTimeoutCounts, Some(old)) => new.end = old.end,
            (Fault::TheLongerTimeoutCounts, Some(old)) => {
                new.end = old.end.and_then(|old| new.end.map(|new| new.max(old)));
            }
            (Fault::TextOnly, _) => new.value = String::from_utf8_lossy(value).into_owned().into_bytes(),
            (Fault::MixesWriters, Some(old)) if self.thread != thread::current().id() => {
                new.value[..1000].copy_from_slice(&old.value[..1000]);
            }
            (Fault::CutsAt64Kib, _) => new.value.truncate(1 << 16),
            _ => {}
        }
        self.store().insert(key, new);
        Ok(())
    }

    async fn add(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<bool, Error> {
        self.wait().await?;
        match self.fault {
            Fault::NoAddAndNoTouch => return Err(unsupported()),
            Fault::NoAddIfNothingIsThere if self.get(key).await?.is_none() => return Err(unsupported()),
            Fault::NoAddThatStores => {
                if timeout != Some(Duration::ZERO) {
                    self.set(key, value, timeout).await?;
                }
                return Err(unsupported());
            }
            _ => {}
        }
        if self.is(Fault::AddLooksThenWrites) {
            let free = self.get(key).await?.is_none();
            return if free { self.set(key, value, timeout).await.map(|()| true) } else { Ok(false) };
        }
        let key = self.key(key);
        let mut store = self.store();
        if timeout == Some(Duration::ZERO) {
            if self.is(Fault::ZeroAddRemoves) {
                store.remove(&key);
            }
            if !self.is(Fault::ZeroAddIsForEver) {
                return Ok(self.is(Fault::ZeroAddSaysYes));
            }
        }
        let new = Stored {
            value: value.to_owned(),
            end: match self.fault {
                Fault::AddForgetsTheTimeout => None,
                Fault::ZeroAddIsForEver if timeout == Some(Duration::ZERO) => None,
                Fault::AddForgetsThereIsNoTimeout => self.end(timeout.or(Some(Duration::from_secs(86400)))),
                _ => self.end(timeout),
            },
        };
        let old = store.get_mut(&key).filter(|old| match self.fault {
            Fault::AddTakesExpiredForThere => true,
            Fault::AddTakesEmptyForMissing if old.value.is_empty() => false,
            _ => !self.is_over(old),
        });
        let once = !self.added.lock().unwrap().insert(key.1.clone()) && self.is(Fault::AddsEachKeyOnce);
        match (self.fault, old) {
            (Fault::AddThatLosesOverwrites, Some(old)) => *old = new,
            (Fault::AddsTheLast, Some(old)) if old.value.starts_with(b"of task") => *old = new,
            (Fault::AddThatLosesReplacesTheTimeout, Some(old)) => old.end = new.end,
            (fault, old) if fault == Fault::AddOverwrites || old.is_none() && !once => {
                store.insert(key, new);
                return Ok(fault != Fault::AddStoresAndSaysNo);
            }
            _ => {}
        }
        Ok(false)
    }

    async fn touch(&self, key: &str, timeout: Option<Duration>) -> Result<bool, Error> {
        self.wait().await?;
        match self.fault {
            Fault::NoAddAndNoTouch => return Err(unsupported()),
            Fault::NoTouchThatTouches => {
                if let Some(old) = self.store().get_mut(&self.key(key)) {
                    old.end = self.end(timeout);
                }
                return Err(unsupported());
            }
            _ => {}
        }
        let (key, mut store) = (self.key(key), self.store());
        let revives = self.is(Fault::TouchRevives);
        let Some(old) = store.get_mut(&key).filter(|old| revives || !self.is_over(old)) else {
            if self.is(Fault::ClaimsAreTouched) && self.is_claimed(&key) {
                return Ok(true);
            }
            if self.is(Fault::TouchStores) && timeout != Some(Duration::ZERO) {
                store.insert(key, Stored { value: Vec::new(), end: self.end(timeout) });
            }
            return Ok(self.is(Fault::TouchIsAlwaysTrue));
        };
        let new = self.end(timeout);
        old.end = match (self.fault, old.end, new) {
            (Fault::TouchDoesNothing, end, _)
            | (Fault::TouchWithoutTimeoutDoesNothing, end, None)
            | (Fault::TouchLeavesForEver, end @ None, _) => end,
            (Fault::TouchOnlyProlongs, Some(old), Some(new)) => Some(old.max(new)),
            (Fault::TouchOnlyProlongs, ..) => None,
            (Fault::TouchOnlyShortens, Some(old), Some(new)) => Some(old.min(new)),
            (Fault::TouchOnlyShortens, old, new) => old.or(new),
            (Fault::TouchCountsFromTheOldEnd, Some(old), Some(new)) => Some(old + (new - self.now())),
            (Fault::ZeroTouchIsForEver, _, _) if timeout == Some(Duration::ZERO) => None,
            _ => new,
        };
        match self.fault {
            Fault::TouchReadsText => old.value = String::from_utf8_lossy(&old.value).into_owned().into_bytes(),
            Fault::TouchEmptiesTheEmpty if old.value.is_empty() => drop(store.remove(&key)),
            Fault::TouchEndsClaims => self.forget_claim(&key),
            _ => {}
        }
        Ok(match self.fault {
            Fault::TouchIsNeverTrue => false,
            Fault::ZeroTouchSaysNo => timeout != Some(Duration::ZERO),
            _ => true,
        })
    }

    async fn delete(&self, key: &str) -> Result<bool, Error> {
        self.wait().await?;
        let key = self.key(key);
        let old = self.store().remove(&key);
        self.store().extend(self.late.lock().unwrap().drain(..));
        if self.is(Fault::DeletesByPrefix) {
            self.store()
                .retain(|(prefix, other), _| *prefix != key.0 || !other.starts_with(key.1.trim_end_matches('*')));
        }
        match (self.fault, old) {
            (Fault::DeleteIsAlwaysTrue, _) => Ok(true),
            (Fault::MissingDeleteIsAnError, None) => Err(Error::backend("not there, on purpose")),
            (Fault::DeletesWhatHasExpired, old) => Ok(old.is_some()),
            (Fault::ClaimsAreDeleted, None) => Ok(self.is_claimed(&key)),
            (_, old) => Ok(old.is_some_and(|old| !self.is_over(&old))),
        }
    }

    async fn clear(&self) -> Result<(), Error> {
        self.wait().await?;
        let mut left = if self.is(Fault::ClearsAHundred) { 100 } else { usize::MAX };
        self.store().retain(|(prefix, _), _| {
            let goes = (*prefix == self.prefix || self.is(Fault::ClearsTheNeighbours)) && left > 0;
            left -= usize::from(goes);
            !goes
        });
        self.clear_claims();
        self.broken.fetch_or(self.is(Fault::ClearBreaksIt), Ordering::Relaxed);
        Ok(())
    }

    fn has_fences(&self) -> bool {
        !matches!(self.fault, Fault::NoFences | Fault::NoFencesThatSayOtherwise)
    }

    async fn claim(&self, key: &str, claim: Claim) -> Result<Claimed, Error> {
        self.fences()?;
        self.claim_one(key, claim).await
    }

    async fn set_fenced(
        &self,
        key: &str,
        value: &[u8],
        timeout: Option<Duration>,
        fence: Fence,
    ) -> Result<bool, Error> {
        self.fences()?;
        self.set_with_fence(Item { key, value, timeout }, fence).await
    }

    async fn renew(&self, key: &str, fence: Fence, lease: Duration) -> Result<bool, Error> {
        self.fences()?;
        self.renew_claim(key, fence, lease).await
    }

    async fn release(&self, key: &str, fence: Fence) -> Result<(), Error> {
        self.fences()?;
        self.release_claim(key, fence).await
    }

    async fn invalidate(&self, key: &str, refuse: Duration) -> Result<bool, Error> {
        self.fences()?;
        self.end_claim_and_value(key, refuse).await
    }

    async fn claim_many(&self, keys: &[&str], claim: Claim) -> Vec<Result<Claimed, Error>> {
        self.claim_each(keys, claim).await
    }

    async fn set_fenced_many(&self, items: &[(Item<'_>, Fence)]) -> Vec<Result<bool, Error>> {
        self.set_each_with_fence(items).await
    }

    async fn get_many(&self, keys: &[&str]) -> Vec<Result<Option<Vec<u8>>, Error>> {
        let mut outcomes = Vec::new();
        for key in self.order(keys, |key| key) {
            outcomes.push(match self.fault {
                Fault::ManyKeysAsWords => self.get(key.split(',').next().unwrap()).await,
                Fault::ManyUnderAnotherKey => self.get(&format!("many.{key}")).await,
                _ => self.get(key).await,
            });
        }
        if self.is(Fault::ManyLeaveOutTheMissing) {
            outcomes.retain(|outcome| !matches!(outcome, Ok(None)));
        }
        self.all(outcomes)
    }

    async fn set_many(&self, items: &[Item<'_>]) -> Vec<Result<(), Error>> {
        let mut outcomes: Vec<Result<(), Error>> = Vec::new();
        for (number, item) in self.order(items, |item| item.key).into_iter().enumerate() {
            let mut item = item;
            let large = item.value.len() > 1_500_000;
            let text;
            match self.fault {
                Fault::ManyHaveOneTimeout => item.timeout = items[0].timeout,
                Fault::ManyIgnoreZero if item.timeout == Some(Duration::ZERO) => item.timeout = None,
                Fault::ManyAsText => {
                    text = String::from_utf8_lossy(item.value).into_owned();
                    item.value = text.as_bytes();
                }
                Fault::LargeAmongManyIsCut if large => item.value = &item.value[..1 << 16],
                _ => {}
            }
            let refused = || Err(Error::new(ErrorKind::TooLarge, "on purpose"));
            let ended = self.is(Fault::OneFailureEndsIt) && outcomes.iter().any(Result::is_err);
            outcomes.push(match self.fault {
                _ if ended => Ok(()),
                Fault::OneFailureFailsAll if items.iter().any(|item| item.value.len() > 1_500_000) => refused(),
                Fault::OneFailureEndsIt | Fault::LargeAmongManyKeepsTheOld if large => refused(),
                Fault::ManyKeepTheFirst if items[..number].iter().any(|earlier| earlier.key == item.key) => Ok(()),
                Fault::ManyAreAHundredAndSayNothing if number >= 100 => Ok(()),
                Fault::ManyUnderAnotherKey => self.set(&format!("many.{}", item.key), item.value, item.timeout).await,
                _ => self.set(item.key, item.value, item.timeout).await,
            });
        }
        self.all(outcomes)
    }

    async fn delete_many(&self, keys: &[&str]) -> Vec<Result<bool, Error>> {
        if keys.is_empty() && self.is(Fault::NoneIsAll) {
            let _ = self.clear().await;
        }
        let mut there = BTreeSet::new();
        for key in keys {
            if self.is(Fault::ManyRemoveTwice) && self.get(key).await.is_ok_and(|found| found.is_some()) {
                there.insert(*key);
            }
        }
        let mut outcomes = Vec::new();
        for key in self.order(keys, |key| key) {
            let gone = match self.fault {
                Fault::ManyUnderAnotherKey => self.delete(&format!("many.{key}")).await,
                _ => self.delete(key).await,
            };
            outcomes.push(match (self.fault, gone) {
                (Fault::ManyRemoveTwice, Ok(_)) => Ok(there.contains(key)),
                (Fault::GoneIsAnErrorAmongMany, Ok(false)) => Err(Error::backend("not there, on purpose")),
                (Fault::RepeatedDeleteSaysYes, Ok(false)) => Ok(!self.added.lock().unwrap().insert((*key).to_owned())),
                (_, gone) => gone,
            });
        }
        self.all(outcomes)
    }
}

fn unsupported() -> Error {
    Error::new(ErrorKind::Unsupported, "unsupported on purpose")
}
