//! What the attribute of a function says of tags.

use super::list::TagList;

/// `tags(…)` and `inherit_tags`.
pub(in crate::engine) struct TagRule<V> {
    /// Those that the call's arguments tell.
    pub(in crate::engine) of_arguments: TagList,
    /// Adds those that only the value tells. It runs the user's code.
    pub(in crate::engine) of_value: Option<fn(&V, &mut TagList)>,
    /// Whether values have the tags of the cached values that their bodies use.
    pub(in crate::engine) inherits: bool,
    /// The body mentions `tag`.
    pub(in crate::engine) names: bool,
}

impl<V> TagRule<V> {
    /// The tags that only `value` tells.
    pub(super) fn value_tags(&self, value: &V) -> Option<TagList> {
        let add = self.of_value?;
        Some(TagList::of(|list| add(value, list)))
    }

    /// Whether bodies are known to have tags that are not known before they run.
    pub(super) fn names_tags(&self) -> bool {
        self.of_value.is_some() || self.names
    }
}

impl<V> Default for TagRule<V> {
    fn default() -> Self {
        Self { of_arguments: TagList::NONE, of_value: None, inherits: true, names: false }
    }
}
