//! Where an answer came from.

use std::fmt;

/// Where the answer of one call came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// This process's memory.
    Memory,
    /// The cache's backend.
    Backend,
    /// The body that another caller ran for the same key at the same time.
    Coalesced,
    /// The body, which this call ran.
    Body,
    /// An older value, which stands in for a body that has failed.
    StandIn,
    /// The body, with no cache at all: the cache is disabled, the function's named cache is not installed, or no key could be made
    /// of the arguments.
    Uncached,
}

impl Source {
    /// Whether the answer was there before the call.
    #[must_use]
    pub fn is_hit(self) -> bool {
        matches!(self, Self::Memory | Self::Backend)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::Backend => "backend",
            Self::Coalesced => "coalesced",
            Self::Body => "body",
            Self::StandIn => "stand-in",
            Self::Uncached => "uncached",
        })
    }
}
