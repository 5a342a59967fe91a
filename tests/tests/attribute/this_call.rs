//! What a body asks of its call and says to it, by `this_call`.

mod answers;
mod older;
mod places;
mod reasons;

use std::sync::Mutex;

use cache_request::{Reason, this_call};

use crate::caches::{caches, seconds};

/// Why the bodies of one function ran.
struct Reasons(Mutex<Vec<Reason>>);

impl Reasons {
    const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    fn note(&self) {
        self.0.lock().unwrap().push(this_call().reason());
    }

    /// Those since the last look.
    fn take(&self) -> Vec<Reason> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}
