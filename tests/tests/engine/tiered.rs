//! Memory in front of a backend: what it saves, and that it is never older than it may be.

mod by_time;
mod consistency;
mod faults;
mod fleets;
mod outages;
mod tracked;

use std::cell::Cell;

use cache_request::{Cache, cache_request, scoped_sync};

thread_local! {
    static SOURCE: Cell<u32> = const { Cell::new(0) };
    static BODIES: Cell<u32> = const { Cell::new(0) };
}

/// What this thread's source says, which is to be kept for a minute.
#[cache_request(timeout = 60)]
fn answer(_question: u32) -> u32 {
    BODIES.set(BODIES.get() + 1);
    SOURCE.get()
}

/// Has the source say something else.
fn source(says: u32) {
    SOURCE.set(says);
}

/// What the cache answers.
fn ask(cache: &Cache, question: u32) -> u32 {
    scoped_sync(cache, || answer(question))
}

/// How many bodies `code` ran on this thread.
fn bodies(code: impl FnOnce()) -> u32 {
    let before = BODIES.get();
    code();
    BODIES.get() - before
}
