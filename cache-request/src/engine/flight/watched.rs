//! A state, and the tasks that are woken when it changes.

use std::{
    mem,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use crate::base::{
    panic::catch_panic,
    sync::{Mutex, lock},
};

pub(in crate::engine) struct Watched<S>(Mutex<Inner<S>>);

struct Inner<S> {
    state: S,
    wakers: Vec<Waker>,
    /// How often the wakers were taken. A place among earlier ones is none among these.
    round: u64,
}

/// What has a state that tasks wait for.
pub(in crate::engine) trait Watch {
    type State;

    fn watched(&self) -> &Watched<Self::State>;
}

impl<S> Watched<S> {
    pub(in crate::engine) fn new(state: S) -> Self {
        Self(Mutex::new(Inner { state, wakers: Vec::new(), round: 0 }))
    }

    /// Runs `code` on the state, under its lock, and wakes no task.
    pub(in crate::engine) fn with<T>(&self, code: impl FnOnce(&mut S) -> T) -> T {
        code(&mut lock(&self.0).state)
    }

    /// Changes the state, and wakes the tasks that wait.
    pub(in crate::engine) fn change(&self, change: impl FnOnce(&mut S)) {
        let wakers = {
            let mut inner = lock(&self.0);
            change(&mut inner.state);
            inner.round += 1;
            mem::take(&mut inner.wakers)
        };
        // A waker is foreign code. It runs under no lock, and its panic does not keep the other tasks from being woken.
        for waker in wakers {
            catch_panic(|| waker.wake());
        }
    }
}

impl<S> Inner<S> {
    /// The waker at a place, if that is not one of an earlier round.
    fn at(&mut self, place: Option<Place>) -> Option<&mut Waker> {
        let place = place.filter(|place| place.round == self.round)?;
        self.wakers.get_mut(place.index)
    }
}

/// The place of one task's waker.
pub(in crate::engine) struct WakerSlot<W: Watch> {
    pub(in crate::engine) watched: Arc<W>,
    /// Known once the waker is registered.
    place: Option<Place>,
}

#[derive(Clone, Copy)]
struct Place {
    round: u64,
    index: usize,
}

impl<W: Watch> WakerSlot<W> {
    pub(in crate::engine) fn at(watched: Arc<W>) -> Self {
        Self { watched, place: None }
    }

    /// Ready with what `look` finds. While that is `None`, the task is woken at the next change.
    pub(in crate::engine) fn poll<T>(
        &mut self,
        context: &Context<'_>,
        look: impl Fn(&W, &W::State) -> Option<T>,
    ) -> Poll<T> {
        let watched = &*self.watched;
        let mut inner = lock(&watched.watched().0);
        if let Some(found) = look(watched, &inner.state) {
            return Poll::Ready(found);
        }
        if inner.at(self.place).is_some_and(|waker| waker.will_wake(context.waker())) {
            return Poll::Pending;
        }
        drop(inner);
        // Cloning and dropping a waker runs foreign code, so not under the lock.
        let waker = context.waker().clone();
        let mut inner = lock(&watched.watched().0);
        if let Some(found) = look(watched, &inner.state) {
            return Poll::Ready(found);
        }
        let old = match inner.at(self.place) {
            Some(known) => Some(mem::replace(known, waker)),
            None => {
                self.place = Some(Place { round: inner.round, index: inner.wakers.len() });
                inner.wakers.push(waker);
                None
            }
        };
        drop(inner);
        drop(old);
        Poll::Pending
    }
}

impl<W: Watch> Drop for WakerSlot<W> {
    /// Releases the waker, so that a task that no longer waits is neither woken nor kept.
    fn drop(&mut self) {
        if self.place.is_none() {
            return;
        }
        let mut inner = lock(&self.watched.watched().0);
        let old = inner.at(self.place).map(|waker| mem::replace(waker, Waker::noop().clone()));
        drop(inner);
        drop(old);
    }
}
