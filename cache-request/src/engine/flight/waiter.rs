//! The callers that wait for the body of another one.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use smallvec::SmallVec;

use super::{
    pulse::{Look, Looks, Pulse},
    queue::{Earlier, Left, Queue, Shared, Ticket},
    running::Memory,
    waits::Waiting,
    watched::WakerSlot,
};
use crate::base::context;

/// Where a caller waits.
pub(super) struct Place {
    pub(super) queue: Arc<Queue>,
    pub(super) ticket: Ticket,
    /// Of those who lead there.
    pub(super) pulses: SmallVec<[Arc<Pulse>; 1]>,
}

/// What a waiter has waited for.
pub(crate) enum Outcome {
    /// A body's value, or one that was found in a backend.
    Value(Shared),
    /// The `Err` of a body that began later.
    Err(Shared),
    /// A body is done, and has nothing to share: each runs a body of its own.
    Nothing,
    /// A body has failed, was dropped or is not polled, so there is room for a leader: join again.
    Room,
}

/// Waits in a queue for a value, or for room to lead.
pub(crate) struct Waiter<'a> {
    memory: &'a Memory,
    hash: u64,
    slot: WakerSlot<Queue>,
    ticket: Ticket,
    /// Of the leaders that it waits for.
    pub(super) pulses: SmallVec<[Arc<Pulse>; 1]>,
    /// Its looks at a leader in its own task.
    looks: Option<Looks>,
    _waiting: Waiting,
}

impl<'a> Waiter<'a> {
    /// Waits at a place, unless that would close a cycle of bodies that wait for one another.
    pub(super) fn at(place: Place, memory: &'a Memory, hash: u64) -> Option<Self> {
        let Place { queue, ticket, pulses } = place;
        match Waiting::on([queue.id, queue.first_body], context::ancestors()) {
            Ok(waiting) => {
                let slot = WakerSlot::at(queue);
                Some(Self { memory, hash, slot, ticket, pulses, looks: None, _waiting: waiting })
            }
            Err(_cycle) => {
                stop_waiting(memory, hash, &queue);
                None
            }
        }
    }

    /// Whether the key may have a cached value, valid until the running body ends.
    pub(crate) fn is_for_newer(&self) -> bool {
        self.queue().is_for_newer()
    }

    /// Closes the queue, in which it has waited for too long: the next caller leads in a new one.
    pub(super) fn close_queue(&self) {
        self.memory.shard(self.hash).beside.close_queue(self.hash, self.queue());
    }

    pub(super) fn queue(&self) -> &Arc<Queue> {
        &self.slot.watched
    }

    pub(super) fn stands_in(&self, queue: &Arc<Queue>) -> bool {
        Arc::ptr_eq(self.queue(), queue)
    }

    pub(super) fn place(&self, pulses: SmallVec<[Arc<Pulse>; 1]>) -> Place {
        Place { queue: Arc::clone(self.queue()), ticket: self.ticket, pulses }
    }

    pub(super) fn beside(mut self, pulses: SmallVec<[Arc<Pulse>; 1]>) -> Self {
        self.pulses = pulses;
        self
    }

    /// Forgets its looks when it is about to be polled again in the same turn of its task: a second look in one turn says nothing.
    pub(super) fn forget_looks(&mut self) {
        self.looks = None;
    }

    /// Whether a leader is held by the task of this waiter, which does not poll it.
    fn is_held_up(&mut self, task: &Waker) -> bool {
        for pulse in &self.pulses {
            match pulse.look(task, self.looks) {
                Look::Elsewhere => {}
                Look::Again(looks) => {
                    self.looks = Some(looks);
                    // The task comes by here once more, and by the leader if it polls that at all.
                    task.wake_by_ref();
                }
                Look::Forgotten => return true,
            }
        }
        false
    }
}

impl Future for Waiter<'_> {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let ticket = self.ticket;
        let polled = self.slot.poll(context, |queue, found| match (&found.left, &found.earlier) {
            (Some(Left::Value(value)), _) => Some(Outcome::Value(Arc::clone(value))),
            (_, Some(earlier)) if ticket < earlier.before => Some(match &earlier.what {
                Earlier::Value(value) => Outcome::Value(Arc::clone(value)),
                Earlier::Err(err) => Outcome::Err(Arc::clone(err)),
            }),
            (Some(Left::Nothing), _) => Some(Outcome::Nothing),
            (None, _) => queue.has_room().then_some(Outcome::Room),
        });
        if polled.is_pending() && self.is_held_up(context.waker()) { Poll::Ready(Outcome::Room) } else { polled }
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        stop_waiting(self.memory, self.hash, self.queue());
    }
}

fn stop_waiting(memory: &Memory, hash: u64, queue: &Arc<Queue>) {
    if queue.end_waiting() {
        memory.shard(hash).beside.tidy(hash, queue);
    }
}
