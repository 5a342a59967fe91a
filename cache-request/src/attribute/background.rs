//! Arguments that a body in the background owns.

use std::{
    borrow::Borrow,
    ffi::{CStr, OsStr},
    path::Path,
};

/// What an argument refers to, if a body in the background can own it.
#[diagnostic::on_unimplemented(
    message = "a body in the background cannot own a `{Self}`",
    label = "not `Clone`",
    note = "with `stale`, `stale_after` and `early`, a new value is made in the background, where the body owns its arguments",
    note = "derive `Clone` for `{Self}`, take an `Arc` of it, or write `foreground`, so that one of the callers makes the value"
)]
pub trait Ownable {
    /// Its owned form.
    type Owned: Borrow<Self>;

    /// Makes an owned one.
    fn own(&self) -> Self::Owned;
}

// Not for all that has `ToOwned`: the compiler would name that in its errors.
#[diagnostic::do_not_recommend]
impl<T: Clone> Ownable for T {
    type Owned = T;

    fn own(&self) -> T {
        self.clone()
    }
}

#[diagnostic::do_not_recommend]
impl<T: Clone> Ownable for [T] {
    type Owned = Vec<T>;

    fn own(&self) -> Vec<T> {
        self.to_vec()
    }
}

macro_rules! ownable {
    ($($borrowed:ty)*) => {$(
        impl Ownable for $borrowed {
            type Owned = <$borrowed as ToOwned>::Owned;

            fn own(&self) -> Self::Owned {
                self.to_owned()
            }
        }
    )*};
}

ownable!(str Path OsStr CStr);

/// An argument of which a body in the background can have its own.
#[diagnostic::on_unimplemented(
    message = "a body in the background cannot have a `{Self}` of its own",
    label = "not `Clone`",
    note = "with `stale`, `stale_after` and `early`, a new value is made in the background, where the body owns its arguments",
    note = "derive `Clone` for `{Self}`, take an `Arc` of it, or write `foreground`, so that one of the callers makes the value"
)]
pub trait Spare: Sized {
    /// Makes another one.
    #[must_use]
    fn spare(&self) -> Self;
}

#[diagnostic::do_not_recommend]
impl<T: Clone> Spare for T {
    fn spare(&self) -> T {
        self.clone()
    }
}
