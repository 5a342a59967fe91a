//! What the attribute's expansion uses, and what its users see of it: sites, handles, bounds.

pub mod bounds;
pub(crate) mod handle;
pub mod private;
mod probe;
mod site;
mod timeout;
