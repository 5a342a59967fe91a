//! What stands between a call and its backend: whatever that does, the call goes on.

use std::{panic::AssertUnwindSafe, pin::Pin, time::Duration};

use futures_lite::FutureExt;

use super::Backend;
use crate::{Error, function::discard, shim::sleep};

/// A backend that answers within its limit, or fails: it cannot hang, and cannot panic.
pub(crate) struct Guarded {
    backend: Box<dyn Erased>,
    limit: Duration,
}

impl Guarded {
    pub(crate) fn new(backend: impl Backend) -> Self {
        Self { backend: Box::new(backend), limit: Duration::MAX }
    }

    pub(crate) fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    pub(crate) fn name(&self) -> &'static str {
        self.backend.name()
    }

    pub(crate) fn max_key_bytes(&self) -> usize {
        self.backend.max_key_bytes()
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
        let operation = async {
            let outcome = AssertUnwindSafe(operation).catch_unwind().await;
            outcome.unwrap_or_else(|panic| {
                discard(panic);
                Err(Error::backend(format!("the {} backend panicked", self.name())))
            })
        };
        let limit = async {
            if self.limit == Duration::MAX {
                std::future::pending::<()>().await;
            }
            sleep(self.limit).await;
            Err(Error::backend(format!("the {} backend took longer than {:?}", self.name(), self.limit)))
        };
        operation.or(limit).await
    }
}

type Operation<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// [`Backend`], for a backend whose type is forgotten.
trait Erased: Send + Sync {
    fn name(&self) -> &'static str;
    fn max_key_bytes(&self) -> usize;
    fn get<'a>(&'a self, key: &'a str) -> Operation<'a, Option<Vec<u8>>>;
    fn set<'a>(&'a self, key: &'a str, value: &'a [u8], timeout: Option<Duration>) -> Operation<'a, ()>;
    fn delete<'a>(&'a self, key: &'a str) -> Operation<'a, bool>;
    fn clear(&self) -> Operation<'_, ()>;
}

impl<B: Backend> Erased for B {
    fn name(&self) -> &'static str {
        Backend::name(self)
    }

    fn max_key_bytes(&self) -> usize {
        Backend::max_key_bytes(self)
    }

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
