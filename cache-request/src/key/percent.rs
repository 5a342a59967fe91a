//! Percent-encoding, and the alphabets that need none.
//!
//! All texts of keys follow one rule: no alphabet except [`readable`] contains `%`, so the encoding is injective. None
//! contains `~`, which marks a text that [`shorten`](super::text::shorten) has cut.

use std::fmt::Write;

/// Appends `bytes`, with those outside the alphabet as `%XX`.
pub(crate) fn encode(out: &mut String, bytes: impl IntoIterator<Item = u8>, alphabet: fn(u8) -> bool) {
    for byte in bytes {
        if alphabet(byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a `String` cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// `text`, encoded.
pub(crate) fn encoded(text: &str, alphabet: fn(u8) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    encode(&mut out, text.bytes(), alphabet);
    out
}

/// Unreserved characters (RFC 3986, section 2.3), without the `~`.
pub(crate) fn unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}

/// Characters of one path segment.
pub(crate) fn segment(byte: u8) -> bool {
    unreserved(byte) && byte != b'.'
}

/// Characters of a path of joined segments, including those of type names.
pub(crate) fn path(byte: u8) -> bool {
    printable(byte) && !matches!(byte, b'?' | b'@')
}

/// Characters of a program's own text.
pub(crate) fn printable(byte: u8) -> bool {
    readable(byte) && byte != b'%'
}

/// All characters that a key may contain: the alphabet of encoded texts.
pub(crate) fn readable(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'~'
}
