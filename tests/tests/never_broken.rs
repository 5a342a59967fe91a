//! The cache never breaks the function: whatever the backend returns or does, the body runs, its answer is returned, and the
//! fault is counted and logged with its cause.

#[path = "never_broken/bytes.rs"]
mod bytes;
#[path = "never_broken/causes.rs"]
mod causes;
#[path = "never_broken/directories.rs"]
mod directories;
#[path = "never_broken/faults.rs"]
mod faults;
#[path = "never_broken/guard.rs"]
mod guard;
#[path = "never_broken/shapes.rs"]
mod shapes;
#[path = "never_broken/values.rs"]
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
