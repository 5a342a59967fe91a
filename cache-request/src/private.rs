//! The only names the attribute's expansion uses. Nothing here is public API: it changes without notice.

pub use crate::{
    handle::{AsyncHandle, Handle},
    key::Key,
    policy::{AnyAnswer, Policy, Probe, ResultAnswer, Value, ValueOf, WeighAny, WeighSerialised},
    site::{Instance, Site},
};
