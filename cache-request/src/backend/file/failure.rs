//! The error of a file operation.

use std::{io, path::Path};

use crate::Error;

/// The backend error of `action` on `path`, such as "writing" or "creating a file in".
pub(super) fn failed(action: &str, path: &Path, error: io::Error) -> Error {
    Error::backend(format!("{action} {}", path.display())).with_source(error)
}
