//! What stands between a call and its backend: whatever that does, the call goes on.

use std::{
    future::{pending, poll_fn},
    mem,
    pin::Pin,
    sync::{
        Weak,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use super::{
    Backend,
    breaker::{self, Breaker},
    changes::{ChangeListener, Changes},
};
use crate::{
    Error, ErrorKind,
    base::{
        clock::{Clock, coarse_now, coarse_since},
        panic::catch_panic,
        timer::with_limit,
    },
    error::Blame,
    options::{defaults, saturating},
    stats::{BackendStats, BreakerState},
};

/// A backend that answers within its limit, or fails: it cannot hang, cannot panic, and is left alone while it fails. Only where
/// it takes a caller's thread, it is trusted to give it back in time.
pub(crate) struct Guarded {
    backend: Box<dyn DynBackend>,
    /// Asked for when the cache is made: a panic there is no call's.
    name: &'static str,
    max_key_bytes: usize,
    limits: Limits,
    breaker: Breaker,
    under_way: AtomicUsize,
}

/// What a backend may cost its callers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// How long a call waits for it in all.
    pub(crate) soft_limit: Duration,
    /// How many operations may be under way at a time.
    pub(crate) max_concurrent: usize,
    pub(crate) breaker: breaker::Policy,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            soft_limit: defaults::SOFT_LIMIT,
            max_concurrent: saturating(defaults::MAX_CONCURRENT),
            breaker: breaker::Policy { faults: defaults::BREAKER_FAULTS as u32, pause: defaults::BREAKER_PAUSE },
        }
    }
}

/// To remove everything may take so many times as long as a call waits: 25 seconds, unless told otherwise.
const CLEAR_MAY_TAKE: u32 = 100;

/// How long one call may still wait for its backend.
#[derive(Default)]
pub(crate) struct TimeBudget {
    limit: Duration,
    left: Duration,
    /// Whether its thread may be blocked meanwhile.
    blocks: bool,
    /// Once it has failed the call asks no more.
    is_over: bool,
}

impl TimeBudget {
    fn of(limit: Duration, blocks: bool) -> Self {
        Self { limit, left: limit, blocks, is_over: false }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }
}

impl Guarded {
    pub(crate) fn new(backend: Box<dyn DynBackend>, limits: Limits, clock: Clock) -> Self {
        Self {
            name: backend.name(),
            max_key_bytes: backend.max_key_bytes(),
            backend,
            limits,
            breaker: Breaker::new(limits.breaker, clock),
            under_way: AtomicUsize::new(0),
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn max_key_bytes(&self) -> usize {
        self.max_key_bytes
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn budget(&self, blocks: bool) -> TimeBudget {
        TimeBudget::of(self.limits.soft_limit, blocks)
    }

    pub(crate) fn stats(&self) -> BackendStats {
        BackendStats {
            name: self.name,
            breaker: self.breaker.state(),
            opened: self.breaker.opened(),
            under_way: self.under_way.load(Ordering::Relaxed) as u64,
            near: None,
        }
    }

    /// An error at once where an operation would be refused: before anything is prepared for it.
    pub(crate) fn ready(&self, budget: &mut TimeBudget) -> Result<(), Error> {
        if self.breaker.state() == BreakerState::Open { Err(self.refuse(budget)) } else { Ok(()) }
    }

    /// [`Backend::track`]; `None` if it panics, so that nothing is known.
    pub(crate) fn track(&self, listener: Weak<dyn ChangeListener>) -> Option<bool> {
        catch_panic(|| self.backend.track(Changes::new(listener, self.name)))
    }

    pub(crate) async fn get(&self, key: &str, budget: &mut TimeBudget) -> Result<Option<Vec<u8>>, Error> {
        self.guard(self.backend.get(key, budget.blocks.then_some(budget.left)), budget).await
    }

    pub(crate) async fn set(
        &self,
        key: &str,
        value: &[u8],
        timeout: Option<Duration>,
        budget: &mut TimeBudget,
    ) -> Result<(), Error> {
        self.guard(self.backend.set(key, value, timeout), budget).await
    }

    pub(crate) async fn delete(&self, key: &str) -> Result<bool, Error> {
        self.guard(self.backend.delete(key), &mut self.budget(false)).await
    }

    /// It may have to look at all there is, and is given the time.
    pub(crate) async fn clear(&self) -> Result<(), Error> {
        let limit = self.limits.soft_limit.saturating_mul(CLEAR_MAY_TAKE);
        self.guard(self.backend.clear(), &mut TimeBudget::of(limit, false)).await
    }

    async fn guard<T>(&self, operation: Operation<'_, T>, budget: &mut TimeBudget) -> Result<T, Error> {
        let mut operation = Dropped(operation);
        let Some(permit) = self.breaker.permit() else { return Err(self.refuse(budget)) };
        let _seat = self.slot(budget)?;
        // By the coarse clock: the limit is no more exact than that.
        let begun = coarse_now();
        let operation = poll_fn(|context| {
            let panicked = || Poll::Ready(Err(Error::backend(format!("the {} backend panicked", self.name))));
            catch_panic(|| operation.0.as_mut().poll(context)).unwrap_or_else(panicked)
        });
        let outcome = with_limit(budget.left, operation).await.unwrap_or_else(|| {
            let limit = budget.limit;
            Err(Error::new(ErrorKind::Timeout, format!("the {} backend took longer than {limit:?}", self.name)))
        });
        // What is wrong with one key or one server says nothing of the others, so the breaker is not told.
        match outcome.as_ref().map_err(|error| error.kind().blame()) {
            Ok(_) => {
                budget.left = budget.left.saturating_sub(coarse_since(begun));
                permit.succeeded();
            }
            Err(Blame::Key) => budget.left = budget.left.saturating_sub(coarse_since(begun)),
            Err(Blame::Server) => budget.is_over = true,
            Err(Blame::Backend) => {
                budget.is_over = true;
                permit.failed();
            }
        }
        outcome
    }

    #[cold]
    fn refuse(&self, budget: &mut TimeBudget) -> Error {
        budget.is_over = true;
        Error::new(ErrorKind::Unavailable, format!("the {} backend has failed too often and is left alone", self.name))
    }

    fn slot(&self, budget: &mut TimeBudget) -> Result<OperationSlot<'_>, Error> {
        let slot = OperationSlot(&self.under_way);
        if self.under_way.fetch_add(1, Ordering::Relaxed) < self.limits.max_concurrent {
            return Ok(slot);
        }
        budget.is_over = true;
        let limit = self.limits.max_concurrent;
        Err(Error::new(ErrorKind::Unavailable, format!("the {} backend has {limit} operations to do", self.name)))
    }
}

/// One operation that is under way.
struct OperationSlot<'a>(&'a AtomicUsize);

impl Drop for OperationSlot<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

type Operation<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// An operation that may panic when it is dropped, half way or done.
struct Dropped<'a, T: 'a>(Operation<'a, T>);

impl<'a, T: 'a> Drop for Dropped<'a, T> {
    fn drop(&mut self) {
        let operation = mem::replace(&mut self.0, Box::pin(pending()));
        // Nothing is left to be said: it has failed already, or its outcome is known.
        catch_panic(|| drop(operation));
    }
}

/// [`Backend`], for a backend whose type is forgotten.
pub(crate) trait DynBackend: Send + Sync {
    fn name(&self) -> &'static str;
    fn max_key_bytes(&self) -> usize;
    /// With the limit of a caller whose thread may be blocked.
    fn get<'a>(&'a self, key: &'a str, blocks: Option<Duration>) -> Operation<'a, Option<Vec<u8>>>;
    fn set<'a>(&'a self, key: &'a str, value: &'a [u8], timeout: Option<Duration>) -> Operation<'a, ()>;
    fn delete<'a>(&'a self, key: &'a str) -> Operation<'a, bool>;
    fn clear(&self) -> Operation<'_, ()>;
    fn track(&self, changes: Changes) -> bool;
}

impl<B: Backend> DynBackend for B {
    fn name(&self) -> &'static str {
        Backend::name(self)
    }

    fn max_key_bytes(&self) -> usize {
        Backend::max_key_bytes(self)
    }

    // In an async block, so that a panic of the method itself comes when the guard is there to catch it.
    fn get<'a>(&'a self, key: &'a str, blocks: Option<Duration>) -> Operation<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            match blocks.and_then(|limit| Backend::get_blocking(self, key, limit)) {
                Some(found) => found,
                None => Backend::get(self, key).await,
            }
        })
    }

    fn set<'a>(&'a self, key: &'a str, value: &'a [u8], timeout: Option<Duration>) -> Operation<'a, ()> {
        Box::pin(async move { Backend::set(self, key, value, timeout).await })
    }

    fn delete<'a>(&'a self, key: &'a str) -> Operation<'a, bool> {
        Box::pin(async move { Backend::delete(self, key).await })
    }

    fn clear(&self) -> Operation<'_, ()> {
        Box::pin(async move { Backend::clear(self).await })
    }

    fn track(&self, changes: Changes) -> bool {
        Backend::track(self, changes)
    }
}
