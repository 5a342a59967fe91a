//! No compression: the feature `zstd` is off.

use std::io;

pub(super) fn compress(_: &[u8], _: i32) -> Option<Vec<u8>> {
    None
}

pub(super) fn decompress(_: &[u8], _: usize) -> io::Result<Vec<u8>> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "enable the feature `zstd` of cache-request"))
}
