//! Arguments of an attribute that are out of their range, which only running an expression tells.

use std::sync::atomic::{AtomicU16, Ordering::Relaxed};

/// An argument whose value may be an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Argument {
    Timeout,
    TimeoutErr,
    Stale,
    StaleIfError,
    StaleAfter,
    Idle,
    Retry,
    Early,
    Jitter,
}

impl Argument {
    const ALL: [Self; 9] = [
        Self::Timeout,
        Self::TimeoutErr,
        Self::Stale,
        Self::StaleIfError,
        Self::StaleAfter,
        Self::Idle,
        Self::Retry,
        Self::Early,
        Self::Jitter,
    ];

    fn bit(self) -> u16 {
        1 << self as u16
    }

    /// What is wrong with it.
    pub(super) fn complaint(self) -> String {
        let name = match self {
            Self::Timeout => "timeout",
            Self::TimeoutErr => "timeout_err",
            Self::Stale => "stale",
            Self::StaleIfError => "stale_if_error",
            Self::StaleAfter => "stale_after",
            Self::Idle => "idle",
            Self::Retry => "retry",
            Self::Early => "early",
            Self::Jitter => "jitter",
        };
        match self {
            Self::Early | Self::Jitter => {
                format!("`{name}` is no share between 0 and 1, and is taken for the nearest one")
            }
            _ => format!("`{name}` is a negative number of seconds, and is taken for 0"),
        }
    }
}

/// Which arguments were out of their range.
#[derive(Debug)]
pub(crate) struct Wrong(AtomicU16);

impl Wrong {
    pub(crate) const fn none() -> Self {
        Self(AtomicU16::new(0))
    }

    pub(crate) fn add(&self, argument: Argument) {
        self.0.fetch_or(argument.bit(), Relaxed);
    }

    #[inline]
    pub(crate) fn is_none(&self) -> bool {
        self.0.load(Relaxed) == 0
    }

    /// Adds those of another one. Returns the ones that were not among these.
    pub(crate) fn add_new(&self, other: &Self) -> impl Iterator<Item = Argument> {
        let added = other.0.load(Relaxed);
        let known = self.0.fetch_or(added, Relaxed);
        Argument::ALL.into_iter().filter(move |argument| added & !known & argument.bit() > 0)
    }
}
