//! Values as bytes: [`message_pack`] inside an envelope with a checksum and the facts about the value.
//!
//! The envelope is checked before the payload is decoded. Numbers of fixed size are little-endian. A *number* without a size is an
//! LEB128: seven bits a byte, the lowest first, with the highest bit set in all bytes but the last.
//!
//! | bytes | what |
//! | --- | --- |
//! | 2 | `cR`, so that foreign bytes are known at once |
//! | 1 | version of this format |
//! | 1 | codec of the payload: 1 is [`message_pack`]; 16 more if it is compressed, 32 more if it is authenticated |
//! | 8 or 32 | XXH3 of the key and of all other bytes; if authenticated, keyed BLAKE3 |
//! | 8 | fingerprint of the value's type, by its name, and of the function |
//! | 8 | digest of what the value shows to serde, and of all names of its types' fields and variants |
//! | number | time of storing, in milliseconds since 1970 |
//! | number | fresh for so many milliseconds from then on; if that ends at 2^64 - 1, for ever |
//! | number | stale for so many more |
//! | number | stale for so many more than fresh, if the body fails |
//! | number | how long the body took, in microseconds |
//! | number | generation of the key |
//! | number, 16 each | tags: 8 bytes of the name's hash and 8 of its generation |
//! | number | process id of the writer |
//! | number, … | length and name of its program |
//! | number, … | length and version of its cache-request |
//! | number, … | length of all sections, and these: each a number for its kind, one for its length, and its contents |
//! | … | payload; if compressed, 8 bytes of its length and then a Zstandard frame of it |
//!
//! There are no sections yet. A reader skips the kinds that it does not know.
//!
//! The checksum covers the key, so bytes that a backend returns under another key are refused. Without a secret it finds
//! accidents only. Anyone who can write to the backend can compute it, so it is not a cryptographic hash: that would take longer
//! than fetching the bytes from a nearby server.
//!
//! A cache with a secret accepts only bytes that were authenticated with it for the same key. All other bytes are a miss, and are
//! not decoded. An older envelope of the same key is accepted until it expires, so an attacker with access to the backend can
//! replay it.
//!
//! A value comes back unchanged, or is not stored. A type's `Serialize` and `Deserialize` may disagree on a name or a default, and
//! variants may look alike. So a writer reads each value back, and compares the [`digest`] of both. It does so for each value, not
//! once per type: serde does not show a `deserialize_with`, a `from`, or a hand-written `Deserialize`, and these may change one
//! value and not another. Values with equal digests count as equal: they may differ in a skipped field, in what a
//! `serialize_with` leaves out, or in the order of elements.
//!
//! A value of a type that has changed since is a miss. A reader compares the digest of the decoded value, and the names of all
//! fields and variants of its types, with those that the writer stored.

mod digest;
mod envelope_options;
mod header;
mod message_pack;
#[cfg(test)]
mod tests;
#[cfg_attr(feature = "zstd", path = "zstd/enabled.rs")]
#[cfg_attr(not(feature = "zstd"), path = "zstd/disabled.rs")]
mod zstd;

use std::borrow::Cow;

use serde::{Serialize, de::DeserializeOwned};
use smallvec::SmallVec;
use xxhash_rust::xxh3::{Xxh3Default, xxh3_64};

use self::{digest::Texts, message_pack::Fault};
pub(crate) use self::{
    envelope_options::EnvelopeOptions,
    header::{FOREVER, Facts, Tag, Writer},
};
use crate::{Error, ErrorKind, base::panic::catch_panic};

const MAGIC: [u8; 2] = *b"cR";
const FORMAT: u8 = 2;
const MESSAGE_PACK: u8 = 1;
const COMPRESSED: u8 = 16;
const AUTHENTICATED: u8 = 32;

/// Bytes before the checksum, and the place of the codec among them.
const START: usize = 4;
const CODEC: usize = 3;
const CHECKSUM: usize = 8;
const MAC: usize = blake3::OUT_LEN;
/// Bytes of the fingerprint and the digest, which come after the checksum.
const IDENTITY: usize = 16;

/// So many bytes are sooner copied together, and hashed as one, than hashed part by part.
const FEW_BYTES: usize = 512;

/// What is known of the type of a function's values.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TypeInfo {
    /// Tells the type and the function from others whose keys may have the same text.
    pub(crate) fingerprint: u64,
    pub(crate) name: &'static str,
}

/// Encodes `value`, to be stored under `key`.
///
/// An error if it cannot be encoded, if it is too large, or if it would not come back as it went.
pub(crate) fn seal<V: Serialize + DeserializeOwned>(
    value: &V,
    type_info: TypeInfo,
    key: &str,
    facts: &Facts<'_>,
    options: &EnvelopeOptions,
) -> Result<Vec<u8>, Error> {
    let secret = options.secrets.current();
    let (flag, checksum) = if secret.is_some() { (AUTHENTICATED, MAC) } else { (0, CHECKSUM) };
    let mut bytes = Vec::with_capacity(256);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&[FORMAT, MESSAGE_PACK | flag]);
    bytes.resize(START + checksum + IDENTITY, 0);
    facts.write(&mut bytes);
    let head = bytes.len();
    message_pack::encode(value, &mut bytes)
        .map_err(|cause| unfit(type_info, "cannot be encoded").with_source(cause))?;
    let payload = &bytes[head..];
    if payload.len() > options.max_value_bytes {
        return Err(Error::too_large(payload.len(), options.max_value_bytes));
    }
    let digest = verified_digest(value, type_info, payload)?;
    if let Some(smaller) = compressed(payload, options) {
        bytes.truncate(head);
        bytes.extend_from_slice(&smaller);
        bytes[CODEC] |= COMPRESSED;
    }
    let (start, rest) = bytes.split_at_mut(START);
    let (sum, rest) = rest.split_at_mut(checksum);
    rest[..8].copy_from_slice(&type_info.fingerprint.to_le_bytes());
    rest[8..IDENTITY].copy_from_slice(&digest.to_le_bytes());
    match secret {
        None => sum.copy_from_slice(&checksum_of(key, start, rest)),
        Some(secret) => sum.copy_from_slice(mac_of(secret, key, start, rest).as_bytes()),
    }
    Ok(bytes)
}

/// The payload's length and a compressed form of it, if that is wanted and smaller.
fn compressed(payload: &[u8], options: &EnvelopeOptions) -> Option<Vec<u8>> {
    if payload.len() <= options.compress_over? {
        return None;
    }
    let mut bytes = (payload.len() as u64).to_le_bytes().to_vec();
    bytes.extend(zstd::compress(payload, options.compress_level)?);
    (bytes.len() < payload.len()).then_some(bytes)
}

/// The digest of `value`, whose payload it is, after it was read back from there.
fn verified_digest<V>(value: &V, type_info: TypeInfo, payload: &[u8]) -> Result<u64, Error>
where
    V: Serialize + DeserializeOwned,
{
    let unreadable = |cause| unfit(type_info, "would not be read back").with_source(cause);
    let Some(read) = catch_panic(|| message_pack::decode::<V>(payload)) else {
        return Err(unfit(type_info, "would not be read back: its `Deserialize` panicked"));
    };
    let (read, names) = read.map_err(unreadable)?;
    match digest::of_both(value, &read).map_err(unreadable)? {
        Some(digest) => Ok(digest::mix(digest, names)),
        None => Err(unfit(
            type_info,
            "would be read back as another value: `Serialize` and `Deserialize` do not agree on a name or on a default, or \
             variants of an `untagged` enum or fields of a `flatten` look alike",
        )),
    }
}

fn unfit(type_info: TypeInfo, what: &str) -> Error {
    Error::new(ErrorKind::Codec, format!("a value of type `{}` {what}", type_info.name))
}

/// What [`open`] has opened: a value and what its envelope says of it.
#[derive(Debug)]
pub(crate) struct Opened<'a, V> {
    pub(crate) value: V,
    pub(crate) facts: Facts<'a>,
}

/// Why [`open`] takes bytes for no value.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) error: Error,
    /// The bytes are whole, but of another function, or of a value that this program's type is not.
    pub(crate) is_foreign: bool,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self { error, is_foreign: false }
    }
}

/// Decodes what [`seal`] made for the same key and type.
///
/// An envelope whose time is over is none; everything else that is not as it should be is an error.
pub(crate) fn open<'a, V: Serialize + DeserializeOwned>(
    bytes: &'a [u8],
    type_info: TypeInfo,
    key: &str,
    now: u64,
    options: &EnvelopeOptions,
) -> Result<Option<Opened<'a, V>>, Refused> {
    let (codec, mut rest) = authentic(bytes, key, options)?;
    if codec & !(AUTHENTICATED | COMPRESSED) != MESSAGE_PACK {
        return Err(corrupt("another codec").into());
    }
    let Some((identity, after)) = rest.split_at_checked(IDENTITY) else { return Err(corrupt("cut off").into()) };
    rest = after;
    let Ok(facts) = Facts::read(&mut rest) else { return Err(corrupt("cut off").into()) };
    let foreign = |what: &str| corrupt(&format!("{what}, stored by {}", facts.writer));
    if number(identity, 0) != type_info.fingerprint {
        return Err(Refused { error: foreign("a value of another type or function"), is_foreign: true });
    }
    if facts.end() <= now {
        return Ok(None);
    }
    let payload = if codec & COMPRESSED == 0 { rest.into() } else { decompressed(rest, options)? };
    let read = read(&payload, number(identity, 8));
    if let Ok(Some(value)) = read {
        return Ok(Some(Opened { value, facts }));
    }
    let changed = foreign(&format!("not a `{}` as this program knows it", type_info.name));
    let error = match read {
        Ok(_) => changed,
        Err(cause) => changed.with_source(cause),
    };
    Err(Refused { error, is_foreign: true })
}

/// The value that `payload` is, if its digest is this one.
fn read<V: Serialize + DeserializeOwned>(payload: &[u8], digest: u64) -> Result<Option<V>, Fault> {
    let (value, names) = message_pack::decode::<V>(payload)?;
    let (found, _) = digest::of(&value, Texts::Short)?;
    Ok((digest::mix(found, names) == digest).then_some(value))
}

/// The codec and what comes after the checksum of an envelope that was sealed for `key`.
fn authentic<'a>(bytes: &'a [u8], key: &str, options: &EnvelopeOptions) -> Result<(u8, &'a [u8]), Error> {
    let Some((start, rest)) = bytes.split_at_checked(START) else { return Err(corrupt("too short for an envelope")) };
    if start[..2] != MAGIC {
        return Err(corrupt("no envelope"));
    }
    if start[2] != FORMAT {
        return Err(corrupt("another format version"));
    }
    let authenticated = start[CODEC] & AUTHENTICATED != 0;
    let checksum = if authenticated { MAC } else { CHECKSUM };
    let Some((checksum, rest)) = rest.split_at_checked(checksum) else { return Err(corrupt("cut off")) };
    match (authenticated, options.secrets.in_use()) {
        (false, false) if checksum == checksum_of(key, start, rest) => {}
        (false, false) => return Err(corrupt("wrong checksum")),
        (true, false) => return Err(corrupt("they are authenticated with a secret, and this cache has none")),
        (false, true) => return Err(forged("they are not authenticated, and this cache has a secret")),
        (true, true) => {
            // How long that takes says nothing of how much of the bytes is right.
            let genuine = |secret| mac_of(secret, key, start, rest) == *checksum;
            if !options.secrets.accepted().any(genuine) {
                return Err(forged("this cache's secret does not vouch for them, under this key"));
            }
        }
    }
    Ok((start[CODEC], rest))
}

/// The tags of the value in these bytes, which are not checked.
pub(crate) fn tags_in(bytes: &[u8]) -> Vec<Tag> {
    let read = || {
        let (start, rest) =
            bytes.split_at_checked(START).filter(|(start, _)| start[..3] == [MAGIC[0], MAGIC[1], FORMAT])?;
        let checksum = if start[CODEC] & AUTHENTICATED != 0 { MAC } else { CHECKSUM };
        let mut rest = rest.get(checksum + IDENTITY..)?;
        Facts::read(&mut rest).ok()
    };
    read().map_or_else(Vec::new, |facts| facts.tags)
}

fn corrupt(what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("stored bytes refused: {what}"))
}

fn forged(what: &str) -> Error {
    Error::new(ErrorKind::Forged, format!("stored bytes refused: {what}"))
}

fn decompressed<'a>(payload: &[u8], options: &EnvelopeOptions) -> Result<Cow<'a, [u8]>, Error> {
    let Some((len, compressed)) = payload.split_first_chunk() else { return Err(corrupt("cut off")) };
    let len = usize::try_from(u64::from_le_bytes(*len)).unwrap_or(usize::MAX);
    if len > options.max_value_bytes {
        return Err(corrupt("a larger value than this cache takes"));
    }
    let refused = |cause| Error::new(ErrorKind::Corrupt, "the stored value cannot be decompressed").with_source(cause);
    zstd::decompress(compressed, len).map(Cow::Owned).map_err(refused)
}

/// Tells bytes that something has happened to.
fn checksum_of(key: &str, start: &[u8], rest: &[u8]) -> [u8; CHECKSUM] {
    let len = (key.len() as u64).to_le_bytes();
    let parts = hashed(key, start, rest, &len);
    if parts.iter().map(|part| part.len()).sum::<usize>() <= FEW_BYTES {
        let mut joined = SmallVec::<[u8; FEW_BYTES]>::new();
        parts.iter().for_each(|part| joined.extend_from_slice(part));
        return xxh3_64(&joined).to_le_bytes();
    }
    let mut hasher = Xxh3Default::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.digest().to_le_bytes()
}

/// The message authentication code: only a writer that knows the secret can make it.
fn mac_of(secret: &[u8; 32], key: &str, start: &[u8], rest: &[u8]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new_keyed(secret);
    for part in hashed(key, start, rest, &(key.len() as u64).to_le_bytes()) {
        hasher.update(part);
    }
    hasher.finalize()
}

/// The key, its length, and all bytes but the checksum. What is longest comes first, as both hashes are fastest on what begins
/// where their own blocks do; the length, at the end, tells where the key begins.
fn hashed<'a>(key: &'a str, start: &'a [u8], rest: &'a [u8], key_len: &'a [u8; 8]) -> [&'a [u8]; 4] {
    [rest, start, key.as_bytes(), key_len]
}

/// The eight bytes at `at`, which the caller knows to be there.
fn number(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}
