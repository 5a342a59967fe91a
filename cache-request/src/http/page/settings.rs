//! The settings of a [`CachePage`](super::CachePage).

use std::{
    sync::{Arc, OnceLock, atomic::AtomicBool},
    time::{Duration, SystemTime},
};

use ::http::{HeaderMap, HeaderName, StatusCode};

use super::{
    super::rules::{
        conditions::validators,
        freshness::{Control, Freshness, Windows},
        negotiation::{reduce_encodings, reduce_languages},
    },
    fill::{FillKey, Fills},
    key::TargetRules,
    shelf::Shelf,
    site::Site,
};
use crate::{
    Cache, Error,
    cache::{installed, scoped},
    key::Key,
};

#[derive(Clone)]
pub(super) struct Settings {
    pub(super) name: String,
    pub(super) cache: Option<Cache>,
    pub(super) site: Site,
    pub(super) targets: Vec<HeaderName>,
    pub(super) offers: Offers,
    pub(super) addressing: TargetRules,
    pub(super) obeys_clients: bool,
    pub(super) keep_stale: Duration,
    /// For how long stale pages are used that do not say so themselves.
    pub(super) stale: Windows,
    /// For how long stale pages stand in for errors of the service that are no responses.
    pub(super) stale_if_disconnected: Duration,
    /// Whether the service's latest answer was an error that is no response.
    pub(super) is_disconnected: Arc<AtomicBool>,
    pub(super) purges_by_prefix: bool,
    /// Whether pages have tags.
    pub(super) purges_by_tag: bool,
    pub(super) max_body: u64,
    pub(super) most_variants: usize,
    pub(super) shows_key: bool,
    pub(super) generates_etags: bool,
    pub(super) fills: Arc<Fills>,
    /// The pages of the cache, once one is in force.
    pub(super) settled: OnceLock<Shelf>,
}

/// What the wrapped service offers, in lower case. Preferences of clients for anything else are not passed on.
#[derive(Clone, Default)]
pub(super) struct Offers {
    pub(super) languages: Option<Vec<String>>,
    pub(super) encodings: Option<Vec<String>>,
}

impl Offers {
    /// Reduces what a request prefers to what is on offer. The service sees the same as the key, so its answer is right for the key.
    pub(super) fn reduce(&self, request: &mut HeaderMap) {
        if let Some(languages) = &self.languages {
            reduce_languages(request, languages);
        }
        if let Some(encodings) = &self.encodings {
            reduce_encodings(request, encodings);
        }
    }
}

impl Settings {
    /// The settings of site mode, if it is on.
    pub(super) fn site(&self) -> Option<&Site> {
        Some(&self.site).filter(|site| site.timeout.is_some())
    }

    /// The pages of the cache that is in force here.
    pub(super) fn shelf(&self) -> Shelf {
        match scoped::cache() {
            Some(cache) => Shelf::of(cache),
            None => {
                let settle = || Shelf::of(self.cache.clone().unwrap_or_else(installed::current));
                self.settled.get_or_init(settle).clone()
            }
        }
    }

    /// The freshness of a response to a request that was sent at the first of these times, and whose header was received at the second.
    pub(super) fn freshness(
        &self,
        control: &Control,
        status: StatusCode,
        headers: &HeaderMap,
        [requested, received]: [SystemTime; 2],
    ) -> Freshness {
        Freshness::of(control, status, headers, requested, received).with_windows(control, self.stale)
    }

    /// How long a page is kept: while it may be reused, and longer if it can be validated.
    pub(super) fn kept_for(&self, freshness: &Freshness, headers: &HeaderMap, now: SystemTime) -> Duration {
        let useful = freshness.useful_for(now, self.stale_if_disconnected);
        if validators(headers).is_empty() { useful } else { useful.saturating_add(self.keep_stale) }
    }

    /// Removes what is stored under a key, and keeps fills that are under way from storing theirs.
    pub(super) async fn invalidate(&self, shelf: &Shelf, key: &Key) -> Result<bool, Error> {
        let fill_key = FillKey::of(shelf.engine(), key);
        self.fills.part(&fill_key);
        let removed = shelf.invalidate(key).await;
        // A fill that began meanwhile may have asked before.
        self.fills.part(&fill_key);
        removed
    }

    /// [`invalidate`](Self::invalidate) on behalf of a request, which goes on if it fails. Returns whether it has not.
    pub(super) async fn try_invalidate(&self, shelf: &Shelf, key: &Key) -> bool {
        let done = self.invalidate(shelf, key).await;
        if let Err(error) = &done {
            shelf.fault(error);
        }
        done.is_ok()
    }
}
