//! Answers and values: what of an answer is cached, and what a backend can hold.

use std::borrow::Cow;

use serde::{Serialize, de::DeserializeOwned};

use crate::Error;

/// Values that a cache can hold.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be kept",
    label = "not all of `Clone`, `Send`, `Sync` and `'static`",
    note = "derive `Clone` for `{Self}`, or return an `Arc` of it"
)]
pub trait Value: Clone + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Clone + Send + Sync + 'static> Value for T {}

/// A value that answers of type `R` give to the cache: the answer itself, the `Ok` value of a `Result`, or what a response holds.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be kept in memory",
    label = "this is what the function's cache would hold",
    note = "a kept value is `Clone + Send + Sync + 'static`; an `Arc<…>` of it often is"
)]
pub trait ValueOf<R>: Value {
    /// Whether an answer's value can only be read by awaiting, so that a plain function cannot cache it.
    const READ_BY_AWAITING: bool = false;

    /// The value in an answer, if it has one.
    ///
    /// # Errors
    ///
    /// If an answer can only be taken apart by value, such as a response with its body.
    fn of(answer: &R) -> Result<Option<Cow<'_, Self>>, Error>;
    /// Turns an answer into its value. An answer without one, such as an `Err`, comes back as the error.
    fn from_answer(answer: R) -> Result<Self, R>;
    /// Whether an answer without a value is an `Err`.
    fn has_failed(_answer: &R) -> bool {
        false
    }
    /// Turns a value back into an answer.
    fn into_answer(self) -> R;
}

#[diagnostic::do_not_recommend]
impl<V: Value> ValueOf<V> for V {
    fn of(answer: &V) -> Result<Option<Cow<'_, V>>, Error> {
        Ok(Some(Cow::Borrowed(answer)))
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
    fn of(answer: &Result<V, E>) -> Result<Option<Cow<'_, V>>, Error> {
        Ok(answer.as_ref().ok().map(Cow::Borrowed))
    }

    fn from_answer(answer: Result<V, E>) -> Result<V, Result<V, E>> {
        answer.map_err(Err)
    }

    fn has_failed(answer: &Result<V, E>) -> bool {
        answer.is_err()
    }

    #[inline]
    fn into_answer(self) -> Result<V, E> {
        Ok(self)
    }
}

/// What a companion returns of one element, where the function may have returned nothing for it.
#[diagnostic::do_not_recommend]
impl<V: Value> ValueOf<Option<V>> for V {
    fn of(answer: &Option<V>) -> Result<Option<Cow<'_, V>>, Error> {
        Ok(answer.as_ref().map(Cow::Borrowed))
    }

    fn from_answer(answer: Option<V>) -> Result<V, Option<V>> {
        answer.ok_or(None)
    }

    #[inline]
    fn into_answer(self) -> Option<V> {
        Some(self)
    }
}

/// The same of a function that may fail.
#[diagnostic::do_not_recommend]
impl<V: Value, E> ValueOf<Result<Option<V>, E>> for V {
    fn of(answer: &Result<Option<V>, E>) -> Result<Option<Cow<'_, V>>, Error> {
        Ok(answer.as_ref().ok().and_then(Option::as_ref).map(Cow::Borrowed))
    }

    fn from_answer(answer: Result<Option<V>, E>) -> Result<V, Result<Option<V>, E>> {
        match answer {
            Ok(Some(value)) => Ok(value),
            other => Err(other),
        }
    }

    fn has_failed(answer: &Result<Option<V>, E>) -> bool {
        answer.is_err()
    }

    #[inline]
    fn into_answer(self) -> Result<Option<V>, E> {
        Ok(Some(self))
    }
}

/// Values that every backend can hold.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be kept by every backend",
    label = "this is what the function's cache would hold",
    note = "a kept value is `Clone + Send + Sync + 'static` and `serde::Serialize + serde::de::DeserializeOwned`: derive them for `{Self}`",
    note = "or write `local`, which needs no serde and keeps the value in this process only"
)]
pub trait CacheValue: Value + Serialize + DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<T: Value + Serialize + DeserializeOwned> CacheValue for T {}

/// Values that `skip_none` can check.
#[diagnostic::on_unimplemented(
    message = "`skip_none` needs an `Option`, and the function keeps a `{Self}`",
    label = "not an `Option`",
    note = "remove `skip_none`, or say what to keep with `when = |value| …`"
)]
pub trait MaybeNone {
    /// Whether the value is `None`.
    fn is_none(&self) -> bool;
}

impl<T> MaybeNone for Option<T> {
    fn is_none(&self) -> bool {
        Self::is_none(self)
    }
}

/// Answers that `cache_err` applies to.
#[diagnostic::on_unimplemented(
    message = "`cache_err` needs a `Result`, and the function returns `{Self}`",
    label = "not a `Result`",
    note = "remove `cache_err`"
)]
pub trait ResultValue {
    /// Whether the answer is an `Err`.
    fn is_err(&self) -> bool;
}

impl<T, E> ResultValue for Result<T, E> {
    fn is_err(&self) -> bool {
        Self::is_err(self)
    }
}

/// Answers that `share_err` applies to.
#[diagnostic::on_unimplemented(
    message = "`share_err` needs a `Result` whose error is `Clone + Send + Sync + 'static`, and the function returns `{Self}`",
    label = "its error cannot be handed to the callers that wait",
    note = "derive `Clone` for the error, return an `Arc` of it, or remove `share_err`"
)]
pub trait ShareErr: Sized {
    /// The error.
    type Err: Clone + Send + Sync + 'static;

    /// The error of this answer.
    fn err(&self) -> Option<&Self::Err>;
    /// An answer with this error.
    fn of_err(err: Self::Err) -> Self;
}

#[diagnostic::do_not_recommend]
impl<T, E: Clone + Send + Sync + 'static> ShareErr for Result<T, E> {
    type Err = E;

    fn err(&self) -> Option<&E> {
        self.as_ref().err()
    }

    fn of_err(err: E) -> Self {
        Err(err)
    }
}
