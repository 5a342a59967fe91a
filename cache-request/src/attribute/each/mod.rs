//! A call of a function over a list, each element of which is a key of its own.

mod answer;
mod element;

use std::{fmt, pin::pin};

use self::answer::Values;
pub use self::{
    answer::{EachAnswer, EachAnswerOf},
    element::{Again, Element, Keyed, again, list_of},
};
use super::site::Site;
use crate::{
    Error, ErrorKind,
    base::{block_on::block_on, panic::catch_panic},
    engine::{
        description::Instance,
        each::{Each, keys::Keys},
        function::{Function, Placement},
        policy::Policy,
        tagging::TagList,
        this_call::uncached,
        value::Value,
    },
    key::Key,
    stats::Count,
};

/// How a function with answers of type `R` caches one element, as its companion sees it.
#[must_use]
pub const fn element_policy<R: EachAnswer>() -> Policy<R::One, R::Value> {
    Policy::of_element()
}

/// The same, as a call for the whole list sees it.
#[must_use]
pub const fn values_policy<R: EachAnswer>() -> Policy<R::Value, R::Value> {
    Policy::of_element()
}

/// One call of a function over a list.
pub struct EachCall<V> {
    site: &'static Site,
    instance: Instance,
    policy: Policy<V, V>,
}

/// How a call ends that has no value for each element.
enum End<R> {
    Answer(R),
    /// The body has to run for the whole list.
    Misfit,
}

impl<V: Value> EachCall<V> {
    /// A call of the function at `site`.
    pub const fn new(site: &'static Site, instance: Instance, policy: Policy<V, V>) -> Self {
        Self { site, instance, policy }
    }

    /// The answer of a plain function: as [`answer`](Self::answer).
    pub fn answer_here<K: Element, R: EachAnswerOf<K, Value = V>>(
        self,
        list: &[K],
        key: impl Fn(&K) -> Key,
        tag: impl Fn(&K, &mut TagList),
        run: impl Fn(Option<Vec<K>>) -> R,
    ) -> R {
        let run = &run;
        block_on(pin!(self.answer_in(list, (key, tag), move |part| async move { run(part) }, true)))
    }

    /// The answer for `list`. `key` makes the key of one element, `tag` adds its tags, and `run` begins the body for a part of the list, or for all of it.
    pub async fn answer<K: Element, R: EachAnswerOf<K, Value = V>, B: Future<Output = R>>(
        self,
        list: &[K],
        key: impl Fn(&K) -> Key,
        tag: impl Fn(&K, &mut TagList),
        run: impl Fn(Option<Vec<K>>) -> B,
    ) -> R {
        self.answer_in(list, (key, tag), run, false).await
    }

    async fn answer_in<K: Element, R: EachAnswerOf<K, Value = V>, B: Future<Output = R>>(
        self,
        list: &[K],
        (key, tag): (impl Fn(&K) -> Key, impl Fn(&K, &mut TagList)),
        run: impl Fn(Option<Vec<K>>) -> B,
        blocks: bool,
    ) -> R {
        // Also where there is no cache: a body never sees an empty list.
        if list.is_empty()
            && let Some(answer) = catch_panic(|| R::of_values(list, Vec::new()))
        {
            return answer;
        }
        let Some(target) = self.site.target::<V>(self.instance) else { return uncached(run(None)).await };
        let Some(function) = target.function::<V>() else { return uncached(run(None)).await };
        if function.placement == Placement::Nowhere {
            function.counters.increment(Count::Uncached);
            return uncached(run(None)).await;
        }
        let (mut list_of_slots, mut tags) = (Slots::default(), Vec::new());
        for element in list {
            let key = key(element);
            match target.hit::<V, V>(&key) {
                Some(value) => list_of_slots.slots.push(Slot::Found(value)),
                None => {
                    let place = list_of_slots.missed(key, function);
                    if place == tags.len() {
                        tags.push(TagList::of(|list| tag(element, list)));
                    }
                }
            }
        }
        let Slots { slots, keys, firsts } = list_of_slots;
        // No answer is held where another body is awaited, as it need not be `Send`.
        let values = if keys.is_empty() {
            Some(Vec::new())
        } else {
            let engine = target.cache.engine();
            let group = engine.flights.group(blocks);
            let each = Each::new(engine, function, &self.policy, &keys, &tags, (&group, blocks));
            let body = |places: &[usize]| {
                let elements: Vec<&K> = places.iter().map(|place| &list[firsts[*place]]).collect();
                // In the order of the list, so it is the list if there are as many.
                let is_whole = elements.len() == list.len();
                let part = (!is_whole).then(|| elements.iter().copied().cloned().collect());
                let body = run(part);
                // In a box, as a future that holds another one is twice as large.
                Box::pin(async move { taken(body.await, &elements, is_whole, function) })
            };
            match each.values(body).await {
                Ok(values) => Some(values),
                Err(End::Answer(answer)) => return answer,
                Err(End::Misfit) => None,
            }
        };
        if let Some(values) = values
            && let Some(answer) = put_together(list, slots, values, function)
        {
            return answer;
        }
        uncached(run(None)).await
    }
}

/// The places of a list's elements: what memory has for them, or their keys.
struct Slots<V> {
    slots: Vec<Slot<V>>,
    keys: Keys,
    /// Of each key, the place of the first element that has it.
    firsts: Vec<usize>,
}

enum Slot<V> {
    Found(V),
    /// The value of the key at this place.
    Of(usize),
}

impl<V> Default for Slots<V> {
    fn default() -> Self {
        Self { slots: Vec::new(), keys: Keys::default(), firsts: Vec::new() }
    }
}

impl<V> Slots<V> {
    /// Notes an element that memory has not. Returns the place of its key.
    fn missed(&mut self, key: Key, function: &Function<V>) -> usize {
        if let Some(cause) = key.error().filter(|_| !key.is_bypassed()) {
            function.fault("no key could be made of the arguments", &Error::new(ErrorKind::Key, cause));
        }
        let place = self.keys.add(key);
        if place == self.firsts.len() {
            self.firsts.push(self.slots.len());
        }
        self.slots.push(Slot::Of(place));
        place
    }
}

/// Takes a body's answer apart.
fn taken<K, R: EachAnswerOf<K>>(
    answer: R,
    elements: &[&K],
    is_whole: bool,
    function: &Function<R::Value>,
) -> Result<Vec<R::Value>, End<R>> {
    let count = elements.len();
    match catch_panic(|| answer.values(elements)) {
        Some(Values::All(values, beside)) if values.len() == count => {
            function.counters.add(Count::Unasked, beside as u64);
            Ok(values)
        }
        Some(Values::Failed(answer)) => Err(End::Answer(answer)),
        Some(Values::All(_, _)) => Err(End::Misfit),
        Some(Values::Misfit(answer, values)) => {
            let message =
                format!("the body returned {values} values for {count} elements, so it is not known whose they are");
            function.fault("the values of a list could not be kept", &Error::new(ErrorKind::Codec, message));
            Err(if is_whole { End::Answer(answer) } else { End::Misfit })
        }
        None => {
            function.fault(
                "the values of a list could not be kept",
                &Error::new(ErrorKind::Panic, "comparing elements or cloning a value panicked"),
            );
            Err(End::Misfit)
        }
    }
}

/// The answer for the list. `None` if a `Clone` panics.
fn put_together<K, R: EachAnswerOf<K>>(
    list: &[K],
    slots: Vec<Slot<R::Value>>,
    mut values: Vec<Option<R::Value>>,
    function: &Function<R::Value>,
) -> Option<R> {
    // How often each value is needed: the last time, it is not cloned.
    let mut uses = vec![0_usize; values.len()];
    for slot in &slots {
        if let Slot::Of(place) = slot {
            uses[*place] += 1;
        }
    }
    function.guard("the `Clone` of a value or an element", || {
        let value = |slot| match slot {
            Slot::Found(value) => Some(value),
            Slot::Of(place) => {
                uses[place] -= 1;
                if uses[place] == 0 { values[place].take() } else { values[place].clone() }
            }
        };
        let values: Option<Vec<R::Value>> = slots.into_iter().map(value).collect();
        Some(R::of_values(list, values?))
    })?
}

impl<V> fmt::Debug for EachCall<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EachCall").field("site", self.site).finish_non_exhaustive()
    }
}
