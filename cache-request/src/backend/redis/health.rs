//! What is known about one connection: whether it is lost, and whether the server answers over it.

use std::{
    mem,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use tokio::sync::Notify;

use crate::base::clock::{Nanos, coarse_now, coarse_since};

/// A caller that gives up after this time, while no other caller had an answer, did so because the server did not answer.
pub(super) const PATIENCE: Duration = Duration::from_millis(100);

/// The state of one connection, which its calls and its watcher share.
pub(super) struct Health {
    lost: AtomicBool,
    /// The server closes it for a command that it refused, so the next attempt to connect need not wait.
    excused: AtomicBool,
    /// A call was given up since the watcher last asked the server.
    doubted: AtomicBool,
    /// A call has waited for [`PATIENCE`] without an answer, and no call has had one since.
    stalled: AtomicBool,
    /// By the coarse clock.
    last_answer: AtomicU64,
    /// Wakes the watcher when the connection is lost or doubted.
    news: Notify,
}

impl Health {
    pub(super) fn new() -> Self {
        Self {
            lost: AtomicBool::new(false),
            excused: AtomicBool::new(false),
            doubted: AtomicBool::new(false),
            stalled: AtomicBool::new(false),
            last_answer: AtomicU64::new(coarse_now()),
            news: Notify::new(),
        }
    }

    pub(super) fn excuse(&self) {
        self.excused.store(true, Ordering::Release);
    }

    pub(super) fn is_excused(&self) -> bool {
        self.excused.load(Ordering::Acquire)
    }

    pub(super) fn is_stalled(&self) -> bool {
        self.stalled.load(Ordering::Relaxed)
    }

    /// Whether the connection was doubted since the last time. The watcher alone asks.
    pub(super) fn take_doubt(&self) -> bool {
        self.doubted.swap(false, Ordering::AcqRel)
    }

    /// Waits until the connection is lost or doubted.
    pub(super) async fn until_news(&self) {
        self.news.notified().await;
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// Whether calls may use the connection.
    pub(super) fn is_well(&self) -> bool {
        !self.is_lost() && !self.is_stalled()
    }

    /// Waits until the connection is lost. For connections without another watcher.
    pub(super) async fn until_lost(&self) {
        while !self.is_lost() {
            self.news.notified().await;
        }
    }

    /// Marks the connection as lost.
    pub(super) fn lose(&self) {
        if !self.lost.swap(true, Ordering::AcqRel) {
            self.news.notify_one();
        }
    }

    pub(super) fn answered(&self) {
        let now = coarse_now();
        // Written once per tick of the clock, as all callers share it.
        if self.last_answer.load(Ordering::Relaxed) != now {
            self.last_answer.store(now, Ordering::Relaxed);
        }
        if self.stalled.load(Ordering::Relaxed) {
            self.stalled.store(false, Ordering::Relaxed);
        }
    }

    /// Notes that a call was given up after it had waited for so long.
    pub(super) fn gave_up(&self, waited: Duration) {
        if waited >= PATIENCE && coarse_since(self.last_answer.load(Ordering::Relaxed)) >= PATIENCE {
            self.stalled.store(true, Ordering::Relaxed);
        }
        self.doubt();
    }

    /// Has the watcher ask the server whether it answers.
    pub(super) fn doubt(&self) {
        if !self.doubted.swap(true, Ordering::AcqRel) {
            self.news.notify_one();
        }
    }
}

/// A call without an answer. To drop it is to give the call up.
pub(super) struct Unanswered<'a> {
    health: &'a Health,
    since: Nanos,
}

impl<'a> Unanswered<'a> {
    pub(super) fn new(health: &'a Health) -> Self {
        Self { health, since: coarse_now() }
    }

    pub(super) fn end(self) {
        self.health.answered();
        mem::forget(self);
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        self.health.gave_up(coarse_since(self.since));
    }
}
