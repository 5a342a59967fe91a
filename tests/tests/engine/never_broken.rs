//! The cache never breaks the function: whatever the backend returns or does, the body runs, its answer is returned, and the
//! fault is counted and logged with its cause.

mod bytes;
mod causes;
mod directories;
mod faults;
mod guard;
mod shapes;
mod values;

use std::cell::Cell;

thread_local! {
    static BODIES: Cell<u32> = const { Cell::new(0) };
}

/// Counts a run of a body, on this thread.
fn body_runs() {
    BODIES.set(BODIES.get() + 1);
}

/// What `code` returns, and how many bodies it ran.
fn bodies<T>(code: impl FnOnce() -> T) -> (T, u32) {
    let before = BODIES.get();
    let result = code();
    (result, BODIES.get() - before)
}
