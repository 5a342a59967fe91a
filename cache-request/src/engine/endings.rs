//! Bodies in the background whose ends callers wait for.

use std::{future::poll_fn, sync::Arc, time::Duration};

use super::{
    by_key::ByKey,
    flight::{
        FlightKey,
        watched::{WakerSlot, Watch, Watched},
    },
};
use crate::base::{clock::Nanos, timer::with_limit};

/// The keys whose values are being replaced while callers may wait.
#[derive(Default)]
pub(crate) struct Endings(ByKey<Arc<Ending>>);

/// The end of one body.
struct Ending(Watched<bool>);

impl Watch for Ending {
    type State = bool;

    fn watched(&self) -> &Watched<bool> {
        &self.0
    }
}

impl Endings {
    /// A body is about to begin, for which callers may wait until a moment.
    pub(super) fn announce(&self, key: FlightKey<'_>, until: Nanos, now: Nanos) {
        self.0.put_if_none(key, Arc::new(Ending(Watched::new(false))), until, now);
    }

    /// The body has ended.
    pub(super) fn end(&self, key: FlightKey<'_>) {
        if let Some(ending) = self.0.take(key) {
            ending.0.change(|has_ended| *has_ended = true);
        }
    }

    /// Waits for the end of the key's body, for so long at most. Returns whether it has ended: without one, it may have done so before the
    /// caller could wait.
    pub(super) async fn wait(&self, key: FlightKey<'_>, limit: Duration, now: Nanos) -> bool {
        let Some((ending, _)) = self.0.get(key, || now) else { return true };
        let mut slot = WakerSlot::at(ending);
        let ended = poll_fn(|context| slot.poll(context, |_, has_ended| has_ended.then_some(())));
        with_limit(limit, ended).await.is_some()
    }
}
