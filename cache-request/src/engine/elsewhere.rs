//! Values that are made elsewhere than in an annotated body: who replaces one, and what is known of the last attempt.

use std::time::Duration;

use super::{call::Call, claiming::MadeElsewhere, value::ValueOf};

impl<R, V: ValueOf<R>> Call<'_, R, V> {
    /// Whether it is for this caller to replace the value. The next one may after `retry`.
    pub(crate) fn takes_replacement(&self, retry: Duration) -> bool {
        self.engine.attempts.take(self.flight_key(), self.engine.clock.coarse(), retry)
    }

    /// Notes that no new value could be made. For the time of `retry`, nothing else tries.
    pub(crate) fn has_failed(&self, retry: Duration) {
        self.engine.attempts.put_off(self.flight_key(), self.engine.clock.coarse(), retry);
    }

    /// Whether no new value could be made lately.
    pub(crate) fn has_failed_lately(&self) -> bool {
        self.engine.attempts.is_put_off(self.flight_key(), self.engine.clock.coarse())
    }

    /// Whether another process makes a value for the key.
    pub(crate) fn is_made_in_another_process(&self, MadeElsewhere { making, .. }: &MadeElsewhere<'_>) -> bool {
        self.waits_for(making)
    }
}
