//! `Backend` for pointers to a backend, so that caches can share one, or the program can keep one that a cache uses.

use std::{sync::Arc, time::Duration};

use super::{Backend, Changes, Claim, Claimed, Fence, Item};
use crate::Error;

macro_rules! is_what_it_points_to {
    ($($pointer:ident)*) => {$(
        // All methods, those with a default too: the backend may know better.
        impl<B: Backend> Backend for $pointer<B> {
            fn name(&self) -> &'static str {
                B::name(self)
            }

            fn max_key_bytes(&self) -> usize {
                B::max_key_bytes(self)
            }

            fn get(&self, key: &str) -> impl Future<Output = Result<Option<Vec<u8>>, Error>> + Send {
                B::get(self, key)
            }

            fn get_blocking(&self, key: &str, limit: Duration) -> Option<Result<Option<Vec<u8>>, Error>> {
                B::get_blocking(self, key, limit)
            }

            fn set(
                &self,
                key: &str,
                value: &[u8],
                timeout: Option<Duration>,
            ) -> impl Future<Output = Result<(), Error>> + Send {
                B::set(self, key, value, timeout)
            }

            fn add(
                &self,
                key: &str,
                value: &[u8],
                timeout: Option<Duration>,
            ) -> impl Future<Output = Result<bool, Error>> + Send {
                B::add(self, key, value, timeout)
            }

            fn touch(&self, key: &str, timeout: Option<Duration>) -> impl Future<Output = Result<bool, Error>> + Send {
                B::touch(self, key, timeout)
            }

            fn delete(&self, key: &str) -> impl Future<Output = Result<bool, Error>> + Send {
                B::delete(self, key)
            }

            fn clear(&self) -> impl Future<Output = Result<(), Error>> + Send {
                B::clear(self)
            }

            fn has_fences(&self) -> bool {
                B::has_fences(self)
            }

            fn claim(&self, key: &str, claim: Claim) -> impl Future<Output = Result<Claimed, Error>> + Send {
                B::claim(self, key, claim)
            }

            fn set_fenced(
                &self,
                key: &str,
                value: &[u8],
                timeout: Option<Duration>,
                fence: Fence,
            ) -> impl Future<Output = Result<bool, Error>> + Send {
                B::set_fenced(self, key, value, timeout, fence)
            }

            fn renew(
                &self,
                key: &str,
                fence: Fence,
                lease: Duration,
            ) -> impl Future<Output = Result<bool, Error>> + Send {
                B::renew(self, key, fence, lease)
            }

            fn release(&self, key: &str, fence: Fence) -> impl Future<Output = Result<(), Error>> + Send {
                B::release(self, key, fence)
            }

            fn invalidate(&self, key: &str, refuse: Duration) -> impl Future<Output = Result<bool, Error>> + Send {
                B::invalidate(self, key, refuse)
            }

            fn track(&self, changes: Changes) -> bool {
                B::track(self, changes)
            }

            fn get_many(&self, keys: &[&str]) -> impl Future<Output = Vec<Result<Option<Vec<u8>>, Error>>> + Send {
                B::get_many(self, keys)
            }

            fn set_many(&self, items: &[Item<'_>]) -> impl Future<Output = Vec<Result<(), Error>>> + Send {
                B::set_many(self, items)
            }

            fn delete_many(&self, keys: &[&str]) -> impl Future<Output = Vec<Result<bool, Error>>> + Send {
                B::delete_many(self, keys)
            }

            fn claim_many(
                &self,
                keys: &[&str],
                claim: Claim,
            ) -> impl Future<Output = Vec<Result<Claimed, Error>>> + Send {
                B::claim_many(self, keys, claim)
            }

            fn set_fenced_many(
                &self,
                items: &[(Item<'_>, Fence)],
            ) -> impl Future<Output = Vec<Result<bool, Error>>> + Send {
                B::set_fenced_many(self, items)
            }
        }
    )*};
}

is_what_it_points_to!(Arc Box);
