//! Whole pages: `CachePage`.

mod backends;
mod clients;
mod etags;
mod faults;
mod fields;
mod lengths;
mod model;
mod negotiation;
mod parts;
mod prefixes;
mod processes;
mod public_suite;
mod rfc;
mod second_opinion;
mod sharing;
mod site;
mod slow_backend;
mod stack;
mod stale;
mod support;
mod tags;
mod targets;
mod validation;
