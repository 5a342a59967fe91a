//! Values as bytes: [`message_pack`], in an envelope that tells whether they can be trusted.
//!
//! The envelope is checked before anything is decoded. All numbers are little-endian.
//!
//! | bytes | what |
//! | --- | --- |
//! | 2 | `cR`, so that foreign bytes are known at once |
//! | 1 | version of this format |
//! | 1 | codec of the payload: 1 is [`message_pack`] |
//! | 8 | fingerprint of the value's type: its name and its [`shape`] |
//! | 8 | fresh until, in milliseconds since 1970; all ones is for ever |
//! | 8 | stale until, likewise; equal to fresh until as long as nothing is served stale |
//! | 2 | number of tags; each is 8 bytes of its name's hash and 8 of its generation |
//! | 8 | checksum: BLAKE3 of the key and of all other bytes |
//! | … | payload |
//!
//! The key is part of the checksum, so bytes that a backend returns under another key are refused as well.
//!
//! Bytes that would come back as another value are not stored. Nobody can know that of every type; but of those whose
//! `Deserialize` guesses from the data (`untagged`, `flatten`, `tag`), each value is read back and compared first.

mod digest;
mod message_pack;
mod shape;
#[cfg(test)]
mod tests;

use std::any::type_name;

use serde::{Serialize, de::DeserializeOwned};

use crate::{Error, ErrorKind};

const MAGIC: [u8; 2] = *b"cR";
const FORMAT: u8 = 1;
const MESSAGE_PACK: u8 = 1;

/// Bytes before the payload, when there are no tags.
const HEADER: usize = 38;
/// Where the checksum stands when there are no tags.
const CHECKSUM: usize = 30;
const TAG: usize = 16;

/// For ever, as the envelope says it.
pub(crate) const FOREVER: u64 = u64::MAX;

/// What is known of a type whose values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    /// Tells the types of values apart, so that what was stored before a type has changed is not taken for a value of the new
    /// one: `MessagePack` alone would make a silent `None` of an added `Option`.
    pub(crate) fingerprint: u64,
    /// A value may come back as another one. Each is tried before it is stored.
    doubtful: bool,
}

impl Kind {
    /// It takes a while: several runs of the type's `Deserialize`.
    pub(crate) fn of<V: DeserializeOwned>() -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(type_name::<V>().as_bytes());
        let doubtful = shape::trace::<V>(&mut hasher);
        Self { fingerprint: number(hasher.finalize().as_bytes(), 0), doubtful }
    }
}

/// Encodes `value`, fresh until a moment in milliseconds since 1970, to be stored under `key`.
pub(crate) fn seal<V: Serialize + DeserializeOwned>(
    value: &V,
    kind: Kind,
    key: &str,
    fresh_until: u64,
) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::with_capacity(HEADER + 64);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&[FORMAT, MESSAGE_PACK]);
    bytes.extend_from_slice(&kind.fingerprint.to_le_bytes());
    bytes.extend_from_slice(&fresh_until.to_le_bytes());
    bytes.extend_from_slice(&fresh_until.to_le_bytes());
    bytes.extend_from_slice(&0_u16.to_le_bytes());
    bytes.extend_from_slice(&[0; 8]);
    message_pack::encode(value, &mut bytes).map_err(|cause| unfit("the value cannot be encoded").with_source(cause))?;
    if kind.doubtful {
        try_out(value, &bytes[HEADER..])?;
    }
    let checksum = checksum(key, &bytes[..CHECKSUM], &bytes[HEADER..]);
    bytes[CHECKSUM..HEADER].copy_from_slice(&checksum);
    Ok(bytes)
}

/// Checks that `payload` is read as `value`, as far as `value` says what it is.
fn try_out<V: Serialize + DeserializeOwned>(value: &V, payload: &[u8]) -> Result<(), Error> {
    let unreadable = |cause| unfit("the encoded value would not be read back").with_source(cause);
    let read: V = message_pack::decode(payload).map_err(unreadable)?;
    if digest::alike(value, &read).map_err(unreadable)? {
        return Ok(());
    }
    Err(unfit(
        "the encoded value would be read back as another one: two variants of an `untagged` enum, or two fields of a \
         `flatten`, look alike to its `Deserialize`",
    ))
}

fn unfit(what: &str) -> Error {
    Error::new(ErrorKind::Codec, what)
}

/// Decodes what [`seal`] made for the same key and type.
///
/// An envelope whose time is over is none; everything else that is not as it should be is an error.
pub(crate) fn open<V: DeserializeOwned>(bytes: &[u8], kind: Kind, key: &str, now: u64) -> Result<Option<V>, Error> {
    let corrupt = |what: &str| Err(Error::new(ErrorKind::Corrupt, format!("stored bytes refused: {what}")));
    let Some((header, _)) = bytes.split_at_checked(HEADER) else { return corrupt("too short for an envelope") };
    if header[..2] != MAGIC {
        return corrupt("no envelope");
    }
    if header[2] != FORMAT {
        return corrupt("another format version");
    }
    let tags = usize::from(u16::from_le_bytes([header[28], header[29]])) * TAG;
    let Some((head, rest)) = bytes.split_at_checked(CHECKSUM + tags) else { return corrupt("cut off") };
    let Some((stored, payload)) = rest.split_at_checked(8) else { return corrupt("cut off") };
    if stored != checksum(key, head, payload) {
        return corrupt("wrong checksum");
    }
    if header[3] != MESSAGE_PACK {
        return corrupt("another codec");
    }
    if number(header, 4) != kind.fingerprint {
        return corrupt("a value of another type");
    }
    let fresh_until = number(header, 12);
    if fresh_until <= now {
        return Ok(None);
    }
    let value = message_pack::decode(payload)
        .map_err(|cause| Error::new(ErrorKind::Corrupt, "the stored value does not decode").with_source(cause))?;
    Ok(Some(value))
}

fn checksum(key: &str, head: &[u8], payload: &[u8]) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(key.len() as u64).to_le_bytes()).update(key.as_bytes()).update(head).update(payload);
    number(hasher.finalize().as_bytes(), 0).to_le_bytes()
}

/// The eight bytes at `at`, which the caller knows to be there.
fn number(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}
