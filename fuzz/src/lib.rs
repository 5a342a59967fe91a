//! What the fuzz targets share: a bound on what the code under test may allocate, and a layer of pages.

pub mod pages;

use std::{alloc::System, panic};

use cap::Cap;

#[global_allocator]
static HEAP: Cap<System> = Cap::new(System, usize::MAX);

/// Calls `code`, which must not hold more than `bytes` at any moment beyond what the process holds already: on whatever thread,
/// an allocation above that fails, and that ends the process.
pub fn within<T>(bytes: usize, code: impl FnOnce() -> T) -> T {
    HEAP.set_limit(HEAP.allocated().saturating_add(bytes)).expect("more is allowed than is held");
    let outcome = code();
    HEAP.set_limit(usize::MAX).expect("anything is allowed");
    outcome
}

/// To be called before the first input: what a panic prints is not held against the code.
pub fn prepare() {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let _ = HEAP.set_limit(usize::MAX);
        hook(info);
    }));
}
