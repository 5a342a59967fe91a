//! What stands between a call and its backend: whatever that does, the call goes on.

use std::{future::pending, mem, panic::AssertUnwindSafe, pin::Pin, time::Duration};

use futures_lite::FutureExt;

use super::Backend;
use crate::{
    Error,
    contained::{contain, discard},
    shim::within,
};

/// A backend that answers within its limit, or fails: it cannot hang, and cannot panic.
pub(crate) struct Guarded {
    backend: Box<dyn Erased>,
    /// Asked for when the cache is made: a panic there is no call's.
    name: &'static str,
    max_key_bytes: usize,
    limit: Duration,
}

impl Guarded {
    pub(crate) fn new(backend: impl Backend) -> Self {
        let (name, max_key_bytes) = (backend.name(), backend.max_key_bytes());
        Self { backend: Box::new(backend), name, max_key_bytes, limit: Duration::MAX }
    }

    pub(crate) fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn max_key_bytes(&self) -> usize {
        self.max_key_bytes
    }

    /// How long an operation may take.
    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    pub(crate) async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.guard(self.backend.get(key)).await
    }

    pub(crate) async fn set(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<(), Error> {
        self.guard(self.backend.set(key, value, timeout)).await
    }

    pub(crate) async fn delete(&self, key: &str) -> Result<bool, Error> {
        self.guard(self.backend.delete(key)).await
    }

    pub(crate) async fn clear(&self) -> Result<(), Error> {
        self.guard(self.backend.clear()).await
    }

    async fn guard<T>(&self, operation: Operation<'_, T>) -> Result<T, Error> {
        let mut operation = Dropped(operation);
        let operation = async {
            let outcome = AssertUnwindSafe(&mut operation.0).catch_unwind().await;
            outcome.unwrap_or_else(|panic| {
                discard(panic);
                Err(Error::backend(format!("the {} backend panicked", self.name())))
            })
        };
        let outcome = within(self.limit, operation).await;
        outcome.unwrap_or_else(|| {
            Err(Error::backend(format!("the {} backend took longer than {:?}", self.name(), self.limit)))
        })
    }
}

type Operation<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// An operation that may panic when it is dropped, half way or done.
struct Dropped<'a, T: 'a>(Operation<'a, T>);

impl<'a, T: 'a> Drop for Dropped<'a, T> {
    fn drop(&mut self) {
        let operation = mem::replace(&mut self.0, Box::pin(pending()));
        // Nothing is left to be said: it has failed already, or its outcome is known.
        contain(|| drop(operation));
    }
}

/// [`Backend`], for a backend whose type is forgotten.
trait Erased: Send + Sync {
    fn get<'a>(&'a self, key: &'a str) -> Operation<'a, Option<Vec<u8>>>;
    fn set<'a>(&'a self, key: &'a str, value: &'a [u8], timeout: Option<Duration>) -> Operation<'a, ()>;
    fn delete<'a>(&'a self, key: &'a str) -> Operation<'a, bool>;
    fn clear(&self) -> Operation<'_, ()>;
}

impl<B: Backend> Erased for B {
    // In an async block, so that a panic of the method itself comes when the guard is there to catch it.
    fn get<'a>(&'a self, key: &'a str) -> Operation<'a, Option<Vec<u8>>> {
        Box::pin(async move { Backend::get(self, key).await })
    }

    fn set<'a>(&'a self, key: &'a str, value: &'a [u8], timeout: Option<Duration>) -> Operation<'a, ()> {
        Box::pin(async move { Backend::set(self, key, value, timeout).await })
    }

    fn delete<'a>(&'a self, key: &'a str) -> Operation<'a, bool> {
        Box::pin(async move { Backend::delete(self, key).await })
    }

    fn clear(&self) -> Operation<'_, ()> {
        Box::pin(async move { Backend::clear(self).await })
    }
}
