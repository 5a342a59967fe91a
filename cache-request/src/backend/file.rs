//! `file://`: a directory that holds the answers.
//!
//! - [`entry`]: what stands in one answer's file.
//! - [`directory`]: where the files lie, and how they come and go.
//! - [`sweep`]: how the directory stays within its limit.
//!
//! This module orders what happens to one key, and keeps all of it off the caller's executor.

mod directory;
mod entry;
mod sweep;

use std::{
    fmt, io,
    path::{self, Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use self::{
    directory::{Directory, Name},
    entry::{Expiry, Found},
    sweep::{Due, Limits, Sweeper},
};
use super::Backend;
use crate::{Clock, Error, ErrorKind, shim::unpoisoned};

/// A directory that holds the answers, one file each.
///
/// It survives restarts, and several processes may share it. A reader sees an answer whole or not at all, whatever
/// happens to its writer. What it holds is bounded, see [`max_bytes`](FileBackendBuilder::max_bytes).
///
/// The directory is the cache's own as far as its file names go: files with other names are never read or removed. It
/// must not be writable by people who are not trusted, for whoever can write there decides the answers. It is made
/// readable by its owner alone.
///
/// A disk that is full, missing or forbidden makes every call an error, and no call a panic. An answer that could not be
/// written leaves no older one behind. A directory that is taken away is made again when an answer is written; until then,
/// to delete something is an error, for it may be a disk that comes back with all that it held.
///
/// Files are read and written on a thread pool of their own, so that any executor will do, or none.
#[derive(Clone)]
pub struct FileBackend {
    inner: Arc<Inner>,
}

/// Makes a [`FileBackend`].
#[derive(Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct FileBackendBuilder {
    directory: PathBuf,
    limits: Limits,
    clock: Clock,
}

impl FileBackend {
    /// Holds the answers in `directory`, with the limits that [`builder`](Self::builder) starts with.
    ///
    /// # Errors
    ///
    /// As [`FileBackendBuilder::build`].
    pub fn new(directory: impl Into<PathBuf>) -> Result<Self, Error> {
        Self::builder(directory).build()
    }

    /// Begins a backend that holds the answers in `directory`.
    pub fn builder(directory: impl Into<PathBuf>) -> FileBackendBuilder {
        FileBackendBuilder {
            directory: directory.into(),
            limits: Limits { bytes: 1 << 30, entries: u64::MAX },
            clock: Clock::system(),
        }
    }
}

impl FileBackendBuilder {
    /// How many bytes the directory may hold: 1 GiB unless said otherwise, at least 4096.
    ///
    /// Each file counts as the whole blocks of 4096 bytes that it takes on the disk, with some 40 bytes and the key
    /// beside the value. When the directory comes near the limit, what has expired is removed, and then what was written
    /// longest ago, until four fifths are left. The limit holds for all processes together that share the directory; what
    /// they are writing at the moment may come on top. A value that exceeds the limit by itself is refused
    /// ([`ErrorKind::TooLarge`]).
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.limits.bytes = bytes;
        self
    }

    /// How many answers the directory may hold, at least 1. There is no such limit unless it is set.
    pub fn max_entries(mut self, entries: u64) -> Self {
        self.limits.entries = entries;
        self
    }

    /// The clock that timeouts go by, of which the wall-clock time counts. Default: the machine's.
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// Makes the backend, and the directory where it is not there yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the directory's path is empty or is a file, or a limit is too small to hold anything.
    ///
    /// A directory that cannot be made is no error here, since no program should fail for its cache's sake: each call
    /// tries again and returns the error.
    pub fn build(self) -> Result<FileBackend, Error> {
        let Self { directory, limits, clock } = self;
        let root = path::absolute(&directory).map_err(|error| {
            let message = format!("the cache's directory {:?} is not a path", directory.display().to_string());
            Error::new(ErrorKind::Config, message).with_source(error)
        })?;
        if root.metadata().is_ok_and(|metadata| !metadata.is_dir()) {
            return Err(config(format!("the cache's directory {} is a file", root.display())));
        }
        if limits.bytes < sweep::BLOCK {
            return Err(config(format!("max_bytes is {}, and must be {} at least", limits.bytes, sweep::BLOCK)));
        }
        if limits.entries == 0 {
            return Err(config("max_entries is 0, and must be 1 at least"));
        }
        let directory = Directory::new(root);
        // Whoever reads the directory's mode finds it right from the start. Should it fail, each call says why.
        let _ = directory.create();
        let sweeper = Sweeper::new(limits, &directory);
        Ok(FileBackend { inner: Arc::new(Inner { directory, sweeper, stripes: Stripes::new(), clock }) })
    }
}

impl Backend for FileBackend {
    fn name(&self) -> &'static str {
        "file"
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let (inner, key, now) = (Arc::clone(&self.inner), key.to_owned(), self.inner.clock.wall());
        blocking::unblock(move || inner.get(&key, now)).await
    }

    async fn set(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<(), Error> {
        if timeout.is_some_and(|timeout| timeout.is_zero()) {
            return self.delete(key).await.map(drop);
        }
        let file_bytes = entry::encoded_len(key, value);
        if !self.inner.sweeper.fits(file_bytes) {
            self.delete(key).await?;
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("a value of {} bytes exceeds what {} may hold", value.len(), self),
            ));
        }
        let (inner, name, now) = (Arc::clone(&self.inner), Name::of(key), self.inner.clock.wall());
        let contents = entry::encode(key, value, Expiry::after(now, timeout));
        let caller = Caller::default();
        let wanted = caller.wanted();
        blocking::unblock(move || inner.set(&name, &contents, now, &wanted)).await
    }

    async fn delete(&self, key: &str) -> Result<bool, Error> {
        let (inner, key, now) = (Arc::clone(&self.inner), key.to_owned(), self.inner.clock.wall());
        let caller = Caller::default();
        let wanted = caller.wanted();
        blocking::unblock(move || inner.delete(&key, now, &wanted)).await
    }

    async fn clear(&self) -> Result<(), Error> {
        let inner = Arc::clone(&self.inner);
        let caller = Caller::default();
        let wanted = caller.wanted();
        blocking::unblock(move || inner.clear(&wanted)).await
    }
}

impl fmt::Display for FileBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "file://{}", self.inner.directory.root().display())
    }
}

impl fmt::Debug for FileBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FileBackend").field(&self.inner.directory.root()).finish()
    }
}

impl fmt::Debug for FileBackendBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { directory, limits, clock } = self;
        f.debug_struct("FileBackendBuilder")
            .field("directory", directory)
            .field("limits", limits)
            .field("clock", clock)
            .finish()
    }
}

/// All that blocks. Only called on the thread pool.
struct Inner {
    directory: Directory,
    sweeper: Sweeper,
    stripes: Stripes,
    clock: Clock,
}

impl Inner {
    fn get(&self, key: &str, now: SystemTime) -> Result<Option<Vec<u8>>, Error> {
        let name = Name::of(key);
        let path = self.directory.path(&name);
        match entry::open(&path, key, now)? {
            Found::Fresh(opened) => opened.into_value(&path).map(Some),
            Found::Nothing => Ok(None),
            Found::Expired => {
                let _ordered = self.stripes.lock(&name);
                // Looked at again, now that no writer of this process can replace it. One of another process still can,
                // in the instant between the look and the removal, and its answer is lost: a miss, and no wrong answer.
                // (To move the file away, look, and move it back would bring back what was deleted in between.)
                if entry::is_expired(&path, now) {
                    self.directory.remove(&name)?;
                }
                Ok(None)
            }
        }
    }

    fn set(self: Arc<Self>, name: &Name, contents: &[u8], now: SystemTime, wanted: &Wanted) -> Result<(), Error> {
        let done = self.clone().write(name, contents, now, wanted);
        if done.is_err() {
            let _ordered = self.stripes.lock(name);
            if wanted.still() {
                // The caller meant to replace what is there. Its own error says more than a second one would.
                let _ = self.directory.remove(name);
            }
        }
        done
    }

    fn write(self: Arc<Self>, name: &Name, contents: &[u8], now: SystemTime, wanted: &Wanted) -> Result<(), Error> {
        let file_bytes = contents.len() as u64;
        match self.sweeper.note(file_bytes)? {
            Due::Nothing => {}
            Due::Now => self.sweeper.sweep_now(file_bytes, &self.directory, &self.stripes, now)?,
            Due::Soon => {
                let inner = Arc::clone(&self);
                // Its error would reach nobody. A sweep that cannot be done becomes due `Now`, and is somebody's error.
                blocking::unblock(move || {
                    let _ = inner.sweeper.sweep_soon(&inner.directory, &inner.stripes, now);
                })
                .detach();
            }
        }
        let file = self.directory.write_temporary(name, contents)?;
        let _ordered = self.stripes.lock(name);
        if wanted.still() { self.directory.put(name, file) } else { Ok(()) }
    }

    fn delete(&self, key: &str, now: SystemTime, wanted: &Wanted) -> Result<bool, Error> {
        let name = Name::of(key);
        let _ordered = self.stripes.lock(&name);
        if !wanted.still() {
            return Ok(false);
        }
        // An answer that nobody could have got is removed, but was not there. What cannot be understood is removed too.
        let was_there = matches!(entry::open(&self.directory.path(&name), key, now), Ok(Found::Fresh(_)));
        Ok(self.directory.remove(&name)? && was_there)
    }

    fn clear(&self, wanted: &Wanted) -> Result<(), Error> {
        let mut result = Ok(());
        for shard in 0..=u8::MAX {
            let _ordered = self.stripes.lock_shard(shard);
            if !wanted.still() {
                return Ok(());
            }
            let cleared = self
                .directory
                .list(shard)
                .and_then(|files| files.iter().try_for_each(|file| self.directory.remove(&file.name).map(drop)));
            // What can be removed is, even if something before it cannot.
            result = result.and(cleared);
        }
        result.and(self.directory.is_there()).and(self.sweeper.reset())
    }
}

/// Orders what this process does to one key: whoever puts a file in its place or removes it holds the key's stripe. There
/// is one for each sub-directory.
struct Stripes([Mutex<()>; 256]);

impl Stripes {
    fn new() -> Self {
        Self([const { Mutex::new(()) }; 256])
    }

    fn lock(&self, name: &Name) -> MutexGuard<'_, ()> {
        self.lock_shard(name.shard())
    }

    fn lock_shard(&self, shard: u8) -> MutexGuard<'_, ()> {
        unpoisoned(self.0[usize::from(shard)].lock())
    }
}

/// The caller's end of a call. Dropped with the future, it tells the thread that nobody wants the outcome any more.
///
/// A future that is dropped cannot stop the thread that works for it. Without this, a `set` dropped midway could be
/// overtaken by a `delete` of the same key, which finds nothing and returns, and then put the deleted answer there after
/// all. The thread therefore asks whether the outcome is still wanted while it holds the key's stripe. If it is, then the
/// drop comes later than that, and a `delete` after the drop waits for the stripe and removes the answer. If it is not,
/// nothing is put.
#[derive(Default)]
struct Caller {
    dropped: Arc<AtomicBool>,
}

/// The thread's end, see [`Caller`].
struct Wanted {
    dropped: Arc<AtomicBool>,
}

impl Caller {
    fn wanted(&self) -> Wanted {
        Wanted { dropped: Arc::clone(&self.dropped) }
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.dropped.store(true, Ordering::Release);
    }
}

impl Wanted {
    fn still(&self) -> bool {
        !self.dropped.load(Ordering::Acquire)
    }
}

fn failed(what: &str, path: &Path, error: io::Error) -> Error {
    Error::backend(format!("{what} {}", path.display())).with_source(error)
}

fn config(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, message)
}

#[cfg(test)]
mod tests {
    use std::{fs, thread, time::Instant};

    use futures_lite::future::{block_on, poll_once};

    use super::*;

    /// The worst case of a `set` that is given up: its thread has written the value, and waits for the key's stripe,
    /// which whoever removes the key holds.
    #[test]
    fn a_dropped_set_does_not_land_after_its_key_was_removed() {
        let root = tempfile::tempdir().unwrap();
        let backend = FileBackend::new(root.path()).unwrap();
        let inner = Arc::clone(&backend.inner);
        let name = Name::of("key");

        let stripe = inner.stripes.lock(&name);
        let mut set = Box::pin(backend.set("key", b"value", None));
        assert!(block_on(poll_once(&mut set)).is_none());
        let shard = inner.directory.path(&name).parent().unwrap().to_owned();
        let begun = Instant::now();
        while !fs::read_dir(&shard).is_ok_and(|mut files| files.next().is_some()) {
            assert!(begun.elapsed() < Duration::from_secs(60), "the value is not written");
            thread::yield_now();
        }
        drop(set);
        assert!(!inner.directory.remove(&name).unwrap());
        drop(stripe);

        // Its thread, and the sweep that it asked for, hold the backend until they have ended.
        drop(backend);
        while Arc::strong_count(&inner) > 1 {
            thread::yield_now();
        }
        assert_eq!(fs::read_dir(&shard).unwrap().count(), 0);
    }
}
