//! Fences: after a key was invalidated, no value of a body that began before is stored.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use super::{
    pulse::Pulse,
    watched::{WakerSlot, Watch, Watched},
};
use crate::base::clock::Clock;

/// One running body. It moves through [`Phase`] in one direction.
pub(super) struct Flight {
    state: Watched<State>,
    /// The number of the queue that its leader stands in.
    pub(super) queue: Option<u64>,
    pub(super) pulse: Arc<Pulse>,
    /// Another caller leads in its place. Changes under the key's lock in [`Flights`](super::Flights).
    is_passed_over: AtomicBool,
}

pub(super) struct State {
    phase: Phase,
    /// The key was invalidated while the body ran, so its value is outdated and not stored.
    fenced: bool,
    /// The invalidation did not wait for this flight's value to arrive at the backend.
    unattended: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The body runs.
    Running,
    /// Its value is on its way to the backend. An invalidation waits for it to arrive.
    Storing,
    Ended,
}

impl Flight {
    pub(super) fn start(queue: Option<u64>, clock: Clock) -> Arc<Self> {
        let state = State { phase: Phase::Running, fenced: false, unattended: false };
        let (state, pulse) = (Watched::new(state), Pulse::new(clock));
        Arc::new(Self { state, queue, pulse, is_passed_over: AtomicBool::new(false) })
    }

    pub(super) fn pass_over(&self) {
        self.is_passed_over.store(true, Relaxed);
    }

    pub(super) fn is_passed_over(&self) -> bool {
        self.is_passed_over.load(Relaxed)
    }

    /// Calls `put` unless the flight is fenced. A concurrent fence waits.
    pub(super) fn keep<T>(&self, put: impl FnOnce() -> T) -> Option<T> {
        self.state.with(|state| if state.fenced { None } else { Some(put()) })
    }

    /// Announces a value on its way to the backend, unless the flight is fenced.
    pub(super) fn begin_storing(&self) -> bool {
        self.state.with(|state| {
            if !state.fenced {
                state.phase = Phase::Storing;
            }
            !state.fenced
        })
    }

    /// Whether it was fenced while its value was on its way, and the fence did not wait.
    pub(super) fn came_too_late(&self) -> bool {
        self.state.with(|state| state.unattended)
    }

    #[cfg(feature = "http")]
    fn is_fenced(&self) -> bool {
        self.state.with(|state| state.fenced)
    }

    pub(super) fn end(&self) {
        self.state.change(|state| state.phase = Phase::Ended);
    }
}

impl Watch for Flight {
    type State = State;

    fn watched(&self) -> &Watched<State> {
        &self.state
    }
}

/// Tells of a flight whether it is fenced, also after its end.
#[cfg(feature = "http")]
pub(crate) struct FenceCheck(pub(super) Arc<Flight>);

#[cfg(feature = "http")]
impl FenceCheck {
    /// Whether the key was invalidated since the flight began.
    pub(crate) fn is_fenced(&self) -> bool {
        self.0.is_fenced()
    }
}

/// Ready when no value of the fenced flights is on its way to the backend.
#[must_use = "until it is ready, older values may still arrive at the backend"]
pub(crate) struct Fence {
    storing: Vec<WakerSlot<Flight>>,
}

impl Fence {
    pub(super) fn around(flights: Vec<Arc<Flight>>) -> Self {
        for flight in &flights {
            flight.state.with(|state| state.fenced = true);
        }
        Self { storing: flights.into_iter().map(WakerSlot::at).collect() }
    }
}

impl Drop for Fence {
    /// A value still on its way is removed by the leader that sent it.
    fn drop(&mut self) {
        for slot in &self.storing {
            slot.watched.state.with(|state| state.unattended = true);
        }
    }
}

impl Future for Fence {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let has_arrived = |_: &Flight, state: &State| (state.phase != Phase::Storing).then_some(());
        self.storing.retain_mut(|slot| slot.poll(context, has_arrived).is_pending());
        if self.storing.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    }
}
