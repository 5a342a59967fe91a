//! What follows from a function's figures, by rules with thresholds.

use std::{fmt, time::Duration};

use super::per_hour;
use crate::stats::{FunctionStats, columns::Cell};

/// Whether a function is worth caching, and what would make it more so.
///
/// The first rule that applies decides, in the order of the variants.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Verdict {
    /// The cache was made without `measure`.
    NotMeasured,
    /// Fewer than 1,000 calls.
    TooFewCalls {
        /// The calls so far.
        calls: u64,
    },
    /// Its hits save less than a hundred-thousandth of the time: 36 ms in an hour.
    NotWorthIt {
        /// What its hits save in an hour.
        saved_per_hour: Duration,
        /// Bytes that it holds in memory.
        held_bytes: u64,
    },
    /// At least a twentieth of the calls that a value was there for did not find it any more, as it had to make room.
    MoreMemory {
        /// The share of these calls, from 0 to 1.
        evicted: f64,
    },
    /// None of the above.
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
    pub(super) fn of(stats: &FunctionStats, saved: Duration, measured_for: Duration) -> Self {
        let saved_per_hour = per_hour(saved, measured_for);
        let evicted = share(stats.misses.evicted, stats.hits);
        match stats.calls() {
            calls @ ..CALLS => Self::TooFewCalls { calls },
            _ if saved_per_hour < WORTH => Self::NotWorthIt { saved_per_hour, held_bytes: stats.held_bytes },
            _ if evicted >= EVICTED => Self::MoreMemory { evicted },
            _ => Self::Keep { saved_per_hour },
        }
    }

    /// One word, or a few, for programs.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::NotMeasured => "not_measured",
            Self::TooFewCalls { .. } => "too_few_calls",
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

    fn stats(hits: u64, never_seen: u64, evicted: u64) -> FunctionStats {
        let mut stats = FunctionStats { hits, held_bytes: 40 << 20, ..FunctionStats::default() };
        (stats.misses.never_seen, stats.misses.evicted) = (never_seen, evicted);
        stats
    }

    /// What is known by construction, on both sides of each threshold.
    #[test]
    fn a_verdict_was_not_that_of_its_rule() {
        let ms = Duration::from_millis;
        for (stats, saved, words) in [
            (stats(0, 0, 0), ms(0), "not enough calls to say (0 of 1000)"),
            (stats(990, 9, 0), HOUR, "not enough calls to say (999 of 1000)"),
            (stats(990, 10, 0), HOUR, "keep (saves 3600.0s an hour)"),
            (stats(990, 10, 0), ms(35), "not worth it (saves 35.0ms an hour, holds 40.0 MiB)"),
            (stats(990, 10, 0), ms(36), "keep (saves 36.0ms an hour)"),
            (stats(0, 1000, 0), ms(0), "not worth it (saves 0.0ns an hour, holds 40.0 MiB)"),
            (stats(951, 1000, 49), HOUR, "keep (saves 3600.0s an hour)"),
            (stats(950, 1000, 50), HOUR, "give it more memory (evictions cost 5 % of hits)"),
            (stats(500, 0, 500), HOUR, "give it more memory (evictions cost 50 % of hits)"),
            (stats(500, 0, 500), ms(35), "not worth it (saves 35.0ms an hour, holds 40.0 MiB)"),
        ] {
            assert_eq!(Verdict::of(&stats, saved, HOUR).to_string(), words);
        }
    }

    #[test]
    fn what_was_saved_in_no_time_was_divided_by_it() {
        let verdict = Verdict::of(&stats(2000, 0, 0), HOUR, Duration::ZERO);
        assert_eq!(verdict.to_string(), "not worth it (saves 0.0ns an hour, holds 40.0 MiB)");
        let verdict = Verdict::of(&stats(2000, 0, 0), Duration::MAX, Duration::from_nanos(1));
        assert_eq!(verdict.kind(), "keep");
    }
}
