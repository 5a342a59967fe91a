//! One call, from the look-up to the answer, and what it needs of its cache.
//!
//! [`run`] is the way of a call, and [`call`] has its parts. It joins a [`flight`], reads and writes the memory and the backend that [`Engine`] holds,
//! and asks the [`policy`] what becomes of a value.

pub(crate) mod attempts;
mod awaited;
mod awaiting;
pub(crate) mod background;
pub(crate) mod body;
pub(crate) mod by_key;
pub(crate) mod call;
pub(crate) mod claiming;
pub(crate) mod description;
pub(crate) mod each;
#[cfg(feature = "http")]
mod elsewhere;
pub(crate) mod endings;
pub(crate) mod flight;
mod found;
pub(crate) mod function;
mod idle;
mod invalidating;
mod keeper;
pub(crate) mod looked;
pub(crate) mod making;
pub(crate) mod near_cache;
mod older;
pub(crate) mod policy;
mod reading;
pub(crate) mod removals;
pub(crate) mod run;
pub(crate) mod source;
mod spans;
pub(crate) mod storing;
pub(crate) mod tagging;
pub(crate) mod this_call;
pub(crate) mod touches;
pub(crate) mod value;
pub(crate) mod wrong;

use std::{sync::Arc, time::Duration};

use self::{
    attempts::Attempts,
    background::Background,
    by_key::ByKey,
    endings::Endings,
    flight::{Fence, Flights, Memory},
    making::Leases,
    near_cache::{BackendWrite, NearCache},
    removals::Removals,
    tagging::keys::TagKeys,
    touches::Touches,
};
use crate::{
    Error,
    backend::Guarded,
    base::{clock::Clock, sync::interleave, timer::with_limit},
    codec::EnvelopeOptions,
    stats::BackendStats,
    store::{Table, tags::Tags},
};

/// What the calls of one cache share.
pub(crate) struct Engine {
    pub(crate) place: Place,
    pub(crate) store: Arc<Memory>,
    pub(crate) tags: Arc<Tags>,
    pub(crate) tag_keys: TagKeys,
    /// Whether each value has a tag of its function, and one of its client.
    pub(crate) function_tags: bool,
    /// Whether the calls of its functions are measured.
    pub(crate) measure: bool,
    pub(crate) flights: Flights,
    pub(crate) removals: Removals,
    pub(crate) attempts: Attempts,
    pub(crate) endings: Endings,
    pub(crate) touches: Touches,
    /// The keys of which no value is stored at present.
    pub(crate) refusals: ByKey<()>,
    pub(crate) background: Background,
    pub(crate) clock: Clock,
    pub(crate) envelope: EnvelopeOptions,
    /// How long a caller waits for a body that another caller runs.
    pub(crate) wait_limit: Duration,
    pub(crate) leases: Leases,
}

/// Where values are kept.
pub(crate) enum Place {
    Memory,
    /// Nowhere: the cache is disabled.
    Null,
    Backend(Arc<Guarded>, Option<Arc<NearCache>>),
}

impl Engine {
    pub(crate) fn backend(&self) -> Option<&Arc<Guarded>> {
        match &self.place {
            Place::Backend(backend, _) => Some(backend),
            Place::Memory | Place::Null => None,
        }
    }

    /// The memory in front of the backend.
    pub(crate) fn near(&self) -> Option<&Arc<NearCache>> {
        match &self.place {
            Place::Backend(_, near) => near.as_ref(),
            Place::Memory | Place::Null => None,
        }
    }

    pub(crate) fn backend_stats(&self) -> Option<BackendStats> {
        Some(BackendStats { near: self.near().map(|near| near.stats()), ..self.backend()?.stats() })
    }

    /// Waits until nothing that `fence` covers is on its way to the backend, for at most the time that an operation there may take.
    ///
    /// A value may be on its way in a task that is no longer polled. If that task is polled again, it deletes what it stored.
    pub(crate) async fn pass(&self, fence: Fence) {
        let limit = self.backend().map_or(Duration::ZERO, |backend| backend.limits().soft_limit);
        with_limit(limit, fence).await;
    }

    /// Removes all values, also those that running bodies are about to return.
    pub(crate) async fn clear(&self) -> Result<(), Error> {
        let _removal = self.removals.begin_all();
        let cleared = self.remove_all().await;
        // Callers that looked before the removal must not be joined any more.
        drop(self.flights.fence_all());
        cleared
    }

    /// Removes all values of one function from memory, also those that running bodies are about to return.
    pub(crate) fn clear_in_memory<V: Send + Sync + 'static>(&self, table: &Table<V>) {
        // Nothing of a function in memory is on its way to a backend, so there is nothing to wait for.
        drop(self.flights.fence_function(table.id));
        interleave();
        self.store.clear_table(table);
        // Callers that looked before the removal must not be joined any more.
        drop(self.flights.fence_function(table.id));
    }

    async fn remove_all(&self) -> Result<(), Error> {
        let fence = self.flights.fence_all();
        interleave();
        self.store.clear();
        let Place::Backend(backend, near) = &self.place else { return Ok(()) };
        self.pass(fence).await;
        let write = BackendWrite::begin_all(near.as_ref());
        let cleared = backend.clear().await;
        write.end();
        cleared
    }
}
