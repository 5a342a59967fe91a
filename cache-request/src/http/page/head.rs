//! The header of an answer with a stored page, which is the same for all hits of one second.

use std::sync::Arc;

use ::http::HeaderMap;

use crate::base::sync::{Mutex, lock};

/// What the header of a hit depends on, besides the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    /// Seconds.
    pub(super) age: u64,
    /// Seconds for which the page stays fresh.
    pub(super) ttl: Option<i64>,
    /// Whether the layer is in site mode, as several layers may share the page.
    pub(super) of_site: bool,
}

/// The header of the last hit. The next one in the same second only clones it.
#[derive(Default)]
pub(super) struct LastHead(Mutex<Option<Arc<(Moment, HeaderMap)>>>);

impl LastHead {
    /// The header of a hit at `moment`, which `make` makes if the last hit was at another one.
    pub(super) fn at(&self, moment: Moment, make: impl FnOnce() -> HeaderMap) -> HeaderMap {
        let last = lock(&self.0).clone();
        if let Some(last) = last
            && last.0 == moment
        {
            return last.1.clone();
        }
        let headers = make();
        let last = Arc::new((moment, headers.clone()));
        // The one before is dropped after the lock.
        drop(lock(&self.0).replace(last));
        headers
    }
}
