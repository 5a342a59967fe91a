//! What can be set: one table of options, and the schemes that have them.
//!
//! - [`defaults`]: the value of an option that is not given.
//! - [`feature`]: the features of this crate that schemes and options need.
//! - [`kind`]: what the value of an option may be, as text and as a Rust value.
//! - [`scheme`]: what may stand before `://`.
//! - [`option`]: one row of the table.
//! - [`table`]: all rows.
//! - [`address`]: how an address is divided and decoded.
//! - [`checks`]: how a builder checks what it is given.
//!
//! Addresses, configurations, builders, their errors and the page `docs/options.md` all follow the table. To add an option,
//! add a row there, a method of the same name to a builder, and the line in `cache/config/open.rs` that calls it.

#[cfg_attr(
    not(feature = "_connections"),
    allow(dead_code, reason = "only servers and databases are opened by address")
)]
pub(crate) mod address;
pub(crate) mod checks;
pub mod defaults;
#[cfg(test)]
mod documentation;
pub(crate) mod feature;
pub(crate) mod kind;
mod option;
pub(crate) mod scheme;
pub(crate) mod table;

pub(crate) use self::{kind::saturating, option::CacheOption};
