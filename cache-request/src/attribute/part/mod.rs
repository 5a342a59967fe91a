//! How an argument becomes part of the key, chosen by its type.
//!
//! The expansion cannot know what an argument's type is, only how it is written. So it wraps a reference to the argument in [`Part`],
//! and calls a method that each of a chain of levels has for some types. The compiler takes it from the first level whose bound holds:
//!
//! 1. what is [left out](LeftOut), such as axum's `State`, unless the attribute names it;
//! 2. an [`Extractor`], which is keyed by what it holds;
//! 3. a [`Plain`] value, such as a number or a text, which `serde` serialises with no code of the user;
//! 4. what `serde` serialises;
//! 5. an [array](nested) of any length, or what holds one: `serde` serialises arrays of up to 32 elements only;
//! 6. anything else, which is a compile error in words.
//!
//! An extractor comes before `serde`, so that its key stays the same if its crate makes it `Serialize` one day.
//!
//! No level panics: what runs the user's code catches its panics.

pub(crate) mod extractor;
pub(crate) mod headers;
mod nested;

use std::ops::Deref;

use serde::Serialize;

use self::{
    extractor::{Extractor, LeftOut, Whole},
    nested::{Array, BySerde, Nested},
};
use crate::key::{KeyBuilder, KeyPart, Plain};

/// A level of the choice. It has the method for the types that it is for, and leads to the next level for all others.
macro_rules! level {
    (
        $(#[$doc:meta])* $level:ident to $next:ident, where $value:ident: $bound:path $(, $checked:ty: $check:path)?;
        |$part:ident, $key:ident| $add:expr
    ) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $level<'a, $value: ?Sized>($next<'a, $value>);

        impl<'a, $value: ?Sized> $level<'a, $value> {
            /// The part for `value`.
            #[inline(always)]
            pub const fn of(value: &'a $value) -> Self {
                Self($next::of(value))
            }

            #[inline(always)]
            const fn value(&self) -> &'a $value {
                self.0.value()
            }
        }

        impl<$value: $bound + ?Sized> $level<'_, $value> {
            /// Adds the part to the key.
            #[inline(always)]
            pub fn __cache_request_part(&self, $key: &mut KeyBuilder<'_>) $(where $checked: $check)? {
                let $part = self.value();
                $add
            }
        }

        impl<'a, $value: ?Sized> Deref for $level<'a, $value> {
            type Target = $next<'a, $value>;

            #[inline(always)]
            fn deref(&self) -> &$next<'a, $value> {
                &self.0
            }
        }
    };
}

level! {
    /// One argument: left out of the key if its type says so.
    Part to Named, where T: LeftOut; |_part, key| key.left_out()
}

level! {
    /// What the attribute names, or an argument that is not left out: by what `serde` finds, where that runs no code of the user.
    Named to PartOfExtractor, where T: Plain; |part, key| key.plain(part)
}

level! {
    /// By what an extractor holds.
    PartOfExtractor to PartBySerde, where T: Extractor, T::Content: KeyPart; |part, key| part.add_to(key)
}

level! {
    /// By what `serde` finds.
    PartBySerde to PartOfArray, where T: Serialize; |part, key| key.part(part)
}

level! {
    /// An array, or what holds arrays.
    PartOfArray to PartOfArrays, where T: Nested<Array<BySerde>>; |part, key| part.add_to(key)
}

level! {
    /// An array of arrays, or what holds some.
    PartOfArrays to PartOfCube, where T: Nested<Array<Array<BySerde>>>; |part, key| part.add_to(key)
}

level! {
    /// One dimension more.
    PartOfCube to PartUnknown, where T: Nested<Array<Array<Array<BySerde>>>>; |part, key| part.add_to(key)
}

/// No key: the bound is an error in words.
#[derive(Debug)]
pub struct PartUnknown<'a, T: ?Sized>(&'a T);

impl<'a, T: ?Sized> PartUnknown<'a, T> {
    /// The part for `value`.
    #[inline(always)]
    pub const fn of(value: &'a T) -> Self {
        Self(value)
    }

    #[inline(always)]
    const fn value(&self) -> &'a T {
        self.0
    }

    /// Adds the part to the key.
    #[inline(always)]
    pub fn __cache_request_part(&self, key: &mut KeyBuilder<'_>)
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
