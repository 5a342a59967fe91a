//! The one error type.

use std::{error::Error as StdError, fmt};

/// What kind of thing went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An address, option or value that the configuration cannot mean.
    Config,
    /// A cache was installed or used already.
    Installed,
    /// The backend could not do what it was asked: unreachable, full, refused.
    Backend,
    /// The backend took longer than a call waits.
    Timeout,
    /// The backend was not asked: it has failed too often, or has too much to do. Or one of its servers is lost, and the others
    /// go on.
    Unavailable,
    /// The backend's stored bytes are not what was written.
    Corrupt,
    /// The stored bytes are not vouched for by the cache's secret: somebody else wrote them, or put them under another key.
    Forged,
    /// The value is larger than the backend takes.
    TooLarge,
    /// A value could not be turned into bytes or back.
    Codec,
    /// Code of the program's own panicked that the cache ran: a clone, a condition, a serialiser.
    Panic,
    /// No key could be made of a call's arguments.
    Key,
}

/// An error of the cache. It never reaches the caller of an annotated function.
///
/// `{}` shows its own message, and [`source`](StdError::source) is its cause. `{:#}` shows the message and all causes, and so
/// does `Debug`. None of them shows a password.
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind`, described by `message`.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// A backend's failure, described by `message`: what implementors of [`Backend`](crate::backend::Backend) return.
    pub fn backend(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Backend, message)
    }

    pub(crate) fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    pub(crate) fn too_large(bytes: usize, limit: usize) -> Self {
        Self::new(ErrorKind::TooLarge, format!("a value of {bytes} bytes, where at most {limit} may be held"))
    }

    /// Adds what caused it. The cause's own text must hold no secret.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What kind of thing went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if f.alternate() {
            let mut cause = self.source();
            while let Some(error) = cause {
                write!(f, ": {error}")?;
                cause = error.source();
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({self:#})", self.kind)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_shown_once_and_where_it_is_asked_for() {
        let refused = std::io::Error::other("connection refused");
        let error = Error::backend("reading a key").with_source(Error::backend("connecting").with_source(refused));
        assert_eq!(error.to_string(), "reading a key");
        assert_eq!(format!("{error:#}"), "reading a key: connecting: connection refused");
        assert_eq!(format!("{error:?}"), "Backend(reading a key: connecting: connection refused)");
        let cause = error.source().unwrap();
        assert_eq!(cause.to_string(), "connecting");
        assert_eq!(cause.source().unwrap().to_string(), "connection refused");
    }
}
