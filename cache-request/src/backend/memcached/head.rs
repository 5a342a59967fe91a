//! Large values: their chunks, and the head that stands under the value's key and says which they are.
//!
//! Each chunk is an item of its own. Its key holds the id of the write, which no other write has, so chunks of two writers never mix, and
//! a chunk that arrives late is one that no head asks for. The head's flags tell it from an ordinary value: see `expiry`.
//!
//! The head decides whether a value is there. When it is deleted, replaced or left in an older generation, its chunks stay until their
//! timeout, or until the server needs their room.

use std::{
    borrow::Cow,
    hash::{BuildHasher, RandomState},
    ops::RangeInclusive,
    process,
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use memcache::exp::{GetResult, Set};
use xxhash_rust::xxh3::xxh3_64;

use super::{
    expiry::{self, Expiry},
    failure::Failure,
};
use crate::{Error, ErrorKind};

/// The most bytes of one item. A larger value is divided into chunks of so many bytes, and one of the rest.
///
/// The largest slab class of memcached has items of 512 KiB, two in a page of 1 MiB, whatever larger limit `-I` sets. A larger item takes
/// several of them anyway. The 512 bytes are for what the server keeps beside the value: a header of 48 bytes, 14 for flags, number and
/// line end, and the key, which has at most 250.
pub(super) const CHUNK_BYTES: usize = (512 << 10) - 512;

/// The most chunks of a value, so that a foreign head does not make a reader ask for any number of them.
const MAX_CHUNKS: u64 = 1024;

/// The largest value.
pub(super) const MAX_VALUE_BYTES: usize = CHUNK_BYTES * MAX_CHUNKS as usize;

/// The numbers of chunks that a head may have: a smaller value is not divided.
const COUNTS: RangeInclusive<u64> = 2..=MAX_CHUNKS;

/// The first byte of a head, another one if the rest has another form.
const FORM: u8 = 1;

/// What stands under a value's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Body<'v> {
    /// The value itself.
    Value(Cow<'v, [u8]>),
    /// That of a value in chunks.
    Head(Head),
}

impl Body<'_> {
    /// What was found, unless it is missing or has ended. The get must ask for the time left.
    pub(super) fn of(found: GetResult) -> Result<Option<Self>, Failure> {
        if !expiry::is_there(&found) {
            return Ok(None);
        }
        let is_head = expiry::is_head(&found);
        let Some(bytes) = found.value else { return Err(Failure::unexpected_answer()) };
        if !is_head {
            return Ok(Some(Self::Value(bytes.into())));
        }
        let foreign =
            || Error::new(ErrorKind::Corrupt, "memcached has a large value that was not written by this backend");
        Head::decode(&bytes).map(|head| Some(Self::Head(head))).ok_or_else(|| Failure::Other(foreign()))
    }

    /// Writes it under this key.
    pub(super) fn set(&self, expiry: Expiry, stored: &str) -> Set {
        match self {
            Self::Value(value) => expiry.set(stored, value),
            Self::Head(head) => expiry.set_head(stored, &head.encode()),
        }
    }

    /// How many bytes stand under the key.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Value(value) => value.len(),
            Self::Head(_) => Head::BYTES,
        }
    }
}

/// What is known of a value in chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// The number of the write.
    id: u128,
    /// The bytes of the whole value.
    length: u64,
    /// The bytes of each chunk but the last.
    chunk_bytes: u32,
    /// Of the whole value, so that one that was changed on the server is a miss.
    checksum: u64,
}

impl Head {
    const BYTES: usize = 1 + size_of::<u128>() + size_of::<u64>() + size_of::<u32>() + size_of::<u64>();

    /// A new one; `None` for a value that is not divided.
    pub(super) fn of(value: &[u8]) -> Option<Self> {
        let length = value.len() as u64;
        let chunk_bytes = CHUNK_BYTES as u32;
        (value.len() > CHUNK_BYTES).then(|| Self { id: new_id(), length, chunk_bytes, checksum: xxh3_64(value) })
    }

    /// The number of chunks.
    pub(super) fn count(&self) -> usize {
        // `COUNTS` is well below the largest number.
        self.length.div_ceil(self.chunk_bytes.into()) as usize
    }

    /// The keys of the chunks on the server. Keys of values contain a colon, and the generation's key ends in letters.
    pub(super) fn keys(&self, namespace: &str) -> impl Iterator<Item = String> + use<'_> {
        let head = format!("{namespace}!{:032x}", self.id);
        (0..self.count()).map(move |number| format!("{head}.{number}"))
    }

    /// The chunks of its value.
    pub(super) fn divide<'v>(&self, value: &'v [u8]) -> std::slice::Chunks<'v, u8> {
        value.chunks(self.chunk_bytes as usize)
    }

    /// The value that these chunks make; `None` if one is missing or is not the one that was written.
    pub(super) fn join(&self, chunks: Vec<Option<Vec<u8>>>) -> Option<Vec<u8>> {
        let chunks: Vec<_> = chunks.into_iter().collect::<Option<_>>()?;
        let value = chunks.concat();
        let is_whole = chunks.len() == self.count() && value.len() as u64 == self.length;
        (is_whole && xxh3_64(&value) == self.checksum).then_some(value)
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![FORM];
        bytes.extend(self.id.to_le_bytes());
        bytes.extend(self.length.to_le_bytes());
        bytes.extend(self.chunk_bytes.to_le_bytes());
        bytes.extend(self.checksum.to_le_bytes());
        bytes
    }

    /// `None` if it is not one that this library can have written.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (form, rest) = bytes.split_first()?;
        let (id, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (chunk_bytes, rest) = rest.split_first_chunk()?;
        let head = Self {
            id: u128::from_le_bytes(*id),
            length: u64::from_le_bytes(*length),
            chunk_bytes: u32::from_le_bytes(*chunk_bytes),
            checksum: u64::from_le_bytes(rest.try_into().ok()?),
        };
        let count = head.length.checked_add(u64::from(head.chunk_bytes).checked_sub(1)?)? / u64::from(head.chunk_bytes);
        (*form == FORM && COUNTS.contains(&count)).then_some(head)
    }
}

/// A number that no other write has, of whichever process and machine: the nanosecond and a hash that differs for each process, also of one
/// that was forked, and for each write.
fn new_id() -> u128 {
    static WRITES: AtomicU64 = AtomicU64::new(0);

    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
    let hash = RandomState::new().hash_one((now, process::id(), WRITES.fetch_add(1, Ordering::Relaxed)));
    u128::from(now) << 64 | u128::from(hash)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(length: usize) -> Vec<u8> {
        (0..length).map(|place| ((place * 7919) >> 5) as u8).collect()
    }

    type Chunks = Vec<Option<Vec<u8>>>;

    fn chunks(head: &Head, value: &[u8]) -> Chunks {
        head.divide(value).map(|chunk| Some(chunk.to_vec())).collect()
    }

    #[test]
    fn a_value_is_divided_if_it_is_larger_than_a_chunk() {
        assert_eq!(Head::of(&value(CHUNK_BYTES)), None);
        for (length, count) in [(CHUNK_BYTES + 1, 2), (2 * CHUNK_BYTES, 2), (2 * CHUNK_BYTES + 1, 3)] {
            let value = value(length);
            let head = Head::of(&value).unwrap();
            assert_eq!((head.count(), head.keys("n").count(), chunks(&head, &value).len()), (count, count, count));
            assert_eq!(head.join(chunks(&head, &value)), Some(value));
            assert_eq!(Head::decode(&head.encode()), Some(head));
            assert_eq!(head.encode().len(), Head::BYTES);
        }
    }

    #[test]
    fn no_other_chunks_make_the_value() {
        let value = value(2 * CHUNK_BYTES + 5);
        let head = Head::of(&value).unwrap();
        let changes: [fn(&mut Chunks); 7] = [
            |chunks| chunks[1] = None,
            |chunks| drop(chunks.pop()),
            |chunks| chunks.push(Some(Vec::new())),
            |chunks| chunks.swap(0, 1),
            |chunks| chunks[0].as_mut().unwrap()[7] ^= 1,
            |chunks| chunks[2].as_mut().unwrap().truncate(4),
            |chunks| chunks[2].as_mut().unwrap().push(0),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut chunks = chunks(&head, &value);
            change(&mut chunks);
            assert_eq!(head.join(chunks), None, "change {number}");
        }
    }

    #[test]
    fn no_two_writes_have_one_id() {
        let ids = || (0..1000).map(|_| new_id()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(ids)).collect();
        let mut all: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 4000);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_head_within_bounds_or_none(
            mut bytes in proptest::collection::vec(any::<u8>(), Head::BYTES - 2..Head::BYTES + 2),
            form in prop_oneof![Just(FORM), any::<u8>()],
            length in prop_oneof![0..MAX_VALUE_BYTES as u64 * 2, any::<u64>()],
            chunk_bytes in prop_oneof![Just(0), Just(CHUNK_BYTES as u32), any::<u32>()],
        ) {
            bytes[0] = form;
            bytes[17..25].copy_from_slice(&length.to_le_bytes());
            bytes[25..29].copy_from_slice(&chunk_bytes.to_le_bytes());
            let is_one = bytes.len() == Head::BYTES
                && form == FORM
                && chunk_bytes != 0
                && (2..=1024).contains(&u128::from(length).div_ceil(chunk_bytes.into()));
            let head = Head::decode(&bytes);
            prop_assert_eq!(head.is_some(), is_one);
            if let Some(head) = head {
                prop_assert_eq!(head.encode(), bytes);
                prop_assert!(head.count() >= 2 && head.count() as u64 <= MAX_CHUNKS);
            }
        }
    }
}
