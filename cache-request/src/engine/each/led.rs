//! The flights that one call for several keys leads.

use std::{
    mem,
    ops::{Deref, DerefMut},
    sync::Arc,
};

use crate::{
    base::context::Change,
    engine::{claiming::LeaseWait, flight::Leader, making::Making, tagging::collected::ValueTags},
    stats::Count,
};

/// A flight of one key, which this call leads.
pub(super) struct Led<'a> {
    /// The place of its key.
    pub(super) at: usize,
    pub(super) leader: Leader<'a>,
    pub(super) making: Making,
    pub(super) stage: Stage,
    /// Its server has failed, so it is not asked to keep the value.
    pub(super) is_lost: bool,
    /// For other processes.
    pub(super) wait: LeaseWait<'a>,
    /// Why there is no value.
    pub(super) cause: Count,
    /// The number of the newest invalidation of any tag, before the body began.
    pub(super) since: u64,
    /// The tags of the value that it has.
    pub(super) tags: ValueTags,
}

/// What becomes of a flight.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The backend is to be asked.
    Asks,
    /// Another process makes the value.
    Elsewhere,
    /// This call makes the value.
    Makes,
    /// The value is there.
    Has,
}

impl<'a> Led<'a> {
    pub(super) fn new(at: usize, leader: Leader<'a>) -> Self {
        let (stage, wait) = (Stage::Asks, LeaseWait::default());
        let (making, cause, tags) = (Making::Unfenced, Count::NeverSeen, ValueTags::NONE);
        Self { at, leader, making, stage, is_lost: false, wait, cause, since: 0, tags }
    }
}

/// Flights that end together: first all of them, and only then those who wait are woken. So a call that waits for several finds out about
/// all of them at once.
#[derive(Default)]
pub(super) struct Leads<'a>(Vec<Led<'a>>);

impl<'a> Leads<'a> {
    /// Takes those at one stage out, in the order of their keys.
    pub(super) fn take(&mut self, stage: Stage) -> Self {
        let (mut taken, left): (Vec<_>, Vec<_>) =
            mem::take(&mut self.0).into_iter().partition(|led| led.stage == stage);
        taken.sort_unstable_by_key(|led| led.at);
        self.0 = left;
        Self(taken)
    }

    pub(super) fn push(&mut self, led: Led<'a>) {
        self.0.push(led);
    }

    pub(super) fn append(&mut self, mut others: Self) {
        self.0.append(&mut others.0);
    }

    /// The body has failed.
    pub(super) fn fail(mut self) {
        self.0.iter_mut().for_each(|led| led.leader.fail(|| None));
    }

    /// The scope of user code that runs in these flights.
    pub(super) fn scope(&self) -> Change {
        let mut bodies: Vec<u64> = self.0.iter().map(|led| led.leader.body()).collect();
        bodies.sort_unstable();
        bodies.dedup();
        match bodies[..] {
            [] => Change::Nothing,
            [body] => Change::Flight(body),
            _ => Change::Flights(Arc::from(bodies)),
        }
    }
}

impl<'a> Deref for Leads<'a> {
    type Target = [Led<'a>];

    fn deref(&self) -> &[Led<'a>] {
        &self.0
    }
}

impl DerefMut for Leads<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl Drop for Leads<'_> {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(|led| led.leader.abandon());
    }
}
