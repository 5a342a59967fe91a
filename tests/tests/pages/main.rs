//! Whole pages: `CachePage`.

mod backends;
mod faults;
mod model;
mod negotiation;
mod public_suite;
mod sharing;
mod site;
mod support;
mod targets;
