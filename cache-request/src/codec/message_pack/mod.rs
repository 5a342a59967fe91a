//! `MessagePack`, with the names of structs' fields and of variants, and each type in the form of human-readable formats.
//!
//! It extends the format in one point. `None`, `()` and a newtype around either are all `nil`, so `Some(None)` would be read back
//! as `None`. Here a `Some` whose contents begin with `nil` is preceded by [`SOME`], a byte that `MessagePack` never uses. So is a
//! `Some` around such a `Some`. All other bytes are standard.
//!
//! The form is human-readable because serde requires it: what it buffers for `untagged`, `flatten` and `tag` is read back as
//! from a human-readable format.
//!
//! Reading is bounded, as the bytes may come from an attacker: a length that the remaining bytes cannot hold is refused, and so
//! are values nested deeper than [`MOST_DEPTH`]. Writing has the same bound, as a stack overflow would end the program.

mod decode;
mod encode;

use std::fmt;

pub(super) use self::{decode::decode, encode::encode};

/// How deep values may be nested: the limit of `serde_json`. In a debug build a level takes up to seven kilobytes of stack, and
/// the caller may have used half of a thread's two mebibytes already.
pub(super) const MOST_DEPTH: usize = 128;

/// Stands before the inside of a `Some` that would be taken for a `None` otherwise.
const SOME: u8 = 0xc1;
const NIL: u8 = 0xc0;

/// Why a value cannot be written or read, in words.
#[derive(Debug)]
pub(super) struct Fault(String);

impl Fault {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }

    fn too_deep() -> Self {
        Self::new(format!("it is nested deeper than {MOST_DEPTH} levels"))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Fault {}

impl serde::ser::Error for Fault {
    fn custom<T: fmt::Display>(what: T) -> Self {
        Self(what.to_string())
    }
}

impl serde::de::Error for Fault {
    fn custom<T: fmt::Display>(what: T) -> Self {
        Self(what.to_string())
    }
}
