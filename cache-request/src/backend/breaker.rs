//! The circuit breaker: stops operations that fail again and again for a while.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    time::Duration,
};

use crate::{
    base::clock::{Clock, Nanos},
    stats::{BreakerState, BreakerStats},
};

/// When the breaker opens, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Policy {
    /// How many faults in a row open it.
    pub(crate) faults: u32,
    /// How long it stays open.
    pub(crate) pause: Duration,
}

/// A count of faults in a row that permits no operation for a while once it has reached its limit.
///
/// After the pause it is half-open: one operation at a time is permitted, a probe. The probe's success closes the breaker, and
/// its failure opens it again.
pub(crate) struct Breaker {
    policy: Policy,
    clock: Clock,
    /// Faults since the last success.
    faults: AtomicU32,
    /// When the pause ends; [`CLOSED`] while the breaker is closed.
    open_until: AtomicU64,
    probing: AtomicBool,
    opened: AtomicU64,
}

const CLOSED: Nanos = 0;

impl Breaker {
    pub(crate) fn new(policy: Policy, clock: Clock) -> Self {
        Self {
            policy,
            clock,
            faults: AtomicU32::new(0),
            open_until: AtomicU64::new(CLOSED),
            probing: AtomicBool::new(false),
            opened: AtomicU64::new(0),
        }
    }

    pub(crate) fn state(&self) -> BreakerState {
        match self.open_until.load(Ordering::Acquire) {
            CLOSED => BreakerState::Closed,
            end if self.clock.coarse() < end => BreakerState::Open,
            _ => BreakerState::HalfOpen,
        }
    }

    pub(crate) fn stats(&self) -> BreakerStats {
        BreakerStats { state: self.state(), opened: self.opened.load(Ordering::Relaxed) }
    }

    /// Permits an operation, unless the breaker is open, or is half-open and another operation is the probe.
    pub(crate) fn permit(&self) -> Option<Permit<'_>> {
        let is_probe = match self.state() {
            BreakerState::Closed => false,
            BreakerState::Open => return None,
            BreakerState::HalfOpen => {
                if self.probing.swap(true, Ordering::AcqRel) {
                    return None;
                }
                true
            }
        };
        Some(Permit { breaker: self, is_probe })
    }

    fn failed(&self, is_probe: bool) {
        let faults = self.faults.fetch_add(1, Ordering::AcqRel).saturating_add(1);
        if is_probe || faults >= self.policy.faults {
            let end = self.clock.after(self.policy.pause).max(CLOSED + 1);
            if self.open_until.swap(end, Ordering::AcqRel) == CLOSED {
                self.opened.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn succeeded(&self) {
        // All threads read these, so they are written only when they change. A fault that is counted before a success may open the
        // breaker after it.
        if self.faults.load(Ordering::Acquire) != 0 || self.open_until.load(Ordering::Acquire) != CLOSED {
            self.faults.store(0, Ordering::Release);
            self.open_until.store(CLOSED, Ordering::Release);
        }
    }
}

/// One permitted operation. Dropped without an outcome, it does not count.
pub(crate) struct Permit<'a> {
    breaker: &'a Breaker,
    is_probe: bool,
}

impl Permit<'_> {
    pub(crate) fn succeeded(self) {
        self.breaker.succeeded();
    }

    pub(crate) fn failed(self) {
        self.breaker.failed(self.is_probe);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.is_probe {
            self.breaker.probing.store(false, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::MockClock;

    const PAUSE: Duration = Duration::from_secs(1);

    fn breaker() -> (Breaker, MockClock) {
        let clock = Clock::mock();
        (Breaker::new(Policy { faults: 3, pause: PAUSE }, (&clock).into()), clock)
    }

    fn fail(breaker: &Breaker, times: u32) {
        for _ in 0..times {
            breaker.permit().expect("it is closed").failed();
        }
    }

    #[test]
    fn it_opens_after_so_many_faults_in_a_row() {
        let (breaker, _) = breaker();
        fail(&breaker, 2);
        breaker.permit().unwrap().succeeded();
        fail(&breaker, 2);
        assert_eq!(breaker.state(), BreakerState::Closed);
        fail(&breaker, 1);
        assert_eq!(breaker.state(), BreakerState::Open);
        assert!(breaker.permit().is_none());
        assert_eq!(breaker.stats().opened, 1);
    }

    #[test]
    fn one_at_a_time_tries_after_the_pause() {
        let (breaker, clock) = breaker();
        fail(&breaker, 3);
        clock.advance(PAUSE - Duration::from_nanos(1));
        assert!(breaker.permit().is_none());
        clock.advance(Duration::from_nanos(1));
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        let probe = breaker.permit().unwrap();
        assert!(breaker.permit().is_none());
        // Without an outcome, the next operation is the probe.
        drop(probe);
        breaker.permit().unwrap().failed();
        assert_eq!(breaker.state(), BreakerState::Open);
        clock.advance(PAUSE);
        breaker.permit().unwrap().succeeded();
        assert_eq!(breaker.state(), BreakerState::Closed);
        assert_eq!(breaker.stats().opened, 1);
        fail(&breaker, 2);
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    /// A fault had been counted, a success set the count to zero, and then the fault opened the breaker: no success closed it.
    #[test]
    fn a_breaker_that_opened_beside_a_success_stayed_half_open() {
        let (breaker, clock) = breaker();
        fail(&breaker, 3);
        breaker.faults.store(0, Ordering::Release);
        clock.advance(PAUSE);
        breaker.permit().unwrap().succeeded();
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    /// The outcomes of operations that were in flight when the breaker opened.
    #[test]
    fn late_outcomes_count_too() {
        let (breaker, clock) = breaker();
        let [one, other] = [breaker.permit().unwrap(), breaker.permit().unwrap()];
        fail(&breaker, 3);
        clock.advance(PAUSE / 2);
        one.failed();
        clock.advance(PAUSE / 2);
        assert_eq!(breaker.state(), BreakerState::Open, "the pause begins with the last fault");
        other.succeeded();
        assert_eq!(breaker.state(), BreakerState::Closed);
    }
}
