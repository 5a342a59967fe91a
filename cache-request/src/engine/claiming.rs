//! How a call claims its key in a backend, and waits for another process that has the lease.

#[cfg(all(test, not(shuttle)))]
mod tests;

#[cfg(feature = "http")]
use std::sync::atomic::Ordering::Relaxed;
use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use smallvec::SmallVec;

#[cfg(feature = "http")]
use super::tagging::noted::Noted;
use super::{
    awaited::Awaiting,
    call::Call,
    flight::Leader,
    found::{Found, Miss, Want},
    keeper::{Lease, Sent, is_own},
    making::{Asks, Making},
    value::ValueOf,
};
#[cfg(feature = "http")]
use crate::base::both::both;
use crate::{
    Error, ErrorKind,
    backend::{Claim, ClaimKind, Claimed, Fence, Guarded, Right, TimeBudget},
    base::{random, timer},
    stats::Count,
};

/// A value that is made elsewhere than in an annotated body. No caller waits for it.
#[cfg(feature = "http")]
pub(crate) struct MadeElsewhere<'a> {
    // It is given back before other callers are woken.
    pub(super) making: Making,
    pub(crate) leader: Leader<'a>,
    pub(super) noted: Noted,
    /// The number of the newest invalidation of any tag, before it began.
    pub(crate) since: u64,
}

/// A caller waits for so many bodies of other processes, one after the other. The process of one may have died.
const MOST_FENCES: usize = 2;

/// A caller's wait for a value that other processes make.
#[derive(Default)]
pub(super) struct LeaseWait<'a> {
    /// When it has begun to wait, for these or for bodies of its own process.
    begun: Option<Instant>,
    /// Where the backend tells of changes.
    awaiting: Option<Awaiting<'a>>,
    /// Of the bodies that it has waited for.
    fences: SmallVec<[Fence; MOST_FENCES]>,
}

impl LeaseWait<'_> {
    pub(super) fn since(begun: Instant) -> Self {
        Self { begun: Some(begun), ..Self::default() }
    }

    pub(super) fn is_new(&self) -> bool {
        self.fences.is_empty()
    }

    /// Whether the caller waits on.
    pub(super) fn goes_on(&mut self, making: &Making, limit: Duration) -> bool {
        if self.begun.get_or_insert_with(Instant::now).elapsed() >= limit {
            return false;
        }
        if let Making::Fenced(fence, _) = making
            && self.fences.last() != Some(fence)
        {
            // One process after the other has made it, and no value was kept: it cannot be waited for.
            if self.fences.len() == MOST_FENCES {
                return false;
            }
            self.fences.push(*fence);
        }
        true
    }

    /// The caller is about to look in the backend.
    pub(super) fn begin_look(&mut self) {
        self.awaiting.iter_mut().for_each(Awaiting::begin_look);
    }

    /// Ready if the key's value has changed since the caller has looked.
    pub(super) fn poll_change(&mut self, context: &Context<'_>) -> Poll<()> {
        self.awaiting.as_mut().map_or(Poll::Pending, |awaiting| awaiting.poll(context))
    }

    pub(super) fn is_told(&self) -> bool {
        self.awaiting.is_some()
    }
}

/// The pauses of a caller that waits for other processes. They grow, and faster if the caller is told of changes: then they are for what is not
/// told, which is a lease that is given back without a value.
#[derive(Clone, Copy)]
pub(super) struct Pauses {
    next: Duration,
    longest: Duration,
}

impl Pauses {
    pub(super) fn new([next, longest]: [Duration; 2]) -> Self {
        Self { next, longest }
    }

    /// The next pause, which ends at another moment for each caller.
    pub(super) fn next(&mut self, is_told: bool) -> Duration {
        let pause = self.next;
        self.next = pause.saturating_mul(if is_told { 4 } else { 2 }).min(self.longest);
        pause.mul_f64(0.5 + random::unit() / 2.0)
    }
}

/// The first pause of a caller that waits for another process, and the longest.
pub(crate) const PAUSES: [Duration; 2] = [Duration::from_millis(2), Duration::from_millis(100)];

impl<'a, R, V: ValueOf<R>> Call<'a, R, V> {
    /// Looks for the value in the backend, until there is one or this caller is to make it. While another process's body runs, it looks again
    /// and again, for at most the `wait_limit`. A value that is being replaced is not waited for.
    pub(super) async fn look_up_to_make(
        &self,
        begun: Instant,
        want: Want,
        leader: &Leader<'_>,
        budget: &mut TimeBudget,
    ) -> Result<Found<V>, Miss<V>> {
        let (mut wait, mut pauses) = (LeaseWait::since(begun), Pauses::new(self.engine.leases.pauses));
        loop {
            wait.begin_look();
            let mut miss = match self.look_up(want, Asks::Making(leader), budget).await {
                Ok(found) => return Ok(found),
                Err(miss) => miss,
            };
            let is_new = wait.is_new();
            let waits = want != Want::Fresh && self.waits_for(&miss.making);
            if !waits || !wait.goes_on(&miss.making, self.engine.wait_limit) {
                self.begin_tags(&mut miss.noted, budget).await;
                return Err(miss);
            }
            self.wait_for_change(&mut wait);
            if is_new {
                self.function.counters.increment(Count::LeaseWaits);
            }
            let pause = timer::pause(pauses.next(wait.is_told()));
            timer::before(pause, poll_fn(|context| wait.poll_change(context))).await;
            // The backend has answered so far, so the next look has all of a call's time.
            *budget = self.budget();
        }
    }

    /// Lets the backend end the pauses of a wait, if it tells of changes. What changes before that is seen after the first pause, which is short.
    pub(super) fn wait_for_change(&self, wait: &mut LeaseWait<'a>) {
        if !wait.is_told()
            && let Some((backend, near)) = self.backend().zip(self.engine.near())
        {
            wait.awaiting = near.wait_for_change(&self.text(backend));
        }
    }

    /// Whether another process's body runs, and this caller waits for it. A body of this process is waited for in its flight, or not at all.
    pub(super) fn waits_for(&self, making: &Making) -> bool {
        matches!(making, Making::Fenced(_, None)) && self.engine.leases.wait && self.function.coalesce
    }

    /// Claims the key in the backend. Returns what is stored there as well.
    pub(super) async fn claim(
        &self,
        kind: ClaimKind,
        text: &str,
        budget: &mut TimeBudget,
    ) -> Result<(Option<Vec<u8>>, Making), Error> {
        let Some(backend) = self.backend_with_fences() else { return Ok((None, Making::Unfenced)) };
        let claim = Claim { kind, token: random::number(), lease: self.engine.leases.time };
        let sent = Sent::new(backend, text, claim.token);
        let claimed = backend.claim(text, claim, budget).await;
        if claimed.is_ok() || was_not_sent(&claimed) {
            sent.answered();
        }
        let claimed = claimed?;
        Ok(what_came_of(claimed, claim, backend, text))
    }

    /// Claims the key for a value that replaces the older one whatever that is. Returns what is stored there as well.
    pub(super) async fn claim_to_make(&self, kind: ClaimKind, budget: &mut TimeBudget) -> (Option<Vec<u8>>, Making) {
        self.claim_or_fail(kind, budget).await.unwrap_or_else(|error| {
            self.function.fault("a key could not be claimed", &error);
            (None, Making::Refused)
        })
    }

    /// The same for a caller that is told of an error.
    pub(super) async fn claim_or_fail(
        &self,
        kind: ClaimKind,
        budget: &mut TimeBudget,
    ) -> Result<(Option<Vec<u8>>, Making), Error> {
        let Some(backend) = self.backend_with_fences() else { return Ok((None, Making::Unfenced)) };
        self.claim(kind, &self.text(backend), budget).await
    }

    /// Begins a value that is made elsewhere, and that [`store_led`](Self::store_led) stores. It may have tags if `names_tags`.
    #[cfg(feature = "http")]
    pub(crate) async fn begin_elsewhere(&self, names_tags: bool) -> Option<MadeElsewhere<'a>> {
        let leader = self.lead_alone()?;
        let since = self.engine.tags.newest();
        if names_tags {
            self.function.names_tags.store(true, Relaxed);
        }
        let mut budget = self.budget();
        let mut beside = budget.beside();
        let claim = self.claim_to_make(ClaimKind::Any, &mut budget);
        let ((_, making), noted) = both(claim, self.note_to_make_elsewhere(names_tags, &mut beside)).await;
        Some(MadeElsewhere { making, leader, noted, since })
    }
}

/// Whether the backend was not asked at all, or has claimed nothing.
pub(super) fn was_not_sent<T>(outcome: &Result<T, Error>) -> bool {
    outcome.as_ref().is_err_and(|error| matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Corrupt))
}

/// What is stored under a claimed key, and what becomes of a value that is made for it.
pub(super) fn what_came_of(
    Claimed { value, right }: Claimed,
    claim: Claim,
    backend: &Arc<Guarded>,
    text: &str,
) -> (Option<Vec<u8>>, Making) {
    let making = match right {
        Right::None if claim.kind == ClaimKind::Missing && value.is_some() => Making::Unfenced,
        Right::Refused(Duration::ZERO) => Making::Unwritable,
        Right::None | Right::Refused(_) => Making::Refused,
        Right::Leased(fence) => Making::Fenced(fence, Some(Lease::keep(backend, text, fence, claim.lease))),
        // Another call of this process makes the value: this one leads in its place, or beside it.
        Right::Held(fence, _) if is_own(backend, text, fence) => {
            Making::Fenced(fence, Some(Lease::keep(backend, text, fence, claim.lease)))
        }
        Right::Held(fence, _) => Making::Fenced(fence, None),
    };
    (value, making)
}
