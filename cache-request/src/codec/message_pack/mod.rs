//! `MessagePack` as values are kept in it: structs by their fields' names, variants by theirs, types in the form that they have
//! in readable formats.
//!
//! It differs in one point from what everybody writes. `None`, `()` and a newtype around either are all `nil`, so that of
//! `Some(None)` nobody could tell whether it was `None`. Here a `Some` whose inside begins with `nil` has [`SOME`] before it, a
//! byte that `MessagePack` never uses; so has a `Some` around such a `Some`. All other bytes are what others read and write.
//!
//! The form is the readable one because serde has no other choice: what it buffers to look at it twice (`untagged`, `flatten`,
//! `tag`) is read back as if the format were a readable one, whatever it was.
//!
//! Reading is bounded, for the bytes may be anybody's: no length is believed that the bytes left cannot hold, and nothing is
//! nested deeper than [`MOST_DEPTH`]. So is writing, as a stack that overflows would end the program.

mod decode;
mod encode;

use std::fmt;

pub(super) use self::{decode::decode, encode::encode};

/// How deep values may be nested: as deep as `serde_json` reads. In a debug build a level takes up to seven kilobytes of stack,
/// and whoever calls may have used half of a thread's two mebibytes already.
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
