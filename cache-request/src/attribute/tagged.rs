//! What a tag sees of a cached value: what is in an `Option` or a `Result`, as these have no text.

use std::ops::Deref;

/// The value, or what is in it. Its methods are those of `Whole`, unless its type has one of its own.
#[derive(Debug)]
pub struct Tagged<'a, V>(Whole<'a, V>);

/// A value that is no `Option` and no `Result`.
#[derive(Debug)]
pub struct Whole<'a, V>(&'a V);

impl<'a, V> Tagged<'a, V> {
    /// For `value`.
    #[must_use]
    pub const fn of(value: &'a V) -> Self {
        Self(Whole(value))
    }
}

impl<'a, T> Tagged<'a, Option<T>> {
    /// What is in it. A `None` has no tags of a value.
    #[must_use]
    pub const fn __cache_request_inside(&self) -> Option<&'a T> {
        self.0.0.as_ref()
    }
}

impl<'a, T, E> Tagged<'a, Result<T, E>> {
    /// What is in it. An `Err` has no tags of a value.
    #[must_use]
    pub fn __cache_request_inside(&self) -> Option<&'a T> {
        self.0.0.as_ref().ok()
    }
}

impl<'a, V> Deref for Tagged<'a, V> {
    type Target = Whole<'a, V>;

    fn deref(&self) -> &Whole<'a, V> {
        &self.0
    }
}

impl<'a, V> Whole<'a, V> {
    /// The value.
    #[must_use]
    pub const fn __cache_request_inside(&self) -> Option<&'a V> {
        Some(self.0)
    }
}
