//! Keys decide which calls are the same call.
//!
//! A key has two forms. In memory it is a slice of `u64` words, built on the stack by one [`serde::Serializer`], cheap
//! to hash and to compare. Where it leaves the process, [`text`] renders the words as readable text. The arguments may
//! be gone by then, so the words describe themselves.
//!
//! This module owns both forms, and guarantees: **two keys have the same words exactly if they have the same text, and
//! both only if `serde` renders their values alike.** It never looks into a cache, and it never fails a call. An error
//! or panic of a `Serialize` impl becomes [`Key::error`], and the call runs uncached.
//!
//! # What is equal
//!
//! Values are compared as `serde` shows them, not by their Rust types: an argument's type is the same in all calls.
//!
//! - Numbers by value: `1u8` is `1i128`. Floats by bits, `f32` widened exactly: `-0.0` is not `0.0`, a NaN is itself.
//!   A float is never an integer: `1.0` is not `1`.
//! - `char` is a one-character `str`. `Some(x)` is `x`, unless `x` is a `None` itself. A newtype struct is what it wraps.
//! - A map is its entries in any order; of entries with one key, order counts. A sequence is its elements in order, so a
//!   `HashSet`, which has no order to rely on, is a poor argument: it may miss, though it is never wrong.
//! - A struct is its field names and values; its own name does not count, an enum variant's does.
//!
//! # Words
//!
//! The top byte of a word is its [`Tag`], the rest a payload:
//!
//! | value | words |
//! | --- | --- |
//! | `n < 2^56` | `Unsigned n`, which is just `n` |
//! | `-2^56 <= n < 0` | `Negative !n` |
//! | other integers | `Wide… 1, n` or `Wide… 2, low, high`, the shorter that fits |
//! | float | `Float, bits` |
//! | `str`, up to 6 bytes | `ShortText length bytes`, padded with zeros |
//! | longer `str`, bytes | `Text length` or `Bytes length`, then the bytes, eight to a word, padded with zeros |
//! | `None` below `n` `Some`s | `None n` |
//! | sequence, struct, map | `Seq`, `Struct` or `Map`, the elements, `End` |
//! | enum variant | `…Variant length`, the name as after `Text`, then the value, or values and `End` |
//! | argument that is left out | `LeftOut` |
//!
//! This is injective because it is a prefix code: from a value's first word a reader knows how many words follow, or
//! that it must read values up to `End`, which begins no value. No value's words are the beginning of another's, so parts
//! that stand one after the other cannot run together: `("ab", "c")` is not `("a", "bc")`. Each number and each
//! `str` has one form only, and so has each `None`: `Some(v)` is written as `v`, and only a `None` is counted up.
//!
//! # Text
//!
//! `<prefix>.<client>.<path>@<version>?<name>=<value>&<name>=<value>`, printable ASCII without spaces, see [`text`] and,
//! for the notation of values and why it is injective, [`notation`].

pub mod keys;
mod notation;
mod owned;
pub(crate) mod percent;
mod plain;
mod pool;
mod pooled_text;
mod tag;
#[cfg(test)]
mod tests;
pub(crate) mod text;
mod words;
mod writer;

use std::{
    any::Any,
    borrow::Cow,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
};

use serde::Serialize;

pub(crate) use self::owned::{ByHash, Lookup, OwnedKey, PassThrough};
pub(crate) use self::plain::Plain;
pub(crate) use self::pooled_text::PooledText;
use self::{tag::Tag, words::Words, writer::Writer};
use crate::base::context;

/// The key of one call.
#[derive(Debug, Clone)]
pub struct Key {
    words: Words,
    /// Computed with the words, so that a look-up need not wait for a key that was just moved.
    hash: u64,
    /// Boxed to be one word, because keys are moved.
    unusable: Option<Box<Unusable>>,
}

/// Why a call has no key.
#[derive(Debug, Clone)]
enum Unusable {
    /// A `Serialize` impl failed, or the code that makes the key panicked.
    Fault(Box<str>),
    /// The arguments say that there is nothing to cache.
    Bypassed,
}

impl Key {
    /// A key without parts.
    #[inline]
    #[must_use]
    pub const fn new() -> Self {
        Self { words: Words::new(), hash: 0, unusable: None }
    }

    /// Adds the client of the running task. The parts follow by the builder that this returns, then [`finish`](Self::finish).
    #[inline]
    pub fn begin(&mut self) -> KeyBuilder<'_> {
        if context::is_scoped() {
            self.add_client();
        }
        KeyBuilder { key: self }
    }

    fn add_client(&mut self) {
        if let Some(client) = context::client() {
            KeyBuilder { key: self }.client(&client);
        }
    }

    /// Hashes the words, which are all there now.
    #[inline]
    pub fn finish(&mut self) {
        self.hash = owned::hash(self.words());
    }

    /// All of that, where `build` runs the user's code: its panic becomes the key's [`error`](Self::error).
    #[inline]
    pub fn fill(&mut self, mut build: impl FnMut(&mut KeyBuilder<'_>)) {
        self.fill_by(&mut build);
    }

    /// Compiled once, and not for each function.
    fn fill_by(&mut self, build: &mut dyn FnMut(&mut KeyBuilder<'_>)) {
        let mut builder = self.begin();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| build(&mut builder))) {
            self.fail(panic_message(panic));
        }
        self.finish();
    }

    /// A key of the parts that `build` names, in order.
    pub fn build(build: impl FnMut(&mut KeyBuilder<'_>)) -> Self {
        let mut key = Self::new();
        key.fill(build);
        key
    }

    /// Why no key could be made. The words are meaningless then, and the call runs uncached.
    #[inline]
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        self.unusable.as_deref().map(|unusable| match unusable {
            Unusable::Fault(message) => message,
            Unusable::Bypassed => "the arguments are of a rejected request",
        })
    }

    /// Whether the call has no key because its arguments say so, which is no fault.
    pub(crate) fn is_bypassed(&self) -> bool {
        matches!(self.unusable.as_deref(), Some(Unusable::Bypassed))
    }

    /// The words of the key.
    #[inline]
    #[must_use]
    pub fn words(&self) -> &[u64] {
        self.words.as_slice()
    }

    /// The hash of the words. It is seeded per process.
    #[inline]
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The client that it is of, if any.
    pub(crate) fn client(&self) -> Option<Vec<u8>> {
        tag::client_of(self.words())
    }

    /// The key that consists of one text, outside any client.
    pub(crate) fn of_text(text: &str) -> Self {
        let mut key = Self { words: Words::new(), hash: 0, unusable: None };
        key.words.bytes(Tag::Text, text.as_bytes());
        key.hash = owned::hash(key.words());
        key
    }

    /// The form that tables are searched with.
    #[inline]
    pub(crate) fn lookup(&self) -> Lookup<'_> {
        Lookup { hash: self.hash(), words: self.words() }
    }

    /// Records an error. The first one is kept.
    #[cold]
    fn fail(&mut self, message: Box<str>) {
        self.unusable.get_or_insert_with(|| Box::new(Unusable::Fault(message)));
    }
}

impl Default for Key {
    fn default() -> Self {
        Self::new()
    }
}

/// Collects the parts of a key.
#[derive(Debug)]
pub struct KeyBuilder<'a> {
    key: &'a mut Key,
}

impl KeyBuilder<'_> {
    /// Adds the client. It comes before all parts.
    fn client(&mut self, client: &str) {
        self.key.words.bytes(Tag::Client, client.as_bytes());
    }

    /// Adds one argument. A panic of its `Serialize` becomes the key's [`error`](Key::error).
    #[inline]
    pub fn part<T: KeyPart + ?Sized>(&mut self, value: &T) {
        let words = &mut self.key.words;
        match catch_unwind(AssertUnwindSafe(|| value.serialize(Writer::new(words)))) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.key.fail(error.message()),
            Err(panic) => self.key.fail(panic_message(panic)),
        }
    }

    /// Adds one argument, whose `Serialize` cannot panic.
    #[inline]
    pub fn plain<T: Plain + ?Sized>(&mut self, value: &T) {
        if let Err(error) = value.serialize(Writer::new(&mut self.key.words)) {
            self.key.fail(error.message());
        }
    }

    /// Adds a sequence, whose elements `build` adds.
    #[inline]
    pub fn sequence(&mut self, build: impl FnOnce(&mut Self)) {
        self.key.words.push(Tag::Seq.word());
        build(self);
        self.key.words.push(Tag::End.word());
    }

    /// Adds an optional value, which `add` adds if it is there.
    #[inline]
    pub fn optional<T>(&mut self, value: Option<T>, add: impl FnOnce(&mut Self, T)) {
        let Some(value) = value else { return self.key.words.push(Tag::None.word()) };
        let start = self.key.words.len();
        add(self, value);
        writer::count_some(&mut self.key.words, start);
    }

    /// Adds nothing for a named part, so that the names of the others stay theirs.
    #[inline]
    pub fn left_out(&mut self) {
        self.key.words.push(Tag::LeftOut.word());
    }

    /// Lets the call run its body without a cache, which is no fault.
    #[cold]
    pub fn bypass(&mut self) {
        self.key.unusable.get_or_insert_with(|| Box::new(Unusable::Bypassed));
    }

    /// Makes a program's own text the whole key, except for the client.
    pub fn own(&mut self, text: impl Into<KeyText>) {
        let text = text.into();
        let words = &mut self.key.words;
        words.truncate(tag::client_words(words.as_slice()));
        if !text.path.is_empty() {
            words.bytes(Tag::OwnPath, text.path.as_bytes());
        }
        words.bytes(Tag::OwnText, text.text.as_bytes());
        if let Some(error) = text.error {
            self.key.fail(error);
        }
    }
}

/// The text that a `key = …` function returns: made from a `String`, a `&str`, a number, or one of the shapes in
/// [`keys`](crate::keys).
///
/// It follows the `?` of the key. Characters other than printable ASCII are percent-encoded, and so are the space, `%`
/// and `~`. Different texts stay different.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyText {
    /// Further segments of the path, each after a dot.
    path: String,
    text: String,
    error: Option<Box<str>>,
}

impl KeyText {
    /// A text that is already encoded.
    pub(crate) fn encoded(path: String, text: Result<String, Box<str>>) -> Self {
        match text {
            Ok(text) => Self { path, text, error: None },
            Err(error) => Self { path, text: String::new(), error: Some(error) },
        }
    }
}

impl From<&str> for KeyText {
    fn from(text: &str) -> Self {
        Self::encoded(String::new(), Ok(percent::encoded(text, percent::printable)))
    }
}

impl From<String> for KeyText {
    fn from(text: String) -> Self {
        if text.bytes().all(percent::printable) { Self::encoded(String::new(), Ok(text)) } else { text.as_str().into() }
    }
}

impl From<&String> for KeyText {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl From<Cow<'_, str>> for KeyText {
    fn from(text: Cow<'_, str>) -> Self {
        text.into_owned().into()
    }
}

macro_rules! key_text_from_number {
    ($($number:ty)*) => {$(
        impl From<$number> for KeyText {
            fn from(number: $number) -> Self {
                number.to_string().into()
            }
        }
    )*};
}

key_text_from_number!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize);

/// Values that can be part of a key: all that `serde` can serialise.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of a cache key",
    label = "this argument is part of the key, and is not `serde::Serialize`",
    note = "derive `serde::Serialize` for `{Self}`",
    note = "or write `skip(…)` with the argument's name if the answer does not depend on it, and `vary(…)` with the part of it on \
            which the answer does depend, such as `vary(user.id)` or `vary(header(\"accept-language\"))`"
)]
pub trait KeyPart: Serialize {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + ?Sized> KeyPart for T {}

/// The text of a call's arguments without names.
pub(crate) fn arguments<T: Serialize + ?Sized>(arguments: &T) -> Result<String, Box<str>> {
    let mut words = Words::new();
    arguments.serialize(Writer::new(&mut words)).map_err(writer::Unkeyable::message)?;
    Ok(notation::arguments(words.as_slice()))
}

/// The message of a panic.
#[cold]
fn panic_message(panic: Box<dyn Any + Send>) -> Box<str> {
    let message = match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(message), _) => message,
        (_, Some(message)) => message.as_str(),
        _ => {
            // Dropping an unknown payload might panic again.
            mem::forget(panic);
            return "building the key panicked".into();
        }
    };
    format!("building the key panicked: {message}").into()
}
