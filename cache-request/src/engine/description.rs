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
#[derive(Debug, Clone, Copy)]
pub(crate) struct Share {
    pub(crate) name: &'static str,
    /// The types of the parts of their keys.
    pub(crate) types: &'static [PartType],
}

/// The type of a part of a key.
#[derive(Debug, Clone, Copy)]
pub struct PartType {
    /// As it is written, without paths, and however it is borrowed.
    pub words: &'static str,
    /// The types that it names, in their order. `None` for one that depends on how it is borrowed, or that has no name outside its function.
    pub named: &'static [Option<NamedType>],
}

/// A type that others of the same name are told from.
#[derive(Debug, Clone, Copy)]
pub struct NamedType {
    /// The compiler's id for it.
    pub id: fn() -> TypeId,
    /// The compiler's name for it.
    pub name: fn() -> &'static str,
}

impl PartType {
    /// Whether both are one type, as far as that is known of them.
    pub(crate) fn agrees_with(&self, other: &Self) -> bool {
        let is_same = |pair: (&Option<NamedType>, &Option<NamedType>)| match pair {
            (Some(own), Some(other)) => (own.id)() == (other.id)(),
            _ => true,
        };
        let (own, others) = (self.named, other.named);
        self.words == other.words && own.len() == others.len() && own.iter().zip(others).all(is_same)
    }
}

impl fmt::Display for PartType {
    /// In words, and with the paths of the types that it names.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words)?;
        let paths = self.named.iter().flatten().map(|named| (named.name)()).filter(|path| path.contains("::"));
        for (at, path) in paths.enumerate() {
            f.write_str(if at == 0 { " of `" } else { "`, `" })?;
            f.write_str(path)?;
        }
        if self.named.iter().flatten().any(|named| (named.name)().contains("::")) { f.write_str("`") } else { Ok(()) }
    }
}

/// The compiler's id for a type, whatever it borrows.
pub fn id_of<T: ?Sized>() -> TypeId {
    typeid::of::<T>()
}

/// The compiler's name for a type.
pub fn name_of<T: ?Sized>() -> &'static str {
    type_name::<T>()
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
