//! Compression by Zstandard.

use std::io::{self, Read};

use zstd::{
    bulk::Compressor,
    stream::{raw::CParameter, read::Decoder},
};

/// How far back, as a power of two, the compressed bytes may refer: what a decompressor sets aside. Farther than this mebibyte
/// gains little, and a larger claim would be a cheap way to make a reader set aside a lot.
const WINDOW: u32 = 20;

/// The compressed payload, or `None` if it cannot be compressed.
pub(super) fn compress(payload: &[u8], level: i32) -> Option<Vec<u8>> {
    let mut compressor = Compressor::new(level).ok()?;
    compressor.set_parameter(CParameter::WindowLog(WINDOW)).ok()?;
    compressor.compress(payload).ok()
}

/// The payload of `len` bytes. The memory that it takes grows with what the bytes really hold, not with what they claim.
pub(super) fn decompress(compressed: &[u8], len: usize) -> io::Result<Vec<u8>> {
    let mut decoder = Decoder::with_buffer(compressed)?.single_frame();
    decoder.window_log_max(WINDOW)?;
    let mut payload = Vec::with_capacity(len.min(compressed.len().saturating_mul(4)));
    decoder.by_ref().take((len as u64).saturating_add(1)).read_to_end(&mut payload)?;
    if payload.len() == len && decoder.finish().is_empty() {
        Ok(payload)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidData, "another length than declared"))
    }
}
