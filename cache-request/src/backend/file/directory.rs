//! The directory: where the files lie, and how they are made, listed and removed.
//!
//! ```text
//! <root>/cache-request.tally                 how much was written since the last sweep, see `sweep`
//! <root>/3f/3f…<64 hex digits>.cache-request one answer; the name is the key's BLAKE3 hash
//! <root>/3f/3f….cache-request-claim          the claim of that key, see `claims`
//! <root>/3f/.<random>.cache-request-tmp      an answer or a claim that is being written
//! <root>/3f/.cache-request-lock              an empty file that writers lock, see `lock`
//! ```
//!
//! A file with another name is not the cache's own, and is neither read nor removed.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use tempfile::NamedTempFile;

use super::{entry::Contents, failure::failed};
use crate::{Error, ErrorKind, base::clock::CLOCK_TOLERANCE};

const ENTRY_SUFFIX: &str = ".cache-request";
const CLAIM_SUFFIX: &str = ".cache-request-claim";
const TEMPORARY_PREFIX: &str = ".";
const TEMPORARY_SUFFIX: &str = ".cache-request-tmp";
const LOCK: &str = ".cache-request-lock";
/// No write takes this long. An older temporary file was left by a process that died.
const TEMPORARY_AGE: Duration = Duration::from_secs(60 * 60);

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Answer,
    Claim,
}

impl Kind {
    fn suffix(self) -> &'static str {
        match self {
            Self::Answer => ENTRY_SUFFIX,
            Self::Claim => CLAIM_SUFFIX,
        }
    }
}

/// The name of a key's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name([u8; 32]);

impl Name {
    pub(super) fn of(key: &str) -> Self {
        Self(*blake3::hash(key.as_bytes()).as_bytes())
    }

    /// The sub-directory: the hash's first byte.
    pub(super) fn shard(&self) -> u8 {
        self.0[0]
    }

    fn parse(file_name: &str) -> Option<(Self, Kind)> {
        let with_kind = |kind: Kind| file_name.strip_suffix(kind.suffix()).map(|digits| (digits, kind));
        let (digits, kind) = with_kind(Kind::Answer).or_else(|| with_kind(Kind::Claim))?;
        let hash = blake3::Hash::from_hex(digits).ok()?;
        // `from_hex` accepts capitals too, which the cache never writes.
        (hash.to_hex().as_str() == digits).then_some((Self(*hash.as_bytes()), kind))
    }
}

/// The time at which an answer is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct WriteTime {
    /// By the backend's clock.
    pub(super) now: SystemTime,
    /// Whether that is the clock of a test, which is never corrected.
    pub(super) is_mock: bool,
}

impl WriteTime {
    /// The time, corrected by how much the clock of the file system, which has just stamped a file `made`, differs from the
    /// `machine`'s. Small differences do not count: a file system may count whole seconds only.
    fn corrected(self, made: Option<SystemTime>, machine: SystemTime) -> SystemTime {
        let Some(made) = made.filter(|_| !self.is_mock) else { return self.now };
        let ahead = made.duration_since(machine).unwrap_or_default();
        let behind = machine.duration_since(made).unwrap_or_default();
        let corrected = (self.now - behind).checked_add(ahead).filter(|_| ahead.max(behind) > CLOCK_TOLERANCE);
        corrected.unwrap_or(self.now)
    }
}

/// The file of an answer or of a claim, as listed.
#[derive(Debug)]
pub(super) struct ListedFile {
    pub(super) name: Name,
    pub(super) kind: Kind,
    pub(super) bytes: u64,
    pub(super) modified: SystemTime,
}

#[derive(Debug)]
pub(super) struct Directory {
    root: PathBuf,
}

impl Directory {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn path(&self, name: &Name, kind: Kind) -> PathBuf {
        let digits = blake3::Hash::from_bytes(name.0).to_hex();
        self.shard_path(name.shard()).join(format!("{digits}{}", kind.suffix()))
    }

    fn shard_path(&self, shard: u8) -> PathBuf {
        self.root.join(format!("{shard:02x}"))
    }

    pub(super) fn lock_path(&self, shard: u8) -> PathBuf {
        self.shard_path(shard).join(LOCK)
    }

    /// Opens the lock file of a sub-directory, and makes it if it is missing. `None` if there is no such sub-directory.
    pub(super) fn open_lock(&self, path: &Path) -> io::Result<Option<File>> {
        let mut options = File::options();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match options.open(path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if self.is_absent(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the error says that there is no such sub-directory. A foreign file of its name counts as none.
    fn is_absent(&self, error: &io::Error) -> bool {
        match error.kind() {
            io::ErrorKind::NotFound => true,
            io::ErrorKind::NotADirectory => self.root.is_dir(),
            _ => false,
        }
    }

    /// Makes the directory and its parents, readable by their owner alone. Existing directories keep their permissions.
    pub(super) fn create(&self) -> io::Result<()> {
        create(&self.root)
    }

    /// Makes the sub-directory of `name` if it does not exist.
    pub(super) fn create_shard(&self, name: &Name) -> Result<(), Error> {
        let shard = self.shard_path(name.shard());
        create(&shard).map_err(|error| self.classify(name, failed("making", &shard, error)))
    }

    /// Writes `contents` to a temporary file in the sub-directory of `name`. Dropping the file removes it.
    ///
    /// It is not synced to the disk: after a power cut, an answer may be missing or incomplete. Its header shows the latter.
    ///
    /// The time is corrected by the clock of the file system, which all machines that use the directory share.
    pub(super) fn write_temporary(
        &self,
        name: &Name,
        contents: &mut Contents,
        now: WriteTime,
    ) -> Result<NamedTempFile, Error> {
        let shard = self.shard_path(name.shard());
        let mut file = create_in(&shard, || {
            tempfile::Builder::new()
                .prefix(TEMPORARY_PREFIX)
                .suffix(TEMPORARY_SUFFIX)
                .rand_bytes(16)
                .tempfile_in(&shard)
        })
        .map_err(|error| self.classify(name, failed("creating a file in", &shard, error)))?;
        // A file system that tells no time is taken to agree with the machine.
        let made = file.as_file().metadata().and_then(|metadata| metadata.modified()).ok();
        let bytes = contents.stored_at(now.corrected(made, SystemTime::now()));
        io::Write::write_all(&mut file, bytes).map_err(|error| failed("writing", file.path(), error))?;
        Ok(file)
    }

    /// Renames a temporary file to the path of `name`. A reader sees the old answer or the new one, complete.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] if a directory that is not empty has that path. The cache does not remove foreign files.
    pub(super) fn put(&self, name: &Name, kind: Kind, file: NamedTempFile) -> Result<(), Error> {
        let path = self.path(name, kind);
        let Err(refused) = file.persist(&path) else { return Ok(()) };
        if !is_directory(&path) {
            return Err(failed("renaming a file to", &path, refused.error));
        }
        let taken = |error| {
            let message = format!("{} is a directory that cannot be removed", path.display());
            Error::new(ErrorKind::Corrupt, message).with_source(error)
        };
        fs::remove_dir(&path).map_err(taken)?;
        refused.file.persist(&path).map(drop).map_err(|error| failed("renaming a file to", &path, error.error))
    }

    /// The error of a file operation, which becomes [`ErrorKind::Corrupt`] if a foreign file has the name of the sub-directory. Then
    /// only the keys of that sub-directory fail, not the backend.
    pub(super) fn classify(&self, name: &Name, error: Error) -> Error {
        let shard = self.shard_path(name.shard());
        if !shard.symlink_metadata().is_ok_and(|metadata| metadata.is_file()) {
            return error;
        }
        Error::new(ErrorKind::Corrupt, format!("{} is not a directory", shard.display())).with_source(error)
    }

    /// Removes the file of an answer or a claim. Returns whether it existed.
    ///
    /// # Errors
    ///
    /// If it cannot be removed, or the directory itself does not exist.
    pub(super) fn remove(&self, name: &Name, kind: Kind) -> Result<bool, Error> {
        let existed = remove(&self.path(name, kind)).map_err(|error| self.classify(name, error))?;
        if !existed {
            self.check_exists()?;
        }
        Ok(existed)
    }

    /// Fails if the directory does not exist. Then its files are not known to be gone: they may be on a disk that is not mounted.
    pub(super) fn check_exists(&self) -> Result<(), Error> {
        fs::metadata(&self.root).map(drop).map_err(|error| failed("finding", &self.root, error))
    }

    /// The answers and claims in one sub-directory, recognised by their names. Removes the temporary files that dead processes left.
    pub(super) fn list(&self, shard: u8) -> Result<Vec<ListedFile>, Error> {
        let path = self.shard_path(shard);
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if self.is_absent(&error) => return Ok(Vec::new()),
            Err(error) => return Err(failed("listing", &path, error)),
        };
        let mut listed = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| failed("listing", &path, error))?;
            let file_name = entry.file_name();
            let Some(file_name) = file_name.to_str() else { continue };
            let name = Name::parse(file_name).filter(|(name, _)| name.shard() == shard);
            let temporary = file_name.starts_with(TEMPORARY_PREFIX) && file_name.ends_with(TEMPORARY_SUFFIX);
            if name.is_none() && !temporary {
                continue;
            }
            // This follows no links, and fails if another process has removed the file.
            let Ok(metadata) = entry.metadata() else { continue };
            let (true, Ok(modified)) = (metadata.is_file(), metadata.modified()) else { continue };
            match name {
                Some((name, kind)) => listed.push(ListedFile { name, kind, bytes: metadata.len(), modified }),
                // By the machine's clock, even if the backend has another one: files are stamped by it.
                None if modified.elapsed().is_ok_and(|age| age > TEMPORARY_AGE) => {
                    remove(&entry.path())?;
                }
                None => {}
            }
        }
        Ok(listed)
    }
}

/// Runs `action`, which makes a file in `directory`. If the directory is missing, makes it and runs `action` again.
pub(super) fn create_in<T>(directory: &Path, mut action: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    match action() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create(directory)?;
            action()
        }
        done => done,
    }
}

fn create(directory: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

/// Removes a file. Returns whether it existed.
pub(super) fn remove(path: &Path) -> Result<bool, Error> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        // A directory is not an answer, so there is none to remove.
        Err(_) if is_directory(path) => Ok(false),
        Err(error) => Err(failed("removing", path, error)),
    }
}

fn is_directory(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_of_the_file_system_counts_if_it_differs() {
        let (now, hour) = (SystemTime::now(), Duration::from_secs(60 * 60));
        let (little, much) = (CLOCK_TOLERANCE, CLOCK_TOLERANCE + Duration::from_nanos(1));
        // A call that had to wait is stored with the time at which it was made.
        let machine = now + hour / 2;
        let own = WriteTime { now, is_mock: false };
        let mock = WriteTime { now, is_mock: true };
        for (made, expected) in [
            (machine + little, now),
            (machine - little, now),
            (machine + much, now + much),
            (machine - much, now - much),
            // This machine's clock is an hour ahead, or behind.
            (machine - hour, now - hour),
            (machine + hour, now + hour),
        ] {
            assert_eq!(own.corrected(Some(made), machine), expected);
            assert_eq!(mock.corrected(Some(made), machine), now);
        }
        assert_eq!(own.corrected(None, machine), now);
    }
}
