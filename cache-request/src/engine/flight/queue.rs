//! The callers that share the bodies of one key: those that run one, and those that wait.

use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use super::watched::{Watch, Watched};

/// A shared value of any type.
pub(crate) type Shared = Arc<dyn Any + Send + Sync>;

/// How a body ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// With an answer.
    Done,
    /// By an `Err` or a panic.
    Failed,
    /// It was dropped before it was done.
    Abandoned,
}

/// What a body left to those who wait.
#[derive(Clone)]
pub(super) enum Left {
    Value(Shared),
    /// Its answer cannot be shared, such as a stream: each runs a body of its own, and all may at once.
    Nothing,
}

/// What is for those alone who have waited since before some moment: an `Err`, since its body began, or a value of a backend, since that
/// was asked. It is too old for the others.
#[derive(Clone)]
pub(super) struct LeftEarlier {
    pub(super) what: Earlier,
    /// Those with an earlier ticket waited at that moment.
    pub(super) before: Ticket,
}

#[derive(Clone)]
pub(super) enum Earlier {
    Value(Shared),
    Err(Shared),
}

/// The how many-th to wait in a queue.
pub(super) type Ticket = u64;

/// What those who wait look at.
#[derive(Default)]
pub(super) struct Found {
    /// The first one's is for all.
    pub(super) left: Option<Left>,
    /// The latest one.
    pub(super) earlier: Option<LeftEarlier>,
}

/// How many callers may run bodies at a time: one, and after failures as many as bodies have failed, up to a maximum. So a body
/// that fails is followed by one, and that by two, and those by four.
///
/// The counts change only under the key's lock in [`Flights`](super::Flights), where they are exact. A waiter that reads them elsewhere is
/// woken after each change, and asks there.
pub(super) struct Queue {
    /// Stands for all bodies of the queue when one waits for another.
    pub(super) id: u64,
    /// Stands for its first body, which may run for further keys: others may run those when it has failed.
    pub(super) first_body: u64,
    /// Its first body refreshes or replaces a cached value, which stays valid until that body ends.
    supersedes: bool,
    max_leaders: usize,
    waiting: AtomicUsize,
    running: AtomicUsize,
    failed: AtomicUsize,
    /// A body is done, and is about to leave its value.
    is_done: AtomicBool,
    tickets: AtomicU64,
    found: Watched<Found>,
}

impl Queue {
    pub(super) fn new(id: u64, first_body: u64, supersedes: bool, max_leaders: usize) -> Arc<Self> {
        Arc::new(Self {
            id,
            first_body,
            supersedes,
            max_leaders,
            waiting: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
            failed: AtomicUsize::new(0),
            is_done: AtomicBool::new(false),
            tickets: AtomicU64::new(0),
            found: Watched::new(Found::default()),
        })
    }

    /// Whether one more caller may run a body.
    pub(super) fn has_room(&self) -> bool {
        let allowed = self.failed.load(Relaxed).clamp(1, self.max_leaders);
        !self.is_done() && self.running.load(Relaxed) < allowed
    }

    pub(super) fn begin_running(&self) {
        self.running.fetch_add(1, Relaxed);
    }

    pub(super) fn end_running(&self, end: End) {
        self.running.fetch_sub(1, Relaxed);
        match end {
            End::Done => self.is_done.store(true, Relaxed),
            End::Failed => _ = self.failed.fetch_add(1, Relaxed),
            End::Abandoned => {}
        }
    }

    pub(super) fn begin_waiting(&self) -> Ticket {
        self.waiting.fetch_add(1, Relaxed);
        self.tickets.fetch_add(1, Relaxed)
    }

    /// The ticket of the next one to wait.
    pub(super) fn next_ticket(&self) -> Ticket {
        self.tickets.load(Relaxed)
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

    /// Whether a body is done, so that no other one has to run.
    pub(super) fn is_done(&self) -> bool {
        self.is_done.load(Relaxed)
    }

    /// Leaves something to those who have waited for long enough, unless there is something for more of them. They are woken later.
    pub(super) fn leave_earlier(&self, left: LeftEarlier) {
        let _older = self.found.with(|found| {
            let is_for_more = found.earlier.as_ref().is_none_or(|other| other.before < left.before);
            if is_for_more { found.earlier.replace(left) } else { Some(left) }
        });
    }

    /// Wakes all who wait: with what a body left to them, or to see whether there is room.
    pub(super) fn wake(&self, mut left: Option<Left>) {
        self.found.change(|found| {
            if found.left.is_none() {
                found.left = left.take();
            }
        });
    }
}

impl Watch for Queue {
    type State = Found;

    fn watched(&self) -> &Watched<Found> {
        &self.found
    }
}
