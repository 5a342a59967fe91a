//! One lock for each sub-directory: it is held by the writer that puts a file in place or removes it, so that checking what is
//! there and changing it is one step.
//!
//! A mutex excludes the other threads of this process. A lock on an empty file, which stays in the sub-directory, excludes
//! other processes. Readers take no lock: a file is put in its place whole.
//!
//! Not every file system has file locks. Without them, only the threads of one process exclude each other. `add` and `touch`,
//! which promise more, then fail. `set` and `delete` go on, at one risk: when an expired answer is removed, a value that
//! another process puts in its place at the same moment can be lost. Claims go on too: they hold among the threads of each process, and
//! among processes as long as no two change a key at the same moment.

use std::{
    fs::File,
    io,
    path::Path,
    sync::{Mutex, MutexGuard},
};

use fs4::FileExt;

use super::{
    directory::{Directory, Name},
    failure::failed,
};
use crate::{
    Error, ErrorKind,
    base::{process::PerProcess, sync::unpoisoned},
};

/// The locks of all sub-directories.
///
/// A child process has mutexes of its own: a thread that held one at the moment of the fork does not exist there.
pub(super) struct ShardLocks {
    mutexes: PerProcess<[Mutex<()>; 256]>,
}

/// The lock of one sub-directory, until it is dropped.
///
/// No other thread puts or removes a file there. Whether other processes are excluded is what
/// [`if_supported`](Self::if_supported) and [`required`](Self::required) check.
#[must_use]
pub(super) struct ShardGuard<'a> {
    // Dropped in this order, so that a thread that waits for the mutex finds the file unlocked.
    file_lock: FileLock,
    _mutex: MutexGuard<'a, ()>,
}

enum FileLock {
    Held {
        _file: LockedFile,
    },
    /// There is no such sub-directory, so there is nothing to lock.
    NoDirectory,
    /// The file system has no file locks.
    Unsupported(Error),
    /// Another process may hold the lock.
    Failed(Error),
}

impl ShardLocks {
    pub(super) fn new() -> Self {
        Self { mutexes: PerProcess::new() }
    }

    /// Waits for the lock of the key's sub-directory.
    pub(super) fn lock(&self, directory: &Directory, name: &Name) -> ShardGuard<'_> {
        self.lock_shard(directory, name.shard())
    }

    pub(super) fn lock_shard(&self, directory: &Directory, shard: u8) -> ShardGuard<'_> {
        let mutexes = self.mutexes.get(|| [const { Mutex::new(()) }; 256]);
        let mutex = unpoisoned(mutexes[usize::from(shard)].lock());
        let path = directory.lock_path(shard);
        let file_lock = match directory.open_lock(&path) {
            Ok(Some(file)) => lock_file(file, &path),
            Ok(None) => FileLock::NoDirectory,
            Err(error) => FileLock::Failed(failed("opening", &path, error)),
        };
        ShardGuard { file_lock, _mutex: mutex }
    }
}

fn lock_file(file: File, path: &Path) -> FileLock {
    loop {
        // By its full name: newer standard libraries have a method of that name.
        match FileExt::lock(&file) {
            Ok(()) => return FileLock::Held { _file: LockedFile(file) },
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return FileLock::Unsupported(failed("locking", path, error)),
        }
    }
}

impl ShardGuard<'_> {
    /// Whether there was no sub-directory to lock. Another process may make it, and write there.
    pub(super) fn has_no_directory(&self) -> bool {
        matches!(self.file_lock, FileLock::NoDirectory)
    }

    /// This guard, if other processes are excluded or the file system has no locks.
    ///
    /// # Errors
    ///
    /// If another process may hold the lock.
    pub(super) fn if_supported(self) -> Result<Self, Error> {
        match self.file_lock {
            FileLock::Failed(error) => Err(error),
            file_lock => Ok(Self { file_lock, ..self }),
        }
    }

    /// This guard, if other processes are excluded.
    ///
    /// # Errors
    ///
    /// If another process may hold the lock, or the file system has no locks.
    pub(super) fn required(self) -> Result<Self, Error> {
        match self.file_lock {
            FileLock::Failed(error) => Err(error),
            FileLock::Unsupported(error) => {
                Err(Error::new(ErrorKind::Unsupported, "the file system has no file locks").with_source(error))
            }
            file_lock => Ok(Self { file_lock, ..self }),
        }
    }
}

/// A file that is locked until this is dropped.
///
/// Closing the file would not do: if the process has forked meanwhile, the child has the same file open, and the lock would
/// stay until the child ends.
struct LockedFile(File);

impl Drop for LockedFile {
    fn drop(&mut self) {
        // If it fails, closing the file unlocks it.
        let _ = FileExt::unlock(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_was_forked_under_the_lock_kept_the_file_locked() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let FileLock::Held { _file: locked } = lock_file(file.reopen().unwrap(), file.path()) else {
            panic!("not locked")
        };
        // A fork copies the open file, and with it the lock.
        let _of_child = locked.0.try_clone().unwrap();
        drop(locked);
        FileExt::try_lock(file.as_file()).expect("it is unlocked");
    }
}
