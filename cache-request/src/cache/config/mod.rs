//! A cache chosen by address or by configuration.
//!
//! - [`settings`]: the configuration of a program's caches.
//! - [`given`]: the options that an address or a configuration gives.
//! - [`address`]: what an address says.
//! - [`directory`]: the path of a `file://` address.
//! - [`open`]: opens the backend of each scheme.
//! - [`build`]: makes the cache.
//! - [`read`]: reads configurations with `serde`.
//!
//! Which options there are, and what their values may be, is in [`options`](crate::options).

mod address;
mod build;
#[cfg(feature = "file")]
mod directory;
mod given;
mod open;
mod read;
mod settings;
#[cfg(test)]
mod tests;

pub use self::settings::{CacheConfig, Config, Setting};
