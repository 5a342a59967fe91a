//! Whole pages: `CachePage`.

mod faults;
mod public_suite;
mod support;
