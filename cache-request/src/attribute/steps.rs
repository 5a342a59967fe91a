//! The steps of a call: it begins, runs its body, and stores the value.
//!
//! [`Answering`] alone is compiled for each body. It is no `async fn`, as one would be compiled as a whole for each.

use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::Pin,
    task::{Context, Poll, ready},
};

use crate::engine::{
    body::{Around, Body},
    run::{Answered, Run, Start},
    source::Source,
    value::ValueOf,
};

/// The steps of a call with answers of type `R`, to each poll of which the body is lent.
pub(super) trait Steps<R>: Unpin {
    type Output;

    /// Takes steps until one has to wait, or the answer is there.
    fn poll(&mut self, context: &mut Context<'_>, body: &mut dyn Body<Answer = R>) -> Poll<Self::Output>;

    /// Drops the body of a call that is cancelled, where it would have run.
    fn end(&mut self, body: &mut dyn Body<Answer = R>);
}

/// The step that a call is at. What it may have to await besides its body is in a box, so that its future is small.
#[expect(clippy::large_enum_variant, reason = "a box would cost each miss an allocation")]
enum At<'a, R, V, Over, Store> {
    Start,
    Waits(Pin<Box<Over>>),
    /// What surrounds the body is there once it has begun.
    Runs(Run<'a, R, V>, Option<Around>),
    Stores(Pin<Box<Store>>, Source),
    End,
}

struct Call<'a, R, V, Begin, Ahead, Over, Store> {
    at: At<'a, R, V, Over, Store>,
    begin: Begin,
    over: fn(Ahead) -> Over,
    store: fn(Run<'a, R, V>, V) -> Store,
}

/// The steps of the call that `begin` begins. What it has to await before its body is `over` with the run of that, or else the call ends
/// with the error.
pub(super) fn steps<'a, R: 'a, V: ValueOf<R>, Ahead, T, Over: Future<Output = Result<Run<'a, R, V>, T>>>(
    begin: impl Fn() -> Start<'a, R, V, Ahead> + Unpin,
    over: fn(Ahead) -> Over,
) -> impl Steps<R, Output = Result<Answered<R>, T>> {
    Call { at: At::Start, begin, over, store: Run::store_and_return }
}

impl<'a, R, V, T, Begin, Ahead, Over, Store> Steps<R> for Call<'a, R, V, Begin, Ahead, Over, Store>
where
    V: ValueOf<R>,
    Begin: Fn() -> Start<'a, R, V, Ahead> + Unpin,
    Over: Future<Output = Result<Run<'a, R, V>, T>>,
    Store: Future<Output = R>,
{
    type Output = Result<Answered<R>, T>;

    fn poll(&mut self, context: &mut Context<'_>, body: &mut dyn Body<Answer = R>) -> Poll<Self::Output> {
        let answered = loop {
            self.at = match &mut self.at {
                At::Start => match (self.begin)() {
                    Start::Runs(run) => At::Runs(run, None),
                    Start::Waits(ahead) => At::Waits(Box::pin((self.over)(ahead))),
                },
                At::Waits(over) => match ready!(over.as_mut().poll(context)) {
                    Ok(run) => At::Runs(run, None),
                    Err(ended) => {
                        self.at = At::End;
                        return Poll::Ready(Err(ended));
                    }
                },
                At::Runs(run, around) => {
                    let around = around.get_or_insert_with(|| run.around());
                    match ready!(poll_run(run, around, context, body)) {
                        Ok(answered) => break answered,
                        Err(value) => {
                            let source = run.source();
                            let At::Runs(run, _) = mem::replace(&mut self.at, At::End) else { has_returned() };
                            At::Stores(Box::pin((self.store)(run, value)), source)
                        }
                    }
                }
                At::Stores(stored, source) => break Answered::new(ready!(stored.as_mut().poll(context)), *source),
                At::End => has_returned(),
            };
        };
        // A run stays in its place until here, as it is large to move.
        self.at = At::End;
        Poll::Ready(Ok(answered))
    }

    fn end(&mut self, body: &mut dyn Body<Answer = R>) {
        match &mut self.at {
            At::Runs(run, Some(around)) => run.end(around, body),
            _ => body.end(),
        }
    }
}

/// Polls the body of a run. If an older value may stand in, that is the answer after a panic. The error is a value that is to be stored in a
/// backend.
#[inline]
pub(super) fn poll_run<R, V: ValueOf<R>>(
    run: &mut Run<'_, R, V>,
    around: &mut Around,
    context: &mut Context<'_>,
    body: &mut dyn Body<Answer = R>,
) -> Poll<Result<Answered<R>, V>> {
    let polled = if run.has_stand_in() {
        catch_unwind(AssertUnwindSafe(|| run.poll(around, context, body))).unwrap_or_else(|panic| {
            run.end(around, body);
            Poll::Ready(Ok(run.stand_in().unwrap_or_else(|| resume_unwind(panic))))
        })
    } else {
        run.poll(around, context, body)
    };
    polled.map_ok(|answer| Answered::new(answer, run.source()))
}

/// A call on its way to its answer.
pub(super) struct Answering<S: Steps<B::Answer>, B: Body + Unpin> {
    steps: S,
    body: B,
}

impl<S: Steps<B::Answer>, B: Body + Unpin> Answering<S, B> {
    pub(super) fn new(steps: S, body: B) -> Self {
        Self { steps, body }
    }
}

impl<S: Steps<B::Answer>, B: Body + Unpin> Future for Answering<S, B> {
    type Output = S::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { steps, body } = &mut *self;
        steps.poll(context, body)
    }
}

impl<S: Steps<B::Answer>, B: Body + Unpin> Drop for Answering<S, B> {
    // Before its flight ends and another caller leads.
    fn drop(&mut self) {
        self.steps.end(&mut self.body);
    }
}

/// The body of an async function, pinned elsewhere.
pub(super) struct InPlace<'a, B>(pub(super) Pin<&'a mut Option<B>>);

impl<B: Future> Body for InPlace<'_, B> {
    type Answer = B::Output;

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<B::Output> {
        match self.0.as_mut().as_pin_mut() {
            Some(body) => body.poll(context),
            None => has_returned(),
        }
    }

    fn end(&mut self) {
        self.0.set(None);
    }
}

/// A body that is left for another call if this one ends before it has begun.
pub(super) struct Lent<B> {
    body: B,
    has_begun: bool,
}

impl<B> Lent<B> {
    pub(super) fn new(body: B) -> Self {
        Self { body, has_begun: false }
    }
}

impl<B: Body> Body for Lent<B> {
    type Answer = B::Answer;

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<B::Answer> {
        self.has_begun = true;
        self.body.poll(context)
    }

    fn end(&mut self) {
        if self.has_begun {
            self.body.end();
        }
    }
}

/// The body of a plain function.
pub(super) struct Once<B>(pub(super) Option<B>);

impl<R, B: FnOnce() -> R> Once<B> {
    pub(super) fn call(&mut self) -> R {
        match self.0.take() {
            Some(body) => body(),
            None => has_returned(),
        }
    }
}

impl<R, B: FnOnce() -> R> Body for Once<B> {
    type Answer = R;

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<R> {
        Poll::Ready(self.call())
    }

    fn end(&mut self) {
        self.0 = None;
    }
}

/// Not `Option::expect`, which would be compiled for each body.
#[cold]
fn has_returned() -> ! {
    panic!("polled after it has returned")
}
