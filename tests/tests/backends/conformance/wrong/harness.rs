//! What makes the backends.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use cache_request::conformance::Harness;

use super::{Clock, Fault, Store, WrongBackend, fences::Records};

/// Makes backends with a fault, all on one store, under a clock that stands still.
pub(crate) struct Wrong {
    fault: Fault,
    now: Arc<AtomicU64>,
    store: Store,
    records: Records,
    made: AtomicU64,
}

impl Wrong {
    pub(crate) fn by(fault: Fault) -> Self {
        Self {
            fault,
            now: Arc::default(),
            store: Store::default(),
            records: Records::default(),
            made: AtomicU64::new(0),
        }
    }
}

impl Harness for Wrong {
    type Backend = WrongBackend;

    async fn backend(&self) -> WrongBackend {
        let mut backend = WrongBackend::new(self.fault, Clock::Still(Arc::clone(&self.now)));
        backend.store = Arc::clone(&self.store);
        backend.records = Arc::clone(&self.records);
        backend.prefix = match self.fault {
            // The behaviours run one after the other, so one that leaves a value must not help the next.
            Fault::SharesWithTheNeighbours => 0,
            _ => self.made.fetch_add(1, Ordering::Relaxed),
        };
        backend
    }

    async fn advance(&self, time: Duration) {
        self.now.fetch_add(time.as_millis() as u64, Ordering::Relaxed);
    }

    fn time_stands_still(&self) -> bool {
        true
    }

    fn large_value_bytes(&self) -> usize {
        2_000_000
    }
}
