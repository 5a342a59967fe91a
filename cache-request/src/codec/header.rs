//! What an envelope says beside the value: when it was stored, how long it is good for, who stored it.

use std::{env, fmt, process, sync::OnceLock, time::Duration};

/// What an envelope says beside the value. What is not in use is zero or empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts<'a> {
    /// When the value was stored, in milliseconds since 1970, as all times here.
    pub(crate) stored: u64,
    /// Until when the value is fresh; [`FOREVER`] is for ever.
    pub(crate) fresh_until: u64,
    /// Until when the value may be served while a newer one is made.
    pub(crate) stale_until: u64,
    /// Until when the value may be served if no newer one can be made.
    pub(crate) stale_on_error_until: u64,
    /// How long the body took, to the microsecond.
    pub(crate) body: Duration,
    /// The generation of the key.
    pub(crate) generation: u64,
    pub(crate) tags: Vec<Tag>,
    pub(crate) writer: Writer<'a>,
}

impl Facts<'_> {
    /// When the value is of no use any more.
    pub(crate) fn end(&self) -> u64 {
        self.fresh_until.max(self.stale_until).max(self.stale_on_error_until)
    }
}

/// For ever.
pub(crate) const FOREVER: u64 = u64::MAX;

/// A tag of a value, and the tag's generation when the value was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tag {
    /// The hash of the tag's name.
    pub(crate) name: u64,
    pub(crate) generation: u64,
}

/// The process that stored a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Writer<'a> {
    /// The name of the program's file.
    pub(crate) program: &'a str,
    /// The version of this library. A program does not know its own.
    pub(crate) version: &'a str,
    pub(crate) process: u32,
}

/// Bytes that a writer's program and version may have each.
const MOST_NAME: usize = 64;

impl Writer<'_> {
    /// This process.
    pub(crate) fn here() -> Writer<'static> {
        static PROGRAM: OnceLock<String> = OnceLock::new();
        // Asked each time: a process may have been forked since.
        Writer { program: PROGRAM.get_or_init(program), version: env!("CARGO_PKG_VERSION"), process: process::id() }
    }
}

fn program() -> String {
    let path = env::current_exe().ok().or_else(|| Some(env::args_os().next()?.into()));
    let stem = path.as_deref().and_then(|path| path.file_stem()).unwrap_or_default().to_string_lossy();
    // So Linux names a file that has been replaced since.
    let mut program = stem.trim_end_matches(" (deleted)").to_owned();
    while program.len() > MOST_NAME {
        program.pop();
    }
    program
}

impl fmt::Display for Writer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { program, version, process } = self;
        // Another program may have written the bytes, so they are shown escaped.
        write!(f, "program {program:?} (process {process}, cache-request {})", version.escape_debug())
    }
}

/// The facts are cut off, or cannot be.
pub(super) struct Unreadable;

impl<'a> Facts<'a> {
    /// Appends the facts to `bytes`.
    pub(super) fn write(&self, bytes: &mut Vec<u8>) {
        let Self { stored, fresh_until, stale_until, stale_on_error_until, body, generation, tags, writer } = self;
        put_number(*stored, bytes);
        // Each time as what it is after the one before, which is short.
        put_number(fresh_until.saturating_sub(*stored), bytes);
        put_number(stale_until.saturating_sub(*fresh_until), bytes);
        put_number(stale_on_error_until.saturating_sub(*fresh_until), bytes);
        put_number(u64::try_from(body.as_micros()).unwrap_or(u64::MAX), bytes);
        put_number(*generation, bytes);
        put_number(tags.len() as u64, bytes);
        for tag in tags {
            bytes.extend_from_slice(&tag.name.to_le_bytes());
            bytes.extend_from_slice(&tag.generation.to_le_bytes());
        }
        put_number(writer.process.into(), bytes);
        for name in [writer.program, writer.version] {
            put_number(name.len() as u64, bytes);
            bytes.extend_from_slice(name.as_bytes());
        }
        // Sections: none.
        put_number(0, bytes);
    }

    /// Reads the facts that `bytes` begin with, and removes them from there. Sections are passed over.
    pub(super) fn read(bytes: &mut &'a [u8]) -> Result<Self, Unreadable> {
        let stored = take_number(bytes)?;
        let fresh_until = stored.saturating_add(take_number(bytes)?);
        let stale_until = fresh_until.saturating_add(take_number(bytes)?);
        let stale_on_error_until = fresh_until.saturating_add(take_number(bytes)?);
        let body = Duration::from_micros(take_number(bytes)?);
        let generation = take_number(bytes)?;
        let tags = take_len(bytes, Tag::BYTES)?;
        let tags = take(bytes, tags * Tag::BYTES)?.chunks_exact(Tag::BYTES).map(Tag::read).collect();
        let process = take_number(bytes)?.try_into().map_err(|_| Unreadable)?;
        let program = take_name(bytes)?;
        let version = take_name(bytes)?;
        let sections = take_len(bytes, 1)?;
        take(bytes, sections)?;
        let writer = Writer { program, version, process };
        Ok(Self { stored, fresh_until, stale_until, stale_on_error_until, body, generation, tags, writer })
    }
}

impl Tag {
    const BYTES: usize = 16;

    fn read(bytes: &[u8]) -> Self {
        Self { name: super::number(bytes, 0), generation: super::number(bytes, 8) }
    }
}

/// Seven bits a byte, the lowest first; all but the last byte have their highest bit set.
pub(super) fn put_number(mut number: u64, bytes: &mut Vec<u8>) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take_number(bytes: &mut &[u8]) -> Result<u64, Unreadable> {
    let mut number = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let byte = take(bytes, 1)?[0];
        let bits = u64::from(byte & 0x7f);
        // Of the tenth byte one bit is left.
        if bits << shift >> shift != bits {
            return Err(Unreadable);
        }
        number |= bits << shift;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(Unreadable)
}

/// A number of things of that many bytes each, which the bytes left can hold.
fn take_len(bytes: &mut &[u8], each: usize) -> Result<usize, Unreadable> {
    let len = usize::try_from(take_number(bytes)?).map_err(|_| Unreadable)?;
    if len <= bytes.len() / each { Ok(len) } else { Err(Unreadable) }
}

fn take_name<'a>(bytes: &mut &'a [u8]) -> Result<&'a str, Unreadable> {
    let len = take_len(bytes, 1)?;
    if len > MOST_NAME {
        return Err(Unreadable);
    }
    str::from_utf8(take(bytes, len)?).map_err(|_| Unreadable)
}

fn take<'a>(bytes: &mut &'a [u8], len: usize) -> Result<&'a [u8], Unreadable> {
    let (taken, left) = bytes.split_at_checked(len).ok_or(Unreadable)?;
    *bytes = left;
    Ok(taken)
}
