//! What a function over a list returns: a map by element, or a `Vec` in the order of the list, or a `Result` of one of these.

use std::{
    borrow::Borrow,
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher, Hash},
};

use super::element::{Element, Keyed};
use crate::engine::value::{Value, ValueOf};

/// An answer that has a value for each element of a list.
#[diagnostic::on_unimplemented(
    message = "`each` needs a function that returns a map by element or a `Vec` in the order of the list, and this one returns `{Self}`",
    label = "not a `HashMap`, `BTreeMap` or `Vec`, nor a `Result` of one",
    note = "without `each`, the whole answer is one value, and the whole list is part of its key"
)]
pub trait EachAnswer: Sized {
    /// What is cached of one element: of a map, an `Option`, as the absence of an element is cached as well.
    type Value: ValueOf<Self::One>;
    /// The answer for one element.
    type One;
}

/// An answer for elements of type `K`.
#[diagnostic::on_unimplemented(
    message = "`each` cannot find the values of elements of the type `{K}` in a `{Self}`",
    label = "this is what the function returns",
    note = "a map has to be keyed by the elements of the list, as values: a `HashMap<K, …>` or `BTreeMap<K, …>` for a list of `K` or `&K`, and \
            one with `String` keys also for a list of `&str`; a hasher has to be `Default`"
)]
pub trait EachAnswerOf<K>: EachAnswer {
    /// The values of these elements.
    fn values(self, elements: &[&K]) -> Values<Self, Self::Value>;
    /// The answer that has these values.
    fn of_values(elements: &[K], values: Vec<Self::Value>) -> Self;
    /// The answer for one element.
    fn one(self, element: &K) -> Self::One;
}

/// What an answer says about the elements that it was asked for.
#[derive(Debug)]
pub enum Values<R, V> {
    /// A value for each, and how many values there are beside.
    All(Vec<V>, usize),
    /// It is an `Err`.
    Failed(R),
    /// It does not say whose its values are. It has so many.
    Misfit(R, usize),
}

impl<K, T: Value, S> EachAnswer for HashMap<K, T, S> {
    type Value = Option<T>;
    type One = Option<T>;
}

impl<K, T, S, E> EachAnswerOf<E> for HashMap<K, T, S>
where
    K: Eq + Hash + Borrow<E::Form>,
    T: Value,
    S: BuildHasher + Default,
    E: Keyed<K> + Element,
    E::Form: Eq + Hash,
{
    fn values(mut self, elements: &[&E]) -> Values<Self, Option<T>> {
        let forms: Vec<&E::Form> = elements.iter().map(|element| <E as Keyed<K>>::form(element)).collect();
        let mut values: Vec<Option<T>> = forms.iter().map(|form| self.remove(form)).collect();
        share_with_equals(&forms, &mut values, |taken: &HashMap<_, _>, form| taken.get(form).copied());
        Values::All(values, self.len())
    }

    fn of_values(elements: &[E], values: Vec<Option<T>>) -> Self {
        present(elements, values).collect()
    }

    fn one(mut self, element: &E) -> Option<T> {
        self.remove(element.form())
    }
}

impl<K, T: Value> EachAnswer for BTreeMap<K, T> {
    type Value = Option<T>;
    type One = Option<T>;
}

impl<K, T, E> EachAnswerOf<E> for BTreeMap<K, T>
where
    K: Ord + Borrow<E::Form>,
    T: Value,
    E: Keyed<K> + Element,
    E::Form: Ord,
{
    fn values(mut self, elements: &[&E]) -> Values<Self, Option<T>> {
        let forms: Vec<&E::Form> = elements.iter().map(|element| <E as Keyed<K>>::form(element)).collect();
        let mut values: Vec<Option<T>> = forms.iter().map(|form| self.remove(form)).collect();
        share_with_equals(&forms, &mut values, |taken: &BTreeMap<_, _>, form| taken.get(form).copied());
        Values::All(values, self.len())
    }

    fn of_values(elements: &[E], values: Vec<Option<T>>) -> Self {
        present(elements, values).collect()
    }

    fn one(mut self, element: &E) -> Option<T> {
        self.remove(element.form())
    }
}

/// Gives elements the values that equal ones have taken out of a map. It has one value for them, though each may be a key of its own.
fn share_with_equals<'f, F: ?Sized, T: Clone, I: FromIterator<(&'f F, usize)>>(
    forms: &[&'f F],
    values: &mut [Option<T>],
    find: impl Fn(&I, &F) -> Option<usize>,
) {
    if values.iter().all(Option::is_some) {
        return;
    }
    let taken: I = forms.iter().copied().zip(0..).filter(|(_, at)| values[*at].is_some()).collect();
    for at in 0..values.len() {
        if values[at].is_none()
            && let Some(equal) = find(&taken, forms[at])
        {
            values[at] = values[equal].clone();
        }
    }
}

/// The entries of the elements that are there.
fn present<E: Keyed<K>, K: Borrow<E::Form>, T>(elements: &[E], values: Vec<Option<T>>) -> impl Iterator<Item = (K, T)> {
    elements.iter().zip(values).filter_map(|(element, value)| Some((element.key(), value?)))
}

impl<T: Value> EachAnswer for Vec<T> {
    type Value = T;
    type One = Option<T>;
}

impl<T: Value, E: Element> EachAnswerOf<E> for Vec<T> {
    fn values(self, elements: &[&E]) -> Values<Self, T> {
        let count = self.len();
        if count == elements.len() { Values::All(self, 0) } else { Values::Misfit(self, count) }
    }

    fn of_values(_: &[E], values: Vec<T>) -> Self {
        values
    }

    fn one(mut self, _: &E) -> Option<T> {
        self.pop().filter(|_| self.is_empty())
    }
}

impl<R: EachAnswer, Error> EachAnswer for Result<R, Error>
where
    R::Value: ValueOf<Result<R::One, Error>>,
{
    type Value = R::Value;
    type One = Result<R::One, Error>;
}

impl<R: EachAnswerOf<E>, E, Error> EachAnswerOf<E> for Result<R, Error>
where
    R::Value: ValueOf<Result<R::One, Error>>,
{
    fn values(self, elements: &[&E]) -> Values<Self, R::Value> {
        match self.map(|answer| answer.values(elements)) {
            Ok(Values::All(values, beside)) => Values::All(values, beside),
            Ok(Values::Failed(answer)) => Values::Failed(Ok(answer)),
            Ok(Values::Misfit(answer, count)) => Values::Misfit(Ok(answer), count),
            Err(error) => Values::Failed(Err(error)),
        }
    }

    fn of_values(elements: &[E], values: Vec<R::Value>) -> Self {
        Ok(R::of_values(elements, values))
    }

    fn one(self, element: &E) -> Self::One {
        self.map(|answer| answer.one(element))
    }
}
