//! How the expansion finds out about a type that it cannot name: by the way that methods are looked up.

use std::marker::PhantomData;

use serde::Serialize;

use crate::{engine::policy::Policy, store::memory_of};

/// Chooses, by the way methods are looked up, what of `R` is the value: the inside of a `Result`, else the whole.
///
/// The method has a name that no trait of the user's has, one for all types perhaps, which would be found as well.
#[derive(Debug)]
pub struct Probe<R>(PhantomData<fn() -> R>);

impl<R> Probe<R> {
    /// Asks about `R`.
    #[expect(clippy::new_without_default, reason = "only ever named by the expansion")]
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

/// `R` is a `Result`: its `Ok` is the value.
pub trait ResultAnswer {
    /// The answer.
    type Answer;
    /// The value.
    type Value;
    /// The policy that keeps the inside.
    fn __cache_request_policy(&self) -> Policy<Self::Answer, Self::Value>;
}

impl<T, E> ResultAnswer for Probe<Result<T, E>> {
    type Answer = Result<T, E>;
    type Value = T;
    fn __cache_request_policy(&self) -> Policy<Result<T, E>, T> {
        Policy::of_result()
    }
}

/// `R` is anything: all of it is the value.
pub trait AnyAnswer {
    /// The answer and the value.
    type Answer;
    /// The policy that keeps the whole.
    fn __cache_request_policy(&self) -> Policy<Self::Answer, Self::Answer>;
}

impl<R> AnyAnswer for &Probe<R> {
    type Answer = R;
    fn __cache_request_policy(&self) -> Policy<R, R> {
        Policy::whole()
    }
}

/// `local` without a `weight`, of values that serde knows all the same: they weigh what serde finds in them, as others do.
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

/// `local` without a `weight`, of any values: what they point to is not known.
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
