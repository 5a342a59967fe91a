//! Keys.

use serde::Serialize;

/// The key of one call.
#[derive(Debug)]
pub struct Key {}

/// Collects the parts of a key.
#[derive(Debug)]
pub struct KeyBuilder<'a> {
    key: &'a mut Key,
}

impl Key {
    /// A key of the parts that `build` names, in order.
    #[inline]
    pub fn build(build: impl FnOnce(&mut KeyBuilder<'_>)) -> Self {
        let mut key = Self {};
        build(&mut KeyBuilder { key: &mut key });
        key
    }
}

impl KeyBuilder<'_> {
    /// Adds one argument.
    #[inline]
    pub fn part<T: KeyPart + ?Sized>(&mut self, _value: &T) {}

    /// Makes a text of the user's own the whole key.
    pub fn own(&mut self, _text: impl Into<KeyText>) {}
}

/// The text that an own key function returns.
#[derive(Debug)]
pub struct KeyText {}

impl From<String> for KeyText {
    fn from(_: String) -> Self {
        Self {}
    }
}

/// What can be part of a key: whatever `serde` can serialise.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of a cache key",
    label = "this argument is part of the key, and is not `serde::Serialize`",
    note = "derive `serde::Serialize` for `{Self}`, or leave the argument out of the key with `skip(…)`"
)]
pub trait KeyPart: Serialize {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + ?Sized> KeyPart for T {}
