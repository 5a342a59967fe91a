//! Why an operation of memcached failed.

use memcache::exp::OpResult;

use crate::Error;

/// The outcome of one operation of a batch.
pub(super) type Outcome = Result<OpResult, Failure>;

/// Why an operation failed.
pub(super) enum Failure {
    /// The server refused the command: it has no room, or the value is too large.
    Refused(String),
    /// The connection was closed. Another connection may work.
    Closed(Error),
    /// Anything else.
    Other(Error),
}

impl Failure {
    /// The failure for an answer that does not fit the command.
    #[cold]
    pub(super) fn unexpected_answer() -> Self {
        Self::Other(Error::backend("memcached gives an answer that does not fit the command"))
    }

    /// The failure of a write that other writers of the same key overtook each time.
    #[cold]
    pub(super) fn contended() -> Self {
        Self::Other(Error::backend("other callers keep changing the same key"))
    }

    pub(super) fn is_too_large(&self) -> bool {
        matches!(self, Self::Refused(message) if message.contains("too large"))
    }

    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(_))
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(self, Self::Closed(_))
    }

    pub(super) fn error(self) -> Error {
        match self {
            Self::Refused(message) => Error::backend(format!("memcached refuses a command: {message}")),
            Self::Closed(error) | Self::Other(error) => error,
        }
    }

    /// A copy, for another operation that failed for the same reason.
    pub(super) fn copy(&self) -> Self {
        match self {
            Self::Refused(message) => Self::Refused(message.clone()),
            Self::Closed(error) => Self::Closed(copy_of(error)),
            Self::Other(error) => Self::Other(copy_of(error)),
        }
    }
}

/// A copy of an error, for another key that failed for the same reason.
pub(super) fn copy_of(error: &Error) -> Error {
    Error::new(error.kind(), error.to_string())
}
