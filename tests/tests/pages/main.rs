//! Whole pages: `CachePage`.

mod backends;
mod faults;
mod model;
mod public_suite;
mod rfc;
mod sharing;
mod site;
mod support;
