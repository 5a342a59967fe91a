//! `detach`: a body that goes on when its caller is cancelled.

use std::{panic::resume_unwind, pin::pin};

use tokio::runtime;

use crate::attribute::handle::Handle;
use crate::{base::context, engine::value::ValueOf};

impl<R, V, B> Handle<R, V, B>
where
    R: Send + 'static,
    V: ValueOf<R>,
    B: Future<Output = R> + Send + 'static,
{
    /// Calls the function, where memory has just been looked in, in a task of its own: if the caller is cancelled, the body goes
    /// on, and its value is cached. Outside a tokio runtime, it is the caller's own.
    ///
    /// The task has the client and the cache of the caller.
    #[doc(hidden)]
    pub async fn answer_detached(self) -> R {
        let answer = context::carry(async move { pin!(self).answer().await });
        let Ok(runtime) = runtime::Handle::try_current() else { return answer.await };
        match runtime.spawn(answer).await {
            Ok(answer) => answer,
            Err(error) => match error.try_into_panic() {
                // The body's panic is the caller's.
                Ok(panic) => resume_unwind(panic),
                // The runtime is shutting down, and drops this caller, too.
                Err(_cancelled) => std::future::pending().await,
            },
        }
    }
}
