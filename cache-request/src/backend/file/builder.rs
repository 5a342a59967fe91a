//! Checks the options, and makes a backend on a directory.

use std::{
    fmt,
    path::{self, PathBuf},
};

use super::{
    backend::FileBackend,
    directory::Directory,
    lock::ShardLocks,
    operations::Operations,
    sweep::{Limits, Sweeper},
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

impl FileBackend {
    /// A backend that holds the answers in `directory`, with the defaults of [`builder`](Self::builder).
    ///
    /// # Errors
    ///
    /// As [`FileBackendBuilder::build`].
    pub fn new(directory: impl Into<PathBuf>) -> Result<Self, Error> {
        Self::builder(directory).build()
    }

    /// Begins a backend that holds the answers in `directory`.
    pub fn builder(directory: impl Into<PathBuf>) -> FileBackendBuilder {
        FileBackendBuilder::new(directory.into())
    }
}

impl FileBackendBuilder {
    fn new(directory: PathBuf) -> Self {
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
    /// A file holds the value, the key and 48 bytes, and counts as the whole blocks of 4096 bytes that it takes on the disk. When
    /// the directory comes near the limit, expired answers are removed, and then those that were written longest ago, until
    /// four fifths of the limit are used. All processes that share the directory share the limit; files that are being
    /// written may exceed it for a moment. A value that is larger than the limit is refused
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

    /// The clock whose wall-clock time decides what has expired, for tests. Default: the machine's.
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
    /// A directory that cannot be made is no error here, because no program should fail for its cache. Each call tries again to
    /// make it, and returns the error.
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
        // Made now, so that its permissions are right from the start. If it fails, each call returns the error.
        let _ = directory.create();
        let sweeper = Sweeper::new(self.limits, &directory);
        Ok(FileBackend::of(Operations { directory, sweeper, locks: ShardLocks::new(), clock: self.clock }))
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
