//! The attribute: what can be annotated, what that means, and the companion that comes with it.

#[path = "../support/mod.rs"]
mod support;

mod behaviour;
mod caches;
mod companion;
mod each;
mod edition_2021;
mod forms;
mod handlers;
mod keys;
mod max_entries;
mod namesakes;
mod once;
mod spans;
mod tags;
mod this_call;

/// For [`namesakes`]: a function in the crate's root.
#[cache_request::cache_request]
fn offers() -> u32 {
    namesakes::ran(1)
}
