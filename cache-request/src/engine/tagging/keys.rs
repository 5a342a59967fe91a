//! The keys of tags in a backend.

use std::fmt::Write;

use crate::{
    key::{PooledText, percent},
    store::tags::TagId,
};

/// The keys under which a cache keeps its tags in a backend.
///
/// No key of a value begins like them: a `~` comes only at the end of a shortened one.
#[derive(Debug, Clone)]
pub(crate) struct TagKeys {
    /// Up to the id.
    head: String,
}

/// The characters of an id.
const ID: usize = 16;

impl TagKeys {
    /// Those of a cache with this prefix. Programs without one share their tags.
    pub(crate) fn new(prefix: Option<&str>) -> Self {
        let prefix = prefix.map(|prefix| percent::encoded(prefix, percent::segment) + ".").unwrap_or_default();
        Self { head: format!("{prefix}~tag.") }
    }

    pub(super) fn of(&self, id: TagId) -> PooledText {
        self.text(|text| _ = write!(text, "{:0ID$x}", id.0))
    }

    /// The key of the record of the latest invalidations.
    pub(super) fn of_sequence(&self) -> PooledText {
        self.text(|text| text.push_str("latest"))
    }

    fn text(&self, write: impl FnOnce(&mut String)) -> PooledText {
        PooledText::of(|mut text| {
            text.push_str(&self.head);
            write(&mut text);
            text
        })
    }

    /// The tag whose key this is.
    pub(crate) fn tag_of(&self, key: &str) -> Option<TagId> {
        let id = key.strip_prefix(&*self.head).filter(|id| id.len() == ID)?;
        u64::from_str_radix(id, 16).ok().map(TagId)
    }
}
