//! The callers that share the bodies of one key: those that run one, and those that wait.

use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
};

use super::watched::{Watch, Watched};

/// A shared value of any type.
pub(crate) type Shared = Arc<dyn Any + Send + Sync>;

/// How a body ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Value,
    /// By an `Err` or a panic.
    Failed,
    /// It was dropped before it was done.
    Abandoned,
}

/// How many callers may run bodies at a time: one, and after failures as many as bodies have failed, up to a maximum. So a body
/// that fails is followed by two, and those by four.
///
/// The counts change only under the key's lock in [`Flights`](super::Flights), where they are exact. A waiter that reads them elsewhere is
/// woken after each change, and asks there.
pub(super) struct Queue {
    /// Stands for all bodies of the queue when one waits for another.
    pub(super) id: u64,
    /// Its first body refreshes or replaces a cached value, which stays valid until that body ends.
    supersedes: bool,
    max_leaders: usize,
    waiting: AtomicUsize,
    running: AtomicUsize,
    failed: AtomicUsize,
    /// A body has a value, and is about to leave it.
    has_value: AtomicBool,
    /// What a body left to those who wait.
    value: Watched<Option<Shared>>,
}

impl Queue {
    pub(super) fn new(id: u64, supersedes: bool, max_leaders: usize) -> Arc<Self> {
        Arc::new(Self {
            id,
            supersedes,
            max_leaders,
            waiting: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
            failed: AtomicUsize::new(0),
            has_value: AtomicBool::new(false),
            value: Watched::new(None),
        })
    }

    /// Whether one more caller may run a body.
    pub(super) fn has_room(&self) -> bool {
        let allowed = self.failed.load(Relaxed).clamp(1, self.max_leaders);
        !self.has_value() && self.running.load(Relaxed) < allowed
    }

    pub(super) fn begin_running(&self) {
        self.running.fetch_add(1, Relaxed);
    }

    pub(super) fn end_running(&self, end: End) {
        self.running.fetch_sub(1, Relaxed);
        match end {
            End::Value => self.has_value.store(true, Relaxed),
            End::Failed => _ = self.failed.fetch_add(1, Relaxed),
            End::Abandoned => {}
        }
    }

    pub(super) fn begin_waiting(&self) {
        self.waiting.fetch_add(1, Relaxed);
    }

    /// Whether no other caller waits.
    pub(super) fn end_waiting(&self) -> bool {
        self.waiting.fetch_sub(1, Relaxed) == 1
    }

    pub(super) fn is_awaited(&self) -> bool {
        self.waiting.load(Relaxed) > 0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.running.load(Relaxed) == 0 && !self.is_awaited()
    }

    /// Whether the body that supersedes a cached value has not failed yet.
    pub(super) fn is_for_newer(&self) -> bool {
        self.supersedes && self.failed.load(Relaxed) == 0
    }

    /// Whether a value is there for those who wait, or will be.
    pub(super) fn has_value(&self) -> bool {
        self.has_value.load(Relaxed)
    }

    /// There is no value after all, as it could not be cloned.
    pub(super) fn lose_value(&self) {
        self.has_value.store(false, Relaxed);
    }

    /// Wakes all who wait: with a value, or to see whether there is room. The first value is for all.
    pub(super) fn wake(&self, mut value: Option<Shared>) {
        self.value.change(|first| {
            if first.is_none() {
                *first = value.take();
            }
        });
    }
}

impl Watch for Queue {
    type State = Option<Shared>;

    fn watched(&self) -> &Watched<Self::State> {
        &self.value
    }
}
