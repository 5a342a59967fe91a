//! How an argument becomes part of the key, chosen by its type.
//!
//! The expansion cannot know what an argument's type is, only how it is written. So it wraps a reference to the argument in [`Part`],
//! and the order in which the compiler looks methods up chooses the first of these that the type is:
//!
//! 1. what is [left out](LeftOut), such as axum's `State`, unless the attribute names it;
//! 2. an [`Extractor`], which is keyed by what it holds;
//! 3. what `serde` serialises;
//! 4. an [array](nested) of any length, or what holds one: `serde` serialises arrays of up to 32 elements only;
//! 5. anything else, which is a compile error in words.
//!
//! An extractor comes before `serde`, so that its key stays the same if its crate makes it `Serialize` one day.

pub(crate) mod extractor;
pub(crate) mod headers;
mod nested;

use serde::Serialize;

use self::{
    extractor::{Extractor, LeftOut, Whole},
    nested::{Array, BySerde, Nested},
};
use crate::key::{KeyBuilder, KeyPart};

/// One argument, or what the attribute names.
#[derive(Debug)]
pub struct Part<'a, T: ?Sized>(&'a T);

impl<'a, T: ?Sized> Part<'a, T> {
    /// The part for `value`.
    #[inline(always)]
    pub const fn of(value: &'a T) -> Self {
        Self(value)
    }
}

/// A level of the choice: each has the same method, for a receiver with one reference less than the level before.
macro_rules! level {
    (
        $(#[$doc:meta])* $level:ident for $receiver:ty where $value:ident: $bound:path,
        $($checked:ty: $check:path,)?
        |$part:ident, $key:ident| $add:expr
    ) => {
        $(#[$doc])*
        pub trait $level<$value: ?Sized> {
            /// Adds the part to the key.
            fn __cache_request_part(&self, key: &mut KeyBuilder<'_>) $(where $value: $bound, $checked: $check)?;
        }

        impl<$value: $bound + ?Sized> $level<$value> for $receiver {
            #[inline(always)]
            fn __cache_request_part(&self, $key: &mut KeyBuilder<'_>) $(where $value: $bound, $checked: $check)? {
                let $part = self.0;
                $add
            }
        }
    };
}

level! {
    /// Left out of the key. One level is free below it: the compiler also tries one reference more than there is, and what the attribute
    /// names is never left out.
    PartLeftOut for &&&&&&&Part<'_, T> where T: LeftOut,
    |_part, key| key.left_out()
}

level! {
    /// By what an extractor holds.
    PartOfExtractor for &&&&&Part<'_, T> where T: Extractor,
    T::Content: KeyPart,
    |part, key| part.add_to(key)
}

level! {
    /// By what `serde` finds.
    PartBySerde for &&&&Part<'_, T> where T: Serialize,
    |part, key| key.part(part)
}

level! {
    /// An array, or what holds arrays.
    PartOfArray for &&&Part<'_, T> where T: Nested<Array<BySerde>>,
    |part, key| part.add_to(key)
}

level! {
    /// An array of arrays, or what holds some.
    PartOfArrays for &&Part<'_, T> where T: Nested<Array<Array<BySerde>>>,
    |part, key| part.add_to(key)
}

level! {
    /// One dimension more.
    PartOfCube for &Part<'_, T> where T: Nested<Array<Array<Array<BySerde>>>>,
    |part, key| part.add_to(key)
}

/// No key: the bound is an error in words.
pub trait PartUnknown<T: ?Sized> {
    /// Adds the part to the key.
    fn __cache_request_part(&self, key: &mut KeyBuilder<'_>)
    where
        T: KeyPart;
}

impl<T: ?Sized> PartUnknown<T> for Part<'_, T> {
    #[inline(always)]
    fn __cache_request_part(&self, key: &mut KeyBuilder<'_>)
    where
        T: KeyPart,
    {
        key.part(self.0);
    }
}

/// An argument whose pattern takes it apart, such as `Path(id): Path<u32>`.
///
/// Its bindings are the parts, unless the type says that only the whole of it is one.
#[derive(Debug)]
pub struct Argument<'a, T: ?Sized>(&'a T);

impl<'a, T: ?Sized> Argument<'a, T> {
    /// The argument `value`.
    #[inline(always)]
    pub const fn of(value: &'a T) -> Self {
        Self(value)
    }
}

/// The argument as a whole stands for each of its bindings.
pub trait ArgumentAsWhole<'a> {
    /// The argument's type.
    type Whole: ?Sized;
    /// The argument in place of `binding`.
    fn __cache_request_binding<B: ?Sized>(&self, binding: &B) -> &'a Self::Whole;
}

impl<'a, T: Whole> ArgumentAsWhole<'a> for &Argument<'a, T> {
    type Whole = T;

    #[inline(always)]
    fn __cache_request_binding<B: ?Sized>(&self, _: &B) -> &'a T {
        self.0
    }
}

/// Each binding stands for itself.
pub trait ArgumentByBindings {
    /// The binding itself.
    fn __cache_request_binding<'b, B: ?Sized>(&self, binding: &'b B) -> &'b B;
}

impl<T: ?Sized> ArgumentByBindings for Argument<'_, T> {
    #[inline(always)]
    fn __cache_request_binding<'b, B: ?Sized>(&self, binding: &'b B) -> &'b B {
        binding
    }
}
