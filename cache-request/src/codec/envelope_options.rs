//! What a cache's envelopes are like: compressed or not, authenticated or not, and how large.

use std::fmt;

use crate::options::{defaults, saturating};

/// How a cache packs its values, and what it takes for its own.
#[derive(Debug, Clone)]
pub(crate) struct EnvelopeOptions {
    /// Larger values are neither stored nor unpacked.
    pub(crate) max_value_bytes: usize,
    /// Values larger than this are compressed, if that makes them smaller.
    pub(crate) compress_over: Option<usize>,
    pub(crate) compress_level: i32,
    pub(crate) secrets: Secrets,
}

impl Default for EnvelopeOptions {
    fn default() -> Self {
        Self {
            max_value_bytes: saturating(defaults::MAX_VALUE_BYTES),
            compress_over: None,
            compress_level: defaults::COMPRESS_LEVEL,
            secrets: Secrets::default(),
        }
    }
}

/// The keys that vouch for stored bytes. Nothing shows them.
#[derive(Clone, Default)]
pub(crate) struct Secrets {
    /// What is written is vouched for by this one; without it, nothing is.
    current: Option<Key>,
    /// What is read may be vouched for by these as well.
    old: Vec<Key>,
}

type Key = [u8; 32];

/// Separates these keys from other keys that are derived from the same secret.
const CONTEXT: &str = "cache-request 2025-11-23 authentication of stored bytes";

impl Secrets {
    pub(crate) fn set(&mut self, secret: &[u8]) {
        self.current = Some(blake3::derive_key(CONTEXT, secret));
    }

    pub(crate) fn accept(&mut self, secret: &[u8]) {
        self.old.push(blake3::derive_key(CONTEXT, secret));
    }

    /// Whether bytes are authenticated at all.
    pub(super) fn in_use(&self) -> bool {
        self.current.is_some()
    }

    pub(super) fn current(&self) -> Option<&Key> {
        self.current.as_ref()
    }

    /// All that are good for reading.
    pub(super) fn accepted(&self) -> impl Iterator<Item = &Key> {
        self.current.iter().flat_map(|current| [current].into_iter().chain(&self.old))
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.in_use() { "in use" } else { "none" })
    }
}
