//! The companion of an annotated function: one call of it, to look at, refresh, forget or fill.

use crate::{
    key::Key,
    policy::{Policy, Value},
    site::Site,
};

/// One call of an annotated plain function.
#[must_use = "a handle does nothing until one of its methods is called"]
#[derive(Debug)]
pub struct Handle<R, V, B> {
    site: &'static Site,
    policy: Policy<R, V>,
    key: Key,
    body: B,
}

impl<R, V: Value, B: FnOnce() -> R> Handle<R, V, B> {
    #[doc(hidden)]
    #[inline]
    pub fn new(site: &'static Site, policy: Policy<R, V>, key: Key, body: B) -> Self {
        Self { site, policy, key, body }
    }

    /// Calls the function: what it remembers, else what its body returns.
    pub fn call(self) -> R {
        (self.body)()
    }
}

/// One call of an annotated `async` function.
#[must_use = "a handle does nothing until one of its methods is called"]
#[derive(Debug)]
pub struct AsyncHandle<R, V, B> {
    site: &'static Site,
    policy: Policy<R, V>,
    key: Key,
    body: B,
}

impl<R, V: Value, B: Future<Output = R>> AsyncHandle<R, V, B> {
    #[doc(hidden)]
    #[inline]
    pub fn new(site: &'static Site, policy: Policy<R, V>, key: Key, body: B) -> Self {
        Self { site, policy, key, body }
    }

    /// Calls the function: what it remembers, else what its body returns.
    pub async fn call(self: std::pin::Pin<&mut Self>) -> R {
        unimplemented!()
    }
}
