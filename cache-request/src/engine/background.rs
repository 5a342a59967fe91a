//! Bodies that run in the background: they replace values, and no caller waits for them.
//!
//! An async body runs in the caller's tokio runtime. Without one, and for plain bodies, there is a small pool of threads.

use std::{
    future::poll_fn,
    process,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use tracing::{Instrument, Span};

use super::flight::watched::{WakerSlot, Watch, Watched};
use crate::base::{block_on::block_on, context, pool};

/// The bodies of one cache that run in the background, at most so many at a time.
pub(crate) struct Background {
    most: usize,
    tasks: Arc<Tasks>,
}

struct Tasks {
    state: Watched<State>,
    /// The process that runs them. They do not go on in a forked child.
    process: AtomicU32,
}

struct State {
    under_way: usize,
    /// No more of them begin.
    is_closed: bool,
}

impl Watch for Tasks {
    type State = State;

    fn watched(&self) -> &Watched<State> {
        &self.state
    }
}

/// Room for one task, while it is under way.
struct Room(Arc<Tasks>);

impl Drop for Room {
    fn drop(&mut self) {
        self.0.state.change(|state| state.under_way = state.under_way.saturating_sub(1));
    }
}

impl Background {
    pub(crate) fn new(most: usize) -> Self {
        let state = Watched::new(State { under_way: 0, is_closed: false });
        Self { most, tasks: Arc::new(Tasks { state, process: process::id().into() }) }
    }

    /// Runs `task` in the scope and the span that are in force here. Returns whether there is room for it.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> bool {
        let Some(room) = self.room() else { return false };
        let task = context::detach(async move {
            let _room = room;
            task.await;
        });
        let task = task.instrument(Span::current());
        #[cfg(feature = "_tokio")]
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(task);
            return true;
        }
        pool::run(Box::new(|| block_on(task)))
    }

    /// The same for a plain task, which may block its thread.
    pub(crate) fn spawn_plain(&self, task: impl FnOnce() + Send + 'static) -> bool {
        let Some(room) = self.room() else { return false };
        let task = async move {
            let _room = room;
            task();
        };
        let task = context::detach(task).instrument(Span::current());
        pool::run(Box::new(|| block_on(task)))
    }

    fn room(&self) -> Option<Room> {
        if self.tasks.process.swap(process::id(), Relaxed) != process::id() {
            self.tasks.state.with(|state| state.under_way = 0);
        }
        self.tasks.state.with(|state| {
            let has_room = !state.is_closed && state.under_way < self.most;
            state.under_way += usize::from(has_room);
            has_room.then(|| Room(Arc::clone(&self.tasks)))
        })
    }

    /// Lets no more of them begin, and waits until those under way have ended.
    pub(crate) async fn shut_down(&self) {
        self.tasks.state.with(|state| state.is_closed = true);
        let mut slot = WakerSlot::at(Arc::clone(&self.tasks));
        poll_fn(|context| slot.poll(context, |_, state| (state.under_way == 0).then_some(()))).await;
    }
}
