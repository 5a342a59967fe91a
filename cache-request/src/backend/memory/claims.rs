//! The claims of a backend's keys.

use std::{collections::HashMap, time::Duration};

use crate::{
    backend::{Claim, ClaimKind, Fence, Right},
    base::clock::{Nanos, nanos},
};

/// The claims, by key.
#[derive(Default)]
pub(super) struct Claims {
    records: HashMap<String, Record>,
    /// With so many, those that are over are removed.
    sweep_at: usize,
}

#[derive(Clone, Copy)]
struct Record {
    until: Nanos,
    /// None while values are refused.
    fence: Option<Fence>,
}

/// So few are not worth a sweep.
const FEW: usize = 1024;

impl Claims {
    /// Claims `key`, unless an older claim or a refusal stands at the moment `now`.
    pub(super) fn claim(&mut self, key: &str, claim: Claim, now: Nanos) -> Right {
        let left = |record: &Record| Duration::from_nanos(record.until - now);
        match self.standing(key, now) {
            Some(record @ Record { fence: None, .. }) => Right::Refused(left(&record)),
            Some(record @ Record { fence: Some(fence), .. }) if claim.kind != ClaimKind::Anew => {
                Right::Held(fence, left(&record))
            }
            _ => {
                let fence = Fence::new(claim.token);
                self.insert(key, Record { until: now.saturating_add(nanos(claim.lease)), fence: Some(fence) }, now);
                Right::Leased(fence)
            }
        }
    }

    /// Ends the claim of `key` with this fence. Returns whether it stood.
    pub(super) fn end(&mut self, key: &str, fence: Fence, now: Nanos) -> bool {
        let stood = self.stands(key, fence, now);
        if stood {
            self.records.remove(key);
        }
        stood
    }

    /// Lets the claim of `key` with this fence last until `lease` from now on. Returns whether it stood.
    pub(super) fn renew(&mut self, key: &str, fence: Fence, lease: Duration, now: Nanos) -> bool {
        let stood = self.stands(key, fence, now);
        if stood {
            self.insert(key, Record { until: now.saturating_add(nanos(lease)), fence: Some(fence) }, now);
        }
        stood
    }

    /// Ends the claim of `key`, and refuses others for so long.
    pub(super) fn invalidate(&mut self, key: &str, refuse: Duration, now: Nanos) {
        let earlier =
            self.standing(key, now).filter(|record| record.fence.is_none()).map_or(now, |record| record.until);
        let until = now.saturating_add(nanos(refuse)).max(earlier);
        if until > now {
            self.insert(key, Record { until, fence: None }, now);
        } else {
            self.records.remove(key);
        }
    }

    pub(super) fn clear(&mut self) {
        self.records.clear();
    }

    fn stands(&self, key: &str, fence: Fence, now: Nanos) -> bool {
        self.standing(key, now).is_some_and(|record| record.fence == Some(fence))
    }

    fn standing(&self, key: &str, now: Nanos) -> Option<Record> {
        self.records.get(key).filter(|record| now < record.until).copied()
    }

    fn insert(&mut self, key: &str, record: Record, now: Nanos) {
        if self.records.len() >= self.sweep_at.max(FEW) {
            self.records.retain(|_, record| now < record.until);
            self.sweep_at = self.records.len() * 2;
        }
        self.records.insert(key.to_owned(), record);
    }
}
