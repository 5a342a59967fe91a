//! Which values of a backend this process has touched lately.

use super::{by_key::ByKey, flight::FlightKey};
use crate::base::clock::Nanos;

/// The latest touches.
#[derive(Default)]
pub(crate) struct Touches(ByKey<()>);

/// So many are remembered. If there are more, all are forgotten, and the values are touched once more.
const MOST: usize = 1 << 18;

impl Touches {
    /// Whether the caller is to touch the value of `key`. The next one is `after` that. The error is until when no caller is.
    pub(super) fn take(&self, key: FlightKey<'_>, after: Nanos, now: Nanos) -> Result<(), Nanos> {
        if let Some(((), until)) = self.0.get(key, || now) {
            return Err(until);
        }
        self.0.forget_all_beyond(MOST);
        if self.0.put_if_none(key, (), now.saturating_add(after), now) { Ok(()) } else { Err(now) }
    }

    /// The value was not touched.
    pub(super) fn forget(&self, key: FlightKey<'_>) {
        _ = self.0.take(key);
    }
}
