//! How a backend tells a near cache of changes.

use std::{fmt, sync::Weak};

use crate::Error;

/// What listens to a backend's changes: the near cache, which is in a higher layer.
pub(crate) trait ChangeListener: Send + Sync {
    /// From now on all changes are told.
    fn begin(&self);
    /// The value under `key` has changed or is gone.
    fn changed(&self, key: &str);
    /// All values have changed or are gone.
    fn all_changed(&self);
    /// Changes may have been missed. Returns how often that has happened.
    fn lost(&self) -> u64;
    /// Whether it relies on being told.
    fn is_live(&self) -> bool;
}

/// A backend's way to tell the near cache in front of it of changes: see [`Backend::track`](crate::Backend::track).
///
/// It does not keep the cache alive. Dropping it says that changes may be missed from now on.
pub struct Changes {
    listener: Weak<dyn ChangeListener>,
    /// The backend's name, for the log.
    name: &'static str,
}

impl Changes {
    pub(crate) fn new(listener: Weak<dyn ChangeListener>, name: &'static str) -> Self {
        Self { listener, name }
    }

    /// From now on all changes are told, whichever process makes them: what is read from the backend may be kept near.
    pub fn begin(&self) {
        if let Some(listener) = self.listener.upgrade() {
            listener.begin();
        }
    }

    /// The value under `key` has changed, has expired or is gone. `key` is as the backend was given it.
    pub fn changed(&self, key: &str) {
        if let Some(listener) = self.listener.upgrade() {
            listener.changed(key);
        }
    }

    /// All values have changed or are gone.
    pub fn all_changed(&self) {
        if let Some(listener) = self.listener.upgrade() {
            listener.all_changed();
        }
    }

    /// Changes may have been missed, and may be until the next [`begin`](Self::begin). The near cache is emptied and stays
    /// empty until then. Logged with the cause the first, second, fourth, eighth … time.
    pub fn lost(&self, cause: &Error) {
        let Some(listener) = self.listener.upgrade() else { return };
        let count = listener.lost();
        if count.is_power_of_two() {
            tracing::warn!(
                backend = self.name,
                cause = %format_args!("{cause:#}"),
                count,
                "near cache emptied: changes in the backend may have been missed"
            );
        }
    }

    /// Whether the near cache is gone, so that there is nothing left to tell.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.listener.strong_count() == 0
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        if self.listener.upgrade().is_some_and(|listener| listener.is_live()) {
            self.lost(&Error::backend("the backend has stopped reporting changes"));
        }
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes").field("backend", &self.name).finish_non_exhaustive()
    }
}
