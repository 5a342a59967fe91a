//! Clears a namespace, whose keys memcached cannot list: every key contains a generation, and `clear` begins another one.
//!
//! Each server keeps the generation, and the latest of all servers counts. A generation is the date at which it began, in
//! nanoseconds. If all servers have lost it, by a restart or for want of room, the next one is later than the lost one. So a cleared value never comes back.

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

use super::{claim, failure::Failure, fleet::Fleet, link::Link};
use crate::{
    Error,
    base::{clock::coarse_now, timer::with_limit},
};

/// A generation that was read longer ago is read again before use: the promised second, less a tick of the coarse clock.
const VALID: Duration = Duration::from_millis(980);

/// A generation that was read longer ago is read again in the background, so that a steady stream of calls never waits for that.
const OLD: Duration = Duration::from_millis(400);

/// How long a caller waits for another one that reads the generation, before it reads it too.
const WAIT: Duration = Duration::from_millis(50);

/// How often a server is told a generation, if other callers keep changing the one it has.
const ATTEMPTS: usize = 64;

/// The generation of one namespace on all servers of a fleet.
pub(super) struct Generation {
    fleet: Arc<Fleet>,
    /// The key under which servers keep it. All other keys contain a colon.
    key: String,
    /// The latest known one; 0 if there is none.
    latest: AtomicU64,
    /// When the servers were last asked, as of [`now`].
    asked: AtomicU64,
    /// When a task was last begun that asks them in the background, as of [`now`].
    refreshed: AtomicU64,
    /// Held by the caller that asks them.
    asking: Mutex<()>,
}

impl Generation {
    pub(super) fn of(namespace: &str, fleet: Arc<Fleet>) -> Arc<Self> {
        Arc::new(Self {
            fleet,
            key: format!("{namespace}!generation"),
            latest: AtomicU64::new(0),
            asked: AtomicU64::new(0),
            refreshed: AtomicU64::new(0),
            asking: Mutex::new(()),
        })
    }

    /// The latest known one and its age, unless that is [`VALID`] or more.
    fn known(&self) -> Option<(u64, Duration)> {
        let latest = self.latest.load(Ordering::Acquire);
        let age = Duration::from_millis(now().saturating_sub(self.asked.load(Ordering::Acquire)));
        (latest != 0 && age < VALID).then_some((latest, age))
    }

    /// Whether this caller must begin a task that asks the servers.
    fn must_refresh(&self) -> bool {
        let (now, refreshed) = (now(), self.refreshed.load(Ordering::Relaxed));
        now.saturating_sub(refreshed) >= u64::try_from(OLD.as_millis()).unwrap_or(0)
            && self.refreshed.compare_exchange(refreshed, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// A generation that is later than the latest known one, even if the clock is behind.
    fn next(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        u64::try_from(now).unwrap_or(0).max(self.latest.load(Ordering::Acquire).saturating_add(1))
    }

    /// The generation that is current, or was within the last second.
    pub(super) async fn current(self: &Arc<Self>, link: &Arc<Link>) -> Result<u64, Error> {
        if let Some((latest, age)) = self.known() {
            if age >= OLD && self.must_refresh() {
                let (generation, link) = (Arc::clone(self), Arc::clone(link));
                let runtime = link.runtime().clone();
                runtime.spawn(async move { generation.ask(&link).await.map(drop) });
            }
            return Ok(latest);
        }
        // One caller asks for all that wait. It may be one whose future is not polled any more, so the others wait for a while only.
        let _asking = with_limit(WAIT, self.asking.lock()).await;
        if let Some((latest, _)) = self.known() {
            return Ok(latest);
        }
        self.ask(link).await.map_err(Failure::error)
    }

    /// Asks all servers for the generation, and tells the latest one to those that have none or an older one.
    async fn ask(&self, link: &Link) -> Result<u64, Failure> {
        let asked = now();
        let mut answers = join_all((0..self.fleet.len()).map(|server| {
            self.fleet.ask_first(link, server, async |client| Ok(kept(&client, &self.key).await?.map(|(kept, _)| kept)))
        }))
        .await;
        if let Some(Err(failure)) = answers.iter().find(|_| answers.iter().all(Result::is_err)) {
            return Err(failure.copy());
        }
        let is_lost = answers.iter().flatten().all(Option::is_none);
        if is_lost {
            // Other processes may begin one at the same time. What a server keeps first stays, so that all use the same one.
            let first = self.next();
            let tell = async |answer| match answer {
                (server, Ok(_)) => self.tell(link, server, first, false).await.map(Some),
                (_, failed) => failed,
            };
            answers = join_all(answers.into_iter().enumerate().map(tell)).await;
        }
        let known = self.latest.load(Ordering::Acquire);
        let latest = match answers.iter().flatten().copied().flatten().max() {
            Some(kept) if !is_lost => kept.max(known),
            // The lost one may be later than the one that another process has begun. The same one was begun by another call.
            Some(first) if first >= known => first,
            _ => self.next(),
        };
        self.latest.fetch_max(latest, Ordering::AcqRel);
        let behind =
            answers.iter().enumerate().filter(|(_, answer)| matches!(answer, Ok(kept) if *kept < Some(latest)));
        for told in join_all(behind.map(|(server, _)| self.tell(link, server, latest, true))).await {
            // A server that could not be told is told the next time.
            self.latest.fetch_max(told.unwrap_or(0), Ordering::AcqRel);
        }
        self.asked.fetch_max(asked, Ordering::AcqRel);
        Ok(self.latest.load(Ordering::Acquire))
    }

    /// Makes a server keep this generation unless it has a later one, or any one if it replaces none. Returns the one that it keeps.
    async fn tell(&self, link: &Link, server: usize, latest: u64, replaces: bool) -> Result<u64, Failure> {
        let key = &self.key;
        for _ in 0..ATTEMPTS {
            let kept = self
                .fleet
                .ask_first(link, server, async |client| {
                    let set = Set::new(key, latest.to_string()).ttl(Ttl::NEVER);
                    let set = match kept(&client, key).await? {
                        Some((kept, _)) if kept >= latest || !replaces => return Ok(Some(kept)),
                        Some((_, cas)) => claim::replace(cas, set),
                        None => set.add(),
                    };
                    Ok(client.run(set).await?.applied().then_some(latest))
                })
                .await?;
            if let Some(kept) = kept {
                return Ok(kept);
            }
        }
        Err(Failure::contended())
    }

    /// Begins another generation.
    pub(super) async fn clear(&self, link: &Link) -> Result<(), Error> {
        // The last generation may have been begun by a process whose clock is ahead.
        let asked = self.ask(link).await.map(drop);
        let latest = self.next();
        self.latest.fetch_max(latest, Ordering::AcqRel);
        let mut done = asked.map_err(Failure::error);
        let told = (0..self.fleet.len()).map(|server| self.tell(link, server, latest, true));
        for told in join_all(told).await {
            match told {
                Ok(kept) => {
                    self.latest.fetch_max(kept, Ordering::AcqRel);
                }
                Err(failure) => done = Err(failure.error()),
            }
        }
        done
    }
}

/// The time in milliseconds, by the coarse clock, as it is read for every call.
fn now() -> u64 {
    coarse_now() / 1_000_000
}

/// The generation that a server keeps, and the CAS number to replace it with.
async fn kept(client: &AsyncMetaClient, key: &str) -> memcache::exp::Result<Option<(u64, u64)>> {
    let found = client.run(Get::new(key).meta(Meta::NONE.cas())).await?;
    let (Some(value), Some(cas)) = (found.value, found.item.cas) else { return Ok(None) };
    // A value that is no number counts as the oldest.
    Ok(Some((str::from_utf8(&value).ok().and_then(|text| text.parse().ok()).unwrap_or(0), cas)))
}
