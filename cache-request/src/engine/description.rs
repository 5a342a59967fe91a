//! What is known of a cached function before it is called: what its attribute says.

use std::{
    any::{TypeId, type_name},
    fmt,
};

use crate::key::text::Parts;

/// A cached function, as its attribute describes it.
pub(crate) struct Description {
    pub(crate) module: &'static str,
    pub(crate) function: &'static str,
    pub(crate) file: &'static str,
    pub(crate) line: u32,
    pub(crate) column: u32,
    /// What the values of a key stand for in its text.
    pub(crate) parts: Parts,
    pub(crate) name: Option<&'static str>,
    pub(crate) share: Option<Share>,
    pub(crate) version: Option<&'static str>,
    pub(crate) prefix: Option<&'static str>,
    /// The named cache that it uses.
    pub(crate) cache: Option<&'static str>,
    /// It is known to stand in an `impl` or a trait. If this is not set, it may stand there all the same.
    pub(crate) associated: bool,
    /// Its values stay in this process.
    pub(crate) local: bool,
    /// Concurrent callers of one key share one body.
    pub(crate) coalesce: bool,
    /// How many of its values memory may hold.
    pub(crate) max_entries: usize,
}

/// What functions share their entries by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) name: &'static str,
    /// The types of the parts of their keys, in words.
    pub(crate) types: &'static [&'static str],
}

impl fmt::Debug for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{} ({}:{})", self.module, self.function, self.file, self.line)
    }
}

/// One instance of a cached function: the function itself, or a generic one with certain types.
///
/// It is known by the type of its companion, or of its body, which differs for each `Self` and for all type arguments.
#[derive(Debug, Clone, Copy)]
pub struct Instance {
    pub(crate) id: TypeId,
    /// The compiler's name for it.
    pub(crate) name: &'static str,
}

impl Instance {
    /// The instance that the type of `function` stands for.
    #[inline]
    pub fn of<F>(_: &F) -> Self {
        Self::of_type::<F>()
    }

    /// The instance that a type stands for.
    #[inline]
    pub fn of_type<F>() -> Self {
        Self { id: typeid::of::<F>(), name: type_name::<F>() }
    }
}
