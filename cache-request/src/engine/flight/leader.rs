//! The caller that runs the body of a flight.

#[cfg(feature = "http")]
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
};

use super::{
    fence::{Arrival, Fence},
    pulse::Pulse,
    queue::{Earlier, End, Left, LeftEarlier, Queue, Shared, Ticket},
    running::{Ended, Flight, FlightId, Memory, Running},
};
use crate::{
    base::context::Change,
    key::OwnedKey,
    store::{Absent, Locked},
};

/// What it has is for all who wait.
const FOR_ALL: Ticket = Ticket::MAX;

/// Leads a flight. Dropping it ends the flight.
pub(crate) struct Leader<'a> {
    memory: &'a Memory,
    id: FlightId,
    /// Stands for its body when one waits for another: for all of its call's first bodies, or for all later ones of its queue.
    body: u64,
    pulse: Option<Arc<Pulse>>,
    /// Why memory had no value when it began.
    absent: Absent,
    /// Where callers waited when the body began, and the first ticket that was not given out then: earlier ones are of callers that may
    /// have its `Err`.
    begun: Option<(Arc<Queue>, Ticket)>,
    arrival: Option<Arc<Arrival>>,
    /// The first ticket that was not given out when a backend was asked last, or [`FOR_ALL`].
    asked: AtomicU64,
    /// The same of the last look.
    looked: AtomicU64,
    /// Its flight goes on when its value is in memory.
    #[cfg(feature = "http")]
    goes_on: bool,
    /// Its body began while values of the key were refused, so its value is not kept.
    is_refused: bool,
    has_left: bool,
    /// Where it stood. Known once it has left.
    queue: Option<Arc<Queue>>,
    /// Those who stand there wait for the leader in its place.
    is_passed_over: bool,
    /// What it leaves to those who wait.
    left: Option<Left>,
}

impl<'a> Leader<'a> {
    pub(super) fn new(memory: &'a Memory, id: FlightId, body: u64, pulse: Option<Arc<Pulse>>, absent: Absent) -> Self {
        Self {
            memory,
            id,
            body,
            pulse,
            absent,
            begun: None,
            arrival: None,
            asked: AtomicU64::new(FOR_ALL),
            looked: AtomicU64::new(FOR_ALL),
            #[cfg(feature = "http")]
            goes_on: false,
            is_refused: false,
            has_left: false,
            queue: None,
            is_passed_over: false,
            left: None,
        }
    }

    /// What tells whether its future is polled. None for a thread that does nothing else.
    pub(crate) fn pulse(&self) -> Option<Arc<Pulse>> {
        self.pulse.clone()
    }

    /// The scope of the code that runs in this flight.
    pub(crate) fn scope(&self) -> Change {
        Change::Flight(self.body)
    }

    /// What stands for its body when one waits for another.
    pub(crate) fn body(&self) -> u64 {
        self.body
    }

    /// Why memory had no value when it began.
    pub(crate) fn absent(&self) -> Absent {
        self.absent
    }

    /// Its flight goes on until it is dropped, whatever it stores.
    #[cfg(feature = "http")]
    pub(crate) fn going_on(mut self) -> Self {
        self.goes_on = true;
        self
    }

    fn shard(&self) -> Locked<'a, Running> {
        self.memory.shard(self.id.hash)
    }

    /// Fences the older flights of the key, so that none of them stores its value over this one's.
    ///
    /// Await the returned fence before writing to the backend.
    pub(crate) fn overtake(&self) -> Fence {
        let mut fence = Fence::default();
        self.overtake_in(&mut fence);
        fence
    }

    /// The same, for a fence that covers further keys.
    pub(crate) fn overtake_in(&self, fence: &mut Fence) {
        self.shard().beside.overtake(self.id, fence);
    }

    /// Whether the key was invalidated, or another body has overtaken this one, since the flight began.
    pub(crate) fn is_fenced(&self) -> bool {
        !self.may_keep(&mut self.shard().beside)
    }

    /// Whether the value may go into memory: the key was not invalidated since the flight began. `running` is of the key's shard, so that
    /// an invalidation waits, and then finds the value.
    pub(crate) fn may_keep(&self, running: &mut Running) -> bool {
        running.flight(self.id).is_some_and(|flight| !flight.is_fenced())
    }

    /// Ends the flight whose value goes into memory, and overtakes the older ones. Returns the key for the value, which is `key`. None if
    /// that was invalidated since the flight began, so that the value must not be stored.
    pub(crate) fn land(&mut self, running: &mut Running, key: &[u64]) -> Option<OwnedKey> {
        #[cfg(feature = "http")]
        if self.goes_on {
            running.overtake(self.id, &mut Fence::default());
            return self.may_keep(running).then(|| key.into());
        }
        let Ended { queue, is_fenced, is_passed_over, key: own } = running.land(self.id)?;
        (self.has_left, self.queue, self.is_passed_over) = (true, queue, is_passed_over);
        // Its queue has no room any more. If it does not come to share the value, the others must not wait for that.
        self.left = Some(Left::Nothing);
        (!is_fenced).then(|| own.unwrap_or_else(|| key.into()))
    }

    /// To ask whether the key was invalidated since the flight began.
    #[cfg(feature = "http")]
    pub(crate) fn fence_check(&self) -> FenceCheck {
        FenceCheck(self.shard().beside.flight(self.id).map(Flight::check))
    }

    /// Announces that a value is about to be sent to the backend. Returns `false` if the key was invalidated since the flight began.
    pub(crate) fn begin_storing(&mut self) -> bool {
        self.arrival = self.shard().beside.flight(self.id).and_then(Flight::begin_storing);
        self.arrival.is_some()
    }

    /// Whether the value arrived at the backend too late: the key was invalidated meanwhile, and the invalidation did not wait.
    pub(crate) fn came_too_late(&self) -> bool {
        self.arrival.as_ref().is_some_and(|arrival| arrival.came_too_late())
    }

    /// A backend is asked now for the value. Those who come later may know of an invalidation by another process that the answer does not
    /// know of, so it is not for them.
    pub(crate) fn ask(&self) {
        self.ask_to_store();
        self.looked.store(self.asked.load(Relaxed), Relaxed);
    }

    /// A backend is asked now to store the value. If it does, that is for those who have come before.
    pub(crate) fn ask_to_store(&self) {
        let shard = &mut self.shard().beside;
        let queue = shard.flight(self.id).and_then(|flight| flight.queue());
        self.asked.store(queue.map_or(0, |queue| queue.next_ticket()), Relaxed);
    }

    /// What comes next is for all who wait.
    pub(crate) fn ask_no_more(&self) {
        self.asked.store(FOR_ALL, Relaxed);
    }

    /// What it has is as old as the last look in the backend: another process may have invalidated it since.
    pub(crate) fn is_outdated(&self) {
        self.asked.store(self.looked.load(Relaxed), Relaxed);
    }

    /// What it makes is from now on, whatever a backend has. Those who come later may know of an invalidation that it does not know of.
    pub(crate) fn begin_anew(&self) {
        self.ask();
        self.ask_no_more();
    }

    /// Whether others wait that have come after the last look in the backend.
    pub(crate) fn others_have_come(&self) -> bool {
        let shard = &mut self.shard().beside;
        let queue = shard.flight(self.id).and_then(|flight| flight.queue());
        queue.is_some_and(|queue| queue.next_ticket() > self.looked.load(Relaxed))
    }

    /// The body begins while values of the key are refused.
    pub(crate) fn refuse(&mut self) {
        self.is_refused = true;
    }

    /// Whether its value is refused.
    pub(crate) fn is_refused(&self) -> bool {
        self.is_refused
    }

    /// The body begins now, and its `Err` is for those who wait already.
    pub(crate) fn begin_sharing_err(&mut self) {
        let mut shard = self.shard();
        let queue = shard.beside.flight(self.id).and_then(|flight| flight.queue().cloned());
        self.begun = queue.map(|queue| (Arc::clone(&queue), queue.next_ticket()));
    }

    /// Closes the queue. Those who wait get the value that `share` makes when the leader is dropped, or run a body each if it makes none;
    /// without waiters, `share` is not called. Those who came after a backend was [asked](Self::ask) look again.
    pub(crate) fn complete(&mut self, share: impl FnOnce() -> Option<Shared>) {
        let before = *self.asked.get_mut();
        if before != FOR_ALL {
            // Before there is room, as those who get it need none.
            if before > 0
                && let Some(queue) = self.awaited()
                && let Some(value) = share()
            {
                queue.leave_earlier(LeftEarlier { what: Earlier::Value(value), before });
            }
            self.leave(End::Abandoned);
            return;
        }
        // It leaves first, so that no waiter joins after they are counted. A caller that comes now finds the stored value, or
        // leads in a new queue.
        self.leave(End::Done);
        // Also if `share` panics.
        self.left = Some(Left::Nothing);
        if self.waiting().is_some_and(|queue| queue.is_awaited())
            && let Some(value) = share()
        {
            self.left = Some(Left::Value(value));
        }
    }

    /// Makes room after an `Err`. Those who wait since before the body began get the one that `share` makes, if it makes one.
    pub(crate) fn fail(&mut self, share: impl FnOnce() -> Option<Shared>) {
        if let Some((queue, begun)) = self.begun.take_if(|(queue, begun)| queue.is_awaited() && *begun > 0)
            && let Some(err) = share()
        {
            // Before there is room, as those who get it need none.
            queue.leave_earlier(LeftEarlier { what: Earlier::Err(err), before: begun });
        }
        self.leave(End::Failed);
    }

    /// The queue, if a caller waits there for this leader.
    fn awaited(&self) -> Option<Arc<Queue>> {
        let mut shard = self.shard();
        let flight = shard.beside.flight(self.id)?;
        flight.queue().filter(|queue| queue.is_awaited() && !flight.is_passed_over()).cloned()
    }

    /// Ends the flight, if it has not ended yet. Those who wait are woken when the leader is dropped.
    pub(crate) fn abandon(&mut self) {
        self.leave(if thread::panicking() { End::Failed } else { End::Abandoned });
    }

    #[inline]
    fn leave(&mut self, end: End) {
        if !self.has_left {
            self.end(end);
        }
    }

    fn end(&mut self, end: End) {
        self.has_left = true;
        let ended = self.shard().beside.end(self.id, end);
        if let Some(Ended { queue, is_passed_over, .. }) = ended {
            (self.queue, self.is_passed_over) = (queue, is_passed_over);
        }
    }

    /// Where those stand who wait for what it leaves.
    fn waiting(&self) -> Option<&Arc<Queue>> {
        self.queue.as_ref().filter(|_| !self.is_passed_over)
    }
}

impl Drop for Leader<'_> {
    fn drop(&mut self) {
        self.abandon();
        if let Some(arrival) = &self.arrival {
            arrival.end();
        }
        let left = self.left.take();
        if let Some(queue) = self.waiting() {
            queue.wake(left);
        }
    }
}

/// Tells of a flight whether it is fenced, also after its end.
#[cfg(feature = "http")]
pub(crate) struct FenceCheck(Option<Arc<AtomicBool>>);

#[cfg(feature = "http")]
impl FenceCheck {
    /// Whether the key was invalidated since the flight began.
    pub(crate) fn is_fenced(&self) -> bool {
        self.0.as_ref().is_none_or(|check| check.load(SeqCst))
    }
}
