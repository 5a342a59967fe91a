//! Counters that many threads increment at once.

use std::{
    cell::Cell,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{ErrorKind, base::sync::unpoisoned};

/// The events and sums that are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Count {
    Hit,
    NeverSeen,
    Expired,
    Evicted,
    Invalidated,
    Undecodable,
    BackendFault,
    Coalesced,
    /// Calls that waited for a body of another process.
    LeaseWaits,
    /// Values that were not stored, as their key was invalidated while they were made.
    Outdated,
    /// Calls that ran their body with no cache: it is disabled, missing, or could not make a key.
    Uncached,
    /// Hits whose value was stale.
    Stale,
    /// Calls whose body failed and that were answered with an older value.
    StaleOnError,
    /// Bodies that replace a value which may still be returned.
    Refreshes,
    /// Those that found no room in the background.
    RefreshesRefused,
    /// Those that ended with an `Err` or a panic.
    RefreshesFailed,
    /// Elements in answers of bodies that were not asked for.
    Unasked,
    Bodies,
    BodyNanos,
    WrittenBytes,
}

const COUNTS: usize = Count::WrittenBytes as usize + 1;

const KINDS: usize = ErrorKind::Key as usize + 1;

/// All stripes but the last belong to one thread each.
const STRIPES: usize = 16;
const SHARED: usize = STRIPES - 1;

/// One function's counters, in stripes. Each of the first threads owns a stripe and increments it without a locked
/// instruction. All other threads share the last stripe.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    stripes: Box<[Stripe; STRIPES]>,
    /// By [`ErrorKind`]. Faults are rare, so all threads share these, apart from the cache lines that a hit touches.
    faults: Box<[AtomicU64; KINDS]>,
}

#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe([AtomicU64; COUNTS]);

/// One hit of a thread in so many may be measured. It stands for all of them.
pub(crate) const HITS_MEASURED: u64 = 64;

impl Counters {
    /// Counts a hit, and returns whether it is to be measured, if any is.
    #[inline]
    pub(crate) fn hit(&self) -> bool {
        self.added(Count::Hit, 1) % HITS_MEASURED == 1
    }

    #[inline]
    pub(crate) fn increment(&self, count: Count) {
        self.add(count, 1);
    }

    #[inline]
    pub(crate) fn add(&self, count: Count, by: u64) {
        self.added(count, by);
    }

    /// Adds to a count, and returns that of the thread's stripe.
    #[inline]
    fn added(&self, count: Count, by: u64) -> u64 {
        let stripe = stripe();
        let counter = &self.stripes[stripe].0[count as usize];
        if stripe == SHARED {
            return counter.fetch_add(by, Ordering::Relaxed).wrapping_add(by);
        }
        // Only this thread writes to its stripe.
        let added = counter.load(Ordering::Relaxed).wrapping_add(by);
        counter.store(added, Ordering::Relaxed);
        added
    }

    pub(crate) fn get(&self, count: Count) -> u64 {
        self.stripes.iter().map(|stripe| stripe.0[count as usize].load(Ordering::Relaxed)).sum()
    }

    /// Counts a fault and returns how many of its kind there were.
    pub(crate) fn fault(&self, kind: ErrorKind) -> u64 {
        self.faults[kind as usize].fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    pub(crate) fn faults(&self, kind: ErrorKind) -> u64 {
        self.faults[kind as usize].load(Ordering::Relaxed)
    }
}

thread_local! {
    static STRIPE: Cell<usize> = const { Cell::new(STRIPES) };
    static LEASE: Lease = Lease::take();
}

/// The running thread's stripe.
#[inline]
fn stripe() -> usize {
    match STRIPE.get() {
        stripe @ ..STRIPES => stripe,
        _ => first_use(),
    }
}

#[cold]
fn first_use() -> usize {
    // A thread that is ending has lost the thread-local that would return the stripe.
    let stripe = LEASE.try_with(|lease| lease.stripe).unwrap_or(SHARED);
    STRIPE.set(stripe);
    stripe
}

/// A thread's own stripe, returned when the thread ends.
struct Lease {
    stripe: usize,
}

static TAKEN: Mutex<[bool; SHARED]> = Mutex::new([false; SHARED]);

impl Lease {
    fn take() -> Self {
        let mut taken = unpoisoned(TAKEN.lock());
        let stripe = taken.iter().position(|taken| !taken).unwrap_or(SHARED);
        if let Some(taken) = taken.get_mut(stripe) {
            *taken = true;
        }
        Self { stripe }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // What this thread counts from here on goes to the shared stripe.
        STRIPE.set(SHARED);
        if let Some(taken) = unpoisoned(TAKEN.lock()).get_mut(self.stripe) {
            *taken = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn more_threads_than_stripes_lose_no_count() {
        let counters = Counters::default();
        thread::scope(|scope| {
            for _ in 0..STRIPES * 4 {
                scope.spawn(|| (0..10_000).for_each(|_| counters.increment(Count::Hit)));
            }
        });
        assert_eq!(counters.get(Count::Hit), STRIPES as u64 * 40_000);
    }

    #[test]
    fn a_thread_that_ended_leaves_its_stripe_to_the_next() {
        let stripes: Vec<_> = (0..STRIPES * 4).map(|_| thread::spawn(stripe).join().unwrap()).collect();
        // Other tests' threads may hold some stripes. If none were returned, all but the first few threads would share
        // one.
        assert!(stripes.iter().any(|stripe| *stripe != SHARED), "{stripes:?}");
        assert!(stripes[STRIPES * 2..].iter().any(|stripe| *stripe != SHARED), "{stripes:?}");
    }
}
