//! How long a function's values are of use beside their timeout, and when they are replaced.

use std::time::{Duration, SystemTime};

use crate::{
    base::{
        clock::{NEVER, Nanos, nanos, unix_millis},
        random,
    },
    codec::{FOREVER, Facts},
    store::Lifetime,
};

/// The attribute's `stale`, `stale_if_error`, `stale_after`, `early`, `jitter`, `idle` and `retry`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spans {
    /// From the end of the timeout.
    pub(super) stale: Duration,
    /// From the end of the timeout.
    pub(super) stale_if_error: Duration,
    /// How long a caller waits for a new value before it takes one that may stand in.
    pub(super) stale_after: Option<Duration>,
    /// The share of its timeout after which a value is replaced. One for none.
    pub(super) early: f64,
    /// By up to this share, timeouts are shortened.
    pub(super) jitter: f64,
    pub(super) idle: Option<Duration>,
    /// The shortest time between two attempts to replace one value.
    pub(super) retry: Duration,
}

/// Of what is left of a timeout after its `early` share, so much is used to spread the replacements of values that were stored together.
const SPREAD: f64 = 0.25;

impl Spans {
    pub(super) const NONE: Self = Self {
        stale: Duration::ZERO,
        stale_if_error: Duration::ZERO,
        stale_after: None,
        early: 1.0,
        jitter: 0.0,
        idle: None,
        retry: Duration::from_secs(1),
    };

    /// Whether a value is replaced while it may still be returned.
    pub(super) fn replace(&self) -> bool {
        !self.stale.is_zero() || self.early < 1.0 || self.stale_after.is_some()
    }

    /// Whether values are there for a body to build on.
    pub(super) fn leave_older(&self) -> bool {
        self.replace() || !self.stale_if_error.is_zero()
    }

    /// The timeout of one value.
    pub(super) fn timeout(&self, timeout: Duration) -> Duration {
        if self.jitter <= 0.0 || timeout == Duration::MAX {
            return timeout;
        }
        timeout.mul_f64(1.0 - self.jitter * random::unit()).max(Duration::from_nanos(1))
    }

    /// How long a value is kept that has this timeout. `Duration::MAX` is for ever.
    pub(super) fn kept(&self, timeout: Duration) -> Duration {
        timeout.saturating_add(self.stale.max(self.stale_if_error))
    }

    /// The same for a value that is not read.
    pub(super) fn kept_unread(&self, timeout: Duration) -> Duration {
        self.kept(timeout).min(self.idle.unwrap_or(Duration::MAX))
    }

    /// The share of its timeout after which one value is replaced.
    fn early_share(&self) -> f64 {
        self.early + (1.0 - self.early) * SPREAD * random::unit()
    }

    /// The life of a value with this timeout that is stored `now`.
    pub(super) fn life(&self, timeout: Duration, now: Nanos) -> Lifetime {
        if timeout == Duration::MAX {
            return self.plus_idle(Lifetime::until(NEVER));
        }
        let fresh_until = now.saturating_add(nanos(timeout));
        let refresh_from =
            if self.early < 1.0 { now.saturating_add(nanos(timeout.mul_f64(self.early_share()))) } else { fresh_until };
        self.plus_idle(self.plus_stale(Lifetime { refresh_from, ..Lifetime::until(fresh_until) }))
    }

    fn plus_stale(&self, life: Lifetime) -> Lifetime {
        let stale_until = life.fresh_until.saturating_add(nanos(self.stale));
        let error_until = life.fresh_until.saturating_add(nanos(self.stale.max(self.stale_if_error)));
        let retry = if life.refresh_from < error_until { nanos(self.retry) } else { 0 };
        Lifetime { stale_until, error_until, retry, ..life }
    }

    fn plus_idle(&self, life: Lifetime) -> Lifetime {
        Lifetime { idle: self.idle.map_or(NEVER, nanos), ..life }
    }

    /// What the envelope tells of a value with this timeout that is stored `now`.
    pub(super) fn put_in(&self, timeout: Duration, now: SystemTime, facts: &mut Facts<'_>) {
        let after = |span: Duration| match timeout.saturating_add(span) {
            Duration::MAX => FOREVER,
            span => now.checked_add(span).map_or(FOREVER, unix_millis),
        };
        facts.fresh_until = after(Duration::ZERO);
        facts.stale_until = after(self.stale);
        facts.stale_on_error_until = after(self.stale_if_error);
    }

    /// When a value from a backend may not be returned as a stale one any more, and when it may not stand in. Its envelope is of a program
    /// whose attribute may say something else than this one's, and neither may be exceeded.
    fn ends(&self, facts: &Facts<'_>) -> (u64, u64) {
        let after = |span: Duration| facts.fresh_until.saturating_add(span.as_millis().try_into().unwrap_or(FOREVER));
        let stale_until = facts.stale_until.min(after(self.stale));
        let error_until =
            facts.stale_until.max(facts.stale_on_error_until).min(after(self.stale.max(self.stale_if_error)));
        (stale_until, error_until)
    }

    /// From when on a value from a backend is replaced early: from the end of its timeout on, if it is not.
    fn refresh_from(&self, facts: &Facts<'_>) -> u64 {
        if self.early >= 1.0 || facts.fresh_until == FOREVER {
            return facts.fresh_until;
        }
        let timeout = facts.fresh_until.saturating_sub(facts.stored);
        facts.stored.saturating_add((timeout as f64 * self.early_share()) as u64)
    }

    /// How fresh a value from a backend is, by its envelope, at `now` in milliseconds since 1970. `None` if its time is over.
    pub(super) fn standing(&self, facts: &Facts<'_>, now: u64) -> Option<Standing> {
        let (stale_until, error_until) = self.ends(facts);
        Some(if now < facts.fresh_until {
            if now >= self.refresh_from(facts) { Standing::Early } else { Standing::Fresh }
        } else if now < stale_until {
            Standing::Stale
        } else if now < error_until {
            Standing::StandIn
        } else {
            return None;
        })
    }

    /// Ends the timeout of a value in the backend at a moment, if not before. What may only stand in for an error is gone then, too: it is older
    /// than an invalidation.
    pub(super) fn end(&self, facts: &mut Facts<'_>, moment: u64) {
        let stale_until = moment.saturating_add(self.stale.as_millis().try_into().unwrap_or(FOREVER));
        facts.fresh_until = facts.fresh_until.min(moment);
        facts.stale_until = facts.stale_until.min(stale_until);
        facts.stale_on_error_until = facts.stale_until;
    }

    /// How long such a value may still stand in.
    pub(super) fn left(&self, facts: &Facts<'_>, now: u64) -> Nanos {
        let (_, error_until) = self.ends(facts);
        nanos(Duration::from_millis(error_until.saturating_sub(now)))
    }

    /// The life in a near cache of a value that was read from a backend. The envelope's times are as at `now`, in milliseconds since 1970;
    /// the near cache counts from `asked`, and keeps nothing beyond `latest`.
    pub(super) fn near_life(&self, facts: &Facts<'_>, now: u64, asked: Nanos, latest: Nanos) -> Lifetime {
        let at = |moment: u64| match moment {
            FOREVER => latest,
            moment => asked.saturating_add(nanos(Duration::from_millis(moment.saturating_sub(now)))).min(latest),
        };
        let fresh_until = at(facts.fresh_until);
        let (stale_until, error_until) = self.ends(facts);
        let (stale_until, error_until) = (at(stale_until), at(error_until));
        let refresh_from = at(self.refresh_from(facts)).min(fresh_until);
        let retry = if refresh_from < error_until { nanos(self.retry) } else { 0 };
        Lifetime { refresh_from, fresh_until, stale_until, error_until, retry, idle: NEVER }
    }
}

/// How fresh a value is. The two in the middle may be returned while a new one is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Fresh,
    /// Fresh, and time to be replaced.
    Early,
    /// Its timeout is over.
    Stale,
    /// It may be returned only if the body fails.
    StandIn,
}
