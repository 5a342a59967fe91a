//! The one error type.

use std::{error::Error as StdError, fmt};

/// What kind of thing went wrong.
///
/// The kind of a [`Backend`](crate::Backend)'s error says what is at fault, and so what the cache does next:
///
/// | kind | at fault | the call | the circuit breaker |
/// | --- | --- | --- | --- |
/// | [`Corrupt`](Self::Corrupt), [`Forged`](Self::Forged), [`TooLarge`](Self::TooLarge), [`Codec`](Self::Codec), [`Key`](Self::Key) | one key or its value | goes on: a read is a miss, and the new value replaces what is stored | is not told |
/// | [`Unsupported`](Self::Unsupported) | nothing | goes on | is not told |
/// | [`Unavailable`](Self::Unavailable) | one server of several | does not ask the backend again | is not told |
/// | all others | the backend | does not ask the backend again | counts a fault |
///
/// Any operation that takes more than three quarters of the call's time limit counts as a fault of the backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The configuration has an address, an option or a value that is refused. Or an argument of a function's attribute is out of its range.
    Config,
    /// A cache is installed or in use already.
    Installed,
    /// The backend failed: it is unreachable, full or refuses the operation.
    Backend,
    /// The backend took longer than a call waits.
    Timeout,
    /// The backend was not asked, since it fails too often or has too much to do; or one of its servers is lost, and the others
    /// work.
    Unavailable,
    /// The backend does not have this operation: see [`Backend::add`](crate::Backend::add) and
    /// [`Backend::touch`](crate::Backend::touch).
    Unsupported,
    /// What is stored under the key is not what this backend wrote there.
    Corrupt,
    /// The stored bytes are not authenticated with the cache's secret: another writer stored them, or stored them under another
    /// key.
    Forged,
    /// The value is larger than the backend takes.
    TooLarge,
    /// A value could not be encoded or decoded.
    Codec,
    /// Code of the program panicked while the cache ran it: a clone, a condition, a serialiser.
    Panic,
    /// No key could be made of the arguments of a call. Or a backend that is used by itself refuses a key, as memcached does if it is
    /// too long: see [`Backend::max_key_bytes`](crate::Backend::max_key_bytes).
    Key,
}

/// What is at fault when an operation of a backend fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blame {
    /// One key or its value, or nothing. Other keys work.
    Key,
    /// One server of several. Keys of the other servers work.
    Server,
    /// All of the backend.
    Backend,
}

impl ErrorKind {
    /// What is at fault when an operation of a backend fails with this kind of error.
    pub(crate) fn blame(self) -> Blame {
        match self {
            Self::Corrupt | Self::Forged | Self::TooLarge | Self::Codec | Self::Key | Self::Unsupported => Blame::Key,
            Self::Unavailable => Blame::Server,
            Self::Config | Self::Installed | Self::Backend | Self::Timeout | Self::Panic => Blame::Backend,
        }
    }
}

/// An error of the cache. It never reaches the caller of an annotated function.
///
/// `{}` shows its own message, and [`source`](StdError::source) is its cause. `{:#}` and `Debug` show the message and all causes.
/// None of them shows a password.
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

    /// An error of the kind [`ErrorKind::Backend`], described by `message`: what a [`Backend`](crate::Backend) returns when it
    /// fails.
    pub fn backend(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Backend, message)
    }

    pub(crate) fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    pub(crate) fn too_large(bytes: usize, limit: usize) -> Self {
        Self::new(ErrorKind::TooLarge, format!("a value of {bytes} bytes, where at most {limit} may be held"))
    }

    /// Adds the cause. Its text must not hold a secret.
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
