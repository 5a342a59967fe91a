//! The elements of a list, each of which is a key.

use std::borrow::Borrow;

/// An element of a list that `each` names.
#[diagnostic::on_unimplemented(
    message = "`each` needs elements that are `Clone`, and the list has elements of the type `{Self}`",
    label = "not `Clone`",
    note = "the body runs with those elements that are not cached, in a list of their own: derive `Clone` for `{Self}`"
)]
pub trait Element: Clone {}

#[diagnostic::do_not_recommend]
impl<T: Clone> Element for T {}

/// An element by which a map of type `HashMap<K, …>` or `BTreeMap<K, …>` has its value: `K` itself, a reference to one, or a `&str` for a
/// `String`.
#[diagnostic::on_unimplemented(
    message = "the list has elements of the type `{Self}`, and the map that the function returns has keys of the type `{K}`",
    label = "not the elements of the list",
    note = "`each` finds the value of an element by the element itself: return a map whose keys are the elements"
)]
pub trait Keyed<K: Borrow<Self::Form>> {
    /// What both have in common.
    type Form: ?Sized;

    /// The element, to look for in the map.
    fn form(&self) -> &Self::Form;
    /// The key for the map.
    fn key(&self) -> K;
}

#[diagnostic::do_not_recommend]
impl<T: Clone> Keyed<T> for T {
    type Form = T;

    fn form(&self) -> &T {
        self
    }

    fn key(&self) -> T {
        self.clone()
    }
}

#[diagnostic::do_not_recommend]
impl<T: Clone> Keyed<T> for &T {
    type Form = T;

    fn form(&self) -> &T {
        self
    }

    fn key(&self) -> T {
        (*self).clone()
    }
}

#[diagnostic::do_not_recommend]
impl Keyed<String> for &str {
    type Form = str;

    fn form(&self) -> &str {
        self
    }

    fn key(&self) -> String {
        (*self).to_owned()
    }
}

/// An argument beside the list.
#[diagnostic::on_unimplemented(
    message = "with `each`, the body may run more than once in a call, and this argument of the type `{Self}` is not `Clone`",
    label = "not `Clone`",
    note = "take it by reference, or derive `Clone` for `{Self}`"
)]
pub trait Again: Sized {
    /// The argument for one more body.
    #[must_use]
    fn again(&self) -> Self;
}

#[diagnostic::do_not_recommend]
impl<T: Clone> Again for T {
    fn again(&self) -> T {
        self.clone()
    }
}

/// The argument for one more body.
pub fn again<T: Again>(argument: &T) -> T {
    argument.again()
}

/// A list of one element.
#[must_use]
pub fn list_of<K: Element>(element: &K) -> Vec<K> {
    vec![element.clone()]
}
