//! One call that memory does not answer, up to its answer.
//!
//! It [`begin`]s: it joins the flight. What it then awaits, such as another caller's body or the backend, is [`Ahead`] of its body. If that
//! gives no answer, the caller takes a [`Run`] through its steps: the body, its value, and storing that for the cache and the flight's
//! waiters. There is one such path: a plain function drives the future on its own thread. Without a backend it awaits nothing but the body.

#[cfg(all(test, not(shuttle)))]
mod tests;

use std::time::Duration;

use super::{
    body::Around,
    call::{Call, Waited},
    flight::{Felt, Fence, Join, Leader},
    source::Source,
    storing::Replaced,
    value::ValueOf,
};
use crate::{
    backend::TimeBudget,
    base::{
        clock::{Stopwatch, nanos},
        context::Change,
    },
    stats::Count,
    store::Absent,
};

/// Begins a call that found nothing in memory: joins the flight of its key. Its body runs at once if it leads and there is no backend.
pub(crate) fn begin<R, V: ValueOf<R>>(call: Call<'_, R, V>) -> Start<'_, R, V> {
    match call.join() {
        Join::Leader(leader) if call.backend().is_none() => Start::Runs(Led::after_miss(call, leader)),
        joined => Start::Waits(Ahead::Joined(call, joined)),
    }
}

/// Begins a call that runs its body even if there is a cached value, and keeps the new value. Bodies of the key that began earlier keep
/// nothing.
pub(crate) fn begin_refresh<R, V: ValueOf<R>>(call: Call<'_, R, V>) -> Ahead<'_, R, V> {
    let (fence, leader) = call.engine.flights.supersede(&call.caller());
    Ahead::Superseded(call, fence, leader)
}

/// What a call does first.
pub(crate) enum Start<'a, R, V> {
    /// Its body runs.
    Runs(Run<'a, R, V>),
    /// It awaits something else before.
    Waits(Ahead<'a, R, V>),
}

/// How far a call is before its body, when it has awaited what is [`Ahead`].
#[expect(clippy::large_enum_variant, reason = "it is in a box already, with the future that returns it")]
pub(crate) enum Begun<'a, R, V> {
    /// It needs no body.
    Answered(R, Source),
    /// Its body runs.
    Runs(Run<'a, R, V>),
}

/// What a call awaits before its body. A box of its future keeps that of the call small, which nests with the bodies.
pub(crate) enum Ahead<'a, R, V> {
    /// Another caller's body, or the backend.
    Joined(Call<'a, R, V>, Join<'a>),
    /// That older values have arrived at the backend.
    Superseded(Call<'a, R, V>, Fence, Leader<'a>),
}

impl<'a, R, V: ValueOf<R>> Ahead<'a, R, V> {
    pub(crate) async fn over(self) -> Begun<'a, R, V> {
        match self {
            Self::Joined(call, joined) => joined_over(call, joined).await,
            Self::Superseded(call, fence, leader) => {
                call.engine.pass(fence).await;
                let budget = call.budget();
                Begun::Runs(Run(Some(Led::new(call, leader, budget, Replaced::ByAnyValue))))
            }
        }
    }
}

async fn joined_over<'a, R, V: ValueOf<R>>(call: Call<'a, R, V>, mut joined: Join<'a>) -> Begun<'a, R, V> {
    let mut budget = call.budget();
    let leader = loop {
        joined = match joined {
            Join::Leader(leader) => break leader,
            Join::Waiter(waiter) => match call.wait(waiter, &mut budget).await {
                Waited::Answered(answer, source) => return Begun::Answered(answer, source),
                Waited::Joins(joined) => joined,
            },
            Join::Reader => match call.read_memory() {
                Some(value) => {
                    call.function.counters.increment(Count::Hit);
                    return Begun::Answered(value.into_answer(), Source::Memory);
                }
                // It has gone since, or its `Clone` panics.
                None => call.join_in_any_case(),
            },
        };
    };
    if call.backend().is_none() {
        return Begun::Runs(Led::after_miss(call, leader));
    }
    Led::new(call, leader, budget, Replaced::IfKept).look_up().await
}

/// One run of a body. To the body, it is one of three steps: [`around`](Self::around) it, then [`ran`](Self::ran), then
/// [`store`](Self::store). None has the body's type, so that they are compiled once for each type of answer.
pub(crate) struct Run<'a, R, V>(Option<Led<'a, R, V>>);

impl<R, V: ValueOf<R>> Run<'_, R, V> {
    /// A run without a cache.
    pub(crate) const UNCACHED: Self = Self(None);

    /// What surrounds the body inside its flight.
    pub(crate) fn around(&mut self) -> Around {
        let Some(led) = &mut self.0 else { return Around::new(Change::Nothing, None) };
        if led.call.policy.err_sharing().is_some() {
            led.leader.begin_sharing_err();
        }
        // What is stored elsewhere says how long it took.
        led.began = if led.call.backend().is_some() { Stopwatch::precise() } else { Stopwatch::coarse() };
        Around::new(led.scope(), led.leader.pulse())
    }

    /// Takes the value from the body's answer, for [`store`](Self::store). An answer without one is the error.
    ///
    /// Not `async`, as an `Err` need not be `Send`: the whole call is `Send` if its body is.
    pub(crate) fn ran(&mut self, answer: R) -> Result<V, R> {
        let Some(led) = &mut self.0 else { return Err(answer) };
        led.took = led.began.elapsed();
        let Call { function, .. } = &led.call;
        function.counters.increment(Count::Bodies);
        function.counters.add(Count::BodyNanos, nanos(led.took));
        V::from_answer(answer).inspect_err(|answer| led.scope().around_sync(|| led.end_without_value(answer)))
    }

    /// Stores the value in memory, and shares it with the flight's waiters. Returns false if it has to be sent to a backend, as
    /// [`store`](Self::store) does.
    pub(crate) fn store_in_memory(&mut self, value: &V) -> bool {
        match &mut self.0 {
            Some(led) if led.call.backend().is_none() => {
                led.scope().around_sync(|| led.store_in_memory(value));
                true
            }
            Some(_) => false,
            None => true,
        }
    }

    /// Stores the value in the backend, and shares it with the flight's waiters.
    async fn store(&mut self, value: &V) {
        if let Some(led) = &mut self.0 {
            let (scope, pulse) = (led.scope(), led.leader.pulse());
            Felt::new(scope.around(led.store(value)), pulse).await;
        }
    }

    /// The same, and the answer.
    pub(crate) async fn store_and_return(mut self, value: V) -> R {
        self.store(&value).await;
        value.into_answer()
    }

    /// Where the answer comes from.
    pub(crate) fn source(&self) -> Source {
        if self.0.is_some() { Source::Body } else { Source::Uncached }
    }
}

/// A call that leads a flight.
struct Led<'a, R, V> {
    call: Call<'a, R, V>,
    leader: Leader<'a>,
    budget: TimeBudget,
    replaced: Replaced,
    began: Stopwatch,
    /// The time that the body took.
    took: Duration,
}

impl<'a, R, V: ValueOf<R>> Led<'a, R, V> {
    fn new(call: Call<'a, R, V>, leader: Leader<'a>, budget: TimeBudget, replaced: Replaced) -> Self {
        Self { call, leader, budget, replaced, began: Stopwatch::Coarse(0), took: Duration::ZERO }
    }

    /// Runs the body, as memory has no value.
    fn after_miss(call: Call<'a, R, V>, leader: Leader<'a>) -> Run<'a, R, V> {
        let miss = match leader.absent() {
            Absent::NeverSeen => Count::NeverSeen,
            Absent::Expired => Count::Expired,
            Absent::Evicted => Count::Evicted,
            Absent::Invalidated => Count::Invalidated,
        };
        Self::new(call, leader, TimeBudget::default(), Replaced::IfKept).run(miss)
    }

    /// All user code of the flight (the body, conditions, clones, destructors) runs inside this scope: an annotated function that it
    /// calls then never waits for this flight.
    fn scope(&self) -> Change {
        self.leader.scope()
    }

    /// Looks for the value in the backend. If there is none, the body runs.
    async fn look_up(mut self) -> Begun<'a, R, V> {
        let (scope, pulse) = (self.scope(), self.leader.pulse());
        let looked = self.call.look_up(Some(&self.leader), &mut self.budget);
        match Felt::new(scope.around(looked), pulse).await {
            Ok((value, source)) => {
                self.call.function.counters.increment(Count::Hit);
                self.scope().around_sync(|| self.call.complete(&mut self.leader, &value));
                Begun::Answered(value.into_answer(), source)
            }
            Err(miss) => Begun::Runs(self.run(miss)),
        }
    }

    fn run(self, miss: Count) -> Run<'a, R, V> {
        self.call.function.counters.increment(miss);
        Run(Some(self))
    }

    fn end_without_value(&mut self, answer: &R) {
        if V::has_failed(answer) {
            self.leader.fail(|| self.call.share_err(answer));
        } else {
            self.leader.complete(|| None);
        }
    }

    fn store_in_memory(&mut self, value: &V) {
        let Self { call, leader, replaced, .. } = self;
        if let Err(error) = call.try_store_in_memory(leader, value, *replaced) {
            call.function.fault("a value could not be kept", &error);
        }
        call.complete(leader, value);
    }

    async fn store(&mut self, value: &V) {
        let Self { call, leader, budget, replaced, took, .. } = self;
        if let Err(error) = call.try_store(leader, value, *took, *replaced, budget).await {
            call.function.fault("a value could not be kept", &error);
        }
        call.complete(leader, value);
    }
}
