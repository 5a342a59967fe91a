//! Whether a function mostly finds its values in the backend.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// How many looks in a row have to find a value until the next one is expected to. A claim costs a server about as much more than a plain look
/// as a further round trip costs divided by this.
const IN_A_ROW: u8 = 32;

/// How looks have ended lately. Callers that look at once may forget one another's, which does no harm.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    found_in_a_row: AtomicU8,
}

impl Looks {
    /// Whether the next look will probably find a value. The first one does not.
    pub(crate) fn mostly_find(&self) -> bool {
        self.found_in_a_row.load(Relaxed) >= IN_A_ROW
    }

    pub(crate) fn found(&self) {
        let found = self.found_in_a_row.load(Relaxed);
        if found < IN_A_ROW {
            self.found_in_a_row.store(found + 1, Relaxed);
        }
    }

    pub(crate) fn missed(&self) {
        if self.found_in_a_row.load(Relaxed) > 0 {
            self.found_in_a_row.store(0, Relaxed);
        }
    }
}
