//! [`Backend`] as a trait object.

use std::{future::pending, mem, pin::Pin, time::Duration};

use super::{
    Backend, Item,
    changes::Changes,
    fencing::{Claim, Claimed, Fence},
};
use crate::{Error, base::panic::catch_panic};

/// An operation that is under way.
pub(super) type Operation<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// One for many keys, with an outcome for each.
pub(super) type Operations<'a, T> = Operation<'a, Outcomes<T>>;

/// One outcome for each key, in the order of the keys.
pub(crate) type Outcomes<T> = Vec<Result<T, Error>>;

/// An operation whose destructor may panic without harm.
pub(super) struct DropsQuietly<'a, T: 'a>(pub(super) Operation<'a, T>);

impl<'a, T: 'a> Drop for DropsQuietly<'a, T> {
    fn drop(&mut self) {
        let operation = mem::replace(&mut self.0, Box::pin(pending()));
        // The outcome is known by now, so a panic changes nothing.
        catch_panic(|| drop(operation));
    }
}

/// [`Backend`] as a trait object.
pub(crate) trait DynBackend: Send + Sync {
    fn name(&self) -> &'static str;
    fn max_key_bytes(&self) -> usize;
    /// `blocks` is the limit of a caller whose thread may be blocked.
    fn get<'a>(&'a self, key: &'a str, blocks: Option<Duration>) -> Operation<'a, Option<Vec<u8>>>;
    fn set<'a>(&'a self, key: &'a str, value: &'a [u8], timeout: Option<Duration>) -> Operation<'a, ()>;
    fn add<'a>(&'a self, key: &'a str, value: &'a [u8], timeout: Option<Duration>) -> Operation<'a, bool>;
    fn touch<'a>(&'a self, key: &'a str, timeout: Option<Duration>) -> Operation<'a, bool>;
    fn delete<'a>(&'a self, key: &'a str) -> Operation<'a, bool>;
    fn has_fences(&self) -> bool;
    fn claim<'a>(&'a self, key: &'a str, claim: Claim) -> Operation<'a, Claimed>;
    fn set_fenced<'a>(
        &'a self,
        key: &'a str,
        value: &'a [u8],
        timeout: Option<Duration>,
        fence: Fence,
    ) -> Operation<'a, bool>;
    fn renew<'a>(&'a self, key: &'a str, fence: Fence, lease: Duration) -> Operation<'a, bool>;
    fn release<'a>(&'a self, key: &'a str, fence: Fence) -> Operation<'a, ()>;
    fn invalidate<'a>(&'a self, key: &'a str, refuse: Duration) -> Operation<'a, bool>;
    fn get_many<'a>(&'a self, keys: &'a [&'a str]) -> Operations<'a, Option<Vec<u8>>>;
    fn set_many<'a>(&'a self, items: &'a [Item<'a>]) -> Operations<'a, ()>;
    fn claim_many<'a>(&'a self, keys: &'a [&'a str], claim: Claim) -> Operations<'a, Claimed>;
    fn set_fenced_many<'a>(&'a self, items: &'a [(Item<'a>, Fence)]) -> Operations<'a, bool>;
    fn clear(&self) -> Operation<'_, ()>;
    fn track(&self, changes: Changes) -> bool;
}

impl<B: Backend> DynBackend for B {
    fn name(&self) -> &'static str {
        Backend::name(self)
    }

    fn max_key_bytes(&self) -> usize {
        Backend::max_key_bytes(self)
    }

    // In an async block, so that a panic of the method itself happens where the guard catches it.
    fn get<'a>(&'a self, key: &'a str, blocks: Option<Duration>) -> Operation<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            match blocks.and_then(|limit| Backend::get_blocking(self, key, limit)) {
                Some(found) => found,
                None => Backend::get(self, key).await,
            }
        })
    }

    fn set<'a>(&'a self, key: &'a str, value: &'a [u8], timeout: Option<Duration>) -> Operation<'a, ()> {
        Box::pin(async move { Backend::set(self, key, value, timeout).await })
    }

    fn add<'a>(&'a self, key: &'a str, value: &'a [u8], timeout: Option<Duration>) -> Operation<'a, bool> {
        Box::pin(async move { Backend::add(self, key, value, timeout).await })
    }

    fn touch<'a>(&'a self, key: &'a str, timeout: Option<Duration>) -> Operation<'a, bool> {
        Box::pin(async move { Backend::touch(self, key, timeout).await })
    }

    fn delete<'a>(&'a self, key: &'a str) -> Operation<'a, bool> {
        Box::pin(async move { Backend::delete(self, key).await })
    }

    fn has_fences(&self) -> bool {
        Backend::has_fences(self)
    }

    fn claim<'a>(&'a self, key: &'a str, claim: Claim) -> Operation<'a, Claimed> {
        Box::pin(async move { Backend::claim(self, key, claim).await })
    }

    fn set_fenced<'a>(
        &'a self,
        key: &'a str,
        value: &'a [u8],
        timeout: Option<Duration>,
        fence: Fence,
    ) -> Operation<'a, bool> {
        Box::pin(async move { Backend::set_fenced(self, key, value, timeout, fence).await })
    }

    fn renew<'a>(&'a self, key: &'a str, fence: Fence, lease: Duration) -> Operation<'a, bool> {
        Box::pin(async move { Backend::renew(self, key, fence, lease).await })
    }

    fn release<'a>(&'a self, key: &'a str, fence: Fence) -> Operation<'a, ()> {
        Box::pin(async move { Backend::release(self, key, fence).await })
    }

    fn invalidate<'a>(&'a self, key: &'a str, refuse: Duration) -> Operation<'a, bool> {
        Box::pin(async move { Backend::invalidate(self, key, refuse).await })
    }

    fn get_many<'a>(&'a self, keys: &'a [&'a str]) -> Operations<'a, Option<Vec<u8>>> {
        Box::pin(async move { Ok(Backend::get_many(self, keys).await) })
    }

    fn set_many<'a>(&'a self, items: &'a [Item<'a>]) -> Operations<'a, ()> {
        Box::pin(async move { Ok(Backend::set_many(self, items).await) })
    }

    fn claim_many<'a>(&'a self, keys: &'a [&'a str], claim: Claim) -> Operations<'a, Claimed> {
        Box::pin(async move { Ok(Backend::claim_many(self, keys, claim).await) })
    }

    fn set_fenced_many<'a>(&'a self, items: &'a [(Item<'a>, Fence)]) -> Operations<'a, bool> {
        Box::pin(async move { Ok(Backend::set_fenced_many(self, items).await) })
    }

    fn clear(&self) -> Operation<'_, ()> {
        Box::pin(async move { Backend::clear(self).await })
    }

    fn track(&self, changes: Changes) -> bool {
        Backend::track(self, changes)
    }
}
