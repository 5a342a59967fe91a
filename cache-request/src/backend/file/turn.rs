//! Turns: who puts a file in a key's place or removes it holds the turn of the key's sub-directory, so that to look and to
//! act is one step.
//!
//! Among the threads of this process a mutex gives it, among processes a lock on an empty file that lies in the
//! sub-directory and stays there. Readers need none: a file is put in its place whole.
//!
//! Not every file system has locks. Without them, a process looks and acts in one step only as far as its own threads go.
//! `add` and `touch`, which promise more, fail there, and so nobody else has to mind them: what is left is that a value
//! can be lost that another process put in the place of an expired one at that moment.

use std::{
    fs::File,
    io,
    path::Path,
    sync::{Mutex, MutexGuard},
};

use fs4::FileExt;

use super::{
    directory::{Directory, Name},
    failed,
};
use crate::{Error, base::sync::unpoisoned};

/// One turn for each sub-directory.
pub(super) struct Turns([Mutex<()>; 256]);

/// While it is held, no other thread puts or removes a file in this sub-directory, nor does another process, if
/// [`taken`](Self::taken) or [`alone`](Self::alone) say so.
#[must_use]
pub(super) struct Turn<'a> {
    // Given back in this order: who waits for the mutex finds the lock free.
    lock: Lock,
    _thread: MutexGuard<'a, ()>,
}

enum Lock {
    /// Until the file is closed.
    Held { _file: File },
    /// There is no such sub-directory, hence nothing in it.
    Nowhere,
    /// The file system has none.
    Unsupported(Error),
    /// It may be somebody else's.
    Failed(Error),
}

impl Turns {
    pub(super) fn new() -> Self {
        Self([const { Mutex::new(()) }; 256])
    }

    /// Waits for the turn.
    pub(super) fn take(&self, directory: &Directory, name: &Name) -> Turn<'_> {
        self.take_shard(directory, name.shard())
    }

    pub(super) fn take_shard(&self, directory: &Directory, shard: u8) -> Turn<'_> {
        let thread = unpoisoned(self.0[usize::from(shard)].lock());
        let path = directory.lock_path(shard);
        let lock = match directory.open_lock(&path) {
            Ok(Some(file)) => lock(file, &path),
            Ok(None) => Lock::Nowhere,
            Err(error) => Lock::Failed(failed("opening", &path, error)),
        };
        Turn { lock, _thread: thread }
    }
}

fn lock(file: File, path: &Path) -> Lock {
    loop {
        // By its full name: newer standard libraries have a method of that name.
        match FileExt::lock(&file) {
            Ok(()) => return Lock::Held { _file: file },
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Lock::Unsupported(failed("locking", path, error)),
        }
    }
}

impl Turn<'_> {
    /// # Errors
    ///
    /// Another process may be having its turn now.
    pub(super) fn taken(self) -> Result<Self, Error> {
        match self.lock {
            Lock::Failed(error) => Err(error),
            lock => Ok(Self { lock, ..self }),
        }
    }

    /// # Errors
    ///
    /// As [`taken`](Self::taken), and where processes cannot take turns.
    pub(super) fn alone(self) -> Result<Self, Error> {
        match self.lock {
            Lock::Failed(error) | Lock::Unsupported(error) => Err(error),
            lock => Ok(Self { lock, ..self }),
        }
    }
}
