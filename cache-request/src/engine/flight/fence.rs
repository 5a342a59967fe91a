//! Fences: after a key was invalidated, no value of a body that began before is stored.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use super::watched::{WakerSlot, Watch, Watched};

/// The way of one flight's value to the backend.
pub(super) struct Arrival(Watched<State>);

pub(super) struct State {
    has_ended: bool,
    /// The key was invalidated meanwhile, and the invalidation did not wait for the value to arrive.
    unattended: bool,
}

impl Arrival {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Watched::new(State { has_ended: false, unattended: false })))
    }

    /// Whether the flight was fenced while its value was on its way, and the fence did not wait.
    pub(super) fn came_too_late(&self) -> bool {
        self.0.with(|state| state.unattended)
    }

    pub(super) fn end(&self) {
        self.0.change(|state| state.has_ended = true);
    }
}

impl Watch for Arrival {
    type State = State;

    fn watched(&self) -> &Watched<State> {
        &self.0
    }
}

/// Ready when no value of the fenced flights is on its way to the backend.
#[derive(Default)]
#[must_use = "until it is ready, older values may still arrive at the backend"]
pub(crate) struct Fence {
    arriving: Vec<WakerSlot<Arrival>>,
}

impl Fence {
    pub(super) fn add(&mut self, arrival: &Arc<Arrival>) {
        self.arriving.push(WakerSlot::at(Arc::clone(arrival)));
    }
}

impl Drop for Fence {
    /// A value still on its way is removed by the leader that sent it.
    fn drop(&mut self) {
        for slot in &self.arriving {
            slot.watched.0.with(|state| state.unattended = true);
        }
    }
}

impl Future for Fence {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let has_arrived = |_: &Arrival, state: &State| state.has_ended.then_some(());
        self.arriving.retain_mut(|slot| slot.poll(context, has_arrived).is_pending());
        if self.arriving.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    }
}
