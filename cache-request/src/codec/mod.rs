//! Values as bytes: [`message_pack`], in an envelope that tells whether they can be trusted.
//!
//! The envelope is checked before anything is decoded. All numbers are little-endian.
//!
//! | bytes | what |
//! | --- | --- |
//! | 2 | `cR`, so that foreign bytes are known at once |
//! | 1 | version of this format |
//! | 1 | codec of the payload: 1 is [`message_pack`]; 16 more if it is compressed, 32 more if it is authenticated |
//! | 8 | fingerprint of the value's type: its name and its [`shape`] |
//! | 8 | fresh until, in milliseconds since 1970; all ones is for ever |
//! | 8 | stale until, likewise; equal to fresh until as long as nothing is served stale |
//! | 2 | number of tags; each is 8 bytes of its name's hash and 8 of its generation |
//! | 8 or 32 | XXH3 of the key and of all other bytes; if authenticated, keyed BLAKE3 |
//! | … | payload; if compressed, 8 bytes of its length and then a Zstandard frame of it |
//!
//! The key is part of the checksum, so bytes that a backend returns under another key are refused as well. Without a secret it is
//! there for accidents alone: whoever can write to the backend can compute it, so it need not be cryptographic, which would
//! take longer than to fetch the bytes from a server near by.
//!
//! A cache with a secret takes nothing for its own but what was authenticated with it, for the same key: what somebody else
//! has put into the backend is a miss, and is not decoded. An older envelope of the same key is still its own: whoever can
//! write to the backend can put it back, until its time is over.
//!
//! Bytes that would come back as another value are not stored. Of the types whose `Deserialize` looks at the data first
//! (`untagged`, `flatten`, `tag`) each value is read back and compared before. What serde writes of two values in the very same
//! way, such as one with a skipped field, nobody can tell apart.

mod digest;
mod envelope_options;
mod message_pack;
mod shape;
#[cfg(test)]
mod tests;
#[cfg_attr(feature = "zstd", path = "zstd/enabled.rs")]
#[cfg_attr(not(feature = "zstd"), path = "zstd/disabled.rs")]
mod zstd;

use std::{any::type_name, borrow::Cow};

use serde::{Serialize, de::DeserializeOwned};
use smallvec::SmallVec;
use xxhash_rust::xxh3::{Xxh3Default, xxh3_64};

pub(crate) use self::envelope_options::EnvelopeOptions;
use crate::{Error, ErrorKind, base::panic::catch_panic};

const MAGIC: [u8; 2] = *b"cR";
const FORMAT: u8 = 1;
const MESSAGE_PACK: u8 = 1;
const COMPRESSED: u8 = 16;
const AUTHENTICATED: u8 = 32;

/// Bytes before the tags.
const HEAD: usize = 30;
const TAG: usize = 16;
const CHECKSUM: usize = 8;
const MAC: usize = blake3::OUT_LEN;

/// So many bytes are sooner copied together, and hashed as one, than hashed part by part.
const FEW_BYTES: usize = 512;

/// For ever, as the envelope says it.
pub(crate) const FOREVER: u64 = u64::MAX;

/// What is known of a type whose values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    /// Tells the types of values apart, so that what was stored before a type has changed is not taken for a value of the new
    /// one: `MessagePack` alone would make a silent `None` of an added `Option`.
    pub(crate) fingerprint: u64,
    /// A value may come back as another one. Each is tried before it is stored.
    pub(crate) doubtful: bool,
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
    envelope_options: &EnvelopeOptions,
) -> Result<Vec<u8>, Error> {
    let secret = envelope_options.secrets.current();
    let (flag, checksum) = if secret.is_some() { (AUTHENTICATED, MAC) } else { (0, CHECKSUM) };
    let mut bytes = Vec::with_capacity(HEAD + MAC + 64);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&[FORMAT, MESSAGE_PACK | flag]);
    bytes.extend_from_slice(&kind.fingerprint.to_le_bytes());
    bytes.extend_from_slice(&fresh_until.to_le_bytes());
    bytes.extend_from_slice(&fresh_until.to_le_bytes());
    bytes.extend_from_slice(&0_u16.to_le_bytes());
    bytes.resize(HEAD + checksum, 0);
    message_pack::encode(value, &mut bytes).map_err(|cause| unfit("the value cannot be encoded").with_source(cause))?;
    let payload = &bytes[HEAD + checksum..];
    if payload.len() > envelope_options.max_value_bytes {
        return Err(Error::too_large(payload.len(), envelope_options.max_value_bytes));
    }
    if kind.doubtful {
        try_out(value, payload)?;
    }
    if let Some(smaller) = compressed(payload, envelope_options) {
        bytes.truncate(HEAD + checksum);
        bytes.extend_from_slice(&smaller);
        bytes[3] |= COMPRESSED;
    }
    let (head, payload) = bytes.split_at(HEAD + checksum);
    let head = &head[..HEAD];
    match secret {
        None => {
            let sum = checksum_of(key, head, payload);
            bytes[HEAD..HEAD + CHECKSUM].copy_from_slice(&sum);
        }
        Some(secret) => {
            let mac = mac_of(secret, key, head, payload);
            bytes[HEAD..HEAD + MAC].copy_from_slice(mac.as_bytes());
        }
    }
    Ok(bytes)
}

/// The payload's length and a compressed form of it, if that is wanted and smaller.
fn compressed(payload: &[u8], envelope_options: &EnvelopeOptions) -> Option<Vec<u8>> {
    if payload.len() <= envelope_options.compress_over? {
        return None;
    }
    let mut bytes = (payload.len() as u64).to_le_bytes().to_vec();
    bytes.extend(zstd::compress(payload, envelope_options.compress_level)?);
    (bytes.len() < payload.len()).then_some(bytes)
}

/// Checks that `payload` is read as `value`, as far as `value` says what it is.
fn try_out<V: Serialize + DeserializeOwned>(value: &V, payload: &[u8]) -> Result<(), Error> {
    let unreadable = |cause| unfit("the encoded value would not be read back").with_source(cause);
    let Some(read) = catch_panic(|| message_pack::decode::<V>(payload)) else {
        return Err(unfit("the encoded value would not be read back: its `Deserialize` panicked"));
    };
    let read = read.map_err(unreadable)?;
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
pub(crate) fn open<V: DeserializeOwned>(
    bytes: &[u8],
    kind: Kind,
    key: &str,
    now: u64,
    packing: &EnvelopeOptions,
) -> Result<Option<V>, Error> {
    let Some((header, _)) = bytes.split_at_checked(HEAD) else { return corrupt("too short for an envelope") };
    if header[..2] != MAGIC {
        return corrupt("no envelope");
    }
    if header[2] != FORMAT {
        return corrupt("another format version");
    }
    let tags = usize::from(u16::from_le_bytes([header[28], header[29]])) * TAG;
    let authenticated = header[3] & AUTHENTICATED != 0;
    let Some((head, rest)) = bytes.split_at_checked(HEAD + tags) else { return corrupt("cut off") };
    let checksum = if authenticated { MAC } else { CHECKSUM };
    let Some((checksum, payload)) = rest.split_at_checked(checksum) else { return corrupt("cut off") };
    if authenticated {
        authenticate(checksum, key, head, payload, packing)?;
    } else if packing.secrets.in_use() {
        return forged("they are not authenticated, and this cache has a secret");
    } else if checksum != checksum_of(key, head, payload) {
        return corrupt("wrong checksum");
    }
    if header[3] & !(AUTHENTICATED | COMPRESSED) != MESSAGE_PACK {
        return corrupt("another codec");
    }
    if number(header, 4) != kind.fingerprint {
        return corrupt("a value of another type");
    }
    if fresh_until(header) <= now {
        return Ok(None);
    }
    let payload = if header[3] & COMPRESSED == 0 { payload.into() } else { decompressed(payload, packing)? };
    let value = message_pack::decode(&payload)
        .map_err(|cause| Error::new(ErrorKind::Corrupt, "the stored value does not decode").with_source(cause))?;
    Ok(Some(value))
}

/// Until when the value is fresh, in milliseconds since 1970, of an envelope that [`open`] has opened.
pub(crate) fn fresh_until(envelope: &[u8]) -> u64 {
    number(envelope, 12)
}

fn corrupt<T>(what: &str) -> Result<T, Error> {
    Err(Error::new(ErrorKind::Corrupt, format!("stored bytes refused: {what}")))
}

fn forged<T>(what: &str) -> Result<T, Error> {
    Err(Error::new(ErrorKind::Forged, format!("stored bytes refused: {what}")))
}

/// Checks that one of the secrets vouches for the bytes. How long that takes says nothing of how much of them is right.
fn authenticate(mac: &[u8], key: &str, head: &[u8], payload: &[u8], packing: &EnvelopeOptions) -> Result<(), Error> {
    if !packing.secrets.in_use() {
        return corrupt("they are authenticated with a secret, and this cache has none");
    }
    let genuine = |secret| mac_of(secret, key, head, payload) == *mac;
    if packing.secrets.accepted().any(genuine) {
        Ok(())
    } else {
        forged("this cache's secret does not vouch for them, under this key")
    }
}

fn decompressed<'a>(payload: &[u8], packing: &EnvelopeOptions) -> Result<Cow<'a, [u8]>, Error> {
    let Some((len, compressed)) = payload.split_first_chunk() else { return corrupt("cut off") };
    let len = usize::try_from(u64::from_le_bytes(*len)).unwrap_or(usize::MAX);
    if len > packing.max_value_bytes {
        return corrupt("a larger value than this cache takes");
    }
    let refused = |cause| Error::new(ErrorKind::Corrupt, "the stored value cannot be decompressed").with_source(cause);
    zstd::decompress(compressed, len).map(Cow::Owned).map_err(refused)
}

/// Tells bytes that something has happened to.
fn checksum_of(key: &str, head: &[u8], payload: &[u8]) -> [u8; CHECKSUM] {
    let lengths = lengths(key, head);
    let parts = hashed(key, head, payload, &lengths);
    if parts.iter().map(|part| part.len()).sum::<usize>() <= FEW_BYTES {
        let mut joined = SmallVec::<[u8; FEW_BYTES]>::new();
        parts.iter().for_each(|part| joined.extend_from_slice(part));
        return xxh3_64(&joined).to_le_bytes();
    }
    let mut hasher = Xxh3Default::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.digest().to_le_bytes()
}

/// Tells bytes that somebody has made who does not know the secret.
fn mac_of(secret: &[u8; 32], key: &str, head: &[u8], payload: &[u8]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new_keyed(secret);
    for part in hashed(key, head, payload, &lengths(key, head)) {
        hasher.update(part);
    }
    hasher.finalize()
}

/// The key and all bytes but the checksum. The payload comes first, as both hashes are fastest on what begins where their own
/// blocks do; the lengths, at the end, keep what follows one another apart.
fn hashed<'a>(key: &'a str, head: &'a [u8], payload: &'a [u8], lengths: &'a [u8; 16]) -> [&'a [u8]; 4] {
    [payload, head, key.as_bytes(), lengths]
}

fn lengths(key: &str, head: &[u8]) -> [u8; 16] {
    let mut lengths = [0; 16];
    lengths[..8].copy_from_slice(&(head.len() as u64).to_le_bytes());
    lengths[8..].copy_from_slice(&(key.len() as u64).to_le_bytes());
    lengths
}

/// The eight bytes at `at`, which the caller knows to be there.
fn number(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}
