//! What the attribute's expansion uses, and what its users see of it: sites, handles, bounds.

pub(crate) mod answer;
mod background;
pub mod bounds;
#[cfg_attr(feature = "detach", path = "detach/enabled.rs")]
#[cfg_attr(not(feature = "detach"), path = "detach/disabled.rs")]
mod detach;
pub(crate) mod each;
pub(crate) mod handle;
pub(crate) mod part;
mod prepared;
pub mod private;
mod probe;
mod site;
mod steps;
mod tagged;
mod timeout;
