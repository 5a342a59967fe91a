//! Keys as the store keeps them and searches for them.

use std::{
    hash::{BuildHasher, BuildHasherDefault, Hash, Hasher},
    sync::LazyLock,
};

use foldhash::fast::RandomState;
use papaya::Equivalent;

/// The owned words of a key. A key of one word, such as one small number, needs no allocation.
#[derive(Debug, Clone)]
pub(crate) enum OwnedKey {
    Word(u64),
    Words(Box<[u64]>),
}

impl OwnedKey {
    #[inline]
    pub(crate) fn words(&self) -> &[u64] {
        match self {
            Self::Word(word) => std::slice::from_ref(word),
            Self::Words(words) => words,
        }
    }

    /// Heap bytes of the key with these `words`.
    #[inline]
    pub(crate) fn heap_bytes(words: &[u64]) -> usize {
        if let [_] = words { 0 } else { size_of_val(words) }
    }

    /// Whether this is the key with these `words`.
    #[inline]
    fn is(&self, words: &[u64]) -> bool {
        match self {
            Self::Word(word) => matches!(words, [other] if other == word),
            Self::Words(own) => **own == *words,
        }
    }
}

impl From<&[u64]> for OwnedKey {
    #[inline]
    fn from(words: &[u64]) -> Self {
        match words {
            [word] => Self::Word(*word),
            words => Self::Words(words.into()),
        }
    }
}

impl PartialEq for OwnedKey {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.is(other.words())
    }
}

impl Eq for OwnedKey {}

impl Hash for OwnedKey {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(hash(self.words()));
    }
}

/// A borrowed key and its hash: finds an [`OwnedKey`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lookup<'a> {
    pub(crate) hash: u64,
    pub(crate) words: &'a [u64],
}

impl Hash for Lookup<'_> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Equivalent<OwnedKey> for Lookup<'_> {
    #[inline]
    fn equivalent(&self, key: &OwnedKey) -> bool {
        key.is(self.words)
    }
}

/// Finds any key with this hash. Good for eviction, never for an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ByHash(pub(crate) u64);

impl Hash for ByHash {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

impl Equivalent<OwnedKey> for ByHash {
    #[inline]
    fn equivalent(&self, key: &OwnedKey) -> bool {
        self.0 == hash(key.words())
    }
}

/// The hasher of maps whose keys are hashed already: it returns the hash that it is given.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PassThrough(u64);

impl PassThrough {
    /// Builds the hasher of such a map.
    pub(crate) fn build() -> BuildHasherDefault<Self> {
        BuildHasherDefault::new()
    }
}

impl Hasher for PassThrough {
    #[inline]
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    /// Not used by keys, but correct.
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, &byte| hash.rotate_left(8) ^ u64::from(byte));
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

/// The hash of a key's words. It is seeded in each process, so that clients cannot choose keys that collide.
///
/// The length is not hashed: among the keys of one function, none is a prefix of another.
#[inline]
pub(super) fn hash(words: &[u64]) -> u64 {
    static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::default);

    let mut hasher = SEED.build_hasher();
    if let [word] = words {
        hasher.write_u64(*word);
        return hasher.finish();
    }
    // In pairs, as the hasher mixes them.
    let (pairs, last) = words.as_chunks();
    for &[low, high] in pairs {
        hasher.write_u128(u128::from(high) << 64 | u128::from(low));
    }
    if let [word] = last {
        hasher.write_u64(*word);
    }
    hasher.finish()
}
