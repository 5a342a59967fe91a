//! The directory: where each answer's file lies, which files are the cache's own, and how they come and go.
//!
//! ```text
//! <root>/cache-request.tally                 how much was written since the last sweep, see `sweep`
//! <root>/3f/3f…<64 hex digits>.cache-request one answer; the name is the key's BLAKE3 hash
//! <root>/3f/.<random>.cache-request-tmp      an answer being written
//! <root>/3f/.cache-request-lock              nothing: whose turn it is, see `turn`
//! ```
//!
//! Whatever bears another name is somebody else's, and is neither read nor removed.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use tempfile::NamedTempFile;

use super::failed;
use crate::{Error, ErrorKind};

const ENTRY_SUFFIX: &str = ".cache-request";
const TEMPORARY_PREFIX: &str = ".";
const TEMPORARY_SUFFIX: &str = ".cache-request-tmp";
const LOCK: &str = ".cache-request-lock";
/// No write takes as long: what is older was left by a process that died.
const TEMPORARY_AGE: Duration = Duration::from_secs(60 * 60);

/// The name of one answer's file.
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

    fn parse(file_name: &str) -> Option<Self> {
        let digits = file_name.strip_suffix(ENTRY_SUFFIX)?;
        let hash = blake3::Hash::from_hex(digits).ok()?;
        // `from_hex` takes capitals too, but no file of ours has them.
        (hash.to_hex().as_str() == digits).then_some(Self(*hash.as_bytes()))
    }
}

/// One of the cache's own answers, as the directory lists it.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) name: Name,
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

    pub(super) fn path(&self, name: &Name) -> PathBuf {
        let digits = blake3::Hash::from_bytes(name.0).to_hex();
        self.shard_path(name.shard()).join(format!("{digits}{ENTRY_SUFFIX}"))
    }

    fn shard_path(&self, shard: u8) -> PathBuf {
        self.root.join(format!("{shard:02x}"))
    }

    pub(super) fn lock_path(&self, shard: u8) -> PathBuf {
        self.shard_path(shard).join(LOCK)
    }

    /// Opens a sub-directory's lock, and makes it if need be. `None` if there is no such sub-directory.
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

    /// Whether a sub-directory was not found. A foreign file that happens to bear its name is none either.
    fn is_absent(&self, error: &io::Error) -> bool {
        match error.kind() {
            io::ErrorKind::NotFound => true,
            io::ErrorKind::NotADirectory => self.root.is_dir(),
            _ => false,
        }
    }

    /// Makes the directory and its parents, readable by their owner alone. One that is there stays as it is.
    pub(super) fn create(&self) -> io::Result<()> {
        create(&self.root)
    }

    /// Writes `bytes` to a new file beside where `name` will lie. Dropping the file removes it.
    ///
    /// It is not synced to the disk: after a power cut an answer may be lost or cut short, which its header tells.
    pub(super) fn write_temporary(&self, name: &Name, bytes: &[u8]) -> Result<NamedTempFile, Error> {
        let shard = self.shard_path(name.shard());
        let mut file = within(&shard, || {
            tempfile::Builder::new()
                .prefix(TEMPORARY_PREFIX)
                .suffix(TEMPORARY_SUFFIX)
                .rand_bytes(16)
                .tempfile_in(&shard)
        })
        .map_err(|error| self.blame(name, failed("creating a file in", &shard, error)))?;
        io::Write::write_all(&mut file, bytes).map_err(|error| failed("writing", file.path(), error))?;
        Ok(file)
    }

    /// Puts a written file in its place, in one step: a reader sees the old answer or the new one, whole.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] if the place is taken by a directory that is not empty. What is in there is not the cache's to
    /// remove.
    pub(super) fn put(&self, name: &Name, file: NamedTempFile) -> Result<(), Error> {
        let path = self.path(name);
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

    /// The error of a file operation. It concerns one sub-directory's keys alone if a foreign file bears the sub-directory's name.
    pub(super) fn blame(&self, name: &Name, error: Error) -> Error {
        let shard = self.shard_path(name.shard());
        if !shard.symlink_metadata().is_ok_and(|metadata| metadata.is_file()) {
            return error;
        }
        Error::new(ErrorKind::Corrupt, format!("{} is not a directory", shard.display())).with_source(error)
    }

    /// Removes an answer's file, and says whether it was there.
    ///
    /// # Errors
    ///
    /// Also if the directory itself is not there.
    pub(super) fn remove(&self, name: &Name) -> Result<bool, Error> {
        let was_there = remove(&self.path(name)).map_err(|error| self.blame(name, error))?;
        if !was_there {
            self.is_there()?;
        }
        Ok(was_there)
    }

    /// Where the directory is not, nothing is known of its files: a disk that comes back brings them all.
    pub(super) fn is_there(&self) -> Result<(), Error> {
        fs::metadata(&self.root).map(drop).map_err(|error| failed("finding", &self.root, error))
    }

    /// The answers in one sub-directory, judged by their names alone. Files that dead processes left half-written are
    /// removed on the way.
    pub(super) fn list(&self, shard: u8) -> Result<Vec<Listed>, Error> {
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
            let name = Name::parse(file_name).filter(|name| name.shard() == shard);
            let temporary = file_name.starts_with(TEMPORARY_PREFIX) && file_name.ends_with(TEMPORARY_SUFFIX);
            if name.is_none() && !temporary {
                continue;
            }
            // Not following links, and gone by now if another process was faster: neither is ours to count.
            let Ok(metadata) = entry.metadata() else { continue };
            let (true, Ok(modified)) = (metadata.is_file(), metadata.modified()) else { continue };
            match name {
                Some(name) => listed.push(Listed { name, bytes: metadata.len(), modified }),
                // By the machine's clock, whatever clock the answers' timeouts follow: it is the one that stamps files.
                None if modified.elapsed().is_ok_and(|age| age > TEMPORARY_AGE) => {
                    remove(&entry.path())?;
                }
                None => {}
            }
        }
        Ok(listed)
    }
}

/// Runs `action`, which makes something in `directory`; makes the directory and tries again if it is not there.
pub(super) fn within<T>(directory: &Path, mut action: impl FnMut() -> io::Result<T>) -> io::Result<T> {
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

pub(super) fn remove(path: &Path) -> Result<bool, Error> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        // Not written by a cache, so it holds nothing that was to be removed.
        Err(_) if is_directory(path) => Ok(false),
        Err(error) => Err(failed("removing", path, error)),
    }
}

fn is_directory(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir())
}
