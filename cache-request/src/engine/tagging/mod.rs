//! Tags: names that values have in common, by which they are invalidated.

mod list;

pub use self::list::TagList;
