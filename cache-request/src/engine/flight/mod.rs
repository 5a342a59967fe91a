//! Single flight: while a body runs, other callers of its key wait for its value.
//!
//! A flight is one running body. One caller leads it, and the others wait for it. A body that no caller may wait for, because
//! it runs alone by choice or beside another one, is a flight as well: an invalidation must find every running body.
//!
//! A flight moves through [`Phase`] in one direction. Dropping the [`Leader`] ends the flight and wakes its waiters, also after an
//! error, a panic or a cancellation. Plain and async callers share this mechanism:
//! a plain caller drives the same future on its own thread.

#[cfg(all(test, shuttle))]
mod model;
mod waits;

use std::{
    any::Any,
    hash::{BuildHasherDefault, Hash, Hasher},
    mem,
    pin::Pin,
    process,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering},
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
pub(crate) struct Flights {
    running: Map,
    /// The process whose threads lead the flights that may be joined.
    process: AtomicU32,
}

/// A key seldom has more than one flight.
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

    /// Marks flights unjoinable. They stay registered so that concurrent invalidations can still fence them: each invalidation
    /// relies only on what it has fenced itself.
    fn mark_unjoinable(running: &mut [Self]) -> Vec<Arc<Flight>> {
        for running in &mut *running {
            running.joinable = false;
        }
        Self::flights(running)
    }

    fn flights(running: &[Self]) -> Vec<Arc<Flight>> {
        running.iter().map(|running| Arc::clone(&running.flight)).collect()
    }
}

/// The role of a caller.
pub(crate) enum Join<'a> {
    /// It runs the body.
    Leader(Leader<'a>),
    /// It waits for the leader.
    Waiter(Waiter),
}

/// A shared value of any type.
pub(crate) type Shared = Arc<dyn Any + Send + Sync>;

/// How a flight ended for its waiters.
#[derive(Clone)]
pub(crate) enum Outcome {
    /// With a value for each of them.
    Value(Shared),
    /// With nothing to share, after an `Err` or a panic: each waiter runs the body for itself.
    Nothing,
    /// The leader was dropped before it finished: one waiter leads next.
    Abandoned,
}

struct Flight {
    id: u64,
    /// It refreshes or replaces a cached value, which stays valid until the flight ends.
    supersedes: bool,
    waiting: AtomicUsize,
    state: Mutex<State>,
}

struct State {
    phase: Phase,
    /// The key was invalidated while the body ran, so its value is outdated and not stored.
    fenced: bool,
    /// The invalidation did not wait for this flight's value to arrive at the backend.
    unattended: bool,
    wakers: Vec<Waker>,
}

enum Phase {
    /// The body runs.
    Running,
    /// Its value is on its way to the backend. An invalidation waits for it to arrive.
    Storing,
    Completed(Outcome),
}

impl Default for Flights {
    fn default() -> Self {
        Self { running: Map::default(), process: AtomicU32::new(process::id()) }
    }
}

impl Flights {
    /// The map, for one step. Code that holds one of its guards takes no other lock and calls no user code, so no thread waits
    /// long for a guard.
    fn running(&self) -> &Map {
        interleave();
        &self.running
    }

    /// Joins the flight of `key`, or starts one.
    ///
    /// A caller leads a flight of its own, beside the running one, if it is inside that body itself, or if its waiting would close
    /// a cycle of bodies that wait for one another.
    pub(crate) fn join(&self, key: &FlightKey) -> Join<'_> {
        let ancestors = context::ancestors();
        let flight = loop {
            let mut running = self.running().entry(key.clone()).or_default();
            let Some(joinable) = running.iter().find(|running| running.joinable) else {
                let flight = Flight::start(false);
                let older = Running::flights(&running);
                running.push(Running::new(&flight, true));
                drop(running);
                return Join::Leader(Leader::new(self, key, flight, older));
            };
            let flight = Arc::clone(&joinable.flight);
            if self.process.load(Ordering::Relaxed) == process::id() {
                flight.waiting.fetch_add(1, Ordering::Relaxed);
                break flight;
            }
            drop(running);
            self.leave_parent_process();
        };
        match Waiting::on(flight.id, ancestors) {
            Ok(waiting) => Join::Waiter(Waiter { slot: WakerSlot::at(flight), _waiting: waiting }),
            Err(_cycle) => {
                flight.waiting.fetch_sub(1, Ordering::Relaxed);
                Join::Leader(self.alone(key))
            }
        }
    }

    /// Marks all flights unjoinable in a child process after a fork: threads of its parent lead them, and never end them here.
    fn leave_parent_process(&self) {
        self.mark_unjoinable_where(|_| true);
        self.process.store(process::id(), Ordering::Relaxed);
    }

    /// Starts a flight that no caller waits for.
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

    /// Fences the running flights of `key` and starts one whose value is newer, in one step.
    ///
    /// Await the returned fence before writing to the backend.
    pub(crate) fn supersede(&self, key: &FlightKey) -> (Fence, Leader<'_>) {
        let flight = Flight::start(true);
        let older = {
            let mut running = self.running().entry(key.clone()).or_default();
            let older = Running::mark_unjoinable(&mut running);
            running.push(Running::new(&flight, true));
            older
        };
        (Fence::around(older), Leader::new(self, key, flight, Vec::new()))
    }

    /// Marks a flight that has taken too long unjoinable: the next caller leads a new one.
    pub(crate) fn give_up_on(&self, key: &FlightKey, wait: &Waiter) {
        if let Some(mut running) = self.running().get_mut(key)
            && let Some(overdue) = running.iter_mut().find(|running| running.flight.id == wait.slot.flight.id)
        {
            overdue.joinable = false;
        }
    }

    /// Fences the running flights of `key`: they began before the key was invalidated, so their values are not stored, and no
    /// caller joins them any more.
    ///
    /// Await the returned fence before deleting from the backend, so that no value arrives there after the deletion. Fence again
    /// after the deletion: a flight that began in between may have read the old value, and would share it.
    pub(crate) fn fence(&self, key: &FlightKey) -> Fence {
        Fence::around(self.mark_unjoinable(key))
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
        Fence::around(self.mark_unjoinable_where(fenced))
    }

    fn mark_unjoinable_where(&self, marked: impl Fn(&FlightKey) -> bool) -> Vec<Arc<Flight>> {
        let running = self.running();
        let keys: Vec<_> =
            running.iter().filter(|entry| marked(entry.key())).map(|entry| entry.key().clone()).collect();
        keys.iter().flat_map(|key| self.mark_unjoinable(key)).collect()
    }

    fn mark_unjoinable(&self, key: &FlightKey) -> Vec<Arc<Flight>> {
        self.running().get_mut(key).map_or_else(Vec::new, |mut running| Running::mark_unjoinable(&mut running))
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
        // A waker is foreign code. It runs under no lock, and its panic does not keep the other waiters from being woken.
        for waker in wakers {
            catch_panic(|| waker.wake());
        }
    }
}

/// Leads a flight. Dropping it ends the flight.
pub(crate) struct Leader<'a> {
    flights: &'a Flights,
    key: FlightKey,
    flight: Arc<Flight>,
    /// The flights of the key that ran when this one began. Their values are older.
    older: Vec<Arc<Flight>>,
    ancestors: Arc<Ancestors>,
    /// How it ended. A leader that is dropped without an outcome has abandoned its flight.
    outcome: Option<Outcome>,
}

impl<'a> Leader<'a> {
    fn new(flights: &'a Flights, key: &FlightKey, flight: Arc<Flight>, older: Vec<Arc<Flight>>) -> Self {
        let ancestors = Ancestors::descend(context::ancestors(), flight.id);
        Self { flights, key: key.clone(), flight, older, ancestors, outcome: None }
    }

    /// The ancestors of the code that runs in this flight.
    pub(crate) fn ancestors(&self) -> Arc<Ancestors> {
        Arc::clone(&self.ancestors)
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
        let state = lock(&self.flight.state);
        if state.fenced { None } else { Some(put()) }
    }

    /// Announces that a value is about to be sent to the backend. Returns `false` if the key was invalidated since the flight began.
    pub(crate) fn begin_storing(&self) -> bool {
        let mut state = lock(&self.flight.state);
        if !state.fenced {
            state.phase = Phase::Storing;
        }
        !state.fenced
    }

    /// Whether the value arrived at the backend too late: the key was invalidated meanwhile, and the invalidation did not wait.
    pub(crate) fn came_too_late(&self) -> bool {
        lock(&self.flight.state).unattended
    }

    /// Closes the flight to new waiters. The present ones get the value that `share` makes when the leader is dropped; without
    /// waiters, `share` is not called.
    pub(crate) fn complete(&mut self, share: impl FnOnce() -> Option<Shared>) {
        // Deregistered first, so that no waiter joins after they are counted. A caller that comes now finds the stored value, or
        // leads a new flight.
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

/// The place of one task's waker in a flight.
struct WakerSlot {
    flight: Arc<Flight>,
    /// The index of the waker, once it is registered.
    place: Option<usize>,
}

impl WakerSlot {
    fn at(flight: Arc<Flight>) -> Self {
        Self { flight, place: None }
    }

    /// Ready with the result of `look` on the flight's phase. While that is `None`, the task is woken at the next phase.
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
        // Cloning and dropping a waker runs foreign code, so not under the lock.
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
    /// Releases the waker, so that the flight neither wakes nor keeps a task that no longer waits.
    fn drop(&mut self) {
        let Some(place) = self.place else { return };
        let mut state = lock(&self.flight.state);
        let old = state.wakers.get_mut(place).map(|waker| mem::replace(waker, Waker::noop().clone()));
        drop(state);
        drop(old);
    }
}

/// Waits for a flight to end.
pub(crate) struct Waiter {
    slot: WakerSlot,
    _waiting: Waiting,
}

impl Waiter {
    /// Whether the key may have a cached value, valid until the flight ends.
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

/// Ready when no value of the fenced flights is on its way to the backend.
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
    /// A value still on its way is removed by the leader that sent it.
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
