//! One attribute makes a function remember.

pub mod backend;
#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
mod handle;
mod key;
mod policy;
mod site;

#[doc(hidden)]
pub mod private;

#[cfg(feature = "macros")]
pub use cache_request_macros::cache_request;

#[doc(hidden)]
pub use crate::private as __private;
pub use crate::{
    error::{Error, ErrorKind},
    handle::{AsyncHandle, Handle},
};
