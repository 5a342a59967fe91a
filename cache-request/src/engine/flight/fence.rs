//! Fences: after a key was invalidated, no value of a body that began before is stored.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use super::watched::{WakerSlot, Watch, Watched};

/// One running body. It moves through [`Phase`] in one direction.
pub(super) struct Flight(Watched<State>);

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
    pub(super) fn start() -> Arc<Self> {
        Arc::new(Self(Watched::new(State { phase: Phase::Running, fenced: false, unattended: false })))
    }

    /// Calls `put` unless the flight is fenced. A concurrent fence waits.
    pub(super) fn keep<T>(&self, put: impl FnOnce() -> T) -> Option<T> {
        self.0.with(|state| if state.fenced { None } else { Some(put()) })
    }

    /// Announces a value on its way to the backend, unless the flight is fenced.
    pub(super) fn begin_storing(&self) -> bool {
        self.0.with(|state| {
            if !state.fenced {
                state.phase = Phase::Storing;
            }
            !state.fenced
        })
    }

    /// Whether it was fenced while its value was on its way, and the fence did not wait.
    pub(super) fn came_too_late(&self) -> bool {
        self.0.with(|state| state.unattended)
    }

    #[cfg(feature = "http")]
    fn is_fenced(&self) -> bool {
        self.0.with(|state| state.fenced)
    }

    pub(super) fn end(&self) {
        self.0.change(|state| state.phase = Phase::Ended);
    }
}

impl Watch for Flight {
    type State = State;

    fn watched(&self) -> &Watched<State> {
        &self.0
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
            flight.0.with(|state| state.fenced = true);
        }
        Self { storing: flights.into_iter().map(WakerSlot::at).collect() }
    }
}

impl Drop for Fence {
    /// A value still on its way is removed by the leader that sent it.
    fn drop(&mut self) {
        for slot in &self.storing {
            slot.watched.0.with(|state| state.unattended = true);
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
