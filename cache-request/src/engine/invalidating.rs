//! How a call's value is removed, or declared stale.
//!
//! What runs for the key is fenced before and after: a body from before keeps nothing, and no later caller joins it.

use std::time::Duration;

use super::{call::Call, flight::Leader, making::Making, near_cache::BackendWrite, policy::Codec, value::ValueOf};
use crate::{
    Error,
    backend::{ClaimKind, Guarded},
    base::{clock::unix_millis, sync::interleave},
    codec::Opened,
    stats::Count,
    store::RemovalCause,
};

impl<R, V: ValueOf<R>> Call<'_, R, V> {
    /// Removes the value, and keeps running bodies from storing theirs. Until `refuse` is over, no value is stored. Returns whether there was a
    /// value.
    pub(crate) async fn invalidate(&self, refuse: Duration) -> Result<bool, Error> {
        let _removal = self.engine.removals.begin(self.key().hash());
        if !refuse.is_zero() {
            self.refuse(refuse);
        }
        let removed = self.remove(refuse).await;
        // A flight that looked before the removal may have found the old value, so no later caller joins it.
        drop(self.engine.flights.fence(self.flight_key()));
        removed
    }

    /// Refuses values in this process, which is all there is without a backend that has fences.
    fn refuse(&self, time: Duration) {
        // One tick later than by the coarse clock, so that it does not end early.
        let (now, until) = (self.engine.clock.coarse(), self.engine.clock.expiry(time));
        self.engine.refusals.prolong(self.flight_key(), (), until, now);
    }

    /// Notes whether values are refused when the body begins. A replica that lags until then may be what it reads.
    pub(super) fn heed_refusal(&self, leader: &mut Leader<'_>) {
        if self.values_are_refused() {
            leader.refuse();
        }
    }

    /// Whether this value is not to be stored.
    pub(super) fn is_refused(&self, leader: &Leader<'_>) -> bool {
        leader.is_refused() || self.values_are_refused()
    }

    fn values_are_refused(&self) -> bool {
        self.engine.refusals.get(self.flight_key(), || self.engine.clock.coarse()).is_some()
    }

    async fn remove(&self, refuse: Duration) -> Result<bool, Error> {
        let fence = self.engine.flights.fence(self.flight_key());
        interleave();
        // A value still on its way to the backend must not arrive after the deletion.
        self.engine.pass(fence).await;
        match self.backend() {
            Some(backend) => self.forget_in(backend, &self.text(backend), refuse).await,
            None => Ok(self.forget_in_memory()),
        }
    }

    pub(super) async fn forget(&self) -> Result<bool, Error> {
        match self.backend() {
            Some(backend) => self.forget_in(backend, &self.text(backend), Duration::ZERO).await,
            None => Ok(self.forget_in_memory()),
        }
    }

    pub(super) fn forget_in_memory(&self) -> bool {
        self.engine.store.remove(&self.function.table, &self.lookup(), RemovalCause::Invalidated)
    }

    /// Deletes from the backend first, and then from the near cache, which may have read the backend in between.
    pub(super) async fn forget_in(&self, backend: &Guarded, text: &str, refuse: Duration) -> Result<bool, Error> {
        let write = BackendWrite::begin(self.engine.near(), text);
        let was_there = backend.invalidate(text, refuse).await;
        let was_near = write.end();
        was_there.map(|was_there| was_there || was_near)
    }

    /// Declares the value stale: it may be returned until a new one is made, if the function's `stale` allows that. If not, or in a backend
    /// without fences, it is removed. Returns whether there was a value.
    pub(crate) async fn invalidate_soft(&self) -> Result<bool, Error> {
        let _removal = self.engine.removals.begin(self.key().hash());
        let fence = self.engine.flights.fence(self.flight_key());
        interleave();
        let was_there = match self.backend_with_fences().zip(self.policy.codec()) {
            Some((backend, codec)) => {
                self.engine.pass(fence).await;
                self.make_stale(backend, codec).await
            }
            None if self.backend().is_some() => {
                self.engine.pass(fence).await;
                self.forget().await
            }
            None => Ok(self.engine.store.expire(&self.function.table, &self.lookup())),
        };
        drop(self.engine.flights.fence(self.flight_key()));
        was_there
    }

    /// Ends the timeout of the backend's value, in place.
    async fn make_stale(&self, backend: &Guarded, codec: &Codec<V>) -> Result<bool, Error> {
        let (text, mut budget) = (self.text(backend), self.budget());
        let (bytes, mut making) = self.claim(ClaimKind::Anew, &text, &mut budget).await?;
        let wall = self.engine.clock.wall();
        let now = unix_millis(wall);
        let opened = bytes.as_deref().and_then(|bytes| self.open(codec, bytes, &text, now).ok());
        let (Some(Opened { value, mut facts }), Making::Fenced(fence, _), false) =
            (opened, &making, self.policy.spans().stale.is_zero())
        else {
            return self.forget_in(backend, &text, Duration::ZERO).await;
        };
        let was_usable = now < facts.fresh_until.max(facts.stale_until);
        let spans = self.policy.spans();
        spans.end(&mut facts, now);
        let left = Duration::from_millis(facts.end().saturating_sub(now)).min(spans.idle.unwrap_or(Duration::MAX));
        let sealed = self.seal(codec, &value, &text, &facts)?;
        let write = BackendWrite::begin(self.engine.near(), &text);
        let stored = backend.set_fenced(&text, &sealed, Some(left), *fence, &mut budget).await;
        write.end();
        // If not, another process has removed or replaced it since, and that is newer than this invalidation.
        let is_stored = stored?;
        making.end();
        if !is_stored {
            self.function.counters.increment(Count::Outdated);
        }
        Ok(was_usable)
    }
}
