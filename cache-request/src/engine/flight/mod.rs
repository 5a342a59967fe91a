//! Single flight: while a body runs, the callers of the same key wait for its value, and an `invalidate` reaches it.
//!
//! A flight is one running body. Its key's callers either lead it or wait for it; a body that nobody may wait for (it runs
//! alone by choice, or beside another one) is a flight as well, so that whoever invalidates the key finds it.
//!
//! A flight moves through [`Phase`] in one direction, and whatever happens to its leader (it returns, errs, panics, is
//! dropped at any await point) the leader's [`Leader`] ends it and wakes all who wait. One mechanism serves plain and async
//! callers: a plain one drives the same future on its own thread.

#[cfg(all(test, shuttle))]
mod model;
mod waits;

use std::{
    any::Any,
    hash::{BuildHasherDefault, Hash, Hasher},
    mem,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    thread,
};

use dashmap::DashMap;
use smallvec::SmallVec;

use self::waits::Waiting;
use crate::{
    base::{
        context::{self, Ancestors},
        panic::catch_panic,
        sync::{Mutex, interleave, lock},
    },
    key::{OwnedKey, PassThrough},
};

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

/// The running bodies of one cache.
#[derive(Default)]
pub(crate) struct Flights {
    running: Map,
}

/// There is seldom more than one for a key.
type Map = DashMap<FlightKey, SmallVec<[Running; 1]>, BuildHasherDefault<PassThrough>>;

struct Running {
    flight: Arc<Flight>,
    /// Whether callers of the key may wait for it.
    joinable: bool,
}

impl Running {
    fn new(flight: &Arc<Flight>, joinable: bool) -> Self {
        Self { flight: Arc::clone(flight), joinable }
    }

    /// Lets nobody join any of them. They stay where they are until they land, for whoever else has to fence them: two who
    /// invalidate at once may each rely on what they fenced themselves, and only on that.
    fn part_with(running: &mut [Self]) -> Vec<Arc<Flight>> {
        for running in &mut *running {
            running.joinable = false;
        }
        Self::flights(running)
    }

    fn flights(running: &[Self]) -> Vec<Arc<Flight>> {
        running.iter().map(|running| Arc::clone(&running.flight)).collect()
    }
}

/// What a caller gets to do.
pub(crate) enum Join<'a> {
    /// Run the body: for all who come while it runs, or alone.
    Leader(Leader<'a>),
    /// Waiter for the one who runs it.
    Waiter(Waiter),
}

/// A shared value, whatever its type.
pub(crate) type Shared = Arc<dyn Any + Send + Sync>;

/// How a flight ended, as far as those who waited are concerned.
#[derive(Clone)]
pub(crate) enum Outcome {
    /// With a value for everybody.
    Value(Shared),
    /// With nothing to share (an `Err`, a panic): each now runs the body for itself, side by side.
    Nothing,
    /// Its leader went away half way: somebody else leads now.
    Abandoned,
}

struct Flight {
    id: u64,
    /// Its value is to take the place of what is remembered, which is good until then.
    supersedes: bool,
    waiting: AtomicUsize,
    state: Mutex<State>,
}

struct State {
    phase: Phase,
    /// The key was invalidated while the body ran: what it returns is older, and is not kept.
    fenced: bool,
    /// Whoever fenced it went on before its value had arrived at the backend.
    unattended: bool,
    wakers: Vec<Waker>,
}

enum Phase {
    /// The body runs.
    Running,
    /// Its value is on its way to the backend: who invalidates waits until it is there.
    Storing,
    Completed(Outcome),
}

impl Flights {
    /// The map, for one step. What is done under its guards takes no other lock and calls no foreign code, so that no thread
    /// ever waits for a guard longer than a step takes.
    fn running(&self) -> &Map {
        interleave();
        &self.running
    }

    /// Joins the flight of `key`, or starts one.
    ///
    /// A caller that is itself in the midst of that very body, or whose waiting would close a circle of bodies that wait for
    /// one another, gets to lead: it runs the body beside the other.
    pub(crate) fn join(&self, key: &FlightKey) -> Join<'_> {
        let ancestors = context::ancestors();
        let flight = {
            let mut running = self.running().entry(key.clone()).or_default();
            let Some(joinable) = running.iter().find(|running| running.joinable) else {
                let flight = Flight::start(false);
                let older = Running::flights(&running);
                running.push(Running::new(&flight, true));
                drop(running);
                return Join::Leader(Leader::new(self, key, flight, older));
            };
            joinable.flight.waiting.fetch_add(1, Ordering::Relaxed);
            Arc::clone(&joinable.flight)
        };
        match Waiting::on(flight.id, ancestors) {
            Ok(waiting) => Join::Waiter(Waiter { slot: WakerSlot::at(flight), _waiting: waiting }),
            Err(_cycle) => {
                flight.waiting.fetch_sub(1, Ordering::Relaxed);
                Join::Leader(self.alone(key))
            }
        }
    }

    /// Starts a flight that nobody waits for.
    pub(crate) fn alone(&self, key: &FlightKey) -> Leader<'_> {
        let flight = Flight::start(false);
        let older = {
            let mut running = self.running().entry(key.clone()).or_default();
            let older = Running::flights(&running);
            running.push(Running::new(&flight, false));
            older
        };
        Leader::new(self, key, flight, older)
    }

    /// Fences what runs for `key`, and starts in its place, in one step, a flight whose value is newer than all of that.
    ///
    /// Await the returned fence before writing to the backend.
    pub(crate) fn supersede(&self, key: &FlightKey) -> (Fence, Leader<'_>) {
        let flight = Flight::start(true);
        let older = {
            let mut running = self.running().entry(key.clone()).or_default();
            let older = Running::part_with(&mut running);
            running.push(Running::new(&flight, true));
            older
        };
        (Fence::around(older), Leader::new(self, key, flight, Vec::new()))
    }

    /// Lets nobody wait any longer for a flight that has taken too long: the next to join leads a new one.
    pub(crate) fn give_up_on(&self, key: &FlightKey, wait: &Waiter) {
        if let Some(mut running) = self.running().get_mut(key)
            && let Some(overdue) = running.iter_mut().find(|running| running.flight.id == wait.slot.flight.id)
        {
            overdue.joinable = false;
        }
    }

    /// Keeps what now runs for `key` from being kept, and from being joined: it began before the key was invalidated.
    ///
    /// Await the returned fence before deleting from the backend, so that no value still on its way arrives later. Fence once
    /// more after the deletion: who began in between may have found what was about to go, and would share it.
    pub(crate) fn fence(&self, key: &FlightKey) -> Fence {
        Fence::around(self.part_with(key))
    }

    /// Fences everything that runs.
    pub(crate) fn fence_all(&self) -> Fence {
        let keys: Vec<_> = self.running().iter().map(|entry| entry.key().clone()).collect();
        Fence::around(keys.iter().flat_map(|key| self.part_with(key)).collect())
    }

    fn part_with(&self, key: &FlightKey) -> Vec<Arc<Flight>> {
        self.running().get_mut(key).map_or_else(Vec::new, |mut running| Running::part_with(&mut running))
    }

    fn leave(&self, key: &FlightKey, id: u64) {
        let _last = self.running().remove_if_mut(key, |_, running| {
            running.retain(|running| running.flight.id != id);
            running.is_empty()
        });
    }
}

impl Flight {
    fn start(supersedes: bool) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let state = State { phase: Phase::Running, fenced: false, unattended: false, wakers: Vec::new() };
        Arc::new(Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            supersedes,
            waiting: AtomicUsize::new(0),
            state: Mutex::new(state),
        })
    }

    fn enter(&self, phase: Phase) {
        let wakers = {
            let mut state = lock(&self.state);
            state.phase = phase;
            mem::take(&mut state.wakers)
        };
        // A waker is foreign code: it may do anything, so it gets no lock of ours, and harms neither us nor the others.
        for waker in wakers {
            catch_panic(|| waker.wake());
        }
    }
}

/// Leads a flight. Dropping it ends the flight, however that comes about.
pub(crate) struct Leader<'a> {
    flights: &'a Flights,
    key: FlightKey,
    flight: Arc<Flight>,
    /// What ran for the key when this began: its value is older.
    older: Vec<Arc<Flight>>,
    ancestors: Arc<Ancestors>,
    /// How it ended; until then it flies, and is abandoned if it goes away.
    outcome: Option<Outcome>,
}

impl<'a> Leader<'a> {
    fn new(flights: &'a Flights, key: &FlightKey, flight: Arc<Flight>, older: Vec<Arc<Flight>>) -> Self {
        let ancestors = Ancestors::descend(context::ancestors(), flight.id);
        Self { flights, key: key.clone(), flight, older, ancestors, outcome: None }
    }

    /// What the flight's own code runs in, so that it is known to be within this flight wherever it is polled.
    pub(crate) fn ancestors(&self) -> Arc<Ancestors> {
        Arc::clone(&self.ancestors)
    }

    /// Keeps the values of older flights from being kept in the place of this one's.
    ///
    /// Await the returned fence before writing to the backend.
    pub(crate) fn overtake(&mut self) -> Fence {
        Fence::around(mem::take(&mut self.older))
    }

    /// Stores with `put`, unless the key has been invalidated since the flight began. An invalidation that comes meanwhile
    /// waits, and then finds what was stored.
    pub(crate) fn keep<T>(&self, put: impl FnOnce() -> T) -> Option<T> {
        let state = lock(&self.flight.state);
        if state.fenced { None } else { Some(put()) }
    }

    /// Says that a value is about to be sent to the backend, unless the key has been invalidated since the flight began.
    pub(crate) fn begin_storing(&self) -> bool {
        let mut state = lock(&self.flight.state);
        if !state.fenced {
            state.phase = Phase::Storing;
        }
        !state.fenced
    }

    /// Whether the value that has now been sent came too late: the key was invalidated meanwhile, and whoever did that has
    /// not waited.
    pub(crate) fn came_too_late(&self) -> bool {
        lock(&self.flight.state).unattended
    }

    /// Nobody joins any more, and those who wait get the value that `share` makes, if anybody does, when this is dropped.
    pub(crate) fn complete(&mut self, share: impl FnOnce() -> Option<Shared>) {
        // Out of sight first: whoever comes now finds what was stored, or leads anew, and so nobody comes to wait after the
        // question whether anybody does.
        self.flights.leave(&self.key, self.flight.id);
        let is_awaited = self.flight.waiting.load(Ordering::Relaxed) > 0;
        let shared = if is_awaited { share() } else { None };
        self.outcome = Some(shared.map_or(Outcome::Nothing, Outcome::Value));
    }
}

impl Drop for Leader<'_> {
    fn drop(&mut self) {
        let outcome = self.outcome.take().unwrap_or_else(|| {
            self.flights.leave(&self.key, self.flight.id);
            if thread::panicking() { Outcome::Nothing } else { Outcome::Abandoned }
        });
        self.flight.enter(Phase::Completed(outcome));
    }
}

/// A place among those whom a flight wakes.
struct WakerSlot {
    flight: Arc<Flight>,
    /// Where the waker is, once there is one.
    place: Option<usize>,
}

impl WakerSlot {
    fn at(flight: Arc<Flight>) -> Self {
        Self { flight, place: None }
    }

    /// What `look` finds in the flight's phase; while that is nothing, the flight wakes the task when it lands.
    fn poll<T>(&mut self, context: &Context<'_>, look: impl Fn(&Phase) -> Option<T>) -> Poll<T> {
        let state = lock(&self.flight.state);
        if let Some(found) = look(&state.phase) {
            return Poll::Ready(found);
        }
        let known = self.place.and_then(|place| state.wakers.get(place));
        if known.is_some_and(|waker| waker.will_wake(context.waker())) {
            return Poll::Pending;
        }
        drop(state);
        // A waker is foreign code, also where it is cloned and dropped.
        let waker = context.waker().clone();
        let mut state = lock(&self.flight.state);
        if let Some(found) = look(&state.phase) {
            return Poll::Ready(found);
        }
        let old = match self.place.and_then(|place| state.wakers.get_mut(place)) {
            Some(known) => Some(mem::replace(known, waker)),
            None => {
                self.place = Some(state.wakers.len());
                state.wakers.push(waker);
                None
            }
        };
        drop(state);
        drop(old);
        Poll::Pending
    }
}

impl Drop for WakerSlot {
    /// Keeps no task in memory, and wakes none, that has gone away.
    fn drop(&mut self) {
        let Some(place) = self.place else { return };
        let mut state = lock(&self.flight.state);
        let old = state.wakers.get_mut(place).map(|waker| mem::replace(waker, Waker::noop().clone()));
        drop(state);
        drop(old);
    }
}

/// Waits for a flight to land.
pub(crate) struct Waiter {
    slot: WakerSlot,
    _waiting: Waiting,
}

impl Waiter {
    /// Whether there may be a remembered value, good until the flight lands.
    pub(crate) fn is_for_newer(&self) -> bool {
        self.slot.flight.supersedes
    }
}

impl Future for Waiter {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        self.slot.poll(context, |phase| match phase {
            Phase::Completed(outcome) => Some(outcome.clone()),
            Phase::Running | Phase::Storing => None,
        })
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.slot.flight.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Ready when nothing of what was fenced is still on its way to the backend.
#[must_use = "until it is ready, older values may still arrive at the backend"]
pub(crate) struct Fence {
    storing: Vec<WakerSlot>,
}

impl Fence {
    fn around(flights: Vec<Arc<Flight>>) -> Self {
        for flight in &flights {
            lock(&flight.state).fenced = true;
        }
        Self { storing: flights.into_iter().map(WakerSlot::at).collect() }
    }
}

impl Drop for Fence {
    /// Whatever is on its way to the backend is for those to remove who sent it.
    fn drop(&mut self) {
        for slot in &self.storing {
            lock(&slot.flight.state).unattended = true;
        }
    }
}

impl Future for Fence {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.storing.retain_mut(|slot| {
            slot.poll(context, |phase| (!matches!(phase, Phase::Storing)).then_some(())).is_pending()
        });
        if self.storing.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    }
}
