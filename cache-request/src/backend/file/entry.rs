//! One stored answer as the content of a file: how it is laid out, and how it is judged when it is read.
//!
//! | bytes | what |
//! | --- | --- |
//! | 16 | `cache-request/1` and a line feed: whose file it is, and the version of this layout |
//! | 8 | when it expires: milliseconds since 1970, little-endian; all ones for never |
//! | 8 | the key's length in bytes, little-endian |
//! | 8 | the value's length in bytes, little-endian |
//! | … | the key |
//! | … | the value |
//!
//! The lengths must add up to the file's own, so that what a power cut left of a file is not taken for an answer. There
//! is no checksum: the caller's value carries one.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::failed;
use crate::{Error, ErrorKind};

const MAGIC: &[u8; 14] = b"cache-request/";
const VERSION: &[u8; 2] = b"1\n";
const HEADER: usize = 16 + 3 * 8;

/// When an answer ceases to be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Expiry(u64);

impl Expiry {
    const NEVER: Self = Self(u64::MAX);

    /// Rounded down to the millisecond: rather a miss too early than an answer too late.
    pub(super) fn after(now: SystemTime, timeout: Option<Duration>) -> Self {
        timeout
            .and_then(|timeout| since_1970(now).checked_add(timeout))
            .and_then(|end| u64::try_from(end.as_millis()).ok())
            .map_or(Self::NEVER, Self)
    }

    pub(super) fn is_over(self, now: SystemTime) -> bool {
        self != Self::NEVER && since_1970(now) >= Duration::from_millis(self.0)
    }
}

fn since_1970(now: SystemTime) -> Duration {
    now.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// How many bytes the file of this answer has.
pub(super) fn encoded_len(key: &str, value: &[u8]) -> u64 {
    (HEADER + key.len() + value.len()) as u64
}

pub(super) fn encode(key: &str, value: &[u8], expiry: Expiry) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + key.len() + value.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(VERSION);
    bytes.extend_from_slice(&expiry.0.to_le_bytes());
    bytes.extend_from_slice(&(key.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&(value.len() as u64).to_le_bytes());
    bytes.extend_from_slice(key.as_bytes());
    bytes.extend_from_slice(value);
    bytes
}

/// What stands at a key's place.
#[derive(Debug)]
pub(super) enum Found {
    /// Nothing, or nothing that this version of the crate stored under this key.
    Nothing,
    /// An answer whose time is over. Its file is still there.
    Expired,
    /// A file that no version of this crate has written whole, and why that is known.
    Garbled(Error),
    /// An answer.
    Fresh(Opened),
}

/// A file whose header fits the key and the clock, read up to its value.
#[derive(Debug)]
pub(super) struct Opened {
    file: File,
    value_bytes: u64,
}

/// Opens the file at `path`, and judges it by its header and key.
///
/// # Errors
///
/// [`ErrorKind::Corrupt`] if there is something that cannot be read, such as a directory or a file of another user.
/// [`ErrorKind::Backend`] if it is not known what is there.
pub(super) fn open(path: &Path, key: &str, now: SystemTime) -> Result<Found, Error> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && fs::symlink_metadata(path).is_ok() => {
            return Err(unreadable(path, error));
        }
        Err(error) => return Err(failed("opening", path, error)),
    };
    let header = match Header::read(&mut file) {
        Ok(Some(header)) => header,
        Ok(None) => return Ok(Found::Nothing),
        Err(error) => match error.kind() {
            io::ErrorKind::UnexpectedEof => return Ok(Found::Garbled(corrupt(path, "it is cut short"))),
            io::ErrorKind::InvalidData => {
                return Ok(Found::Garbled(corrupt(path, "it does not begin as a stored answer does")));
            }
            _ => return Err(unreadable(path, error)),
        },
    };
    let file_bytes = file.metadata().map_err(|error| unreadable(path, error))?.len();
    if header.file_bytes() != Some(file_bytes) {
        return Ok(Found::Garbled(corrupt(path, "its length is not the one its header tells")));
    }
    if header.key_bytes != key.len() as u64 {
        return Ok(Found::Nothing);
    }
    let mut stored_key = vec![0; key.len()];
    file.read_exact(&mut stored_key).map_err(|error| unreadable(path, error))?;
    if stored_key != key.as_bytes() {
        return Ok(Found::Nothing);
    }
    if header.expiry.is_over(now) {
        return Ok(Found::Expired);
    }
    Ok(Found::Fresh(Opened { file, value_bytes: header.value_bytes }))
}

impl Opened {
    /// How many bytes the file has, which is this key's.
    pub(super) fn file_bytes(&self, key: &str) -> u64 {
        (HEADER + key.len()) as u64 + self.value_bytes
    }

    pub(super) fn into_value(mut self, path: &Path) -> Result<Vec<u8>, Error> {
        // The file really has that many bytes, so that a garbled length cannot ask for the moon here.
        let length =
            usize::try_from(self.value_bytes).map_err(|_| corrupt(path, "it is larger than this machine's memory"))?;
        let mut value = vec![0; length];
        self.file.read_exact(&mut value).map_err(|error| unreadable(path, error))?;
        Ok(value)
    }
}

/// Whether the file at `path` holds an answer whose time is over. A file that cannot be read or understood is not known
/// to.
pub(super) fn is_expired(path: &Path, now: SystemTime) -> bool {
    let header = File::open(path).and_then(|mut file| Header::read(&mut file));
    matches!(header, Ok(Some(header)) if header.expiry.is_over(now))
}

struct Header {
    expiry: Expiry,
    key_bytes: u64,
    value_bytes: u64,
}

impl Header {
    /// `None` is another version's: programs of two versions may share a directory, and neither is at fault.
    fn read(file: &mut File) -> io::Result<Option<Self>> {
        let mut magic = [0; MAGIC.len()];
        let mut version = [0; VERSION.len()];
        file.read_exact(&mut magic)?;
        if magic != *MAGIC {
            return Err(io::ErrorKind::InvalidData.into());
        }
        file.read_exact(&mut version)?;
        if version != *VERSION {
            return Ok(None);
        }
        let mut number = || {
            let mut bytes = [0; 8];
            file.read_exact(&mut bytes).map(|()| u64::from_le_bytes(bytes))
        };
        Ok(Some(Self { expiry: Expiry(number()?), key_bytes: number()?, value_bytes: number()? }))
    }

    fn file_bytes(&self) -> Option<u64> {
        (HEADER as u64).checked_add(self.key_bytes)?.checked_add(self.value_bytes)
    }
}

/// The file is there, so what is wrong is wrong with this key alone.
fn unreadable(path: &Path, error: io::Error) -> Error {
    corrupt(path, "it cannot be read").with_source(error)
}

fn corrupt(path: &Path, why: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("{}: {why}", path.display()))
}
