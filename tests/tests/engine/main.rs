//! One call, from its key to its answer: who runs the body, what is kept, what is counted, and what a backend may do to it.

#[path = "../support/mod.rs"]
mod support;

mod counters;
mod documents;
mod fences;
mod flight;
mod layers;
mod never_broken;
mod report;
mod scopes;
mod tiered;
