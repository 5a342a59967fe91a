//! Tags: names that values have in common, by which they are invalidated.

pub(super) mod collected;
mod invalidating;
pub(crate) mod keys;
mod list;
pub(super) mod noted;
mod reading;
mod records;
pub(super) mod rule;
mod used;

pub use self::list::TagList;
pub(crate) use self::{
    list::{id_of_client, id_of_function},
    used::{CacheId, Used},
};
