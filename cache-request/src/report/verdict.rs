//! What follows from a function's figures, by rules with thresholds.

use std::{fmt, time::Duration};

use super::{per_hour, saved};
use crate::stats::{FunctionStats, columns::Cell, measures::Figures};

/// Whether a function is worth caching, and what would make it more so.
///
/// The first rule that applies decides, in the order of the variants.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Verdict {
    /// The cache was made without `measure`.
    NotMeasured,
    /// Fewer than 1,000 calls.
    #[non_exhaustive]
    TooFewCalls {
        /// The calls so far.
        calls: u64,
    },
    /// There are hits, and no body or no hit was measured: of a page, of a list in a backend, or of a process that has only
    /// read what others stored.
    Unknown,
    /// A hit takes more than half of the time of a body, or all hits save less than a hundred-thousandth of the time: 36 ms in an hour.
    #[non_exhaustive]
    NotWorthIt {
        /// What its hits save in an hour.
        saved_per_hour: Duration,
        /// Bytes that it holds in memory.
        held_bytes: u64,
    },
    /// At least a twentieth of the calls that a value was there for did not find it any more, as it had to make room in this process's
    /// memory: for `max_bytes` or `max_entries` of the cache, or for `max_entries` of the function.
    #[non_exhaustive]
    MoreMemory {
        /// The share of these calls, from 0 to 1.
        evicted: f64,
    },
    /// None of the above.
    #[non_exhaustive]
    Keep {
        /// What its hits save in an hour.
        saved_per_hour: Duration,
    },
}

/// Fewer calls say nothing.
const CALLS: u64 = 1000;

/// What has to be saved in an hour.
const WORTH: Duration = Duration::from_millis(36);

/// More memory is worth it for this share.
const EVICTED: f64 = 0.05;

impl Verdict {
    pub(super) fn of(stats: &FunctionStats, figures: &Figures) -> Self {
        let saved_per_hour = per_hour(saved(stats, figures), figures.measured_for);
        let evicted = share(stats.misses.evicted, stats.hits);
        let is_unknown = stats.hits > 0 && (figures.typical.is_none() || figures.measured_for.is_zero());
        let is_quick = figures.typical.is_some_and(|(body, hit)| body < hit * 2);
        match stats.calls() {
            calls @ ..CALLS => Self::TooFewCalls { calls },
            _ if is_unknown => Self::Unknown,
            _ if is_quick || saved_per_hour < WORTH => {
                Self::NotWorthIt { saved_per_hour, held_bytes: stats.held_bytes }
            }
            _ if evicted >= EVICTED => Self::MoreMemory { evicted },
            _ => Self::Keep { saved_per_hour },
        }
    }

    /// Its name for programs, such as `not_worth_it`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NotMeasured => "not_measured",
            Self::TooFewCalls { .. } => "too_few_calls",
            Self::Unknown => "unknown",
            Self::NotWorthIt { .. } => "not_worth_it",
            Self::MoreMemory { .. } => "more_memory",
            Self::Keep { .. } => "keep",
        }
    }
}

/// The share of `part` in both together.
fn share(part: u64, rest: u64) -> f64 {
    if part == 0 { 0.0 } else { part as f64 / (part as f64 + rest as f64) }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NotMeasured => f.write_str("not measured: make the cache with `measure`"),
            Self::TooFewCalls { calls } => write!(f, "not enough calls to say ({calls} of {CALLS})"),
            Self::Unknown => f.write_str("cannot tell: no body or no hit was measured"),
            Self::NotWorthIt { saved_per_hour, held_bytes } => {
                write!(f, "not worth it (saves {saved_per_hour:.1?} an hour, holds {})", Cell::Bytes(held_bytes))
            }
            Self::MoreMemory { evicted } => {
                write!(f, "give it more memory (evictions cost {:.0} % of hits)", evicted * 100.0)
            }
            Self::Keep { saved_per_hour } => write!(f, "keep (saves {saved_per_hour:.1?} an hour)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const US: fn(u64) -> Duration = Duration::from_micros;

    fn stats(hits: u64, never_seen: u64, evicted: u64) -> FunctionStats {
        let mut stats = FunctionStats { hits, held_bytes: 40 << 20, ..FunctionStats::default() };
        (stats.misses.never_seen, stats.misses.evicted) = (never_seen, evicted);
        stats
    }

    fn figures(body: Duration, hit: Duration) -> Figures {
        Figures { measured_for: HOUR, typical: Some((body, hit)), ..Figures::default() }
    }

    /// What is known by construction, on both sides of each threshold.
    #[test]
    fn a_verdict_was_not_that_of_its_rule() {
        let slow = || figures(US(1_001_000), US(1000));
        for (stats, figures, words) in [
            (stats(0, 0, 0), slow(), "not enough calls to say (0 of 1000)"),
            (stats(990, 9, 0), slow(), "not enough calls to say (999 of 1000)"),
            (stats(990, 10, 0), slow(), "keep (saves 990.0s an hour)"),
            (stats(1000, 10, 0), figures(US(45), US(10)), "not worth it (saves 35.0ms an hour, holds 40.0 MiB)"),
            (stats(1000, 10, 0), figures(US(46), US(10)), "keep (saves 36.0ms an hour)"),
            (stats(1_000_000, 10, 0), figures(US(199), US(100)), "not worth it (saves 99.0s an hour, holds 40.0 MiB)"),
            (stats(1_000_000, 10, 0), figures(US(200), US(100)), "keep (saves 100.0s an hour)"),
            (stats(1000, 10, 0), figures(US(10), US(90)), "not worth it (saves 0.0ns an hour, holds 40.0 MiB)"),
            (stats(0, 1000, 0), slow(), "not worth it (saves 0.0ns an hour, holds 40.0 MiB)"),
            (stats(951, 1000, 49), slow(), "keep (saves 951.0s an hour)"),
            (stats(950, 1000, 50), slow(), "give it more memory (evictions cost 5 % of hits)"),
            (stats(500, 0, 500), slow(), "give it more memory (evictions cost 50 % of hits)"),
            (stats(500, 0, 500), figures(US(20), US(10)), "not worth it (saves 5.0ms an hour, holds 40.0 MiB)"),
        ] {
            assert_eq!(Verdict::of(&stats, &figures).to_string(), words);
        }
    }

    #[test]
    fn what_was_not_measured_was_not_worth_it() {
        let nothing = Figures { measured_for: HOUR, ..Figures::default() };
        assert_eq!(Verdict::of(&stats(2000, 0, 0), &nothing), Verdict::Unknown, "nothing but hits");
        assert_eq!(Verdict::of(&stats(0, 2000, 0), &nothing).kind(), "not_worth_it", "no hit");
        let at_once = Figures { measured_for: Duration::ZERO, ..figures(US(1000), US(1)) };
        assert_eq!(Verdict::of(&stats(2000, 0, 0), &at_once), Verdict::Unknown, "in no time");
        let quick = Figures { measured_for: Duration::from_nanos(1), ..figures(Duration::MAX, US(1)) };
        assert_eq!(Verdict::of(&stats(2000, 0, 0), &quick).kind(), "keep");
    }
}
