//! The limits: how much the directory may hold, and what is removed when it holds too much.
//!
//! Several processes write there, and some of them die, so only a listing tells how much the directory holds. Every write is
//! therefore recorded in one file that all processes share, the *tally*. When the records reach a sixteenth of the limit, the
//! process whose write reached it lists the directory: this is a *sweep*. It runs in the background. Only when writers are a second
//! sixteenth ahead of it do they sweep themselves before they write. A sweep that finds more than seven eighths of the limit in
//! use removes expired answers, then the oldest ones, until four fifths are in use. So the directory stays within the limit,
//! except for what is being written at the moment.
//!
//! Every sweep removes the claims that are over. A claim that stands counts as an answer does, and stays. A lease is not recorded in the tally,
//! as it ends with the next answer of its key; a refusal is.
//!
//! The tally outlives the processes, so programs that write a little and end, again and again, stay within the limit too.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use super::{
    directory::{self, Directory, Kind, ListedFile},
    entry,
    failure::failed,
    lock::ShardLocks,
};
use crate::{
    Error,
    base::{process::PerProcess, sync::unpoisoned},
    options::kind::BLOCK,
};

const TALLY: &str = "cache-request.tally";
/// The length of the tally, in bytes, at which a sweep is due. It stands for a sixteenth of the limit.
const DUE: u64 = 1 << 16;

/// How much the directory may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) bytes: u64,
    pub(super) entries: u64,
}

/// How much it holds.
#[derive(Debug, Clone, Copy, Default)]
struct Usage {
    bytes: u64,
    entries: u64,
}

impl Usage {
    fn of_file(bytes: u64) -> Self {
        Self { bytes: on_disk(bytes), entries: 1 }
    }

    fn add(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.entries += other.entries;
    }

    fn subtract(&mut self, other: Self) {
        self.bytes -= other.bytes;
        self.entries -= other.entries;
    }

    fn is_within(&self, bytes: u64, entries: u64) -> bool {
        self.bytes <= bytes && self.entries <= entries
    }
}

/// How many bytes of the disk a file takes: whole blocks.
fn on_disk(file_bytes: u64) -> u64 {
    file_bytes.div_ceil(BLOCK).saturating_mul(BLOCK)
}

impl Limits {
    /// By how many bytes a file lengthens the tally.
    fn share(&self, file: Usage) -> u64 {
        let part = |amount: u64, limit: u64| u128::from(amount) * 16 * u128::from(DUE) / u128::from(limit);
        let share = part(file.bytes, self.bytes).max(part(file.entries, self.entries));
        u64::try_from(share).unwrap_or(u64::MAX).clamp(1, 2 * DUE)
    }

    fn are_near(&self, usage: &Usage) -> bool {
        !usage.is_within(self.bytes - self.bytes / 8, self.entries - self.entries / 8)
    }

    fn leave_room(&self, usage: &Usage) -> bool {
        usage.is_within(self.bytes / 5 * 4, self.entries - self.entries.div_ceil(5))
    }
}

/// Keeps the directory within its limits.
pub(super) struct Sweeper {
    limits: Limits,
    tally: PathBuf,
    root: PathBuf,
    /// A child process has its own: a thread that sweeps at the moment of a fork does not exist in the child.
    sweeps: PerProcess<Sweeps>,
}

/// The sweeps of one process.
#[derive(Default)]
struct Sweeps {
    /// Locked during a sweep, so that there is one at a time.
    running: Mutex<()>,
    /// Whether a background sweep was requested and has not begun.
    requested: AtomicBool,
}

/// Whether a write makes a sweep due, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SweepDue {
    No,
    InBackground,
    BeforeWriting,
}

impl Sweeper {
    pub(super) fn new(limits: Limits, directory: &Directory) -> Self {
        Self {
            limits,
            tally: directory.root().join(TALLY),
            root: directory.root().to_owned(),
            sweeps: PerProcess::new(),
        }
    }

    fn sweeps(&self) -> &Sweeps {
        self.sweeps.get(Sweeps::default)
    }

    /// Waits for a running sweep to end, and keeps others from starting.
    fn lock(&self) -> MutexGuard<'_, ()> {
        unpoisoned(self.sweeps().running.lock())
    }

    /// Whether a file of this size is within the limit.
    pub(super) fn fits(&self, file_bytes: u64) -> bool {
        on_disk(file_bytes) <= self.limits.bytes
    }

    /// Records that a file will be written. If that fails, it must not be written: it would not count towards the limit.
    pub(super) fn record(&self, file_bytes: u64) -> Result<SweepDue, Error> {
        let recorded = directory::create_in(&self.root, || self.append(self.limits.share(Usage::of_file(file_bytes))))
            .map_err(|error| failed("writing", &self.tally, error))?;
        Ok(if recorded >= 2 * DUE {
            SweepDue::BeforeWriting
        } else if recorded >= DUE && !self.sweeps().requested.swap(true, Ordering::AcqRel) {
            SweepDue::InBackground
        } else {
            SweepDue::No
        })
    }

    /// Lengthens the tally, and returns its length.
    fn append(&self, share: u64) -> io::Result<u64> {
        let mut options = File::options();
        options.append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let (mut file, share) = match options.open(&self.tally) {
            // There is no record of what the directory holds, so a sweep is due.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                (options.create(true).open(&self.tally)?, share.max(DUE))
            }
            opened => (opened?, share),
        };
        // At most 128 KiB, and usually a few bytes.
        file.write_all(&vec![b'.'; usize::try_from(share).unwrap_or(usize::MAX)])?;
        Ok(file.metadata()?.len())
    }

    /// The length of the tally.
    fn recorded(&self) -> u64 {
        fs::metadata(&self.tally).map_or(0, |metadata| metadata.len())
    }

    /// Shortens the tally by what a sweep has seen. A record that another process adds meanwhile is lost. If the tally cannot be
    /// shortened, the next write sweeps again.
    fn subtract(&self, seen: u64) {
        if let Ok(file) = File::options().write(true).open(&self.tally) {
            let recorded = file.metadata().map_or(0, |metadata| metadata.len());
            let _ = file.set_len(recorded.saturating_sub(seen));
        }
    }

    /// Removes the tally, after the directory was cleared.
    pub(super) fn reset(&self) -> Result<(), Error> {
        directory::remove(&self.tally).map(drop)
    }

    /// The sweep of [`SweepDue::InBackground`].
    pub(super) fn sweep_in_background(
        &self,
        directory: &Directory,
        locks: &ShardLocks,
        now: SystemTime,
    ) -> Result<(), Error> {
        let _running = self.lock();
        self.sweeps().requested.store(false, Ordering::Release);
        if self.recorded() < DUE {
            return Ok(());
        }
        self.sweep(Usage::default(), directory, locks, now)
    }

    /// The sweep of [`SweepDue::BeforeWriting`], which makes room for a file of `file_bytes`.
    pub(super) fn sweep_before_writing(
        &self,
        file_bytes: u64,
        directory: &Directory,
        locks: &ShardLocks,
        now: SystemTime,
    ) -> Result<(), Error> {
        let coming = Usage::of_file(file_bytes);
        let _running = self.lock();
        // A sweep that ended while this one waited has made room for this file too, unless it is a large one.
        if self.recorded() < 2 * DUE && self.limits.share(coming) < DUE {
            return Ok(());
        }
        self.sweep(coming, directory, locks, now)
    }

    fn sweep(&self, coming: Usage, directory: &Directory, locks: &ShardLocks, now: SystemTime) -> Result<(), Error> {
        let seen = self.recorded();
        let mut usage = coming;
        let mut files = Vec::new();
        let within = Within { directory, locks };
        for shard in 0..=u8::MAX {
            for file in directory.list(shard)? {
                if file.kind == Kind::Claim && within.remove(&file, |path| entry::is_expired(path, now))?.is_some() {
                    continue;
                }
                usage.add(Usage::of_file(file.bytes));
                if file.kind == Kind::Answer {
                    files.push(file);
                }
            }
        }
        if self.limits.are_near(&usage) {
            self.evict(files, &mut usage, &within, now)?;
        }
        // One answer may be nearly as large as the limit. While it is there, the tally stays, and each write sweeps.
        if !self.limits.are_near(&usage) {
            self.subtract(seen);
        }
        Ok(())
    }

    /// Removes expired answers, then the oldest ones.
    fn evict(
        &self,
        files: Vec<ListedFile>,
        usage: &mut Usage,
        within: &Within<'_>,
        now: SystemTime,
    ) -> Result<(), Error> {
        let mut kept = Vec::new();
        for file in files {
            match within.remove(&file, |path| entry::is_expired(path, now))? {
                Some(freed) => usage.subtract(freed),
                None => kept.push(file),
            }
        }
        kept.sort_unstable_by_key(|file| file.modified);
        for file in kept {
            if self.limits.leave_room(usage) {
                break;
            }
            if let Some(freed) = within.remove(&file, |_| true)? {
                usage.subtract(freed);
            }
        }
        Ok(())
    }
}

/// The directory that is swept.
struct Within<'a> {
    directory: &'a Directory,
    locks: &'a ShardLocks,
}

impl Within<'_> {
    /// Removes a file, unless it was replaced since it was listed or `may_go` says no. Returns what it took on the disk.
    fn remove(&self, file: &ListedFile, may_go: impl FnOnce(&Path) -> bool) -> Result<Option<Usage>, Error> {
        let path = self.directory.path(&file.name, file.kind);
        let _guard = self.locks.lock(self.directory, &file.name).if_supported()?;
        match modified(&path) {
            None => {}
            Some(modified) if modified == file.modified && may_go(&path) => {
                self.directory.remove(&file.name, file.kind)?;
            }
            Some(_) => return Ok(None),
        }
        Ok(Some(Usage::of_file(file.bytes)))
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::symlink_metadata(path).and_then(|metadata| metadata.modified()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_sweeps_itself_only_when_it_is_far_ahead_of_the_sweep() {
        let root = tempfile::tempdir().unwrap();
        let directory = Directory::new(root.path().to_owned());
        // A sixteenth of the limit is 64 blocks.
        let sweeper = Sweeper::new(Limits { bytes: 1024 * BLOCK, entries: u64::MAX }, &directory);
        let record = || sweeper.record(1).unwrap();

        assert_eq!(record(), SweepDue::InBackground, "there is no record yet");
        for write in 1..64 {
            assert_eq!(record(), SweepDue::No, "a sweep was requested before write {write}");
        }
        assert_eq!(record(), SweepDue::BeforeWriting);

        sweeper.sweep_in_background(&directory, &ShardLocks::new(), SystemTime::now()).unwrap();
        for write in 0..63 {
            assert_eq!(record(), SweepDue::No, "write {write} after the sweep");
        }
        assert_eq!(record(), SweepDue::InBackground);
    }
}
