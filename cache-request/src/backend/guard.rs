//! The guard around every operation of a backend: a time limit, two circuit breakers, a bound on operations under way, and no
//! panics.

use std::{
    future::poll_fn,
    sync::{
        Weak,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use super::{
    Item,
    breaker::{self, Breaker},
    changes::{ChangeListener, Changes},
    erased::{DropsQuietly, DynBackend, Operation, Operations, Outcomes},
    fencing::{Claim, Claimed, Fence, Right},
};
use crate::{
    Error, ErrorKind,
    base::{
        clock::{Clock, Nanos},
        panic::catch_panic,
        process::{PerProcess, Process},
        timer::with_limit_in,
    },
    error::Blame,
    options::{defaults, saturating},
    stats::{BackendStats, BreakerState},
};

/// A backend whose operations end within their time limit and do not panic, and which is not asked while it fails.
///
/// Reads and writes have a circuit breaker each: where only writes fail, reads go on, and their successes do not keep writes
/// from being refused. Deletions are writes.
///
/// [`Backend::get_blocking`] is trusted to keep its limit, since a thread that is blocked cannot be stopped.
pub(crate) struct Guarded {
    backend: Box<dyn DynBackend>,
    /// Asked once, when the cache is made: a panic there is not in a call.
    name: &'static str,
    max_key_bytes: usize,
    has_fences: bool,
    limits: Limits,
    clock: Clock,
    /// A child process begins with a new one: the operations of its parent never end there.
    health: PerProcess<Health>,
}

/// How the backend does, by the operations of one process.
struct Health {
    reads: Breaker,
    writes: Breaker,
    under_way: AtomicUsize,
}

/// The process that begins an operation, so that it is asked for once, and how the backend does in it.
#[derive(Clone, Copy)]
pub(crate) struct Here<'a> {
    process: Process,
    health: &'a Health,
}

/// What a backend may cost its callers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// How long a call waits for the backend in all.
    pub(crate) soft_limit: Duration,
    /// How many operations may be under way at a time.
    pub(crate) max_concurrent: usize,
    /// Of each of the two breakers.
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

/// How many times the soft limit [`Backend::clear`] may take: 25 seconds by default.
const CLEAR_MAY_TAKE: u32 = 100;

/// How long one call may still wait for its backend.
#[derive(Default)]
pub(crate) struct TimeBudget {
    limit: Duration,
    left: Duration,
    /// Whether the call's thread may be blocked.
    blocks: bool,
    /// The backend has failed, so the call does not ask it again.
    is_over: bool,
}

impl TimeBudget {
    fn of(limit: Duration, blocks: bool) -> Self {
        Self { limit, left: limit, blocks, is_over: false }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    /// The same for an operation beside another one.
    pub(crate) fn beside(&self) -> Self {
        Self { ..*self }
    }

    /// What was left for an operation beside has become this.
    pub(crate) fn and(&mut self, other: &Self) {
        self.left = self.left.min(other.left);
        self.is_over |= other.is_over;
    }

    /// Whether an operation that took so long counts as a fault although it succeeded: it needed more than three quarters of all
    /// the time that a call has.
    fn is_slow(&self, taken: Duration) -> bool {
        taken > self.limit / 4 * 3
    }
}

impl Guarded {
    /// Guards `backend`. All times but the limits go by `clock`.
    pub(crate) fn new(backend: Box<dyn DynBackend>, limits: Limits, clock: Clock) -> Self {
        Self {
            name: backend.name(),
            max_key_bytes: backend.max_key_bytes(),
            has_fences: backend.has_fences(),
            backend,
            limits,
            clock,
            health: PerProcess::new(),
        }
    }

    fn here(&self) -> Here<'_> {
        let process = Process::this();
        let health = self.health.of(process, || Health {
            reads: Breaker::new(self.limits.breaker, self.clock.clone()),
            writes: Breaker::new(self.limits.breaker, self.clock.clone()),
            under_way: AtomicUsize::new(0),
        });
        Here { process, health }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn max_key_bytes(&self) -> usize {
        self.max_key_bytes
    }

    pub(crate) fn has_fences(&self) -> bool {
        self.has_fences
    }

    /// Whether writes are not refused at present.
    pub(crate) fn takes_writes(&self) -> bool {
        self.here().health.writes.state() != BreakerState::Open
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn budget(&self, blocks: bool) -> TimeBudget {
        TimeBudget::of(self.limits.soft_limit, blocks)
    }

    pub(crate) fn stats(&self) -> BackendStats {
        let health = self.here().health;
        BackendStats {
            name: self.name,
            reads: health.reads.stats(),
            writes: health.writes.stats(),
            under_way: health.under_way.load(Ordering::Relaxed) as u64,
            near: None,
        }
    }

    /// Fails if a read would be refused. To be called before anything is prepared for it, and in the same poll as [`get`](Self::get).
    pub(crate) fn ready_to_read(&self, budget: &mut TimeBudget) -> Result<Here<'_>, Error> {
        let here = self.here();
        self.ready(&here.health.reads, "reads", budget)?;
        Ok(here)
    }

    /// Fails if a write would be refused. To be called before anything is prepared for it.
    pub(crate) fn ready_to_write(&self, budget: &mut TimeBudget) -> Result<(), Error> {
        self.ready(&self.here().health.writes, "writes", budget)
    }

    fn ready(&self, breaker: &Breaker, operations: &str, budget: &mut TimeBudget) -> Result<(), Error> {
        if breaker.state() == BreakerState::Open { Err(self.refuse(operations, budget)) } else { Ok(()) }
    }

    /// [`Backend::track`]; `None` if it panics, so that it is not known what it did.
    pub(crate) fn track(&self, listener: Weak<dyn ChangeListener>) -> Option<bool> {
        catch_panic(|| self.backend.track(Changes::new(listener, self.name)))
    }

    pub(crate) async fn get(
        &self,
        here: Here<'_>,
        key: &str,
        budget: &mut TimeBudget,
    ) -> Result<Option<Vec<u8>>, Error> {
        let operation = self.backend.get(key, budget.blocks.then_some(budget.left));
        self.guard(here, &here.health.reads, "reads", operation, budget).await
    }

    pub(crate) async fn set(
        &self,
        key: &str,
        value: &[u8],
        timeout: Option<Duration>,
        budget: &mut TimeBudget,
    ) -> Result<(), Error> {
        self.write(self.backend.set(key, value, timeout), budget).await
    }

    pub(crate) async fn add(
        &self,
        key: &str,
        value: &[u8],
        timeout: Option<Duration>,
        budget: &mut TimeBudget,
    ) -> Result<bool, Error> {
        self.write(self.backend.add(key, value, timeout), budget).await
    }

    pub(crate) async fn touch(
        &self,
        key: &str,
        timeout: Option<Duration>,
        budget: &mut TimeBudget,
    ) -> Result<bool, Error> {
        self.write(self.backend.touch(key, timeout), budget).await
    }

    async fn delete(&self, key: &str) -> Result<bool, Error> {
        self.write(self.backend.delete(key), &mut self.budget(false)).await
    }

    pub(crate) async fn claim(&self, key: &str, claim: Claim, budget: &mut TimeBudget) -> Result<Claimed, Error> {
        let here = self.here();
        let claimed = self.guard(here, &here.health.reads, "reads", self.backend.claim(key, claim), budget).await;
        // It was read, and could not be claimed: the backend takes no writes.
        if let Ok(Claimed { right: Right::Refused(Duration::ZERO), .. }) = claimed
            && let Some(permit) = here.health.writes.permit()
        {
            permit.failed();
        }
        claimed
    }

    pub(crate) async fn set_fenced(
        &self,
        key: &str,
        value: &[u8],
        timeout: Option<Duration>,
        fence: Fence,
        budget: &mut TimeBudget,
    ) -> Result<bool, Error> {
        self.write(self.backend.set_fenced(key, value, timeout, fence), budget).await
    }

    pub(crate) async fn renew(&self, key: &str, fence: Fence, lease: Duration) -> Result<bool, Error> {
        self.write(self.backend.renew(key, fence, lease), &mut self.budget(false)).await
    }

    pub(crate) async fn release(&self, key: &str, fence: Fence) -> Result<(), Error> {
        self.write(self.backend.release(key, fence), &mut self.budget(false)).await
    }

    /// Removes the value, and what keeps values from being stored that were made before, if the backend has that.
    pub(crate) async fn invalidate(&self, key: &str, refuse: Duration) -> Result<bool, Error> {
        if !self.has_fences {
            return self.delete(key).await;
        }
        self.write(self.backend.invalidate(key, refuse), &mut self.budget(false)).await
    }

    /// [`get`](Self::get) of each key.
    pub(crate) async fn get_many(
        &self,
        keys: &[&str],
        budget: &mut TimeBudget,
    ) -> Result<Outcomes<Option<Vec<u8>>>, Error> {
        let (here, operation) = (self.here(), self.backend.get_many(keys));
        self.guard_many(here, &here.health.reads, "reads", (operation, keys.len()), budget).await
    }

    /// [`set`](Self::set) of each item.
    pub(crate) async fn set_many(&self, items: &[Item<'_>], budget: &mut TimeBudget) -> Result<Outcomes<()>, Error> {
        let (here, operation) = (self.here(), self.backend.set_many(items));
        self.guard_many(here, &here.health.writes, "writes", (operation, items.len()), budget).await
    }

    /// [`claim`](Self::claim) of each key.
    pub(crate) async fn claim_many(
        &self,
        keys: &[&str],
        claim: Claim,
        budget: &mut TimeBudget,
    ) -> Result<Outcomes<Claimed>, Error> {
        let (here, operation) = (self.here(), self.backend.claim_many(keys, claim));
        self.guard_many(here, &here.health.reads, "reads", (operation, keys.len()), budget).await
    }

    /// [`set_fenced`](Self::set_fenced) of each item.
    pub(crate) async fn set_fenced_many(
        &self,
        items: &[(Item<'_>, Fence)],
        budget: &mut TimeBudget,
    ) -> Result<Outcomes<bool>, Error> {
        let (here, operation) = (self.here(), self.backend.set_fenced_many(items));
        self.guard_many(here, &here.health.writes, "writes", (operation, items.len()), budget).await
    }

    /// Clears the backend. It may have to look at all of its keys, so it has more time than other operations.
    pub(crate) async fn clear(&self) -> Result<(), Error> {
        let limit = self.limits.soft_limit.saturating_mul(CLEAR_MAY_TAKE);
        self.write(self.backend.clear(), &mut TimeBudget::of(limit, false)).await
    }

    async fn write<T>(&self, operation: Operation<'_, T>, budget: &mut TimeBudget) -> Result<T, Error> {
        let here = self.here();
        self.guard(here, &here.health.writes, "writes", operation, budget).await
    }

    async fn guard<T>(
        &self,
        here: Here<'_>,
        breaker: &Breaker,
        operations: &str,
        operation: Operation<'_, T>,
        budget: &mut TimeBudget,
    ) -> Result<T, Error> {
        self.guard_by(here, breaker, operations, operation, budget, |_| None).await
    }

    /// The same for `count` keys. What is wrong with the backend is a fault of the whole operation. What is wrong with one key or one
    /// server is no fault of the others.
    async fn guard_many<T: Send>(
        &self,
        here: Here<'_>,
        breaker: &Breaker,
        operations: &str,
        (operation, count): (Operations<'_, T>, usize),
        budget: &mut TimeBudget,
    ) -> Result<Outcomes<T>, Error> {
        let is_server = |outcome: &Result<T, Error>| {
            outcome.as_ref().err().is_some_and(|error| error.kind().blame() == Blame::Server)
        };
        let worst = |outcomes: &Outcomes<T>| {
            let mut kinds = outcomes.iter().filter_map(|outcome| Some(outcome.as_ref().err()?.kind()));
            let of_backend = kinds.clone().find(|kind| kind.blame() == Blame::Backend);
            of_backend.or_else(|| kinds.next().filter(|_| outcomes.iter().all(is_server)))
        };
        let name = self.name;
        let counted: Operations<'_, T> = Box::pin(async move {
            let outcomes = operation.await?;
            if outcomes.len() == count {
                return Ok(outcomes);
            }
            let returned = outcomes.len();
            Err(Error::backend(format!("the {name} backend returned {returned} outcomes for {count} keys")))
        });
        self.guard_by(here, breaker, operations, counted, budget, worst).await
    }

    /// Guards an operation. `fault` finds one in its outcome.
    async fn guard_by<T>(
        &self,
        here: Here<'_>,
        breaker: &Breaker,
        operations: &str,
        operation: Operation<'_, T>,
        budget: &mut TimeBudget,
        fault: impl Fn(&T) -> Option<ErrorKind>,
    ) -> Result<T, Error> {
        let mut operation = DropsQuietly(operation);
        let Some(permit) = breaker.permit() else { return Err(self.refuse(operations, budget)) };
        let _under_way = self.enter(here.health, budget)?;
        let had = budget.left;
        let begun = self.now();
        let operation = poll_fn(|context| {
            let panicked = || Poll::Ready(Err(Error::backend(format!("the {} backend panicked", self.name))));
            catch_panic(|| operation.0.as_mut().poll(context)).unwrap_or_else(panicked)
        });
        let outcome = with_limit_in(here.process, budget.left, operation).await.unwrap_or_else(|| {
            let limit = budget.limit;
            Err(Error::new(ErrorKind::Timeout, format!("the {} backend took longer than {limit:?}", self.name)))
        });
        let taken = Duration::from_nanos(self.now().saturating_sub(begun));
        budget.left = budget.left.saturating_sub(taken);
        let kind = match &outcome {
            Ok(outcome) => fault(outcome),
            Err(error) => Some(error.kind()),
        };
        let blame = kind.map(ErrorKind::blame);
        budget.is_over |= matches!(blame, Some(Blame::Server | Blame::Backend));
        match blame {
            // An earlier operation of the call has used up the time.
            Some(Blame::Backend) if kind == Some(ErrorKind::Timeout) && had < budget.limit / 2 => drop(permit),
            Some(Blame::Backend) => permit.failed(),
            _ if budget.is_slow(taken) => permit.failed(),
            None => permit.succeeded(),
            // What is wrong with one key or one server says nothing of the others.
            Some(Blame::Key | Blame::Server) => drop(permit),
        }
        outcome
    }

    /// Now, by the precise clock: a tick of the coarse one may be as long as a short limit.
    fn now(&self) -> Nanos {
        self.clock.after(Duration::ZERO)
    }

    #[cold]
    fn refuse(&self, operations: &str, budget: &mut TimeBudget) -> Error {
        budget.is_over = true;
        let message =
            format!("the {} backend is not asked for a while, as too many {operations} have failed", self.name);
        Error::new(ErrorKind::Unavailable, message)
    }

    /// Counts an operation as under way, unless there are too many.
    fn enter<'a>(&self, health: &'a Health, budget: &mut TimeBudget) -> Result<UnderWay<'a>, Error> {
        let under_way = &health.under_way;
        let operation = UnderWay(under_way);
        if under_way.fetch_add(1, Ordering::Relaxed) < self.limits.max_concurrent {
            return Ok(operation);
        }
        budget.is_over = true;
        let limit = self.limits.max_concurrent;
        Err(Error::new(ErrorKind::Unavailable, format!("the {} backend has {limit} operations under way", self.name)))
    }
}

/// One operation that is under way.
struct UnderWay<'a>(&'a AtomicUsize);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
