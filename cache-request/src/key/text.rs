//! The text of a key: what a backend and whoever looks into its console sees.
//!
//! `<prefix>.<client>.<path>@<version>?<name>=<value>&<name>=<value>`
//!
//! - The prefix is the function's crate. Where another one stands in its place, the crate is the first segment of the path, or
//!   functions of two crates would share keys; unless the path is a name of the user's choice.
//! - All of it is printable ASCII without spaces, and holds no `~`, which marks a [shortened](shorten) text.
//! - Prefix, client, path, version and arguments end at the first dot, the second dot, the `@` or `?`, the `?`, and the end;
//!   none holds what ends it, so they cannot run together. The client's dot is there without a client too.
//! - Without arguments there is no `?`.
//!
//! What follows the `?` is one of three, and which one is fixed for each function: the named arguments (no value holds an
//! `&`), the pieces of an own [template](Parts::template), or the text of an own key function.

use std::fmt::Write;

use super::{
    notation, percent,
    tag::{Reader, Tag},
};

/// What a key is called before its arguments come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Naming<'a> {
    pub(crate) prefix: &'a str,
    /// The crate, where it is not the prefix.
    pub(crate) krate: Option<&'a str>,
    pub(crate) path: Path<'a>,
    pub(crate) version: Option<&'a str>,
}

/// Which function.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Path<'a> {
    /// A name of the user's choice: one segment, so that it cannot be taken for a module path.
    Name(&'a str),
    /// Module and function below the crate, with dots between.
    Segments(&'a str),
}

/// What the values of a function's keys stand for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts {
    /// Their names, in order.
    pub(crate) names: &'static [&'static str],
    /// The literal text before each placeholder of an own key, and after the last one.
    pub(crate) template: Option<&'static [&'static str]>,
}

/// What stands before the `?`, as far as it is the same for all keys of a function.
#[derive(Debug)]
pub(crate) struct Head {
    /// Up to the client.
    prefix: String,
    /// Between the client and a path of the key's own.
    path: String,
    /// What follows that.
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

    /// What all keys of the function begin with, of a call in no client's scope.
    pub(crate) fn of_no_client(&self) -> String {
        let mut out = String::with_capacity(128);
        self.write(&mut out, &mut Reader::new(&[]));
        out
    }

    /// Writes it, and takes from the words what belongs there.
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

/// The text of the key that has these `words`; the client is among them.
pub(crate) fn render(parts: &Parts, head: &Head, words: &[u64]) -> String {
    let mut out = String::with_capacity(128);
    let mut reader = Reader::new(words);

    head.write(&mut out, &mut reader);
    if let Some(text) = reader.tagged_bytes(Tag::OwnText) {
        out.push('?');
        percent::encode(&mut out, text.iter(), percent::readable);
    } else if let Some(pieces) = parts.template {
        out.push('?');
        template(&mut out, &mut reader, pieces);
    }
    // Of a template or an own text nothing is left; were it otherwise, it would still belong to the key.
    arguments(&mut out, &mut reader, parts.names);
    out
}

/// Cuts `text` to at most `max_bytes`: its head stays readable, and behind a `~` stands the hash of all of it.
///
/// A text within the limit is returned as it is, and cannot be equal to a cut one: a rendered key holds no `~`. Two cut
/// ones differ because their hashes do (BLAKE3, 256 bits, 64 hexadecimal digits). The hash is never cut. So a limit of
/// less than 65 bytes is not met: better a key that the backend refuses, and a miss, than one that two calls may share.
pub(crate) fn shorten(mut text: String, max_bytes: usize) -> String {
    const HASH: usize = 2 * blake3::OUT_LEN;

    if text.len() <= max_bytes {
        return text;
    }
    let hash = blake3::hash(text.as_bytes()).to_hex();
    let mut head = max_bytes.saturating_sub(1 + HASH);
    // Half an escape would make the text unreadable for whoever decodes it.
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
        // A client whose name is empty is still not the same as no client.
        out.push('\'');
    }
    percent::encode(out, client.iter(), percent::segment);
}

fn arguments(out: &mut String, reader: &mut Reader<'_>, names: &[&str]) {
    let mut nth = 0;
    while !reader.is_empty() {
        out.push(if nth == 0 { '?' } else { '&' });
        match names.get(nth) {
            Some(name) => percent::encode(out, name.bytes(), percent::unreserved),
            // More values than names: no identifier begins with a digit.
            None => _ = write!(out, "{nth}"),
        }
        out.push('=');
        notation::value(out, reader);
        nth += 1;
    }
}

/// The literal pieces and the values between them.
///
/// Values are encoded a second time, so that only unreserved characters and `%` remain. A value therefore ends at the first
/// character of the following piece that is neither; where a piece between two values has none, a comma is put in front.
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
