//! The only names the attribute's expansion uses. Nothing here is public API: it changes without notice.

pub use super::{
    handle::{Handle, SyncHandle},
    probe::{AnyAnswer, Probe, ResultAnswer, WeighAny, WeighSerialised},
    site::Site,
    timeout::Timeout,
};
pub use crate::{
    engine::{
        description::Instance,
        policy::Policy,
        value::{Value, ValueOf},
    },
    key::Key,
};
