//! What each operation does to the files of one key. All of it blocks, and runs on the [`threads`](super::threads).

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{
    cancel::CancelToken,
    directory::{Directory, Kind, Name, WriteTime},
    entry::{self, Contents, Found},
    lock::ShardLocks,
    sweep::{SweepDue, Sweeper},
    threads,
};
use crate::{Clock, Error};

/// The directory of a backend, and what its operations share.
pub(super) struct Operations {
    pub(super) directory: Directory,
    pub(super) sweeper: Sweeper,
    pub(super) locks: ShardLocks,
    pub(super) clock: Clock,
}

impl Operations {
    pub(super) fn get(&self, key: &str, now: SystemTime) -> Result<Option<Vec<u8>>, Error> {
        let name = Name::of(key);
        let path = self.directory.path(&name, Kind::Answer);
        match self.open(&name, key, now)? {
            Found::Live(opened) => opened.into_value(&path).map(Some),
            Found::Absent => Ok(None),
            Found::Corrupt(error) => Err(error),
            Found::Expired => {
                let _guard = self.locks.lock(&self.directory, &name).if_supported()?;
                // Checked again under the lock: a writer may have replaced it.
                if entry::is_expired(&path, now) {
                    self.directory.remove(&name, Kind::Answer)?;
                }
                Ok(None)
            }
        }
    }

    pub(super) fn write_time(&self, now: SystemTime) -> WriteTime {
        WriteTime { now, is_mock: self.clock.is_mock() }
    }

    pub(super) fn open(&self, name: &Name, key: &str, now: SystemTime) -> Result<Found, Error> {
        entry::open(&self.directory.path(name, Kind::Answer), key, now)
            .map_err(|error| self.directory.classify(name, error))
    }

    /// Stores an answer. If that fails, the older answer is removed: it must not outlive the attempt to replace it.
    pub(super) fn set(
        self: &Arc<Self>,
        name: &Name,
        contents: &mut Contents,
        now: SystemTime,
        cancel: &CancelToken,
    ) -> Result<(), Error> {
        let outcome = self.write(name, contents, now, cancel);
        if outcome.is_err() {
            let _guard = self.locks.lock(&self.directory, name);
            if !cancel.is_cancelled() {
                // The first error tells more than that of the removal.
                let _ = self.directory.remove(name, Kind::Answer);
            }
        }
        outcome
    }

    fn write(
        self: &Arc<Self>,
        name: &Name,
        contents: &mut Contents,
        now: SystemTime,
        cancel: &CancelToken,
    ) -> Result<(), Error> {
        self.make_room(contents.len(), now)?;
        let file = self.directory.write_temporary(name, contents, self.write_time(now))?;
        let _guard = self.locks.lock(&self.directory, name).if_supported()?;
        if cancel.is_cancelled() { Ok(()) } else { self.directory.put(name, Kind::Answer, file) }
    }

    pub(super) fn add(
        self: &Arc<Self>,
        key: &str,
        contents: &mut Contents,
        now: SystemTime,
        cancel: &CancelToken,
    ) -> Result<bool, Error> {
        let name = Name::of(key);
        // Checked first without the lock, so that most calls that lose write no file.
        if !self.is_free(&name, key, now)? {
            return Ok(false);
        }
        self.make_room(contents.len(), now)?;
        let file = self.directory.write_temporary(&name, contents, self.write_time(now))?;
        let _guard = self.locks.lock(&self.directory, &name).required()?;
        if cancel.is_cancelled() || !self.is_free(&name, key, now)? {
            return Ok(false);
        }
        self.directory.put(&name, Kind::Answer, file).map(|()| true)
    }

    /// Whether the key has no live answer. A file that cannot be read is an error, as it may hold one.
    fn is_free(&self, name: &Name, key: &str, now: SystemTime) -> Result<bool, Error> {
        Ok(!matches!(self.open(name, key, now)?, Found::Live(_)))
    }

    /// Writes the answer to a new file: the content of a file that a reader has open never changes.
    pub(super) fn touch(
        self: &Arc<Self>,
        key: &str,
        timeout: Option<Duration>,
        now: SystemTime,
        cancel: &CancelToken,
    ) -> Result<bool, Error> {
        let name = Name::of(key);
        let path = self.directory.path(&name, Kind::Answer);
        let Found::Live(opened) = self.open(&name, key, now)? else { return Ok(false) };
        self.make_room(opened.file_bytes(key), now)?;
        // Read again under the lock: an answer that was replaced or removed meanwhile must not come back.
        let _guard = self.locks.lock(&self.directory, &name).required()?;
        let Found::Live(opened) = self.open(&name, key, now)? else { return Ok(false) };
        let mut contents = Contents::new(key, &opened.into_value(&path)?, timeout);
        let file = self.directory.write_temporary(&name, &mut contents, self.write_time(now))?;
        if cancel.is_cancelled() { Ok(false) } else { self.directory.put(&name, Kind::Answer, file).map(|()| true) }
    }

    /// Records that a file of this size will be written, and sweeps if that is due. Never called under a lock: a sweep takes
    /// the locks itself.
    pub(super) fn make_room(self: &Arc<Self>, file_bytes: u64, now: SystemTime) -> Result<(), Error> {
        match self.sweeper.record(file_bytes)? {
            SweepDue::No => {}
            SweepDue::BeforeWriting => {
                self.sweeper.sweep_before_writing(file_bytes, &self.directory, &self.locks, now)?;
            }
            SweepDue::InBackground => {
                let operations = Arc::clone(self);
                // Its error has no caller. If sweeps keep failing, one becomes due `BeforeWriting`, and its writer gets the error.
                threads::run_in_background(move || {
                    let Self { sweeper, directory, locks, .. } = &*operations;
                    let _ = sweeper.sweep_in_background(directory, locks, now);
                });
            }
        }
        Ok(())
    }

    pub(super) fn delete(&self, key: &str, now: SystemTime, cancel: &CancelToken) -> Result<bool, Error> {
        let name = Name::of(key);
        let guard = self.locks.lock(&self.directory, &name);
        if cancel.is_cancelled() {
            return Ok(false);
        }
        // An expired or corrupt file is removed too, but does not count as an answer.
        let had_answer = matches!(self.open(&name, key, now), Ok(Found::Live(_)));
        if !self.directory.remove(&name, Kind::Answer)? {
            return Ok(false);
        }
        // Without the lock, another process may put the answer back.
        guard.if_supported().map(|_| had_answer)
    }

    pub(super) fn clear(&self, cancel: &CancelToken) -> Result<(), Error> {
        let mut result = Ok(());
        for shard in 0..=u8::MAX {
            let guard = self.locks.lock_shard(&self.directory, shard);
            if cancel.is_cancelled() {
                return Ok(());
            }
            let cleared = self.directory.list(shard).and_then(|files| {
                files.iter().try_for_each(|file| self.directory.remove(&file.name, file.kind).map(drop))
            });
            // Claims and answers of a key go under one lock. After an error, the other sub-directories are cleared all the same.
            result = result.and(cleared).and(guard.if_supported().map(drop));
        }
        result.and(self.directory.check_exists()).and(self.sweeper.reset())
    }
}
