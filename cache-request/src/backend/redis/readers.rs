//! The connections that calls go over, as far as they may lead to a master that was replaced and knows nothing of that: it was
//! cut off from those who decide. What is read there may not be in front, while it is another one that tells of changes.

use std::{
    collections::BTreeSet,
    sync::{Arc, Weak},
};

use redis::ConnectionAddr;

use super::{health::Health, topology::Id};
use crate::base::sync::{Mutex, lock};

#[derive(Default)]
pub(super) struct Readers(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// The master behind sentinels that tells at the moment.
    master: Option<ConnectionAddr>,
    /// A cluster's masters that have told last.
    masters: Option<BTreeSet<Id>>,
    /// To a master behind sentinels, or to a cluster.
    connections: Vec<(Option<ConnectionAddr>, Weak<Health>)>,
}

impl Readers {
    /// A connection is about to be made, to a cluster where there is no address.
    pub(super) fn note(&self, to: Option<&ConnectionAddr>, health: &Arc<Health>) {
        let mut known = lock(&self.0);
        known.connections.retain(|(_, health)| health.strong_count() > 0);
        known.connections.push((to.cloned(), Arc::downgrade(health)));
        known.end_others();
    }

    /// None but this master is read from, until it tells no more.
    pub(super) fn keep_to(&self, master: &ConnectionAddr) {
        let mut known = lock(&self.0);
        known.master = Some(master.clone());
        known.end_others();
    }

    /// No master tells at the moment.
    pub(super) fn release(&self) {
        lock(&self.0).master = None;
    }

    /// A cluster's client that has heard of other masters than these has to ask again.
    pub(super) fn keep_to_all(&self, masters: BTreeSet<Id>) {
        let mut known = lock(&self.0);
        if known.masters.as_ref().is_some_and(|before| *before != masters) {
            known.end(|_| true);
        }
        known.masters = Some(masters);
    }
}

impl Known {
    fn end_others(&self) {
        if self.master.is_some() {
            self.end(|to| *to != self.master);
        }
    }

    fn end(&self, ends: impl Fn(&Option<ConnectionAddr>) -> bool) {
        for (to, health) in &self.connections {
            if let Some(health) = health.upgrade().filter(|_| ends(to)) {
                health.lose();
            }
        }
    }
}
