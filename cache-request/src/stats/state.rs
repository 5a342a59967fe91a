//! The states that the statistics show.

use std::fmt;

/// Whether a cache asks its backend.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum BreakerState {
    /// It does.
    #[default]
    Closed,
    /// It does not: the backend has failed too often, and the pause is not over.
    Open,
    /// The pause is over: one operation at a time tries, until one succeeds.
    HalfOpen,
}

impl fmt::Display for BreakerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        })
    }
}

/// Whether the memory in front of a backend hears of what others change there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tracking {
    /// Of nothing: entries last until their timeout.
    ByTime,
    /// Of all changes.
    Live,
    /// Not at the moment, and so nothing is in front.
    Suspended,
}
