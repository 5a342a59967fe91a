//! One request to the wrapped service, shared by all that ask for the same page at the same time.
//!
//! The first request leads. As soon as it has the head of the response, the others learn whether they may share it. Those that may
//! read the body as it arrives. The others ask the wrapped service themselves, at once.

use std::{
    hash::{BuildHasherDefault, Hash, Hasher},
    ptr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use ::http::{HeaderMap, StatusCode, request::Parts};
use dashmap::{DashMap, Entry as Place};
use tokio::sync::watch;

use super::{
    super::rules::{
        directives::Directives,
        freshness::{Freshness, Reuse},
        vary::{Vary, selecting},
    },
    body::Spool,
    entry::Page,
    failure::Failure,
    key::overrides,
    shelf::TagsSoFar,
};
use crate::{
    base::timer::with_limit,
    engine::{Engine, flight::FenceCheck},
    key::{Key, OwnedKey, PassThrough},
};

/// The pages that are being made.
#[derive(Default)]
pub(super) struct Fills {
    running: DashMap<FillKey, Arc<Fill>, BuildHasherDefault<PassThrough>>,
}

/// A key in one cache.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct FillKey {
    engine: usize,
    hash: u64,
    key: OwnedKey,
}

impl Hash for FillKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// A page that is being made.
pub(super) struct Fill {
    verdict: watch::Sender<Option<Verdict>>,
    begun: Instant,
    /// A request has left that had waited for long.
    is_left: AtomicBool,
}

/// What waiting requests learn.
#[derive(Clone)]
pub(super) enum Verdict {
    /// The response is for its own request only, or there is none.
    Apart,
    /// It is stored by now.
    Stored,
    /// The service has failed, and a stale response may stand in for one.
    Failed(Failure),
    Shared(Arc<Shared>),
}

/// A response that may be shared.
pub(super) struct Shared {
    /// The request that it was made for.
    pub(super) request: HeaderMap,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) freshness: Freshness,
    pub(super) body: SharedBody,
    /// The newest purge by prefix from before the service was asked.
    pub(super) last_purge: Option<u128>,
    /// `None` if the layer does not look at tags.
    pub(super) tags: Option<TagsSoFar>,
    pub(super) fence: Option<FenceCheck>,
}

pub(super) enum SharedBody {
    /// A stored response that was validated.
    Page(Arc<Page>),
    Arriving(Arc<Spool>),
}

impl Shared {
    /// Whether it may answer another request that was waiting for it.
    pub(super) fn is_for(&self, request: &HeaderMap, directives: &Directives, now: SystemTime) -> bool {
        let Vary::Names(fields) = Vary::of(&self.headers) else { return false };
        let matches = fields.iter().all(|name| selecting(request, name) == selecting(&self.request, name));
        let is_outdated = self.fence.as_ref().is_some_and(FenceCheck::is_fenced);
        matches
            && !is_outdated
            && overrides(request) == overrides(&self.request)
            && self.freshness.reuse(directives, now) == Reuse::Fresh
    }
}

/// The role of a request.
pub(super) enum Join {
    Leader(Arc<Fill>),
    Waiter(Waiting),
}

/// Marks a request that fills a page.
#[derive(Clone)]
pub(super) struct Inside(pub(super) FillKey);

impl Inside {
    /// Whether a request is on its way to fill the page of `key`. If this layer is inside of one that shares its pages, it must not wait for
    /// that one.
    pub(super) fn is_in(request: &Parts, key: impl FnOnce() -> FillKey) -> bool {
        request.extensions.get::<Self>().is_some_and(|Self(outer)| *outer == key())
    }
}

impl FillKey {
    pub(super) fn of(engine: &Engine, key: &Key) -> Self {
        Self { engine: ptr::from_ref(engine).addr(), hash: key.hash(), key: OwnedKey::from(key.words()) }
    }
}

impl Fills {
    /// A fill without a verdict after `limit` hangs, so another one takes its place.
    pub(super) fn join(&self, key: FillKey, limit: Duration) -> Join {
        match self.running.entry(key) {
            Place::Occupied(mut running) => {
                if running.get().hangs(limit) {
                    let fill = Arc::new(Fill::new());
                    running.insert(Arc::clone(&fill));
                    return Join::Leader(fill);
                }
                Join::Waiter(Waiting::at(Arc::clone(running.get()), limit))
            }
            Place::Vacant(place) => {
                let fill = Arc::new(Fill::new());
                place.insert(Arc::clone(&fill));
                Join::Leader(fill)
            }
        }
    }

    /// Lets no further request join.
    pub(super) fn leave(&self, key: &FillKey, fill: &Arc<Fill>) {
        self.running.remove_if(key, |_, running| Arc::ptr_eq(running, fill));
    }

    /// Lets no further request join what was asked for before a purge of many pages.
    pub(super) fn part_all(&self) {
        self.running.clear();
    }

    /// Lets no further request join what was asked for before an invalidation.
    pub(super) fn part(&self, key: &FillKey) {
        self.running.remove(key);
    }
}

impl Fill {
    fn new() -> Self {
        Self { verdict: watch::Sender::new(None), begun: Instant::now(), is_left: AtomicBool::new(false) }
    }

    fn hangs(&self, limit: Duration) -> bool {
        let is_late = self.is_left.load(Ordering::Relaxed) || self.begun.elapsed() >= limit;
        is_late && self.verdict.borrow().is_none()
    }

    /// Tells those that wait. The first verdict counts.
    pub(super) fn decide(&self, verdict: Verdict) {
        self.verdict.send_if_modified(|known| {
            let is_first = known.is_none();
            known.get_or_insert(verdict);
            is_first
        });
    }
}

/// A request that waits for a fill.
pub(super) struct Waiting {
    fill: Arc<Fill>,
    limit: Duration,
    since: Instant,
}

impl Waiting {
    fn at(fill: Arc<Fill>, limit: Duration) -> Self {
        Self { fill, limit, since: Instant::now() }
    }

    /// The verdict, once there is one. If the leader ends without one, or takes longer than the limit, the requests ask for themselves: the
    /// service that makes a page may ask for the same page.
    pub(super) async fn verdict(self) -> Verdict {
        let mut receiver = self.fill.verdict.subscribe();
        let verdict = with_limit(self.limit, receiver.wait_for(Option::is_some)).await;
        verdict.and_then(|verdict| verdict.ok()?.clone()).unwrap_or(Verdict::Apart)
    }
}

impl Drop for Waiting {
    /// If it has waited for long, as until a timeout of a layer around this one, the next request does not wait any more.
    fn drop(&mut self) {
        if self.since.elapsed() >= self.limit / 10 {
            self.fill.is_left.store(true, Ordering::Relaxed);
        }
    }
}
