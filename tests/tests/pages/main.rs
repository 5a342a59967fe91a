//! Whole pages: `CachePage`.

mod backends;
mod faults;
mod fields;
mod model;
mod parts;
mod public_suite;
mod rfc;
mod sharing;
mod site;
mod support;
mod validation;
