//! Single flight: while a body runs, other callers of its key wait for its value.
//!
//! A flight is one running body. The caller that runs it leads. The callers of a key stand in its [`Queue`], which says how many of
//! them lead at a time: one, and more only after bodies have failed. The others wait until a body has a value, or until there is room
//! for one more leader. A body that no caller may wait for, because it runs alone by choice or beside another one, is a flight as well:
//! an invalidation must find every running body.
//!
//! A leader whose future is held and not polled is passed over: another one leads in its place.
//!
//! Dropping the [`Leader`] ends its flight and wakes the queue, also after an error, a panic or a cancellation. Plain and async callers
//! share this mechanism: a plain caller drives the same future on its own thread.

mod entry;
mod fence;
#[cfg(all(test, shuttle))]
mod model;
mod pulse;
mod queue;
mod waits;
mod watched;

use std::{
    hash::BuildHasherDefault,
    mem,
    pin::Pin,
    process,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

use dashmap::{DashMap, mapref::one::RefMut};
use smallvec::SmallVec;

#[cfg(feature = "http")]
pub(crate) use self::fence::FenceCheck;
use self::{
    entry::Entry,
    fence::Flight,
    pulse::{Look, Looks},
    queue::{End, Left, Queue, SharedErr, Ticket},
    waits::Waiting,
    watched::WakerSlot,
};
pub(crate) use self::{
    entry::FlightKey,
    fence::Fence,
    pulse::{Felt, Pulse},
    queue::Shared,
};
use crate::{
    base::{
        clock::Clock,
        context::{self, Ancestors},
        sync::interleave,
    },
    key::PassThrough,
};

/// The running bodies of one cache.
pub(crate) struct Flights {
    running: Map,
    limits: FlightLimits,
    clock: Clock,
    /// The process whose threads lead the flights that may be joined.
    process: AtomicU32,
}

/// The options of flights.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FlightLimits {
    /// How many callers of one key lead at a time after failures, at most.
    pub(crate) max_leaders: usize,
    /// How long a leader that was woken may stay unpolled.
    pub(crate) poll_limit: Duration,
}

type Map = DashMap<FlightKey, Entry, BuildHasherDefault<PassThrough>>;

/// The role of a caller.
pub(crate) enum Join<'a> {
    /// It runs the body.
    Leader(Leader<'a>),
    /// It waits for the leaders.
    Waiter(Waiter<'a>),
}

/// What a caller does in a queue.
enum Turn<'a> {
    Leads(Leader<'a>),
    Waits(Place),
}

/// Where a caller waits.
struct Place {
    queue: Arc<Queue>,
    ticket: Ticket,
    /// Of those who lead there.
    pulses: SmallVec<[Arc<Pulse>; 1]>,
}

/// What a waiter has waited for.
pub(crate) enum Outcome {
    /// A body's value, for all who wait.
    Value(Shared),
    /// The `Err` of a body that began later.
    Err(Shared),
    /// A body is done, and has nothing to share: each runs a body of its own.
    Nothing,
    /// A body has failed, was dropped or is not polled, so there is room for a leader: join again.
    Room,
}

impl Flights {
    pub(crate) fn new(limits: FlightLimits, clock: Clock) -> Self {
        Self { running: Map::default(), limits, clock, process: AtomicU32::new(process::id()) }
    }

    /// How often a waiter looks whether its leaders are polled.
    pub(crate) fn poll_limit(&self) -> Duration {
        self.limits.poll_limit
    }

    /// The map, for one step. Code that holds one of its guards takes no other lock and calls no user code, so no thread waits
    /// long for a guard.
    fn running(&self) -> &Map {
        interleave();
        &self.running
    }

    fn entry(&self, key: &FlightKey) -> RefMut<'_, FlightKey, Entry> {
        self.running().entry(key.clone()).or_default()
    }

    /// Leads a body of `key` if there is room for a leader, or else waits.
    ///
    /// A caller leads a flight of its own, beside the running one, if it is inside that body itself, or if its waiting would close
    /// a cycle of bodies that wait for one another.
    pub(crate) fn join(&self, key: &FlightKey) -> Join<'_> {
        match self.take_turn(key, None) {
            Turn::Leads(leader) => Join::Leader(leader),
            Turn::Waits(place) => self.wait_at(place, key),
        }
    }

    /// Joins again as a waiter that was told of room: others may have been faster.
    pub(crate) fn join_again<'a>(&'a self, wait: Waiter<'a>) -> Join<'a> {
        match self.take_turn(&wait.key, Some(&wait)) {
            Turn::Leads(leader) => Join::Leader(leader),
            Turn::Waits(place) if wait.stands_in(&place.queue) => Join::Waiter(wait.beside(place.pulses)),
            Turn::Waits(place) => self.wait_at(place, &wait.key),
        }
    }

    /// Leads in place of a leader that is not polled, or waits on.
    pub(crate) fn look_after_leaders<'a>(&'a self, wait: Waiter<'a>) -> Join<'a> {
        let is_open = self.running().get(&wait.key).is_some_and(|entry| entry.is_queue(wait.queue()));
        // In a closed queue, a waiter knows only the leaders that it has met.
        if is_open || wait.pulses.iter().any(|pulse| pulse.is_lost(self.limits.poll_limit)) {
            self.join_again(wait)
        } else {
            Join::Waiter(wait)
        }
    }

    /// Leads if there is room in the queue of `key`. Otherwise the caller waits there, as it may do already.
    fn take_turn(&self, key: &FlightKey, wait: Option<&Waiter<'_>>) -> Turn<'_> {
        loop {
            let slot = self.running().entry(key.clone());
            // A body is done. Its queue is closed, and not the key's any more.
            if let Some(wait) = wait.filter(|wait| wait.queue().is_done()) {
                return Turn::Waits(wait.place(SmallVec::new()));
            }
            let mut entry = slot.or_default();
            if entry.queue.is_some() && self.process.load(Ordering::Relaxed) != process::id() {
                drop(entry);
                self.leave_parent_process();
                continue;
            }
            let queue =
                Arc::clone(entry.queue.get_or_insert_with(|| Queue::new(next_id(), false, self.limits.max_leaders)));
            let lost = entry.pass_over(&queue, self.limits.poll_limit);
            if queue.has_room() {
                queue.begin_running();
                let (flight, older) = entry.start(Some(&queue), &self.clock);
                drop(entry);
                drop(Fence::around(lost));
                return Turn::Leads(Leader::new(self, key, Some(queue), flight, older));
            }
            let pulses = entry.leaders(&queue).map(|flight| Arc::clone(&flight.pulse)).collect();
            if let Some(wait) = wait.filter(|wait| wait.stands_in(&queue)) {
                return Turn::Waits(wait.place(pulses));
            }
            let ticket = queue.begin_waiting();
            return Turn::Waits(Place { queue, ticket, pulses });
        }
    }

    fn wait_at(&self, place: Place, key: &FlightKey) -> Join<'_> {
        let Place { queue, ticket, pulses } = place;
        match Waiting::on(queue.id, context::ancestors()) {
            Ok(waiting) => {
                let slot = WakerSlot::at(queue);
                Join::Waiter(Waiter {
                    flights: self,
                    key: key.clone(),
                    slot,
                    ticket,
                    pulses,
                    looks: None,
                    _waiting: waiting,
                })
            }
            Err(_cycle) => {
                self.stop_waiting(key, &queue);
                Join::Leader(self.alone(key))
            }
        }
    }

    /// Closes all queues in a child process after a fork: threads of its parent lead there, and never end their flights here.
    fn leave_parent_process(&self) {
        self.close_where(|_| true);
        self.process.store(process::id(), Ordering::Relaxed);
    }

    /// Starts a flight that no caller waits for.
    pub(crate) fn alone(&self, key: &FlightKey) -> Leader<'_> {
        let (flight, older) = self.entry(key).start(None, &self.clock);
        Leader::new(self, key, None, flight, older)
    }

    /// Fences the running flights of `key` and starts one whose value is newer, in one step.
    ///
    /// Await the returned fence before writing to the backend.
    pub(crate) fn supersede(&self, key: &FlightKey) -> (Fence, Leader<'_>) {
        let queue = Queue::new(next_id(), true, self.limits.max_leaders);
        queue.begin_running();
        let (flight, older) = {
            let mut entry = self.entry(key);
            entry.queue = Some(Arc::clone(&queue));
            entry.start(Some(&queue), &self.clock)
        };
        (Fence::around(older), Leader::new(self, key, Some(queue), flight, Vec::new()))
    }

    /// Closes a queue in which a caller has waited for too long: the next caller leads in a new one.
    pub(crate) fn give_up_on(&self, wait: &Waiter<'_>) {
        if let Some(mut entry) = self.running().get_mut(&wait.key) {
            entry.close_if(wait.queue());
        }
    }

    /// Fences the running flights of `key`: they began before the key was invalidated, so their values are not stored, and no
    /// caller joins them any more.
    ///
    /// Await the returned fence before deleting from the backend, so that no value arrives there after the deletion. Fence again
    /// after the deletion: a flight that began in between may have read the old value, and would share it.
    pub(crate) fn fence(&self, key: &FlightKey) -> Fence {
        Fence::around(self.close(key))
    }

    /// Fences everything that runs.
    pub(crate) fn fence_all(&self) -> Fence {
        self.fence_where(|_| true)
    }

    /// Fences the running flights of one function.
    pub(crate) fn fence_function(&self, function: u32) -> Fence {
        self.fence_where(|key| key.function == function)
    }

    fn fence_where(&self, fenced: impl Fn(&FlightKey) -> bool) -> Fence {
        Fence::around(self.close_where(fenced))
    }

    fn close_where(&self, closed: impl Fn(&FlightKey) -> bool) -> Vec<Arc<Flight>> {
        let running = self.running();
        let keys: Vec<_> =
            running.iter().filter(|entry| closed(entry.key())).map(|entry| entry.key().clone()).collect();
        keys.iter().flat_map(|key| self.close(key)).collect()
    }

    fn close(&self, key: &FlightKey) -> Vec<Arc<Flight>> {
        self.running().get_mut(key).map_or_else(Vec::new, |mut entry| entry.close())
    }

    /// Ends a flight, and closes its queue if it has a value for that.
    fn end(&self, key: &FlightKey, flight: &Arc<Flight>, queue: Option<&Arc<Queue>>, end: End) {
        let _last = self.running().remove_if_mut(key, |_, entry| {
            entry.flights.retain(|running| !Arc::ptr_eq(running, flight));
            if let Some(queue) = queue.filter(|_| !flight.is_passed_over()) {
                queue.end_running(end);
                if end == End::Done {
                    entry.close_if(queue);
                }
            }
            entry.tidy()
        });
    }

    fn stop_waiting(&self, key: &FlightKey, queue: &Queue) {
        if queue.end_waiting() {
            let _last = self.running().remove_if_mut(key, |_, entry| entry.tidy());
        }
    }
}

/// A number for all bodies of a queue, or for one that is alone.
fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Leads a flight. Dropping it ends the flight.
pub(crate) struct Leader<'a> {
    flights: &'a Flights,
    key: FlightKey,
    flight: Arc<Flight>,
    /// Where those stand who wait for its value. None if no caller may.
    queue: Option<Arc<Queue>>,
    /// The flights of the key that ran when this one began. Their values are older.
    older: Vec<Arc<Flight>>,
    ancestors: Ancestors,
    /// The first ticket that was not given out when the body began: earlier ones are of callers that may have its `Err`.
    begun: Ticket,
    has_left: bool,
    /// What it leaves to those who wait.
    left: Option<Left>,
}

impl<'a> Leader<'a> {
    fn new(
        flights: &'a Flights,
        key: &FlightKey,
        queue: Option<Arc<Queue>>,
        flight: Arc<Flight>,
        older: Vec<Arc<Flight>>,
    ) -> Self {
        let id = queue.as_ref().map_or_else(next_id, |queue| queue.id);
        let ancestors = context::ancestors().and(id);
        Self { flights, key: key.clone(), flight, queue, older, ancestors, begun: 0, has_left: false, left: None }
    }

    /// What tells whether its future is polled, unless a thread `blocks` for that.
    pub(crate) fn pulse(&self, blocks: bool) -> Option<Arc<Pulse>> {
        (!blocks).then(|| Arc::clone(&self.flight.pulse))
    }

    /// The ancestors of the code that runs in this flight.
    pub(crate) fn ancestors(&self) -> Ancestors {
        self.ancestors.clone()
    }

    /// Fences the older flights, so that none of them stores its value over this one's.
    ///
    /// Await the returned fence before writing to the backend.
    pub(crate) fn overtake(&mut self) -> Fence {
        Fence::around(mem::take(&mut self.older))
    }

    /// Calls `put` unless the key was invalidated since the flight began. A concurrent invalidation waits, and then finds the
    /// stored value.
    pub(crate) fn keep<T>(&self, put: impl FnOnce() -> T) -> Option<T> {
        self.flight.keep(put)
    }

    /// To ask whether the key was invalidated since the flight began.
    #[cfg(feature = "http")]
    pub(crate) fn fence_check(&self) -> FenceCheck {
        FenceCheck(Arc::clone(&self.flight))
    }

    /// Announces that a value is about to be sent to the backend. Returns `false` if the key was invalidated since the flight began.
    pub(crate) fn begin_storing(&self) -> bool {
        self.flight.begin_storing()
    }

    /// Whether the value arrived at the backend too late: the key was invalidated meanwhile, and the invalidation did not wait.
    pub(crate) fn came_too_late(&self) -> bool {
        self.flight.came_too_late()
    }

    /// The body begins now.
    pub(crate) fn begin(&mut self) {
        self.begun = self.queue.as_ref().map_or(0, |queue| queue.next_ticket());
    }

    /// Closes the queue. Those who wait get the value that `share` makes when the leader is dropped, or run a body each if it makes none;
    /// without waiters, `share` is not called.
    pub(crate) fn complete(&mut self, share: impl FnOnce() -> Option<Shared>) {
        // It leaves first, so that no waiter joins after they are counted. A caller that comes now finds the stored value, or
        // leads in a new queue.
        self.leave(End::Done);
        if self.is_awaited() {
            self.left = Some(share().map_or(Left::Nothing, Left::Value));
        }
    }

    /// Makes room after an `Err`. Those who wait since before the body began get the one that `share` makes, if it makes one.
    pub(crate) fn fail(&mut self, share: impl FnOnce() -> Option<Shared>) {
        if let Some(queue) = self.queue.as_ref().filter(|queue| queue.is_awaited() && self.begun > 0)
            && let Some(err) = share()
        {
            // Before there is room, as those who get it need none.
            queue.leave_err(SharedErr { err, begun: self.begun });
        }
        self.leave(End::Failed);
    }

    fn is_awaited(&self) -> bool {
        self.queue.as_ref().is_some_and(|queue| queue.is_awaited())
    }

    fn leave(&mut self, end: End) {
        if !mem::replace(&mut self.has_left, true) {
            self.flights.end(&self.key, &self.flight, self.queue.as_ref(), end);
            // Those who wait do so for the leader in its place.
            self.queue.take_if(|_| self.flight.is_passed_over());
        }
    }
}

impl Drop for Leader<'_> {
    fn drop(&mut self) {
        self.leave(if thread::panicking() { End::Failed } else { End::Abandoned });
        self.flight.end();
        if let Some(queue) = &self.queue {
            queue.wake(self.left.take());
        }
    }
}

/// Waits in a queue for a value, or for room to lead.
pub(crate) struct Waiter<'a> {
    flights: &'a Flights,
    key: FlightKey,
    slot: WakerSlot<Queue>,
    ticket: Ticket,
    /// Of the leaders that it waits for.
    pulses: SmallVec<[Arc<Pulse>; 1]>,
    /// Its looks at a leader in its own task.
    looks: Option<Looks>,
    _waiting: Waiting,
}

impl Waiter<'_> {
    /// Whether the key may have a cached value, valid until the running body ends.
    pub(crate) fn is_for_newer(&self) -> bool {
        self.queue().is_for_newer()
    }

    fn queue(&self) -> &Arc<Queue> {
        &self.slot.watched
    }

    fn stands_in(&self, queue: &Arc<Queue>) -> bool {
        Arc::ptr_eq(self.queue(), queue)
    }

    fn place(&self, pulses: SmallVec<[Arc<Pulse>; 1]>) -> Place {
        Place { queue: Arc::clone(self.queue()), ticket: self.ticket, pulses }
    }

    fn beside(mut self, pulses: SmallVec<[Arc<Pulse>; 1]>) -> Self {
        self.pulses = pulses;
        self
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
        let polled = self.slot.poll(context, |queue, found| match (&found.left, &found.err) {
            (Some(Left::Value(value)), _) => Some(Outcome::Value(Arc::clone(value))),
            (_, Some(shared)) if ticket < shared.begun => Some(Outcome::Err(Arc::clone(&shared.err))),
            (Some(Left::Nothing), _) => Some(Outcome::Nothing),
            (None, _) => queue.has_room().then_some(Outcome::Room),
        });
        if polled.is_pending() && self.is_held_up(context.waker()) { Poll::Ready(Outcome::Room) } else { polled }
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.flights.stop_waiting(&self.key, self.queue());
    }
}
