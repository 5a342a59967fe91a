//! What runs for one key.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use smallvec::SmallVec;

use super::{
    fence::Flight,
    queue::{End, Queue},
};
use crate::{base::clock::Clock, key::OwnedKey};

/// One function's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FlightKey {
    pub(crate) function: u32,
    pub(crate) hash: u64,
    pub(crate) key: OwnedKey,
}

impl Hash for FlightKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash ^ u64::from(self.function).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    }
}

/// What runs for one key. It is there while a body runs or a caller waits.
#[derive(Default)]
pub(super) struct Entry {
    /// Where callers of the key stand. None if they may not wait for what runs, as that began before an invalidation.
    pub(super) queue: Option<Arc<Queue>>,
    /// A key seldom has more than one flight.
    pub(super) flights: SmallVec<[Arc<Flight>; 1]>,
}

impl Entry {
    /// Starts a flight, and returns it with those that run already.
    pub(super) fn start(&mut self, queue: Option<&Queue>, clock: &Clock) -> (Arc<Flight>, Vec<Arc<Flight>>) {
        let queue = queue.map(|queue| queue.id);
        let (flight, older) = (Flight::start(queue, clock.clone()), self.flights.to_vec());
        self.flights.push(Arc::clone(&flight));
        (flight, older)
    }

    /// Sends later callers elsewhere. The flights stay registered so that concurrent invalidations can still fence them: each
    /// invalidation relies only on what it has fenced itself.
    pub(super) fn close(&mut self) -> Vec<Arc<Flight>> {
        self.queue = None;
        self.flights.to_vec()
    }

    pub(super) fn is_queue(&self, queue: &Arc<Queue>) -> bool {
        self.queue.as_ref().is_some_and(|own| Arc::ptr_eq(own, queue))
    }

    pub(super) fn close_if(&mut self, queue: &Arc<Queue>) {
        if self.is_queue(queue) {
            self.queue = None;
        }
    }

    /// Those who lead in a queue, without those that others lead in the place of.
    pub(super) fn leaders(&self, queue: &Queue) -> impl Iterator<Item = &Arc<Flight>> {
        let id = Some(queue.id);
        self.flights.iter().filter(move |flight| flight.queue == id && !flight.is_passed_over())
    }

    /// Makes room in place of the queue's leaders that are not polled any more, and returns their flights.
    pub(super) fn pass_over(&self, queue: &Queue, poll_limit: Duration) -> Vec<Arc<Flight>> {
        let lost: Vec<_> = self.leaders(queue).filter(|flight| flight.pulse.is_lost(poll_limit)).cloned().collect();
        for flight in &lost {
            flight.pass_over();
            queue.end_running(End::Abandoned);
        }
        lost
    }

    /// Forgets a queue that all have left. Returns whether nothing is left.
    pub(super) fn tidy(&mut self) -> bool {
        self.queue.take_if(|queue| queue.is_empty());
        self.queue.is_none() && self.flights.is_empty()
    }
}
