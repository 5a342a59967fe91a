//! Bodies that run in the background: they replace values, and no caller waits for them.
//!
//! An async body runs in the caller's tokio runtime. Without one, and for plain bodies, there is a small pool of threads.

use std::{future::poll_fn, mem, process, sync::Arc};

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
}

struct State {
    under_way: usize,
    /// The process that runs them. They do not go on in a forked child.
    process: u32,
    /// No more of them begin.
    is_closed: bool,
}

impl State {
    /// Forgets those of a parent process.
    fn in_this_process(&mut self) -> &mut Self {
        let process = process::id();
        if mem::replace(&mut self.process, process) != process {
            self.under_way = 0;
        }
        self
    }
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
        let state = Watched::new(State { under_way: 0, process: process::id(), is_closed: false });
        Self { most, tasks: Arc::new(Tasks { state }) }
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
        self.tasks.state.with(|state| {
            let state = state.in_this_process();
            let has_room = !state.is_closed && state.under_way < self.most;
            state.under_way += usize::from(has_room);
            has_room.then(|| Room(Arc::clone(&self.tasks)))
        })
    }

    /// Lets no more of them begin, and waits until those under way have ended.
    pub(crate) async fn shut_down(&self) {
        self.tasks.state.with(|state| state.in_this_process().is_closed = true);
        let mut slot = WakerSlot::at(Arc::clone(&self.tasks));
        poll_fn(|context| slot.poll(context, |_, state| (state.under_way == 0).then_some(()))).await;
    }
}
