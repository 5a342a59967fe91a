//! Ends connections that may lead to a replaced master. A master that is cut off from the cluster or the sentinels does not know that it
//! was replaced, and still answers. A near cache must not keep what is read there, as the new master tells of the changes.

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
    /// The master behind sentinels that tells of changes at the moment.
    master: Option<ConnectionAddr>,
    /// The masters of a cluster that told of changes last.
    masters: Option<BTreeSet<Id>>,
    /// The connections of calls, with their address behind sentinels, and without one to a cluster.
    connections: Vec<(Option<ConnectionAddr>, Weak<Health>)>,
}

impl Readers {
    /// Notes a connection that is about to be made. One to a cluster has no address.
    pub(super) fn note(&self, to: Option<&ConnectionAddr>, health: &Arc<Health>) {
        let mut known = lock(&self.0);
        known.connections.retain(|(_, health)| health.strong_count() > 0);
        known.connections.push((to.cloned(), Arc::downgrade(health)));
        known.end_others();
    }

    /// Ends all connections that do not lead to this master, now and until [`release`](Self::release).
    pub(super) fn keep_to(&self, master: &ConnectionAddr) {
        let mut known = lock(&self.0);
        known.master = Some(master.clone());
        known.end_others();
    }

    /// Notes that no master tells of changes at the moment.
    pub(super) fn release(&self) {
        lock(&self.0).master = None;
    }

    /// Ends all connections to a cluster if it has other masters than before, so that its clients learn of them.
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
