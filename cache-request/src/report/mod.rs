//! Whether the cache is worth it: what each function's calls were found to take, and what follows from that.

mod serialize;
mod table;
mod verdict;

use std::time::Duration;

pub use self::verdict::Verdict;
pub use crate::stats::measures::Distribution;
use crate::stats::{FunctionStats, measures::Figures};

/// What the functions of one cache have saved since it was made, and whether each is worth it: what
/// [`Cache::report`](crate::Cache::report) returns.
///
/// `Display` prints a table with one line for each function, the one that has saved most first. It omits functions without calls.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Report {
    /// One entry for each function that was called or whose companion was used, the one that has saved most first.
    pub functions: Vec<FunctionReport>,
}

/// What one function has saved and held.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FunctionReport {
    /// Its counters.
    pub stats: FunctionStats,
    /// For how long it was measured. Zero if it is not.
    pub measured_for: Duration,
    /// The time that its callers were spared: for each hit, the typical time of a body less that of a hit. Typical is the mean without the
    /// largest twentieth. Zero if no body or no hit was measured.
    pub saved: Duration,
    /// The times of bodies, of a body for a list divided by its elements. Where they take less than 10 µs, one of 16 is measured.
    pub body_time: Option<Distribution<Duration>>,
    /// The times of hits. One in memory of 64 is measured, without its key, and counts for all of these; in a backend all, with the waits for
    /// other processes.
    pub hit_time: Option<Distribution<Duration>>,
    /// How long callers waited for another caller's body that answered them.
    pub wait_time: Option<Distribution<Duration>>,
    /// How old values were when they were read: in a backend at each look, in memory at the hits that are measured. There only functions whose values all have the same timeout know it, and those with
    /// `stale`, `early` or another argument of that kind.
    pub age: Option<Distribution<Duration>>,
    /// Bytes of each value that was stored: in memory its weight, without key and overhead; in a backend its encoded form.
    pub value_bytes: Option<Distribution<u64>>,
    /// Bytes in this process's memory times the seconds that they were held. It is updated when a value is stored and when a hit is measured.
    pub byte_seconds: f64,
    /// What follows.
    pub verdict: Verdict,
}

impl FunctionReport {
    /// Without figures, the function is not measured.
    pub(crate) fn new(stats: FunctionStats, figures: Option<Figures>) -> Self {
        let verdict = figures.as_ref().map_or(Verdict::NotMeasured, |figures| Verdict::of(&stats, figures));
        let figures = figures.unwrap_or_default();
        let saved = saved(&stats, &figures);
        let Figures { measured_for, body_time, hit_time, wait_time, age, value_bytes, byte_seconds, .. } = figures;
        Self { stats, measured_for, saved, body_time, hit_time, wait_time, age, value_bytes, byte_seconds, verdict }
    }

    /// What it has saved in an hour, on average. Zero if it was not measured.
    #[must_use]
    pub fn saved_per_hour(&self) -> Duration {
        per_hour(self.saved, self.measured_for)
    }
}

/// Some 30,000 years, which a [`Duration`] can hold.
const MOST_SECONDS: f64 = 1e12;

const HOUR: f64 = 3600.0;

/// Zero if no body or no hit was measured.
fn saved(stats: &FunctionStats, figures: &Figures) -> Duration {
    let (body, hit) = figures.typical.unwrap_or_default();
    Duration::from_secs_f64((body.saturating_sub(hit).as_secs_f64() * stats.hits as f64).min(MOST_SECONDS))
}

fn per_hour(saved: Duration, measured_for: Duration) -> Duration {
    if measured_for.is_zero() {
        return Duration::ZERO;
    }
    Duration::from_secs_f64((saved.as_secs_f64() / measured_for.as_secs_f64() * HOUR).min(MOST_SECONDS))
}

impl Report {
    pub(crate) fn new(mut functions: Vec<FunctionReport>) -> Self {
        functions.sort_by(|a, b| b.saved.cmp(&a.saved).then_with(|| a.stats.name.cmp(&b.stats.name)));
        Self { functions }
    }

    /// The function with that name: `module.function` as in its keys, or its last segments.
    #[must_use]
    pub fn function(&self, name: &str) -> Option<&FunctionReport> {
        self.functions.iter().find(|function| function.stats.is_named(name))
    }

    /// The time that callers were spared, of all functions.
    #[must_use]
    pub fn saved(&self) -> Duration {
        self.functions.iter().fold(Duration::ZERO, |saved, function| saved.saturating_add(function.saved))
    }
}
