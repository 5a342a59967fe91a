//! Makes a backend on a directory.

use std::{
    fmt,
    path::{self, PathBuf},
    sync::Arc,
};

use super::{
    FileBackend, Inner,
    directory::Directory,
    sweep::{Limits, Sweeper},
    turn::Turns,
};
use crate::{
    Clock, Error,
    options::{checks::Checks, defaults, table},
};

/// Makes a [`FileBackend`].
///
/// Its methods have the names of the options of [`Config`](crate::Config), and refuse the same values: [`build`](Self::build)
/// returns the first error.
#[must_use = "a builder does nothing until `build`"]
pub struct FileBackendBuilder {
    directory: PathBuf,
    limits: Limits,
    clock: Clock,
    checks: Checks,
}

impl FileBackendBuilder {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            limits: Limits { bytes: defaults::FILE_MAX_BYTES, entries: u64::MAX },
            clock: Clock::system(),
            checks: Checks::default(),
        }
    }

    /// How many bytes the directory may hold, at least 4096. Default:
    /// [`defaults::FILE_MAX_BYTES`](crate::defaults::FILE_MAX_BYTES).
    ///
    /// Each file counts as the whole blocks of 4096 bytes that it takes on the disk, with some 40 bytes and the key
    /// beside the value. When the directory comes near the limit, what has expired is removed, and then what was written
    /// longest ago, until four fifths are left. The limit holds for all processes together that share the directory; what
    /// they are writing at the moment may come on top. A value that exceeds the limit by itself is refused
    /// ([`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge)).
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.checks.check(&table::FILE_MAX_BYTES, &bytes);
        self.limits.bytes = bytes;
        self
    }

    /// How many files the directory may hold. Default: any number.
    pub fn max_entries(mut self, entries: u64) -> Self {
        self.checks.check(&table::FILE_MAX_ENTRIES, &entries);
        self.limits.entries = entries;
        self
    }

    /// The clock that timeouts go by, of which the wall-clock time counts. Default: the machine's.
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// Makes the backend, and the directory if it is missing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if the path of the directory is empty or that of a file, or if a limit is
    /// refused.
    ///
    /// A directory that cannot be made is no error here, as no program should fail because of its cache: each call tries
    /// again and returns the error.
    pub fn build(self) -> Result<FileBackend, Error> {
        self.checks.finish()?;
        let root = path::absolute(&self.directory).map_err(|error| {
            let message = format!("the cache's directory {:?} is not a path", self.directory.display().to_string());
            Error::config(message).with_source(error)
        })?;
        if root.metadata().is_ok_and(|metadata| !metadata.is_dir()) {
            return Err(Error::config(format!("the cache's directory {} is a file", root.display())));
        }
        let directory = Directory::new(root);
        // At once, so that the mode of the directory is right from the start. If it fails, each call says why.
        let _ = directory.create();
        let sweeper = Sweeper::new(self.limits, &directory);
        Ok(FileBackend { inner: Arc::new(Inner { directory, sweeper, turns: Turns::new(), clock: self.clock }) })
    }
}

impl fmt::Debug for FileBackendBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileBackendBuilder")
            .field("directory", &self.directory)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
