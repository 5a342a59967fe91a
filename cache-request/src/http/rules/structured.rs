//! Targeted cache-control fields as structured dictionaries (RFC 9213, section 2.1; RFC 9651).

use sfv::{BareItem, Dictionary, ListEntry, Parser};

/// The value of a directive in a dictionary.
pub(super) enum Argument {
    /// `name`, or `name=?0`.
    Flag(bool),
    Integer(i64),
    /// A token or a string.
    Text(String),
    /// A value of a type that no directive has.
    Other,
}

/// The members of a dictionary over several lines, in their order. `None` if they are no dictionary.
pub(super) fn dictionary<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Option<Vec<(String, Argument)>> {
    let lines: Vec<_> = lines.collect();
    let dictionary: Dictionary = Parser::new(&lines.join(&b',')).parse().ok()?;
    Some(dictionary.into_iter().map(|(name, entry)| (name.as_str().to_owned(), argument(entry))).collect())
}

fn argument(entry: ListEntry) -> Argument {
    let ListEntry::Item(item) = entry else { return Argument::Other };
    match item.bare_item {
        BareItem::Boolean(flag) => Argument::Flag(flag),
        BareItem::Integer(number) => Argument::Integer(number.into()),
        BareItem::String(text) => Argument::Text(text.as_str().to_owned()),
        BareItem::Token(text) => Argument::Text(text.as_str().to_owned()),
        _ => Argument::Other,
    }
}
