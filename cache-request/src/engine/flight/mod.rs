//! Single flight: while a body runs, other callers of its key wait for its value.
//!
//! A flight is one running body. The caller that runs it leads. What runs for a key is recorded in the shard of the memory that the key's
//! hash names, under the shard's lock: a caller joins in one critical section, which looks for a flight, then for a value, and then starts
//! a flight. A leader lands in one, which heeds fences, puts the value into memory, and ends the flight.
//!
//! The first caller that has to wait makes a [`Queue`] of the key, in which the leader stands as well. The queue says how many of its
//! callers lead at a time: one, and more only after bodies have failed. The others wait until a body has a value, or until there is room
//! for one more leader. A body that no caller may wait for, because it runs alone by choice or beside another one, is a flight as well:
//! an invalidation must find every running body.
//!
//! A leader whose future is held and not polled is passed over: another one leads in its place.
//!
//! Dropping the [`Leader`] ends its flight and wakes the queue, also after an error, a panic or a cancellation. Plain and async callers
//! share this mechanism: a plain caller drives the same future on its own thread.

mod fence;
mod group;
mod leader;
#[cfg(all(test, shuttle))]
mod model;
mod pulse;
mod queue;
mod running;
mod waiter;
mod waits;
pub(super) mod watched;

use std::{
    cell::Cell,
    process,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use smallvec::SmallVec;

#[cfg(feature = "http")]
pub(crate) use self::leader::FenceCheck;
pub(crate) use self::{
    fence::Fence,
    group::Group,
    leader::Leader,
    pulse::{Feeling, Felt, Pulse},
    queue::Shared,
    running::{FlightKey, Memory, Running},
    waiter::{Outcome, Waiter},
};
use self::{
    queue::Queue,
    running::{Flight, FlightId, Line},
    waiter::Place,
};
use crate::{
    base::clock::Clock,
    store::{Absent, AnyTable, Locked},
};

/// The running bodies of one cache.
pub(crate) struct Flights {
    memory: Arc<Memory>,
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

/// A caller of a key.
#[derive(Clone, Copy)]
pub(crate) struct Caller<'k> {
    pub(crate) key: FlightKey<'k>,
    /// Where it would rather have a value than lead, if there is one by now.
    pub(crate) table: Option<&'k dyn AnyTable>,
    /// It is a thread that waits for the flight and does nothing else.
    pub(crate) blocks: bool,
    /// It asks for several keys.
    pub(crate) group: Option<&'k Group>,
}

impl Caller<'_> {
    fn hash(&self) -> u64 {
        self.key.key.hash
    }
}

/// The role of a caller.
pub(crate) enum Join<'a> {
    /// It runs the body.
    Leader(Leader<'a>),
    /// It waits for the leaders.
    Waiter(Waiter<'a>),
    /// It finds a value in memory.
    Reader,
}

/// What a caller does in a queue.
enum Turn<'a> {
    Waits(Place),
    Goes(Join<'a>),
}

impl Flights {
    pub(crate) fn new(limits: FlightLimits, clock: Clock, memory: Arc<Memory>) -> Self {
        Self { memory, limits, clock, process: AtomicU32::new(process::id()) }
    }

    /// How often a waiter looks whether its leaders are polled.
    pub(crate) fn poll_limit(&self) -> Duration {
        self.limits.poll_limit
    }

    /// The shard of a key. Code that has one takes no other lock and calls no user code.
    fn shard(&self, hash: u64) -> Locked<'_, Running> {
        self.memory.shard(hash)
    }

    /// Leads a body of the key if there is room for a leader and no value by now, or else waits.
    ///
    /// A caller leads a flight of its own, beside the running one, if it is inside that body itself, or if its waiting would close
    /// a cycle of bodies that wait for one another.
    pub(crate) fn join(&self, caller: &Caller<'_>) -> Join<'_> {
        // Destructors of values, which are the user's code, run when the shard's lock is given back.
        let _deferred = self.memory.defer_drops();
        let mut shard = self.shard(caller.hash());
        if shard.beside.of(caller.key).is_none_or(|entry| !entry.is_open()) {
            return self.read_or_lead(shard, caller, None, Further::MayWait);
        }
        match self.take_turn(shard, caller, None) {
            Turn::Waits(place) => self.wait_at(place, caller),
            Turn::Goes(joined) => joined,
        }
    }

    /// Joins again as a waiter that was told of room: others may have been faster.
    pub(crate) fn join_again<'a>(&'a self, caller: &Caller<'_>, wait: Waiter<'a>) -> Join<'a> {
        let _deferred = self.memory.defer_drops();
        match self.take_turn(self.shard(caller.hash()), caller, Some(&wait)) {
            Turn::Waits(place) if wait.stands_in(&place.queue) => Join::Waiter(wait.beside(place.pulses)),
            Turn::Waits(place) => self.wait_at(place, caller),
            Turn::Goes(joined) => joined,
        }
    }

    /// Leads in place of a leader that is not polled, or waits on.
    pub(crate) fn look_after_leaders<'a>(&'a self, caller: &Caller<'_>, mut wait: Waiter<'a>) -> Join<'a> {
        wait.forget_looks();
        let is_open = self.shard(caller.hash()).beside.of(caller.key).is_some_and(|entry| entry.is_queue(wait.queue()));
        // In a closed queue, a waiter knows only the leaders that it has met.
        if is_open || wait.pulses.iter().any(|pulse| pulse.is_lost(self.limits.poll_limit)) {
            self.join_again(caller, wait)
        } else {
            Join::Waiter(wait)
        }
    }

    /// Leads if there is room for the key. Otherwise the caller waits, as it may do already.
    fn take_turn<'a>(&'a self, shard: Locked<'a, Running>, caller: &Caller<'_>, wait: Option<&Waiter<'_>>) -> Turn<'a> {
        // Of flights that are passed over. It takes locks when it is dropped, which is after the shard's is given back.
        let mut passed_over = Fence::default();
        let mut shard = shard;
        loop {
            // A body is done. Its queue is closed, and not the key's any more.
            if let Some(wait) = wait.filter(|wait| wait.queue().is_done()) {
                return Turn::Waits(wait.place(SmallVec::new()));
            }
            let mut entry = shard.beside.of(caller.key).filter(|entry| entry.is_open());
            if entry.is_some() && self.process.load(Ordering::Relaxed) != process::id() {
                drop(shard);
                self.leave_parent_process();
                shard = self.shard(caller.hash());
                continue;
            }
            let queue = entry.as_mut().and_then(|entry| entry.queue(self.limits.max_leaders));
            if let Some((entry, queue)) = entry.zip(queue.as_ref()) {
                entry.pass_over(queue, self.limits.poll_limit, &mut passed_over);
                if !queue.has_room() {
                    let pulses = entry.pulses(queue);
                    return Turn::Waits(match wait.filter(|wait| wait.stands_in(queue)) {
                        Some(wait) => wait.place(pulses),
                        None => Place { ticket: queue.begin_waiting(), queue: Arc::clone(queue), pulses },
                    });
                }
            }
            return Turn::Goes(self.read_or_lead(shard, caller, queue, Further::MayWait));
        }
    }

    /// Starts a flight unless there is a value by now: in a queue, or else where further callers may wait or not.
    fn read_or_lead(
        &self,
        mut shard: Locked<'_, Running>,
        caller: &Caller<'_>,
        queue: Option<Arc<Queue>>,
        further: Further,
    ) -> Join<'_> {
        let FlightKey { function, key } = caller.key;
        let absent = match caller.table.map(|table| shard.why_absent(function, table, &key, &self.clock)) {
            Some(Some(absent)) => absent,
            Some(None) => return Join::Reader,
            None => Absent::NeverSeen,
        };
        let flight = self.flight(caller);
        let (number, body, pulse) = (flight.number(), flight.body(), flight.pulse());
        let body = match queue {
            Some(queue) => {
                queue.begin_running();
                shard.beside.start(caller.key, flight.leading_in(&queue), None);
                queue.id
            }
            None => {
                let line = (further == Further::MayWait).then_some(Line::Behind(number));
                shard.beside.start(caller.key, flight, line);
                body
            }
        };
        drop(shard);
        Join::Leader(Leader::new(&self.memory, FlightId { hash: key.hash, number }, body, pulse, absent))
    }

    fn flight(&self, caller: &Caller<'_>) -> Flight {
        match caller.group {
            Some(group) => Flight::in_group(next_number(), group),
            None => Flight::new(next_number(), self.pulse(caller.blocks)),
        }
    }

    fn pulse(&self, blocks: bool) -> Option<Arc<Pulse>> {
        (!blocks).then(|| Pulse::new(self.clock.clone()))
    }

    /// What the flights of a call for several keys share. `blocks` is as of [`Caller`].
    pub(crate) fn group(&self, blocks: bool) -> Group {
        Group::new(next_number(), self.pulse(blocks))
    }

    fn wait_at(&self, place: Place, caller: &Caller<'_>) -> Join<'_> {
        Waiter::at(place, &self.memory, caller.hash()).map_or_else(|| self.alone(caller), Join::Waiter)
    }

    /// Closes all queues in a child process after a fork: threads of its parent lead there, and never end their flights here.
    fn leave_parent_process(&self) {
        self.memory.each_shard(|shard| shard.beside.close_all());
        self.process.store(process::id(), Ordering::Relaxed);
    }

    /// Starts a flight that no caller waits for, unless there is a value by now.
    pub(crate) fn alone(&self, caller: &Caller<'_>) -> Join<'_> {
        let _deferred = self.memory.defer_drops();
        self.read_or_lead(self.shard(caller.hash()), caller, None, Further::GoElsewhere)
    }

    /// Fences the running flights of the key and starts one whose value is newer, in one step.
    ///
    /// Await the returned fence before writing to the backend.
    pub(crate) fn supersede(&self, caller: &Caller<'_>) -> (Fence, Leader<'_>) {
        let mut fence = Fence::default();
        let mut shard = self.shard(caller.hash());
        if let Some(entry) = shard.beside.of(caller.key) {
            entry.fence(&mut fence);
        }
        let flight = self.flight(caller).superseding();
        let (number, pulse) = (flight.number(), flight.pulse());
        shard.beside.start(caller.key, flight, Some(Line::Behind(number)));
        drop(shard);
        let id = FlightId { hash: caller.hash(), number };
        (fence, Leader::new(&self.memory, id, number, pulse, Absent::NeverSeen))
    }

    /// Leads a body whose value replaces one that stays valid until then. `None` if such a body of the key runs already. Another flight
    /// may be one that only reads the backend, so it does not count.
    pub(crate) fn replace(&self, caller: &Caller<'_>) -> Option<Leader<'_>> {
        if self.process.load(Ordering::Relaxed) != process::id() {
            self.leave_parent_process();
        }
        let mut shard = self.shard(caller.hash());
        if shard.beside.of(caller.key).is_some_and(|entry| entry.is_for_newer()) {
            return None;
        }
        let flight = self.flight(caller).superseding();
        let (number, pulse) = (flight.number(), flight.pulse());
        shard.beside.start(caller.key, flight, Some(Line::Behind(number)));
        drop(shard);
        let id = FlightId { hash: caller.hash(), number };
        Some(Leader::new(&self.memory, id, number, pulse, Absent::Expired))
    }

    /// Closes a queue in which a caller has waited for too long: the next caller leads in a new one.
    pub(crate) fn give_up_on(&self, wait: &Waiter<'_>) {
        wait.close_queue();
    }

    /// Fences the running flights of the key: they began before the key was invalidated, so their values are not stored, and no
    /// caller joins them any more.
    ///
    /// Await the returned fence before deleting from the backend, so that no value arrives there after the deletion. Fence again
    /// after the deletion: a flight that began in between may have read the old value, and would share it.
    pub(crate) fn fence(&self, key: FlightKey<'_>) -> Fence {
        let mut fence = Fence::default();
        if let Some(entry) = self.shard(key.key.hash).beside.of(key) {
            entry.fence(&mut fence);
        }
        fence
    }

    /// Fences everything that runs.
    pub(crate) fn fence_all(&self) -> Fence {
        self.fence_where(|_| true)
    }

    /// Fences the running flights of one function.
    pub(crate) fn fence_function(&self, function: u32) -> Fence {
        self.fence_where(|own| own == function)
    }

    fn fence_where(&self, fenced: impl Fn(u32) -> bool) -> Fence {
        let mut fence = Fence::default();
        self.memory.each_shard(|shard| shard.beside.fence_where(&fenced, &mut fence));
        fence
    }

    #[cfg(all(test, shuttle))]
    fn is_empty(&self) -> bool {
        let mut is_empty = true;
        self.memory.each_shard(|shard| is_empty &= shard.beside.is_empty());
        is_empty
    }
}

/// What callers do that come after one that leads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Further {
    MayWait,
    GoElsewhere,
}

/// The number of a flight. That of a queue's first flight also stands for all later bodies of the queue when one waits for another.
fn next_number() -> u64 {
    /// A thread takes so many at once, so that threads seldom write what others write, too.
    const BLOCK: u64 = 1 << 16;
    static BLOCKS: AtomicU64 = AtomicU64::new(0);
    thread_local! {
        static NEXT: Cell<u64> = const { Cell::new(0) };
    }

    let next = NEXT.get();
    let number = if next.is_multiple_of(BLOCK) { BLOCKS.fetch_add(BLOCK, Ordering::Relaxed) } else { next };
    NEXT.set(number + 1);
    number
}
