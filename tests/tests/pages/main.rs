//! Whole pages: `CachePage`.

mod public_suite;
