//! The right to store a value in a backend that processes share.

use std::time::Duration;

use super::{flight::Leader, keeper::Lease};
use crate::{Error, backend::Fence};

/// How bodies run in several processes that share a backend.
#[derive(Clone, Copy)]
pub(crate) struct Leases {
    /// Whether a caller waits for a body that another process runs.
    pub(crate) wait: bool,
    /// How long a lease lasts, unless it is renewed.
    pub(crate) time: Duration,
    /// The first pause of a caller that waits for another process, and the longest.
    pub(crate) pauses: [Duration; 2],
}

/// What becomes of a value that is being made.
pub(crate) enum Making {
    /// Memory keeps it, or a backend without fences.
    Unfenced,
    /// The backend stores it, if the fence still stands by then.
    Fenced(Fence, Option<Lease>),
    /// It is not stored.
    Refused,
    /// It cannot be stored: the backend takes no writes at present.
    Unwritable,
}

impl Making {
    /// Why a value is not stored.
    pub(super) fn unwritable() -> Error {
        Error::backend("the backend takes no writes at present")
    }

    /// The value is stored, or may not be stored any more.
    pub(super) fn end(&mut self) {
        if let Self::Fenced(_, lease) = self
            && let Some(lease) = lease.take()
        {
            lease.end();
        }
    }
}

/// Why a caller looks in the backend.
#[derive(Clone, Copy)]
pub(super) enum Asks<'l, 'a> {
    /// For the value alone.
    Value,
    /// For the value, which the near cache keeps then.
    #[cfg(feature = "http")]
    NearValue(&'l Leader<'a>),
    /// For the value, or else to make it.
    Making(&'l Leader<'a>),
}

impl<'l, 'a> Asks<'l, 'a> {
    /// Whose flight it is.
    pub(super) fn leader(self) -> Option<&'l Leader<'a>> {
        match self {
            Self::Value => None,
            #[cfg(feature = "http")]
            Self::NearValue(leader) => Some(leader),
            Self::Making(leader) => Some(leader),
        }
    }

    pub(super) fn claims(self) -> bool {
        matches!(self, Self::Making(_))
    }
}
