//! Arrays of any length, and what holds them.

use std::{collections::VecDeque, rc::Rc, sync::Arc};

use serde::Serialize;

use crate::key::KeyBuilder;

/// Values with arrays in them. `M` says where, as a type can be written in two ways otherwise.
///
/// The words are those that `serde` would write, so a short array has the same key here and there.
pub trait Nested<M> {
    /// Adds the value to the key.
    fn add_to(&self, key: &mut KeyBuilder<'_>);
}

/// The marker of what `serde` serialises.
#[derive(Debug)]
pub struct BySerde;

/// The marker of an array, or of what holds arrays, whose elements have the marker `M`.
#[derive(Debug)]
pub struct Array<M>(M);

impl<T: Serialize + ?Sized> Nested<BySerde> for T {
    #[inline]
    fn add_to(&self, key: &mut KeyBuilder<'_>) {
        key.part(self);
    }
}

impl<M, T: Nested<M>, const N: usize> Nested<Array<M>> for [T; N] {
    #[inline]
    fn add_to(&self, key: &mut KeyBuilder<'_>) {
        key.sequence(|key| self.iter().for_each(|element| element.add_to(key)));
    }
}

/// Sequences of what holds arrays.
macro_rules! sequences {
    ($($sequence:ty)*) => {$(
        impl<M, T: Nested<Array<M>>> Nested<Array<M>> for $sequence {
            fn add_to(&self, key: &mut KeyBuilder<'_>) {
                key.sequence(|key| self.iter().for_each(|element| element.add_to(key)));
            }
        }
    )*};
}

sequences!([T] Vec<T> VecDeque<T>);

/// Pointers to what holds arrays.
macro_rules! pointers {
    ($($pointer:ty)*) => {$(
        impl<M, T: Nested<Array<M>> + ?Sized> Nested<Array<M>> for $pointer {
            #[inline]
            fn add_to(&self, key: &mut KeyBuilder<'_>) {
                (**self).add_to(key);
            }
        }
    )*};
}

pointers!(&T Box<T> Rc<T> Arc<T>);

impl<M, T: Nested<Array<M>>> Nested<Array<M>> for Option<T> {
    #[inline]
    fn add_to(&self, key: &mut KeyBuilder<'_>) {
        key.optional(self.as_ref(), |key, value| value.add_to(key));
    }
}
