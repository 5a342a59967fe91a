//! What an answer gives to the cache: the traits that tell values from answers, and what a backend can keep.

use serde::{Serialize, de::DeserializeOwned};

/// What a cache can hold.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be kept",
    label = "not all of `Clone`, `Send`, `Sync` and `'static`",
    note = "derive `Clone` for `{Self}`, or return an `Arc` of it"
)]
pub trait Value: Clone + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Clone + Send + Sync + 'static> Value for T {}

/// The value that an answer `R` gives to the cache: the answer itself, or the inside of a `Result`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be kept in memory",
    label = "this is what the function's cache would hold",
    note = "a kept value is `Clone + Send + Sync + 'static`; an `Arc<…>` of it often is"
)]
pub trait ValueOf<R>: Value {
    /// The value in an answer, if it gives one.
    fn of(answer: &R) -> Option<&Self>;
    /// The value that an answer is; the answer back, if it gives none.
    fn from_answer(answer: R) -> Result<Self, R>;
    /// The answer that stands for a value.
    fn into_answer(self) -> R;
}

#[diagnostic::do_not_recommend]
impl<V: Value> ValueOf<V> for V {
    fn of(answer: &V) -> Option<&V> {
        Some(answer)
    }

    fn from_answer(answer: V) -> Result<V, V> {
        Ok(answer)
    }

    #[inline]
    fn into_answer(self) -> V {
        self
    }
}

#[diagnostic::do_not_recommend]
impl<V: Value, E> ValueOf<Result<V, E>> for V {
    fn of(answer: &Result<V, E>) -> Option<&V> {
        answer.as_ref().ok()
    }

    fn from_answer(answer: Result<V, E>) -> Result<V, Result<V, E>> {
        answer.map_err(Err)
    }

    #[inline]
    fn into_answer(self) -> Result<V, E> {
        Ok(self)
    }
}

/// What any backend can keep.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be kept by every backend",
    label = "this is what the function's cache would hold",
    note = "a kept value is `Clone + Send + Sync + 'static` and `serde::Serialize + serde::de::DeserializeOwned`: derive them for `{Self}`",
    note = "or write `local`, which needs no serde and keeps the value in this process only"
)]
pub trait CacheValue: Value + Serialize + DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<T: Value + Serialize + DeserializeOwned> CacheValue for T {}

/// What `skip_none` looks at.
#[diagnostic::on_unimplemented(
    message = "`skip_none` needs an `Option`, and the function keeps a `{Self}`",
    label = "not an `Option`",
    note = "remove `skip_none`, or say what to keep with `when = |value| …`"
)]
pub trait MaybeNone {
    /// Whether there is nothing in it.
    fn is_none(&self) -> bool;
}

impl<T> MaybeNone for Option<T> {
    fn is_none(&self) -> bool {
        Self::is_none(self)
    }
}

/// What `cache_err` looks at.
#[diagnostic::on_unimplemented(
    message = "`cache_err` needs a `Result`, and the function returns `{Self}`",
    label = "not a `Result`",
    note = "remove `cache_err`"
)]
pub trait ResultValue {}

impl<T, E> ResultValue for Result<T, E> {}
