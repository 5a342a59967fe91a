//! The life of a value: fresh, then stale, then gone.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use super::tags::{Stamps, Tagged};
use crate::base::clock::{Clock, NEVER, Nanos};

/// The moments of a value's life. Each is at or after the one before it, except `refresh_from`, which may be anywhere up to `fresh_until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lifetime {
    /// A fresh value that is read from then on is replaced early.
    pub(crate) refresh_from: Nanos,
    pub(crate) fresh_until: Nanos,
    /// Until then, the value may be returned while a new one is made.
    pub(crate) stale_until: Nanos,
    /// Until then, the value may stand in for a body that fails.
    pub(crate) error_until: Nanos,
    /// The shortest time from one attempt to replace the value to the next.
    pub(crate) retry: Nanos,
    /// The value is gone once it was not read for so long. [`NEVER`] if that does not matter.
    pub(crate) idle: Nanos,
}

impl Lifetime {
    /// Fresh until a moment, and gone then.
    pub(crate) const fn until(fresh_until: Nanos) -> Self {
        Self {
            refresh_from: fresh_until,
            fresh_until,
            stale_until: fresh_until,
            error_until: fresh_until,
            retry: 0,
            idle: NEVER,
        }
    }

    /// The same, and gone at a moment.
    pub(crate) fn no_later_than(self, latest: Nanos) -> Self {
        Self {
            refresh_from: self.refresh_from.min(latest),
            fresh_until: self.fresh_until.min(latest),
            stale_until: self.stale_until.min(latest),
            error_until: self.error_until.min(latest),
            ..self
        }
    }

    /// Whether there is no more to it than a timeout.
    fn is_plain(&self) -> bool {
        *self == Self::until(self.fresh_until)
    }
}

/// What a read does with a value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Freshness<'a> {
    /// Its timeout is not over.
    Fresh,
    /// Its timeout is not over, and it is time to make a new one.
    Early(Replacement<'a>),
    /// Its timeout is over, and it may be returned while a new one is made.
    Stale(Replacement<'a>),
    /// It may be returned only if the body fails.
    StandIn(Replacement<'a>),
    /// Its time is over, and it has not been evicted yet.
    Expired,
}

impl Freshness<'_> {
    /// Until when a value that is not fresh may be returned in place of an error.
    pub(crate) fn error_until(self) -> Option<Nanos> {
        match self {
            Self::Early(Replacement { care, .. })
            | Self::Stale(Replacement { care, .. })
            | Self::StandIn(Replacement { care, .. }) => Some(care.error_until(care.fresh_until.load(Relaxed))),
            Self::Fresh | Self::Expired => None,
        }
    }

    /// A body has failed, so that the value may stand in for it, and none runs for a while.
    pub(crate) fn put_off(self) {
        match self {
            Self::Early(replacement) | Self::Stale(replacement) | Self::StandIn(replacement) => replacement.put_off(),
            Self::Fresh | Self::Expired => {}
        }
    }
}

/// When a value was stored, if that is known, and when its timeout is over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moments {
    pub(crate) stored: Option<Nanos>,
    pub(crate) fresh_until: Nanos,
}

impl Moments {
    /// How old the value is `now`, if that is known. All values of its function may have the same `timeout`.
    pub(crate) fn age(&self, now: Nanos, timeout: Option<Duration>) -> Option<Duration> {
        let since = |moment: Nanos| Duration::from_nanos(now.saturating_sub(moment));
        match (self.stored, timeout) {
            (Some(stored), _) => Some(since(stored)),
            (None, Some(timeout)) if self.fresh_until != NEVER => {
                Some(timeout.saturating_sub(Duration::from_nanos(self.fresh_until.saturating_sub(now))))
            }
            (None, _) => None,
        }
    }
}

/// The right to replace a value, which one of its readers takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Replacement<'a> {
    care: &'a Care,
    now: Nanos,
}

impl Replacement<'_> {
    /// Whether this reader is the one that replaces the value. The next one may after the lifetime's `retry`.
    pub(crate) fn take(self) -> bool {
        let next = self.care.attempt_from.load(Relaxed);
        let later = self.now.saturating_add(self.care.life.retry.max(1));
        self.now >= next && self.care.attempt_from.compare_exchange(next, later, Relaxed, Relaxed).is_ok()
    }

    /// How long the value may still stand in.
    pub(crate) fn left(self) -> Nanos {
        self.care.error_until(self.care.fresh_until.load(Relaxed)).saturating_sub(self.now)
    }

    /// A body has failed lately, so none runs for now.
    pub(crate) fn is_put_off(self) -> bool {
        self.now < self.care.failing_until.load(Relaxed)
    }

    fn put_off(self) {
        let until = self.now.saturating_add(self.care.life.retry);
        self.care.failing_until.store(until, Relaxed);
        self.care.attempt_from.store(until, Relaxed);
    }
}

/// What a plain timeout does not tell of a value. Reads look at it only from a moment on that the entry holds.
#[derive(Debug)]
pub(super) struct Care {
    life: Lifetime,
    stored: Nanos,
    /// `life.fresh_until`, or an earlier moment at which the value was declared stale.
    fresh_until: AtomicU64,
    attempt_from: AtomicU64,
    failing_until: AtomicU64,
    idle_until: AtomicU64,
    stamps: Stamps,
}

/// An idle time is measured in so many steps: a read of a hot entry writes it once in each.
const IDLE_STEPS: u64 = 16;

impl Care {
    /// Bytes on the heap, with the allocator's header.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + 8 + self.stamps.bytes()
    }

    pub(super) fn stamps(&self) -> Option<&Stamps> {
        Some(&self.stamps).filter(|stamps| !stamps.is_empty())
    }

    /// When a read has to look at it first. It is `None` for a plain timeout.
    pub(super) fn of(life: Lifetime, stamps: Stamps, clock: &Clock) -> (Nanos, Option<Box<Self>>) {
        if life.is_plain() && stamps.is_empty() {
            return (life.fresh_until, None);
        }
        let now = clock.coarse();
        let care = Self {
            fresh_until: life.fresh_until.into(),
            attempt_from: 0.into(),
            failing_until: 0.into(),
            idle_until: now.saturating_add(life.idle).into(),
            stored: now,
            life,
            stamps,
        };
        (care.due(now), Some(Box::new(care)))
    }

    pub(super) fn moments(&self) -> Moments {
        Moments { stored: Some(self.stored), fresh_until: self.fresh_until.load(Relaxed) }
    }

    /// When the value is gone.
    pub(super) fn end(&self) -> Nanos {
        if self.stamps.are_invalid() {
            return 0;
        }
        self.error_until(self.fresh_until.load(Relaxed)).min(self.idle_until.load(Relaxed))
    }

    /// The same spans after the end of the timeout, which may have come early.
    fn stale_until(&self, fresh_until: Nanos) -> Nanos {
        fresh_until.saturating_add(self.life.stale_until - self.life.fresh_until)
    }

    fn error_until(&self, fresh_until: Nanos) -> Nanos {
        fresh_until.saturating_add(self.life.error_until - self.life.fresh_until)
    }

    /// From then on, a read has to look here. Tags may change at any time.
    pub(super) fn due(&self, now: Nanos) -> Nanos {
        if self.stamps.is_empty() { self.due_by_time(now) } else { 0 }
    }

    fn due_by_time(&self, now: Nanos) -> Nanos {
        let life = &self.life;
        let fresh_until = self.fresh_until.load(Relaxed);
        let early = if life.refresh_from < life.fresh_until {
            life.refresh_from.max(self.attempt_from.load(Relaxed))
        } else {
            NEVER
        };
        let step = if life.idle == NEVER { NEVER } else { now.saturating_add(life.idle / IDLE_STEPS) };
        fresh_until.min(early).min(step).min(self.idle_until.load(Relaxed))
    }

    /// Whether the moment from which reads look here may be another one after a read. All reads of a stale value look here.
    #[inline]
    pub(super) fn moves_due(&self, freshness: Freshness<'_>) -> bool {
        self.stamps.is_empty()
            && (matches!(freshness, Freshness::Fresh | Freshness::Early(_)) || self.life.idle != NEVER)
    }

    /// Whether a value with tags is fresh, and a read has nothing else to do.
    #[inline]
    pub(super) fn is_fresh_by_tags(&self, now: Nanos) -> bool {
        !self.stamps.is_empty() && self.life.idle == NEVER && now < self.due_by_time(now) && self.stamps.are_fresh()
    }

    /// How fresh the value is. It was read `now`.
    pub(super) fn freshness(&self, now: Nanos) -> Freshness<'_> {
        let idle_until = self.idle_until.load(Relaxed);
        if now >= idle_until {
            return Freshness::Expired;
        }
        let tagged = self.stamps.standing();
        match tagged {
            Tagged::Valid => {}
            Tagged::Invalid => return Freshness::Expired,
            Tagged::Stale(since) => self.ends_at(since),
        }
        if self.life.idle != NEVER {
            let later = now.saturating_add(self.life.idle);
            // A hot entry is written once in each step.
            if later - idle_until >= self.life.idle / IDLE_STEPS {
                self.idle_until.store(later, Relaxed);
            }
        }
        let replacement = Replacement { care: self, now };
        let fresh_until = self.fresh_until.load(Relaxed);
        if now < fresh_until {
            if now < self.life.refresh_from { Freshness::Fresh } else { Freshness::Early(replacement) }
        } else if now < self.stale_until(fresh_until) {
            Freshness::Stale(replacement)
        } else if now < self.error_until(fresh_until) && tagged == Tagged::Valid {
            Freshness::StandIn(replacement)
        } else {
            Freshness::Expired
        }
    }

    /// Whether the value may be returned `now`.
    pub(super) fn is_usable(&self, now: Nanos) -> bool {
        let tagged = self.stamps.standing();
        match tagged {
            Tagged::Valid => {}
            Tagged::Invalid => return false,
            Tagged::Stale(since) => self.ends_at(since),
        }
        let fresh_until = self.fresh_until.load(Relaxed);
        let has_failed = now < self.failing_until.load(Relaxed);
        // What may only stand in for an error is older than the invalidation, too.
        let end = if has_failed && tagged == Tagged::Valid {
            self.error_until(fresh_until)
        } else {
            self.stale_until(fresh_until)
        };
        now < self.idle_until.load(Relaxed) && (now < fresh_until || now < end)
    }

    /// The timeout has ended at that moment, if not before. A new attempt to replace the value may begin at once.
    fn ends_at(&self, moment: Nanos) {
        if self.fresh_until.fetch_min(moment, Relaxed) > moment {
            self.attempt_from.store(0, Relaxed);
        }
    }

    /// Whether the value is gone because one of its tags was invalidated.
    pub(super) fn is_invalidated(&self) -> bool {
        self.stamps.are_invalid()
    }

    /// Ends the timeout, if it is not over. Returns whether the value may still be returned.
    pub(super) fn expire(&self, now: Nanos) -> bool {
        let fresh_until = self.fresh_until.fetch_min(now, Relaxed).min(now);
        self.attempt_from.store(0, Relaxed);
        self.failing_until.store(0, Relaxed);
        now < self.stale_until(fresh_until)
    }
}
