//! A body, and what surrounds each of its polls.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use super::{
    flight::{Feeling, Pulse},
    this_call::{Frame, Said},
};
use crate::base::context::Change;

/// A body that stays in its place, with its type erased where it is polled. So the code around it is compiled once for each type of
/// answer, and that the whole call is `Send` still depends on the body alone.
pub(crate) trait Body {
    type Answer;

    /// Polls it, or calls it.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Self::Answer>;

    /// Drops it, if it is still there.
    fn end(&mut self);
}

impl<B: Body + ?Sized> Body for &mut B {
    type Answer = B::Answer;

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<B::Answer> {
        (**self).poll(context)
    }

    fn end(&mut self) {
        (**self).end();
    }
}

/// What surrounds a body: the scope of its flight, and the pulse of its leader.
pub(crate) struct Around {
    scope: Change,
    feeling: Feeling,
}

impl Around {
    pub(super) fn new(scope: Change, pulse: Option<Arc<Pulse>>) -> Self {
        Self { scope, feeling: Feeling::of(pulse) }
    }

    /// Polls the body, which has this frame. Once it has returned it is dropped, and its answer goes to `then`, in the same scope.
    #[inline]
    pub(super) fn poll<R, T>(
        &mut self,
        frame: &mut Frame,
        context: &mut Context<'_>,
        body: &mut dyn Body<Answer = R>,
        then: impl FnOnce(R, Option<&Said>) -> T,
    ) -> Poll<T> {
        let Self { scope, feeling } = self;
        feeling.poll(context, |context| {
            let _entered = scope.enter();
            let polled = frame.around(|| {
                let polled = body.poll(context);
                if polled.is_ready() {
                    body.end();
                }
                polled
            });
            polled.map(|answer| then(answer, frame.said()))
        })
    }

    /// Drops a body whose call is cancelled.
    pub(crate) fn end<R>(&mut self, frame: &mut Frame, body: &mut dyn Body<Answer = R>) {
        let (_entered, _in_force) = (self.scope.enter(), frame.enter());
        body.end();
    }
}
