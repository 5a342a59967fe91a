//! The states that the statistics show.

use std::fmt;

/// The state of a backend's circuit breaker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum BreakerState {
    /// Calls use the backend.
    #[default]
    Closed,
    /// Calls go on without the backend: it has failed too often, and the pause is not over.
    Open,
    /// The pause is over. One operation at a time tries the backend, until one succeeds.
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

/// Whether a near cache is told of changes that other processes make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tracking {
    /// It is not told. Entries last until their timeout.
    ByTime,
    /// It is told of all changes.
    Live,
    /// It cannot be told at present, so it is empty.
    Suspended,
}
