//! Whether bodies of a function have tags that are not known before they run.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// What is known of it so far.
#[derive(Debug, Default)]
pub(crate) struct NamesTags(AtomicU8);

const NO: u8 = 1;
const YES: u8 = 2;

impl NamesTags {
    /// Whether the next body may. The first one may.
    pub(crate) fn may(&self) -> bool {
        self.0.load(Relaxed) != NO
    }

    /// A body has, or has not.
    pub(crate) fn note(&self, has: bool) {
        let known = self.0.load(Relaxed);
        if known != YES && known != if has { YES } else { NO } {
            self.0.store(if has { YES } else { NO }, Relaxed);
        }
    }
}
