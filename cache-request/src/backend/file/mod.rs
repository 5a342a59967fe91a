//! `file://`: a directory that holds the answers.
//!
//! - [`builder`]: makes a backend.
//! - [`entry`]: what stands in one answer's file.
//! - [`directory`]: where the files lie, and how they come and go.
//! - [`turn`]: in which order, where several want to do something to one key.
//! - [`sweep`]: how the directory stays within its limit.
//!
//! This module says what happens to one key, and keeps all of it off the caller's executor.

mod builder;
mod directory;
mod entry;
mod sweep;
mod turn;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

pub use self::builder::FileBackendBuilder;
use self::{
    directory::{Directory, Moment, Name},
    entry::{Contents, Found},
    sweep::{Due, Sweeper},
    turn::Turns,
};
use super::Backend;
use crate::{Clock, Error, ErrorKind};

/// A directory that holds the answers, one file each.
///
/// It survives restarts, and several processes may share it. A reader sees an answer whole or not at all, whatever
/// happens to its writer. `add` and `touch` hold among processes too, and are an error on a file system whose files cannot
/// be locked, as some that reach over a network. What it holds is bounded, see [`max_bytes`](FileBackendBuilder::max_bytes).
///
/// The directory is the cache's own as far as its file names go: files with other names are never read or removed. It
/// must not be writable by people who are not trusted, for whoever can write there decides the answers. It is made
/// readable by its owner alone.
///
/// A disk that is full, missing or forbidden makes every call an error, and no call a panic. An answer that could not be
/// written leaves no older one behind. A directory that is taken away is made again when an answer is written; until then,
/// to delete something is an error, for it may be a disk that comes back with all that it held.
///
/// Timeouts go by the clock of the file system, where that differs from the machine's. An answer that was stored more than 5 seconds in
/// the future, by a clock that was wrong, is a miss.
///
/// Files are read and written on a thread pool of their own, so that any executor will do, or none.
#[derive(Clone)]
pub struct FileBackend {
    inner: Arc<Inner>,
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

    fn fits(&self, key: &str, value: &[u8]) -> Result<(), Error> {
        if self.inner.sweeper.fits(entry::encoded_len(key, value)) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::TooLarge, format!("a value of {} bytes exceeds what {} may hold", value.len(), self)))
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
        if timeout == Some(Duration::ZERO) {
            return self.delete(key).await.map(drop);
        }
        if let Err(too_large) = self.fits(key, value) {
            self.delete(key).await?;
            return Err(too_large);
        }
        let (inner, name, now) = (Arc::clone(&self.inner), Name::of(key), self.inner.clock.wall());
        let mut contents = Contents::new(key, value, timeout);
        let caller = Caller::default();
        let wanted = caller.wanted();
        blocking::unblock(move || inner.set(&name, &mut contents, now, &wanted)).await
    }

    async fn add(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<bool, Error> {
        if timeout == Some(Duration::ZERO) {
            return Ok(false);
        }
        self.fits(key, value)?;
        let (inner, key, now) = (Arc::clone(&self.inner), key.to_owned(), self.inner.clock.wall());
        let mut contents = Contents::new(&key, value, timeout);
        let caller = Caller::default();
        let wanted = caller.wanted();
        blocking::unblock(move || inner.add(&key, &mut contents, now, &wanted)).await
    }

    async fn touch(&self, key: &str, timeout: Option<Duration>) -> Result<bool, Error> {
        if timeout == Some(Duration::ZERO) {
            return self.delete(key).await;
        }
        let (inner, key, now) = (Arc::clone(&self.inner), key.to_owned(), self.inner.clock.wall());
        let caller = Caller::default();
        let wanted = caller.wanted();
        blocking::unblock(move || inner.touch(&key, timeout, now, &wanted)).await
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

/// All that blocks. Only called on the thread pool.
struct Inner {
    directory: Directory,
    sweeper: Sweeper,
    turns: Turns,
    clock: Clock,
}

impl Inner {
    fn get(&self, key: &str, now: SystemTime) -> Result<Option<Vec<u8>>, Error> {
        let name = Name::of(key);
        let path = self.directory.path(&name);
        match self.open(&name, key, now)? {
            Found::Fresh(opened) => opened.into_value(&path).map(Some),
            Found::Nothing => Ok(None),
            Found::Garbled(error) => Err(error),
            Found::Expired => {
                let _turn = self.turns.take(&self.directory, &name).taken()?;
                // Looked at again, now that no writer can replace it.
                if entry::is_expired(&path, now) {
                    self.directory.remove(&name)?;
                }
                Ok(None)
            }
        }
    }

    fn moment(&self, now: SystemTime) -> Moment {
        Moment { now, is_mock: self.clock.is_mock() }
    }

    fn open(&self, name: &Name, key: &str, now: SystemTime) -> Result<Found, Error> {
        entry::open(&self.directory.path(name), key, now).map_err(|error| self.directory.blame(name, error))
    }

    fn set(
        self: Arc<Self>,
        name: &Name,
        contents: &mut Contents,
        now: SystemTime,
        wanted: &Wanted,
    ) -> Result<(), Error> {
        let done = self.write(name, contents, now, wanted);
        if done.is_err() {
            let _turn = self.turns.take(&self.directory, name);
            if wanted.still() {
                // The caller meant to replace what is there. Its own error says more than a second one would.
                let _ = self.directory.remove(name);
            }
        }
        done
    }

    fn write(
        self: &Arc<Self>,
        name: &Name,
        contents: &mut Contents,
        now: SystemTime,
        wanted: &Wanted,
    ) -> Result<(), Error> {
        self.make_room(contents.len(), now)?;
        let file = self.directory.write_temporary(name, contents, self.moment(now))?;
        let _turn = self.turns.take(&self.directory, name).taken()?;
        if wanted.still() { self.directory.put(name, file) } else { Ok(()) }
    }

    fn add(
        self: Arc<Self>,
        key: &str,
        contents: &mut Contents,
        now: SystemTime,
        wanted: &Wanted,
    ) -> Result<bool, Error> {
        let name = Name::of(key);
        // Most of those who lose need not write for that.
        if !self.is_free(&name, key, now)? {
            return Ok(false);
        }
        self.make_room(contents.len(), now)?;
        let file = self.directory.write_temporary(&name, contents, self.moment(now))?;
        let _turn = self.turns.take(&self.directory, &name).alone()?;
        if !wanted.still() || !self.is_free(&name, key, now)? {
            return Ok(false);
        }
        self.directory.put(&name, file).map(|()| true)
    }

    /// Whether there is no answer, but perhaps what is left of one. Of a file that cannot be looked into nobody knows.
    fn is_free(&self, name: &Name, key: &str, now: SystemTime) -> Result<bool, Error> {
        Ok(!matches!(self.open(name, key, now)?, Found::Fresh(_)))
    }

    /// Writes the answer anew: what a reader has open never changes.
    fn touch(
        self: Arc<Self>,
        key: &str,
        timeout: Option<Duration>,
        now: SystemTime,
        wanted: &Wanted,
    ) -> Result<bool, Error> {
        let name = Name::of(key);
        let path = self.directory.path(&name);
        let Found::Fresh(opened) = self.open(&name, key, now)? else { return Ok(false) };
        self.make_room(opened.file_bytes(key), now)?;
        // From here on nobody replaces or removes what is read, which would else come back.
        let _turn = self.turns.take(&self.directory, &name).alone()?;
        let Found::Fresh(opened) = self.open(&name, key, now)? else { return Ok(false) };
        let mut contents = Contents::new(key, &opened.into_value(&path)?, timeout);
        let file = self.directory.write_temporary(&name, &mut contents, self.moment(now))?;
        if wanted.still() { self.directory.put(&name, file).map(|()| true) } else { Ok(false) }
    }

    /// Notes that so many bytes are about to be written. A sweep takes turns, so nobody calls this in theirs.
    fn make_room(self: &Arc<Self>, file_bytes: u64, now: SystemTime) -> Result<(), Error> {
        match self.sweeper.note(file_bytes)? {
            Due::Nothing => {}
            Due::Now => self.sweeper.sweep_now(file_bytes, &self.directory, &self.turns, now)?,
            Due::Soon => {
                let inner = Arc::clone(self);
                // Its error would reach nobody. A sweep that cannot be done becomes due `Now`, and is somebody's error.
                blocking::unblock(move || {
                    let _ = inner.sweeper.sweep_soon(&inner.directory, &inner.turns, now);
                })
                .detach();
            }
        }
        Ok(())
    }

    fn delete(&self, key: &str, now: SystemTime, wanted: &Wanted) -> Result<bool, Error> {
        let name = Name::of(key);
        let turn = self.turns.take(&self.directory, &name);
        if !wanted.still() {
            return Ok(false);
        }
        // An answer that nobody could have got is removed, but was not there. What cannot be understood is removed too.
        let was_there = matches!(self.open(&name, key, now), Ok(Found::Fresh(_)));
        if !self.directory.remove(&name)? {
            return Ok(false);
        }
        // What is removed out of turn may come back.
        turn.taken().map(|_| was_there)
    }

    fn clear(&self, wanted: &Wanted) -> Result<(), Error> {
        let mut result = Ok(());
        for shard in 0..=u8::MAX {
            let turn = self.turns.take_shard(&self.directory, shard);
            if !wanted.still() {
                return Ok(());
            }
            let cleared = self
                .directory
                .list(shard)
                .and_then(|files| files.iter().try_for_each(|file| self.directory.remove(&file.name).map(drop)));
            // What can be removed is, even if something before it cannot.
            result = result.and(cleared).and(turn.taken().map(drop));
        }
        result.and(self.directory.is_there()).and(self.sweeper.reset())
    }
}

/// The caller's end of a call. Dropped with the future, it tells the thread that nobody wants the outcome any more.
///
/// A future that is dropped cannot stop the thread that works for it. Without this, a `set` dropped midway could be
/// overtaken by a `delete` of the same key, which finds nothing and returns, and then put the deleted answer there after
/// all. The thread therefore asks whether the outcome is still wanted while it has the key's turn. If it is, then the
/// drop comes later than that, and a `delete` after the drop waits for its turn and removes the answer. If it is not,
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

#[cfg(test)]
mod tests {
    use std::{fs, thread, time::Instant};

    use futures_lite::future::{block_on, poll_once};

    use super::*;

    /// The worst case of a call that is given up: its thread has done all but the last step, and waits for the key's turn,
    /// which another has, who does `meanwhile`.
    fn give_up<'a, T>(
        backend: &'a FileBackend,
        begin: impl FnOnce() -> Operation<'a, T>,
        has_come_far: impl Fn() -> bool,
        meanwhile: impl FnOnce(&Directory),
    ) {
        let inner = Arc::clone(&backend.inner);
        let turn = inner.turns.take(&inner.directory, &Name::of("key"));
        let mut call = begin();
        assert!(block_on(poll_once(&mut call)).is_none());
        let begun = Instant::now();
        while !has_come_far() {
            assert!(begun.elapsed() < Duration::from_secs(60), "it does not get there");
            thread::yield_now();
        }
        drop(call);
        meanwhile(&inner.directory);
        drop(turn);
        drop(inner);
        come_to_rest(backend);
    }

    type Operation<'a, T> = std::pin::Pin<Box<dyn Future<Output = Result<T, Error>> + 'a>>;

    /// The threads of its calls, and the sweeps that they asked for, hold the backend until they have ended.
    fn come_to_rest(backend: &FileBackend) {
        while Arc::strong_count(&backend.inner) > 1 {
            thread::yield_now();
        }
    }

    fn answers_and_halves(backend: &FileBackend) -> usize {
        let (directory, name) = (&backend.inner.directory, Name::of("key"));
        let files = fs::read_dir(directory.path(&name).parent().unwrap()).into_iter().flatten();
        files.filter(|file| file.as_ref().unwrap().path() != directory.lock_path(name.shard())).count()
    }

    #[test]
    fn a_dropped_set_or_add_does_not_land_after_its_key_was_removed() {
        let operations: [fn(&FileBackend) -> Operation<'_, ()>; 2] = [
            |backend| Box::pin(backend.set("key", b"value", None)),
            |backend| Box::pin(async { backend.add("key", b"value", None).await.map(drop) }),
        ];
        for begin in operations {
            let root = tempfile::tempdir().unwrap();
            let backend = FileBackend::new(root.path()).unwrap();
            give_up(
                &backend,
                || begin(&backend),
                || answers_and_halves(&backend) > 0,
                |directory| assert!(!directory.remove(&Name::of("key")).unwrap()),
            );
            assert_eq!(answers_and_halves(&backend), 0);
        }
    }

    #[test]
    fn a_dropped_touch_leaves_what_was_set_after_it() {
        let root = tempfile::tempdir().unwrap();
        let backend = FileBackend::new(root.path()).unwrap();
        block_on(backend.set("key", b"older", None)).unwrap();
        come_to_rest(&backend);
        let noted = || fs::metadata(root.path().join("cache-request.tally")).map_or(0, |tally| tally.len());
        let (name, before) = (Name::of("key"), noted());
        let now = Moment { now: SystemTime::now(), is_mock: true };
        let mut newer = Contents::new("key", b"newer", Some(Duration::from_secs(60)));
        give_up(
            &backend,
            || Box::pin(backend.touch("key", None)),
            || noted() > before,
            |directory| directory.put(&name, directory.write_temporary(&name, &mut newer, now).unwrap()).unwrap(),
        );
        assert_eq!(fs::read(backend.inner.directory.path(&name)).unwrap(), newer.stored_at(now.now));
        assert_eq!(answers_and_halves(&backend), 1);
    }
}
