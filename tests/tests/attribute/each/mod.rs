//! Lists, of which each element is a key.

mod backends;
mod calls;
mod companion;
mod flights;
mod forms;
mod model;
mod own_say;
mod sharing;
mod values;

use std::sync::{Arc, Mutex, PoisonError};

use crate::caches::caches;

/// What bodies were asked for.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<Vec<u64>>>>);

impl Asked {
    fn note(&self, ids: &[u64]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(ids.to_vec());
    }

    /// What bodies were asked for since the last look.
    fn take(&self) -> Vec<Vec<u64>> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
