//! Chooses code by properties of a type that the expansion cannot know, by the order in which methods are looked up.

use std::marker::PhantomData;

use serde::Serialize;

use super::answer::{Answer, Completing};
use crate::{engine::policy::Policy, store::memory_of};

/// Chooses the value that `R` gives to the cache: what a response holds, the `Ok` value of a `Result`, else the whole answer.
///
/// The method has an unusual name, as a user's blanket trait with a method of the same name would be found as well.
#[derive(Debug)]
pub struct Probe<R>(PhantomData<fn() -> R>);

impl<R> Probe<R> {
    /// A probe of `R`.
    #[expect(clippy::new_without_default, reason = "only ever named by the expansion")]
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

/// For an answer that is a handler's: what it holds is cached.
pub trait HandlerAnswer {
    /// The answer.
    type Answer: Answer;
    /// The policy that caches what the response holds.
    fn __cache_request_policy(&self) -> Policy<Self::Answer, <Self::Answer as Answer>::Value>;
    /// A response of known length is read to its end.
    fn __cache_request_completion(&self) -> ReadToEnd<Self::Answer>;
}

impl<R: Answer> HandlerAnswer for &&Probe<R> {
    type Answer = R;
    fn __cache_request_policy(&self) -> Policy<R, R::Value> {
        Policy::of_handler(R::may_be_kept, R::may_be_shared, R::has_failed)
    }
    fn __cache_request_completion(&self) -> ReadToEnd<R> {
        ReadToEnd(PhantomData)
    }
}

/// What a body is completed by: a response's own body is read.
#[derive(Debug)]
pub struct ReadToEnd<R>(PhantomData<fn() -> R>);

impl<R: Answer> ReadToEnd<R> {
    /// The completed body.
    pub fn complete(self, body: impl Future<Output = R>, call: Completing) -> impl Future<Output = R> {
        R::complete(body, call)
    }
}

/// What a body is completed by: nothing.
#[derive(Debug)]
pub struct AsItIs;

impl AsItIs {
    /// The body.
    #[inline(always)]
    pub fn complete<B>(self, body: B, _: Completing) -> B {
        body
    }
}

/// For an answer that is a `Result`: its `Ok` value is cached.
pub trait ResultAnswer {
    /// The answer.
    type Answer;
    /// The value.
    type Value;
    /// The policy that caches the `Ok` value.
    fn __cache_request_policy(&self) -> Policy<Self::Answer, Self::Value>;
    /// The body as it is.
    fn __cache_request_completion(&self) -> AsItIs {
        AsItIs
    }
}

impl<T, E> ResultAnswer for &Probe<Result<T, E>> {
    type Answer = Result<T, E>;
    type Value = T;
    fn __cache_request_policy(&self) -> Policy<Result<T, E>, T> {
        Policy::of_result()
    }
}

/// For any other answer: all of it is cached.
pub trait AnyAnswer {
    /// The answer and the value.
    type Answer;
    /// The policy that caches the whole answer.
    fn __cache_request_policy(&self) -> Policy<Self::Answer, Self::Answer>;
    /// The body as it is.
    fn __cache_request_completion(&self) -> AsItIs {
        AsItIs
    }
}

impl<R> AnyAnswer for Probe<R> {
    type Answer = R;
    fn __cache_request_policy(&self) -> Policy<R, R> {
        Policy::whole()
    }
}

/// `local` without a `weight`, for values that serde can serialise: they weigh what serde finds in them, like others.
pub trait WeighSerialised {
    /// The value.
    type Value;
    /// The bytes that a value holds.
    fn weigh(&self) -> fn(&Self::Value) -> usize;
}

impl<R, V: Serialize> WeighSerialised for Policy<R, V> {
    type Value = V;
    fn weigh(&self) -> fn(&V) -> usize {
        memory_of
    }
}

/// `local` without a `weight`, for all other values: they weigh their own size, as what they point to is unknown.
pub trait WeighAny {
    /// The value.
    type Value;
    /// The bytes that a value holds.
    fn weigh(&self) -> fn(&Self::Value) -> usize;
}

impl<R, V> WeighAny for &Policy<R, V> {
    type Value = V;
    fn weigh(&self) -> fn(&V) -> usize {
        size_of_val
    }
}
