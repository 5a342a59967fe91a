//! How a namespace is emptied of what nobody can list: by another generation, which is a part of every key.
//!
//! Each server keeps the generation, and it is the latest of all. A generation is the date of its beginning, in nanoseconds. So
//! one that was lost, be it that a server had no room for it or began anew, is followed by a later one, and nothing that was cleared comes
//! back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::future::join_all;
use memcache::exp::{AsyncMetaClient, Get, Meta, Set, Ttl};
use tokio::sync::Mutex;

use super::{
    Store, contended,
    fleet::{Failure, Link},
};
use crate::{
    Error,
    base::{clock::coarse_now, timer::with_limit},
};

/// Nobody uses a generation that was looked at longer ago: the second that is promised, less a tick of the coarse clock.
const VALID: Duration = Duration::from_millis(980);

/// After so long it is looked at in the background, so that calls that follow one another need not wait for that.
const OLD: Duration = Duration::from_millis(400);

/// How long one waits for another caller who is looking, before one looks oneself.
const WAIT: Duration = Duration::from_millis(50);

const ATTEMPTS: usize = 64;

/// The generation of one namespace, as far as is known.
pub(super) struct Generation {
    /// The name under which servers keep it. It has no colon, as all other keys have.
    key: String,
    /// 0 if not known.
    latest: AtomicU64,
    /// When the servers were last asked, by [`now`].
    asked: AtomicU64,
    /// When somebody was last sent to ask them in the background.
    sent: AtomicU64,
    asking: Mutex<()>,
}

impl Generation {
    pub(super) fn of(namespace: &str) -> Self {
        Self {
            key: format!("{namespace}!generation"),
            latest: AtomicU64::new(0),
            asked: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            asking: Mutex::new(()),
        }
    }

    /// The latest one that is known, unless it was looked at too long ago; and for how long it has been known.
    fn known(&self) -> Option<(u64, Duration)> {
        let latest = self.latest.load(Ordering::Acquire);
        let age = Duration::from_millis(now().saturating_sub(self.asked.load(Ordering::Acquire)));
        (latest != 0 && age < VALID).then_some((latest, age))
    }

    /// Whether this caller is to send somebody to ask, and nobody else is.
    fn is_to_send(&self) -> bool {
        let (now, sent) = (now(), self.sent.load(Ordering::Relaxed));
        now.saturating_sub(sent) >= u64::try_from(OLD.as_millis()).unwrap_or(0)
            && self.sent.compare_exchange(sent, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// One that is later than what is known, whatever the clock says.
    fn next(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        u64::try_from(now).unwrap_or(0).max(self.latest.load(Ordering::Acquire).saturating_add(1))
    }
}

/// In milliseconds, by the coarse clock: it is read for every call.
fn now() -> u64 {
    coarse_now() / 1_000_000
}

impl Store {
    /// The generation that keys are of.
    pub(super) async fn generation(self: &Arc<Self>, link: &Arc<Link>) -> Result<u64, Error> {
        if let Some((latest, age)) = self.generation.known() {
            if age >= OLD && self.generation.is_to_send() {
                let (store, link) = (Arc::clone(self), Arc::clone(link));
                let runtime = link.runtime().clone();
                runtime.spawn(async move { store.ask_for_generation(&link).await.map(drop) });
            }
            return Ok(latest);
        }
        // One asks for all who wait, unless that one is never polled again.
        let _asking = with_limit(WAIT, self.generation.asking.lock()).await;
        if let Some((latest, _)) = self.generation.known() {
            return Ok(latest);
        }
        self.ask_for_generation(link).await.map_err(Failure::error)
    }

    /// Asks all servers, and tells those that know none, or an older one.
    async fn ask_for_generation(self: &Arc<Self>, link: &Link) -> Result<u64, Failure> {
        let generation = &self.generation;
        let asked = now();
        let answers = join_all((0..self.fleet.len()).map(|server| {
            self.fleet.ask_shortly(link, server, async |client| {
                Ok(kept(&client, &generation.key).await?.map(|(kept, _)| kept))
            })
        }))
        .await;
        let latest = answers.iter().flatten().copied().flatten().max();
        if let Some(Err(failure)) = answers.iter().find(|_| answers.iter().all(Result::is_err)) {
            return Err(failure.again());
        }
        // If nobody has kept it, there may have been later ones than we know of.
        let known = generation.latest.load(Ordering::Acquire);
        let latest = latest.map_or_else(|| generation.next(), |kept| kept.max(known));
        generation.latest.fetch_max(latest, Ordering::AcqRel);
        let behind =
            answers.iter().enumerate().filter(|(_, answer)| matches!(answer, Ok(kept) if *kept < Some(latest)));
        for told in join_all(behind.map(|(server, _)| self.tell(link, server, latest))).await {
            // If a server could not be told, it is the next time.
            generation.latest.fetch_max(told.unwrap_or(0), Ordering::AcqRel);
        }
        generation.asked.fetch_max(asked, Ordering::AcqRel);
        Ok(generation.latest.load(Ordering::Acquire))
    }

    /// Makes a server keep this generation, unless it has a later one, and returns the one that it keeps.
    async fn tell(self: &Arc<Self>, link: &Link, server: usize, latest: u64) -> Result<u64, Failure> {
        let key = &self.generation.key;
        for _ in 0..ATTEMPTS {
            let kept = self
                .fleet
                .ask_shortly(link, server, async |client| {
                    let set = Set::new(key, latest.to_string()).ttl(Ttl::NEVER);
                    let set = match kept(&client, key).await? {
                        Some((kept, _)) if kept >= latest => return Ok(Some(kept)),
                        Some((_, cas)) => set.compare_cas(cas),
                        None => set.add(),
                    };
                    Ok(client.run(set).await?.applied().then_some(latest))
                })
                .await?;
            if let Some(kept) = kept {
                return Ok(kept);
            }
        }
        Err(Failure::Other(contended()))
    }

    /// Begins another generation.
    pub(super) async fn clear(self: &Arc<Self>, link: &Link) -> Result<(), Error> {
        // The clock of whoever began the last one may be ahead of ours.
        let asked = self.ask_for_generation(link).await.map(drop);
        let latest = self.generation.next();
        self.generation.latest.fetch_max(latest, Ordering::AcqRel);
        let mut done = asked.map_err(Failure::error);
        let told = (0..self.fleet.len()).map(|server| self.tell(link, server, latest));
        for told in join_all(told).await {
            match told {
                Ok(kept) => {
                    self.generation.latest.fetch_max(kept, Ordering::AcqRel);
                }
                Err(failure) => done = Err(failure.error()),
            }
        }
        done
    }
}

/// What a server keeps, and what is to be compared when it is replaced.
async fn kept(client: &AsyncMetaClient, key: &str) -> memcache::exp::Result<Option<(u64, u64)>> {
    let found = client.run(Get::new(key).meta(Meta::NONE.cas())).await?;
    let (Some(value), Some(cas)) = (found.value, found.item.cas) else { return Ok(None) };
    // What is no number is older than all.
    Ok(Some((str::from_utf8(&value).ok().and_then(|text| text.parse().ok()).unwrap_or(0), cas)))
}
