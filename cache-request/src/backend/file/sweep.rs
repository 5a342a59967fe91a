//! The bound: how much the directory may hold, and what goes when it is too much.
//!
//! Nobody knows how much the directory holds without listing it, since several processes write there and some die. So
//! every write is noted in a file that all of them share, the *tally*, and whoever's write makes it a sixteenth of the
//! limit lists the directory: that is a *sweep*. It runs beside the callers; only a writer that is a second sixteenth
//! ahead of it waits. A sweep that finds more than seven eighths of the limit removes what has expired, then the oldest,
//! until four fifths are left. So what is held stays within the limit, plus what is being written at the moment.
//!
//! The tally outlives the processes: programs that write a little and end, again and again, are bounded too.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use super::{
    directory::{self, Directory, Listed},
    entry, failed,
    turn::Turns,
};
use crate::{Error, base::sync::unpoisoned, options};

/// A file takes whole blocks of the disk, so it counts as whole blocks here.
pub(super) const BLOCK: u64 = options::kind::BLOCK;
const TALLY: &str = "cache-request.tally";
/// How many bytes long the tally is when a sweep is due: one byte for each such part of a sixteenth of the limit.
const DUE: u64 = 1 << 16;

/// How much the directory may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) bytes: u64,
    pub(super) entries: u64,
}

/// How much it does hold.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    bytes: u64,
    entries: u64,
}

impl Held {
    fn one(file_bytes: u64) -> Self {
        Self { bytes: on_disk(file_bytes), entries: 1 }
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

pub(super) fn on_disk(file_bytes: u64) -> u64 {
    file_bytes.div_ceil(BLOCK).saturating_mul(BLOCK)
}

impl Limits {
    /// What one file weighs in the tally.
    fn share(&self, file: Held) -> u64 {
        let part = |amount: u64, limit: u64| u128::from(amount) * 16 * u128::from(DUE) / u128::from(limit);
        let share = part(file.bytes, self.bytes).max(part(file.entries, self.entries));
        u64::try_from(share).unwrap_or(u64::MAX).clamp(1, 2 * DUE)
    }

    fn is_near(&self, held: &Held) -> bool {
        !held.is_within(self.bytes - self.bytes / 8, self.entries - self.entries / 8)
    }

    fn is_roomy(&self, held: &Held) -> bool {
        held.is_within(self.bytes / 5 * 4, self.entries - self.entries.div_ceil(5))
    }
}

#[derive(Debug)]
pub(super) struct Sweeper {
    limits: Limits,
    tally: PathBuf,
    root: PathBuf,
    /// Held during a sweep: one at a time in one process.
    sweeping: Mutex<()>,
    /// A sweep was asked for and has not begun.
    scheduled: AtomicBool,
}

/// What a writer has to do about the bound before it writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    /// A sweep, by somebody who has time.
    Soon,
    /// A sweep, by the writer itself.
    Now,
}

impl Sweeper {
    pub(super) fn new(limits: Limits, directory: &Directory) -> Self {
        Self {
            limits,
            tally: directory.root().join(TALLY),
            root: directory.root().to_owned(),
            sweeping: Mutex::new(()),
            scheduled: AtomicBool::new(false),
        }
    }

    pub(super) fn fits(&self, file_bytes: u64) -> bool {
        on_disk(file_bytes) <= self.limits.bytes
    }

    /// Notes that a file is about to be written. Not noted is not written: else a full disk would undo the bound.
    pub(super) fn note(&self, file_bytes: u64) -> Result<Due, Error> {
        let noted = directory::within(&self.root, || self.append(self.limits.share(Held::one(file_bytes))))
            .map_err(|error| failed("writing", &self.tally, error))?;
        Ok(match noted {
            noted if noted >= 2 * DUE => Due::Now,
            noted if noted >= DUE && !self.scheduled.swap(true, Ordering::AcqRel) => Due::Soon,
            _ => Due::Nothing,
        })
    }

    fn append(&self, share: u64) -> io::Result<u64> {
        let mut options = File::options();
        options.append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let (mut file, share) = match options.open(&self.tally) {
            // Nothing is known about what the directory holds: a sweep is due.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                (options.create(true).open(&self.tally)?, share.max(DUE))
            }
            opened => (opened?, share),
        };
        // At most 128 KiB, and a few bytes as a rule.
        file.write_all(&vec![b'.'; usize::try_from(share).unwrap_or(usize::MAX)])?;
        Ok(file.metadata()?.len())
    }

    fn noted(&self) -> u64 {
        fs::metadata(&self.tally).map_or(0, |metadata| metadata.len())
    }

    /// Takes off the tally what a sweep has seen. What another process notes between the two calls is forgotten, and so
    /// is a tally that cannot be shortened: then the next write sweeps again.
    fn forget(&self, seen: u64) {
        if let Ok(file) = File::options().write(true).open(&self.tally) {
            let noted = file.metadata().map_or(0, |metadata| metadata.len());
            let _ = file.set_len(noted.saturating_sub(seen));
        }
    }

    /// Starts the tally anew, after the directory was cleared.
    pub(super) fn reset(&self) -> Result<(), Error> {
        directory::remove(&self.tally).map(drop)
    }

    /// The sweep that [`Due::Soon`] asked for.
    pub(super) fn sweep_soon(&self, directory: &Directory, turns: &Turns, now: SystemTime) -> Result<(), Error> {
        let _one = unpoisoned(self.sweeping.lock());
        self.scheduled.store(false, Ordering::Release);
        if self.noted() < DUE {
            return Ok(());
        }
        self.sweep(Held::default(), directory, turns, now)
    }

    /// The sweep that [`Due::Now`] asked for: makes room for a file of `file_bytes`.
    pub(super) fn sweep_now(
        &self,
        file_bytes: u64,
        directory: &Directory,
        turns: &Turns,
        now: SystemTime,
    ) -> Result<(), Error> {
        let coming = Held::one(file_bytes);
        let _one = unpoisoned(self.sweeping.lock());
        // Whoever swept meanwhile did it for this one too, unless this one is large.
        if self.noted() < 2 * DUE && self.limits.share(coming) < DUE {
            return Ok(());
        }
        self.sweep(coming, directory, turns, now)
    }

    fn sweep(&self, coming: Held, directory: &Directory, turns: &Turns, now: SystemTime) -> Result<(), Error> {
        let seen = self.noted();
        let mut held = coming;
        let mut files = Vec::new();
        for shard in 0..=u8::MAX {
            for file in directory.list(shard)? {
                held.add(Held::one(file.bytes));
                files.push(file);
            }
        }
        if self.limits.is_near(&held) {
            self.cull(files, &mut held, directory, turns, now)?;
        }
        // One answer may be nearly as large as the limit. While it is there, each write has to look.
        if !self.limits.is_near(&held) {
            self.forget(seen);
        }
        Ok(())
    }

    fn cull(
        &self,
        files: Vec<Listed>,
        held: &mut Held,
        directory: &Directory,
        turns: &Turns,
        now: SystemTime,
    ) -> Result<(), Error> {
        // Removes a file that is still the one that was listed, and says how much was gained.
        let remove = |file: &Listed, judge: &dyn Fn(&Path) -> bool| -> Result<Option<Held>, Error> {
            let path = directory.path(&file.name);
            let _turn = turns.take(directory, &file.name).taken()?;
            match modified(&path) {
                None => {}
                Some(modified) if modified == file.modified && judge(&path) => {
                    directory.remove(&file.name)?;
                }
                Some(_) => return Ok(None),
            }
            Ok(Some(Held::one(file.bytes)))
        };
        let mut kept = Vec::new();
        for file in files {
            match remove(&file, &|path| entry::is_expired(path, now))? {
                Some(gained) => held.subtract(gained),
                None => kept.push(file),
            }
        }
        kept.sort_unstable_by_key(|file| file.modified);
        for file in kept {
            if self.limits.is_roomy(held) {
                break;
            }
            if let Some(gained) = remove(&file, &|_| true)? {
                held.subtract(gained);
            }
        }
        Ok(())
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
        let note = || sweeper.note(1).unwrap();

        assert_eq!(note(), Due::Soon, "nothing is known of the directory");
        for write in 1..64 {
            assert_eq!(note(), Due::Nothing, "the sweep was asked for, at write {write}");
        }
        assert_eq!(note(), Due::Now);

        sweeper.sweep_soon(&directory, &Turns::new(), SystemTime::now()).unwrap();
        for write in 0..63 {
            assert_eq!(note(), Due::Nothing, "write {write} after the sweep");
        }
        assert_eq!(note(), Due::Soon);
    }
}
