//! `detach`: a body that goes on when its caller is cancelled.

use std::{
    pin::{Pin, pin},
    task::{Context, Poll},
};

use tokio::runtime;

use crate::attribute::{handle::Handle, prepared::answer_now};
use crate::{base::context, engine::value::ValueOf};

impl<R, V, B> Handle<R, V, B>
where
    R: Send + 'static,
    V: ValueOf<R>,
    B: Future<Output = R> + Send + 'static,
{
    /// Calls the function, where memory has just been looked in. If the caller is cancelled, the body goes on in a task of the tokio
    /// runtime that the call began in, and its value is cached. Outside a tokio runtime, the body is dropped with its caller.
    ///
    /// The task has the client and the cache of the caller.
    #[doc(hidden)]
    pub async fn answer_detached(self) -> (R, bool) {
        let answer = context::carry(async move { answer_now(pin!(self).answer_now().await) });
        Detachable { answer: Some(Box::pin(answer)), runtime: runtime::Handle::try_current().ok() }.await
    }
}

/// A call that its caller polls, so that no runtime is needed to end it, and a task of tokio's once the caller has dropped it.
struct Detachable<F: Future<Output: Send> + Send + 'static> {
    /// `None` once it has returned or panicked.
    answer: Option<Pin<Box<F>>>,
    runtime: Option<runtime::Handle>,
}

impl<F: Future<Output: Send> + Send + 'static> Future for Detachable<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let mut answer = self.answer.take().expect("polled after it has returned");
        let polled = answer.as_mut().poll(context);
        if polled.is_pending() {
            self.answer = Some(answer);
        }
        polled
    }
}

impl<F: Future<Output: Send> + Send + 'static> Drop for Detachable<F> {
    fn drop(&mut self) {
        if let (Some(answer), Some(runtime)) = (self.answer.take(), &self.runtime) {
            // A runtime that has ended drops the body here.
            runtime.spawn(answer);
        }
    }
}
