//! Tags: names that values have in common, by which they are invalidated.

mod collected;
mod invalidating;
mod list;
mod used;

pub use self::list::TagList;
pub(crate) use self::{used::{CacheId, Used}};
