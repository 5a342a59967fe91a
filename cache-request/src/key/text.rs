//! The text of a key, as backends and their consoles show it.
//!
//! `<prefix>.<client>.<path>@<version>?<name>=<value>&<name>=<value>`
//!
//! - The prefix is the function's crate. If a program chooses another prefix, the crate becomes the first segment of
//!   the path, so that functions of two crates do not share keys, unless the path is a chosen name.
//! - The text is printable ASCII without spaces or `~`, which marks a [shortened](shorten) text.
//! - Prefix, client, path, version and arguments end at the first dot, the second dot, the `@` or `?`, the `?`, and the
//!   end. None contains the character that ends it, so they cannot run together. The client's dot is there without a
//!   client, too.
//! - Without arguments there is no `?`. An argument that is left out has no name here: which ones are is the same in all keys of a
//!   function.
//!
//! The part after the `?` has one of three forms, fixed for each function: the named arguments (no value contains an
//! `&`), the pieces of an own [template](Parts::template), or the text of an own key function.

use std::fmt::Write;

use super::{
    notation, percent,
    tag::{Reader, Tag},
};

/// The names before the arguments.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Naming<'a> {
    pub(crate) prefix: &'a str,
    /// The crate, if it is not the prefix.
    pub(crate) krate: Option<&'a str>,
    pub(crate) path: Path<'a>,
    pub(crate) version: Option<&'a str>,
}

/// The path of a function.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Path<'a> {
    /// A chosen name: one segment, so that it cannot be taken for a module path.
    Name(&'a str),
    /// Module and function below the crate, separated by dots.
    Segments(&'a str),
}

/// The names of the values in a function's keys.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts {
    /// Their names, in order.
    pub(crate) names: &'static [&'static str],
    /// The literal text before each placeholder of an own key, and after the last one.
    pub(crate) template: Option<&'static [&'static str]>,
}

/// The part before the `?`, as far as all keys of a function share it.
#[derive(Debug)]
pub(crate) struct Head {
    /// Up to the client.
    prefix: String,
    /// Between the client and the path segments of an own key.
    path: String,
    /// After those segments.
    version: String,
}

impl Head {
    pub(crate) fn of(naming: &Naming<'_>) -> Self {
        let segment = |text| percent::encoded(text, percent::segment);
        let krate = naming.krate.map(|krate| segment(krate) + ".").unwrap_or_default();
        let path = match naming.path {
            Path::Name(name) => segment(name),
            Path::Segments(segments) => percent::encoded(segments, percent::path),
        };
        Self {
            prefix: segment(naming.prefix) + ".",
            path: format!(".{krate}{path}"),
            version: naming.version.map(|version| format!("@{}", segment(version))).unwrap_or_default(),
        }
    }

    /// The beginning of all keys of the function outside any client.
    pub(crate) fn of_no_client(&self) -> String {
        let mut out = String::with_capacity(128);
        self.write(&mut out, &mut Reader::new(&[]));
        out
    }

    /// Writes it, and takes the client and path segments from the words.
    fn write(&self, out: &mut String, reader: &mut Reader<'_>) {
        out.push_str(&self.prefix);
        client(out, reader);
        out.push_str(&self.path);
        if let Some(more) = reader.tagged_bytes(Tag::OwnPath) {
            percent::encode(out, more.iter(), percent::readable);
        }
        out.push_str(&self.version);
    }
}

/// The text of the key with these `words`, which include the client.
pub(crate) fn render(parts: &Parts, head: &Head, words: &[u64]) -> String {
    let mut out = String::with_capacity(128);
    write(&mut out, parts, head, words);
    out
}

/// Appends the text to `out`.
pub(crate) fn write(out: &mut String, parts: &Parts, head: &Head, words: &[u64]) {
    let mut reader = Reader::new(words);

    head.write(out, &mut reader);
    if let Some(text) = reader.tagged_bytes(Tag::OwnText) {
        out.push('?');
        percent::encode(out, text.iter(), percent::readable);
    } else if let Some(pieces) = parts.template {
        out.push('?');
        template(out, &mut reader, pieces);
    }
    // A template or own text leaves no values. If any were left, they would still be part of the key.
    arguments(out, &mut reader, parts.names);
}

/// Cuts `text` to at most `max_bytes`. The beginning stays readable, and the hash of the whole text follows a `~`.
///
/// A text within the limit is returned unchanged. It cannot equal a cut one, as a rendered key contains no `~`. Two cut
/// texts differ by their hashes (BLAKE3, 256 bits, 64 hexadecimal digits). The hash is never cut, so a limit below 65
/// bytes is exceeded: a key that the backend refuses is a miss, and a key that two calls share would be a wrong answer.
pub(crate) fn shorten(mut text: String, max_bytes: usize) -> String {
    const HASH: usize = 2 * blake3::OUT_LEN;

    if text.len() <= max_bytes {
        return text;
    }
    let hash = blake3::hash(text.as_bytes()).to_hex();
    let mut head = max_bytes.saturating_sub(1 + HASH);
    // Half an escape could not be decoded.
    if let Some(escape) = text.as_bytes()[head.saturating_sub(2)..head].iter().position(|&byte| byte == b'%') {
        head = head.saturating_sub(2) + escape;
    }
    while !text.is_char_boundary(head) {
        head -= 1;
    }
    text.truncate(head);
    text.push('~');
    text.push_str(&hash);
    text
}

fn client(out: &mut String, reader: &mut Reader<'_>) {
    let Some(client) = reader.tagged_bytes(Tag::Client) else { return };
    if client.is_empty() {
        // A client with an empty name differs from no client.
        out.push('\'');
    }
    percent::encode(out, client.iter(), percent::segment);
}

fn arguments(out: &mut String, reader: &mut Reader<'_>, names: &[&str]) {
    let (mut nth, mut separator) = (0, '?');
    while !reader.is_empty() {
        if reader.take(Tag::LeftOut).is_none() {
            out.push(separator);
            match names.get(nth) {
                Some(name) => percent::encode(out, name.bytes(), percent::unreserved),
                // More values than names: a number, as no identifier begins with a digit.
                None => _ = write!(out, "{nth}"),
            }
            out.push('=');
            notation::value(out, reader);
            separator = '&';
        }
        nth += 1;
    }
}

/// The literal pieces and the values between them.
///
/// Values are encoded a second time, so that they contain only unreserved characters and `%`. A value therefore ends at
/// the first other character of the following piece. If a piece between two values has no such character, a comma is
/// put in front of it.
fn template(out: &mut String, reader: &mut Reader<'_>, pieces: &[&str]) {
    let mut text = String::new();
    for (nth, piece) in pieces.iter().enumerate() {
        if nth > 0 {
            text.clear();
            notation::value(&mut text, reader);
            percent::encode(out, text.bytes(), percent::unreserved);
        }
        let start = out.len();
        percent::encode(out, piece.bytes(), percent::printable);
        let between_values = nth > 0 && nth + 1 < pieces.len();
        if between_values && out[start..].bytes().all(|byte| byte == b'%' || percent::unreserved(byte)) {
            out.insert(start, ',');
        }
    }
}
