//! Arguments that a body in the background owns.

use std::borrow::Borrow;

/// What an argument refers to, if a body in the background can own it.
#[diagnostic::on_unimplemented(
    message = "a body in the background cannot own a `{Self}`",
    label = "not `Clone`",
    note = "with `stale` and `early`, a new value is made in the background, where the body owns its arguments",
    note = "derive `Clone` for `{Self}`, take an `Arc` of it, or write `foreground`, so that one of the callers makes the value"
)]
pub trait Ownable {
    /// Its owned form.
    type Owned: Borrow<Self>;

    /// Makes an owned one.
    fn own(&self) -> Self::Owned;
}

#[diagnostic::do_not_recommend]
impl<T: ToOwned + ?Sized> Ownable for T {
    type Owned = T::Owned;

    fn own(&self) -> T::Owned {
        self.to_owned()
    }
}

/// An argument of which a body in the background can have its own.
#[diagnostic::on_unimplemented(
    message = "a body in the background cannot have a `{Self}` of its own",
    label = "not `Clone`",
    note = "with `stale` and `early`, a new value is made in the background, where the body owns its arguments",
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
