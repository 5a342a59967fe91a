//! The layout of one answer's file, and the checks when it is read.
//!
//! | bytes | content |
//! | --- | --- |
//! | 16 | `cache-request/1` and a line feed: the mark of this crate, and the version of this layout |
//! | 8 | when it was stored: milliseconds since 1970, little-endian |
//! | 8 | when it expires, in the same form; all bits set for never |
//! | 8 | the key's length in bytes, little-endian |
//! | 8 | the value's length in bytes, little-endian |
//! | … | the key |
//! | … | the value |
//!
//! The lengths must add up to the length of the file, so that a file that a power cut left incomplete is not read as an answer.
//! There is no checksum here: the value that the cache stores carries its own.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::failure::failed;
use crate::{
    Error, ErrorKind,
    base::clock::{CLOCK_TOLERANCE, unix_millis},
};

const MAGIC: &[u8; 14] = b"cache-request/";
const VERSION: &[u8; 2] = b"1\n";
const HEADER: usize = 16 + 4 * 8;
/// The bytes of the two times.
const TIMES: std::ops::Range<usize> = 16..32;

/// When an answer was stored and when it expires, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Times {
    stored: u64,
    expires: u64,
}

const NEVER: u64 = u64::MAX;

impl Times {
    /// Rounded down to the millisecond, so that no answer is returned after its timeout.
    fn of(now: SystemTime, timeout: Option<Duration>) -> Self {
        let end = timeout.and_then(|timeout| since_1970(now).checked_add(timeout));
        let expires = end.and_then(|end| u64::try_from(end.as_millis()).ok()).unwrap_or(NEVER);
        Self { stored: unix_millis(now), expires }
    }

    fn are_over(self, now: SystemTime) -> bool {
        self.expires != NEVER && since_1970(now) >= Duration::from_millis(self.expires)
    }

    /// Whether the clock was wrong when the answer was stored, or is now.
    fn are_in_the_future(self, now: SystemTime) -> bool {
        Duration::from_millis(self.stored) > since_1970(now).saturating_add(CLOCK_TOLERANCE)
    }
}

fn since_1970(now: SystemTime) -> Duration {
    now.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The length of this answer's file, in bytes.
pub(super) fn encoded_len(key: &str, value: &[u8]) -> u64 {
    (HEADER + key.len() + value.len()) as u64
}

/// The content of a file that is to be written.
pub(super) struct Contents {
    bytes: Vec<u8>,
    timeout: Option<Duration>,
}

impl Contents {
    pub(super) fn new(key: &str, value: &[u8], timeout: Option<Duration>) -> Self {
        let mut bytes = Vec::with_capacity(HEADER + key.len() + value.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(VERSION);
        bytes.resize(TIMES.end, 0);
        bytes.extend_from_slice(&(key.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&(value.len() as u64).to_le_bytes());
        bytes.extend_from_slice(key.as_bytes());
        bytes.extend_from_slice(value);
        Self { bytes, timeout }
    }

    /// The bytes of the file, with `now` as the time at which it is stored.
    pub(super) fn stored_at(&mut self, now: SystemTime) -> &[u8] {
        let Times { stored, expires } = Times::of(now, self.timeout);
        self.bytes[TIMES][..8].copy_from_slice(&stored.to_le_bytes());
        self.bytes[TIMES][8..].copy_from_slice(&expires.to_le_bytes());
        &self.bytes
    }

    pub(super) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }
}

/// What was found at a key's path.
#[derive(Debug)]
pub(super) enum Found {
    /// No file, or one of another key or another version of this layout, or one that was stored in the future.
    Absent,
    /// An answer that has expired. Its file is still there.
    Expired,
    /// A file that no version of this crate has written completely, with the error that says how that is known.
    Corrupt(Error),
    /// An answer that has not expired.
    Live(Opened),
}

/// An open file whose header and key have been read and checked. Its value comes next.
#[derive(Debug)]
pub(super) struct Opened {
    file: File,
    value_bytes: u64,
    times: Times,
}

/// Opens the file at `path`, and checks its header and key.
///
/// # Errors
///
/// - [`ErrorKind::Corrupt`] if the path is taken by what cannot be read, such as a directory or a file of another user.
/// - [`ErrorKind::Backend`] if the file system does not say what is there.
pub(super) fn open(path: &Path, key: &str, now: SystemTime) -> Result<Found, Error> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Absent),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && fs::symlink_metadata(path).is_ok() => {
            return Err(unreadable(path, error));
        }
        Err(error) => return Err(failed("opening", path, error)),
    };
    let header = match Header::read(&mut file) {
        Ok(Some(header)) => header,
        Ok(None) => return Ok(Found::Absent),
        Err(error) => match error.kind() {
            io::ErrorKind::UnexpectedEof => return Ok(Found::Corrupt(corrupt(path, "it is cut short"))),
            io::ErrorKind::InvalidData => {
                return Ok(Found::Corrupt(corrupt(path, "it does not begin like a stored answer")));
            }
            _ => return Err(unreadable(path, error)),
        },
    };
    let file_bytes = file.metadata().map_err(|error| unreadable(path, error))?.len();
    if header.file_bytes() != Some(file_bytes) {
        return Ok(Found::Corrupt(corrupt(path, "its length differs from that in its header")));
    }
    if header.key_bytes != key.len() as u64 {
        return Ok(Found::Absent);
    }
    let mut stored_key = vec![0; key.len()];
    file.read_exact(&mut stored_key).map_err(|error| unreadable(path, error))?;
    if stored_key != key.as_bytes() {
        return Ok(Found::Absent);
    }
    if header.times.are_over(now) {
        return Ok(Found::Expired);
    }
    if header.times.are_in_the_future(now) {
        return Ok(Found::Absent);
    }
    Ok(Found::Live(Opened { file, value_bytes: header.value_bytes, times: header.times }))
}

impl Opened {
    /// How long it lasts from now on. `Duration::MAX` is for ever.
    pub(super) fn time_left(&self, now: SystemTime) -> Duration {
        match self.times.expires {
            NEVER => Duration::MAX,
            expires => Duration::from_millis(expires).saturating_sub(since_1970(now)),
        }
    }

    /// The length of the file, given its key.
    pub(super) fn file_bytes(&self, key: &str) -> u64 {
        (HEADER + key.len()) as u64 + self.value_bytes
    }

    pub(super) fn into_value(mut self, path: &Path) -> Result<Vec<u8>, Error> {
        // The length was compared with that of the file, so a corrupt header cannot ask for more memory than the file takes.
        let length = usize::try_from(self.value_bytes)
            .map_err(|_| corrupt(path, "its value is larger than this machine can address"))?;
        let mut value = vec![0; length];
        self.file.read_exact(&mut value).map_err(|error| unreadable(path, error))?;
        Ok(value)
    }
}

/// Whether the file at `path` holds an answer that has expired. `false` if the file cannot be read.
pub(super) fn is_expired(path: &Path, now: SystemTime) -> bool {
    let header = File::open(path).and_then(|mut file| Header::read(&mut file));
    matches!(header, Ok(Some(header)) if header.times.are_over(now))
}

struct Header {
    times: Times,
    key_bytes: u64,
    value_bytes: u64,
}

impl Header {
    /// Reads the header. `None` if it has another version: programs of two versions may share a directory.
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
        let times = Times { stored: number()?, expires: number()? };
        Ok(Some(Self { times, key_bytes: number()?, value_bytes: number()? }))
    }

    fn file_bytes(&self) -> Option<u64> {
        (HEADER as u64).checked_add(self.key_bytes)?.checked_add(self.value_bytes)
    }
}

/// The error of a file that exists and cannot be read. It concerns this key alone, and not the backend.
fn unreadable(path: &Path, error: io::Error) -> Error {
    corrupt(path, "it cannot be read").with_source(error)
}

fn corrupt(path: &Path, why: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("{}: {why}", path.display()))
}
