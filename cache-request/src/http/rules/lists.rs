//! Comma-separated lists in header fields (RFC 9110, section 5.6.1).

use ::http::{HeaderMap, HeaderName, HeaderValue};

/// The members of a list field, over all its lines. Empty members are left out, and commas in quoted strings separate nothing.
pub(crate) fn members<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    headers.get_all(name).iter().flat_map(|value| split(value.as_bytes()))
}

/// The members of one field line.
pub(crate) fn split(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    elements(line, Quotes::Strings).filter(|element| !element.is_empty())
}

/// What quotes enclose in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quotes {
    /// Strings, in which a backslash escapes (RFC 9110, section 5.6.4).
    Strings,
    /// Entity tags, in which it is a character as any other (section 8.8.3).
    Tags,
}

/// What stands between the commas of a line, also if that is nothing.
pub(crate) fn elements(line: &[u8], quotes: Quotes) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    let elements = line.split(move |&byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted && quotes == Quotes::Strings => escaped = true,
            b'"' => quoted = !quoted,
            b',' => return !quoted,
            _ => {}
        }
        false
    });
    elements.map(trim)
}

/// The entity tags of a list field, over all its lines, and what else stands there.
pub(crate) fn tags<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let lines = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    lines.flat_map(|line| elements(line, Quotes::Tags)).filter(|element| !element.is_empty())
}

/// Without the optional whitespace around it.
pub(crate) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// Whether a line ends inside a quoted string, so that its members cannot be told apart.
pub(crate) fn is_unterminated(line: &[u8]) -> bool {
    let (mut quoted, mut escaped) = (false, false);
    for &byte in line {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
    }
    quoted
}

/// The contents of a quoted string, or `None` if `bytes` is none (RFC 9110, section 5.6.4).
pub(crate) fn unquote(bytes: &[u8]) -> Option<Vec<u8>> {
    let [b'"', inside @ .., b'"'] = bytes else { return None };
    let mut contents = Vec::with_capacity(inside.len());
    let mut escaped = false;
    for &byte in inside {
        match byte {
            b'\\' if !escaped => escaped = true,
            b'"' if !escaped => return None,
            _ => {
                escaped = false;
                contents.push(byte);
            }
        }
    }
    (!escaped).then_some(contents)
}

/// Whether `bytes` is a token (RFC 9110, section 5.6.2).
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
