//! Percent-encoding, and the alphabets that are left as they are.
//!
//! One rule for every text of a key: no alphabet but [`readable`] holds `%`, so encoding is injective; none at all holds
//! `~`, which is how [`shorten`](super::text::shorten) marks what it has cut.

use std::fmt::Write;

/// Appends `bytes`; those that are not in the alphabet as `%XX`.
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

/// What stands for nothing but itself anywhere in a URL (RFC 3986, section 2.3), less the `~`.
pub(crate) fn unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}

/// What may stand between two dots.
pub(crate) fn segment(byte: u8) -> bool {
    unreserved(byte) && byte != b'.'
}

/// What may stand in a path whose segments are joined already, type names included.
pub(crate) fn path(byte: u8) -> bool {
    printable(byte) && !matches!(byte, b'?' | b'@')
}

/// What may stand in a text of the user's own.
pub(crate) fn printable(byte: u8) -> bool {
    readable(byte) && byte != b'%'
}

/// What may stand in a key at all: the alphabet of texts that are encoded already.
pub(crate) fn readable(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'~'
}
