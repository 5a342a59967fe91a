//! One call that memory does not answer, up to its answer.
//!
//! It [`begin`]s: it joins the flight. What it then awaits, such as another caller's body or the backend, is [`Ahead`] of its body. If that
//! gives no answer, the caller takes a [`Run`] through its steps: the body, its value, and storing that for the cache and the flight's
//! waiters. There is one such path: an async function takes these steps in one future, and a plain function one after the other, on its own
//! thread. Without a backend nothing but bodies is awaited.

#[cfg(all(test, not(shuttle)))]
mod tests;

use std::{
    task::{Context, Poll},
    time::{Duration, Instant},
};

use super::{
    body::{Around, Body},
    call::{Call, Waited},
    flight::{Felt, Fence, Join, Leader},
    found::{Found, Miss, StandIn, Want},
    making::Making,
    source::Source,
    storing::{Kept, Replaced},
    tagging::noted::Noted,
    this_call::{Frame, Reason, Said, inherit},
    value::ValueOf,
};
use crate::{
    backend::{ClaimKind, TimeBudget},
    base::{clock::Stopwatch, context::Change, panic::PanicSafe},
    stats::Count,
    store::{Absent, tags::Stamps},
};

/// Begins a call that found nothing in memory: joins the flight of its key. Its body runs at once if it leads and there is no backend.
///
/// If it finds a value that is due to be replaced, its body runs `here`, or else the caller is told.
pub(crate) fn begin<R, V: ValueOf<R>>(call: Call<'_, R, V>, here: bool) -> Start<'_, R, V, Ahead<'_, R, V>> {
    match call.join() {
        Join::Leader(leader) if call.backend().is_none() => Start::Runs(Led::after_miss(call, leader)),
        joined => Start::Waits(Ahead::Joined(call, joined, here)),
    }
}

/// The value is not replaced by this caller.
pub(crate) enum Elsewhere {
    /// Another one does so.
    UnderWay,
    /// Another one has just done so.
    Done,
}

/// Begins to replace a value that may be returned until then.
pub(crate) async fn begin_replacement<R, V: ValueOf<R>>(call: Call<'_, R, V>) -> Result<Run<'_, R, V>, Elsewhere> {
    let mut leader = call.engine.flights.replace(&call.caller()).ok_or(Elsewhere::UnderWay)?;
    let mut budget = call.budget();
    match call.look_inside(Instant::now(), &leader, Want::Fresh, &mut budget).await {
        Ok(found) => {
            call.complete_inside(&mut leader, &found.value, &found.stamps);
            drop(PanicSafe::new(found.value));
            Err(Elsewhere::Done)
        }
        Err(miss) if call.waits_for(&miss.making) => Err(Elsewhere::UnderWay),
        Err(miss) => {
            let reason = match &miss.older {
                Some(older) if older.is_fresh => Reason::Early,
                Some(_) => Reason::Stale,
                // It has gone since.
                None => Reason::Expired,
            };
            Ok(call.run(leader, Replaced::IfOk, reason, Miss { cause: Count::Refreshes, ..miss }, budget))
        }
    }
}

/// Begins a call that runs its body even if there is a cached value, and keeps the new value. Bodies of the key that began earlier keep
/// nothing.
pub(crate) fn begin_refresh<R, V: ValueOf<R>>(call: Call<'_, R, V>) -> Ahead<'_, R, V> {
    let (fence, leader) = call.engine.flights.supersede(&call.caller());
    Ahead::Superseded(call, fence, leader)
}

/// What a call does first.
#[expect(clippy::large_enum_variant, reason = "a box would cost each miss an allocation")]
pub(crate) enum Start<'a, R, V, Ahead> {
    /// Its body runs.
    Runs(Run<'a, R, V>),
    /// It awaits something else before.
    Waits(Ahead),
}

/// A call that has awaited what is [`Ahead`] of its body: the run of that, or the answer if none is needed.
pub(crate) type Begun<'a, R, V> = Result<Run<'a, R, V>, Answered<R>>;

/// An answer, and what a caller is told of it.
#[derive(Debug)]
pub struct Answered<R> {
    pub(crate) answer: R,
    pub(crate) source: Source,
    /// It is for this caller to replace the value.
    pub(crate) is_due: bool,
    /// The caller waits for a new value first.
    pub(crate) is_awaited: bool,
}

impl<R> Answered<R> {
    pub(crate) fn new(answer: R, source: Source) -> Self {
        Self { answer, source, is_due: false, is_awaited: false }
    }
}

impl<R> From<Found<R>> for Answered<R> {
    fn from(found: Found<R>) -> Self {
        let Found { value: answer, source, verdict, .. } = found;
        Self { answer, source, is_due: verdict.is_due, is_awaited: verdict.is_awaited }
    }
}

/// What a call awaits before its body. A box of its future keeps that of the call small, which nests with the bodies.
pub(crate) enum Ahead<'a, R, V> {
    /// Another caller's body, or the backend.
    Joined(Call<'a, R, V>, Join<'a>, bool),
    /// That older values have arrived at the backend.
    Superseded(Call<'a, R, V>, Fence, Leader<'a>),
}

impl<'a, R, V: ValueOf<R>> Ahead<'a, R, V> {
    pub(crate) async fn over(self) -> Begun<'a, R, V> {
        match self {
            Self::Joined(call, joined, here) => joined_over(call, joined, here).await,
            Self::Superseded(call, fence, leader) => {
                call.pass_older(fence, &leader).await;
                leader.begin_anew();
                let mut budget = call.budget();
                let (scope, pulse) = (leader.scope(), leader.pulse());
                let claimed = call.claim_to_make(ClaimKind::Anew, &mut budget);
                let (bytes, making) = Felt::new(scope.around(claimed), pulse).await;
                let note = call.note_to_refresh(bytes.as_deref(), &mut budget);
                let (noted, may_build_on_it) = Felt::new(leader.scope().around(note), leader.pulse()).await;
                // A near cache may have a value from before an invalidation by another process.
                let older = match call.backend() {
                    None => call.older_in_memory(),
                    Some(_) => bytes.filter(|_| may_build_on_it).and_then(|bytes| call.older_in_backend(bytes)),
                };
                let frame = Frame::new(Reason::Refresh, older);
                let sending = Sending::of(&call, making, noted, budget);
                Ok(Run(Some(Led { sending, ..Led::new(call, leader, Replaced::ByAnyValue) }), frame))
            }
        }
    }
}

async fn joined_over<'a, R, V: ValueOf<R>>(call: Call<'a, R, V>, mut joined: Join<'a>, here: bool) -> Begun<'a, R, V> {
    let mut budget = call.budget();
    let begun = Instant::now();
    let watch = call.function.measures.as_ref().map(|_| Stopwatch::precise(&call.engine.clock));
    let measure = |source: Source| {
        let Some((measures, watch)) = call.function.measures.as_ref().zip(watch.as_ref()) else { return };
        let took = watch.elapsed(&call.engine.clock);
        match source {
            Source::Coalesced => measures.waited(took),
            _ => measures.hit(took, 1),
        }
    };
    let want = if here { Want::ToReplace } else { call.want_in_background() };
    // It is already being replaced.
    let want_meanwhile = if let Want::ToAwait(_) = want { want } else { Want::Usable };
    let mut leader = loop {
        joined = match joined {
            Join::Leader(leader) => break leader,
            Join::Waiter(waiter) => match call.wait_since(begun, waiter, want_meanwhile, &mut budget).await {
                // A caller whose body runs here waits for that.
                Waited::Answered(found) if here && found.verdict.is_awaited => call.join(),
                Waited::Answered(found) => {
                    measure(found.source);
                    return Err(found.into());
                }
                Waited::Joins(joined) => joined,
            },
            Join::Reader => match call.read_memory(want) {
                Some(found) => {
                    call.count_or_announce(&found);
                    return replace_or_answer(call, found, here).await;
                }
                // It has gone since, or its `Clone` panics.
                None => call.join_in_any_case(),
            },
        };
    };
    if call.backend().is_none() {
        return Ok(Led::after_miss(call, leader));
    }
    match call.look_inside(begun, &leader, want, &mut budget).await {
        Ok(found) => {
            call.count_or_announce(&found);
            measure(found.source);
            leader.scope().around_sync(|| call.complete_with(&mut leader, &found));
            drop(leader);
            replace_or_answer(call, found, here).await
        }
        Err(miss) => Ok(call.run(leader, Replaced::IfKept, reason_of(miss.cause), miss, budget)),
    }
}

/// The answer that was found, unless it is for this caller to replace it, and here.
async fn replace_or_answer<R, V: ValueOf<R>>(call: Call<'_, R, V>, found: Found<V>, here: bool) -> Begun<'_, R, V> {
    if here
        && found.verdict.is_due
        && let Ok(run) = begin_replacement(call).await
    {
        drop(PanicSafe::new(found.value));
        return Ok(run);
    }
    Err(found.map(V::into_answer).into())
}

/// One run of a body. To the body, it is one of three steps: what is [`around`](Self::around) it, its [`poll`](Self::poll)s, and
/// [`store_and_return`](Self::store_and_return). None has the body's type, so that they are compiled once for each type of answer.
pub(crate) struct Run<'a, R, V>(Option<Led<'a, R, V>>, Frame);

impl<R, V: ValueOf<R>> Run<'_, R, V> {
    /// A run without a cache.
    pub(crate) const UNCACHED: Self = Self(None, Frame::UNCACHED);

    /// What surrounds the body inside its flight, which begins.
    #[inline]
    pub(crate) fn around(&mut self) -> Around {
        let Some(led) = &mut self.0 else { return Around::new(Change::Nothing, None) };
        led.call.heed_refusal(&mut led.leader);
        led.since = led.call.engine.tags.newest();
        if led.call.policy.err_sharing().is_some() {
            led.leader.begin_sharing_err();
        }
        // What is stored elsewhere says how long it took.
        led.began = led.call.function.time_body(&led.call.engine.clock, led.sending.is_some());
        Around::new(led.scope(), led.leader.pulse())
    }

    /// Polls the body. Its answer is that of the call, once its value is in memory and shared with the flight's waiters. The error is a
    /// value that has to be sent to a backend, as [`store_and_return`](Self::store_and_return) does.
    ///
    /// Not `async`, as an `Err` need not be `Send`: the whole call is `Send` if its body is.
    #[inline]
    pub(crate) fn poll(
        &mut self,
        around: &mut Around,
        context: &mut Context<'_>,
        body: &mut dyn Body<Answer = R>,
    ) -> Poll<Result<R, V>> {
        let Self(led, frame) = self;
        around.poll(frame, context, body, |answer, said| match led {
            Some(led) => led.ran(answer, said),
            None => {
                if let Some(said) = said {
                    said.pass_on();
                }
                Ok(answer)
            }
        })
    }

    /// Drops the body of a call that is cancelled, or has panicked, where it would have run.
    pub(crate) fn end(&mut self, around: &mut Around, body: &mut dyn Body<Answer = R>) {
        around.end(&mut self.1, body);
    }

    /// Stores the value in the backend, and shares it with the flight's waiters.
    pub(crate) async fn store_and_return(self, value: V) -> R {
        let Self(led, frame) = self;
        if let Some(mut led) = led {
            let (scope, pulse) = (led.scope(), led.leader.pulse());
            Felt::new(scope.around(led.store(&value, frame.said())), pulse).await;
        }
        value.into_answer()
    }

    /// Whether an older value is the answer if the body fails or panics.
    pub(crate) fn has_stand_in(&self) -> bool {
        self.0.as_ref().is_some_and(|led| led.stand_in.is_some())
    }

    /// After a panic of the body: an older value that is the answer instead.
    pub(crate) fn stand_in(&mut self) -> Option<R> {
        let led = self.0.as_mut()?;
        led.call.put_off();
        led.stand_in()
    }

    /// Where the answer comes from.
    pub(crate) fn source(&self) -> Source {
        match &self.0 {
            None => Source::Uncached,
            Some(led) if led.stood_in => Source::StandIn,
            Some(_) => Source::Body,
        }
    }
}

/// Why a body runs, after a miss in the backend.
pub(super) fn reason_of(miss: Count) -> Reason {
    match miss {
        Count::Expired => Reason::Expired,
        Count::Evicted => Reason::Evicted,
        Count::Invalidated => Reason::Invalidated,
        Count::Undecodable => Reason::Undecodable,
        Count::BackendFault => Reason::BackendFault,
        _ => Reason::NeverSeen,
    }
}

/// A call that leads a flight.
struct Led<'a, R, V> {
    call: Call<'a, R, V>,
    // Its lease is given back before other callers are woken.
    sending: Option<Box<Sending>>,
    leader: Leader<'a>,
    replaced: Replaced,
    began: Stopwatch,
    /// The number of the newest invalidation of any tag, before the body began.
    since: u64,
    /// An older value, which is the answer if the body fails.
    stand_in: Option<Box<StandIn<V>>>,
    stood_in: bool,
}

/// What it takes to send a value to a backend. It is in a box, as a run is moved.
struct Sending {
    making: Making,
    noted: Noted,
    budget: TimeBudget,
    /// The time that the body took.
    took: Duration,
}

impl Sending {
    /// None without a backend.
    fn of<R, V: ValueOf<R>>(
        call: &Call<'_, R, V>,
        making: Making,
        noted: Noted,
        budget: TimeBudget,
    ) -> Option<Box<Self>> {
        call.backend().map(|_| Box::new(Self { making, noted, budget, took: Duration::ZERO }))
    }
}

impl<'a, R, V: ValueOf<R>> Call<'a, R, V> {
    /// Looks for the value in the backend, inside the flight. The caller waits for others since it has `begun`.
    async fn look_inside(
        &self,
        begun: Instant,
        leader: &Leader<'a>,
        want: Want,
        budget: &mut TimeBudget,
    ) -> Result<Found<V>, Miss<V>> {
        let looked = self.look_up_to_make(begun, want, leader, budget);
        Felt::new(leader.scope().around(looked), leader.pulse()).await
    }

    /// Shares a value with the flight's waiters, inside the flight.
    fn complete_inside(&self, leader: &mut Leader<'_>, value: &V, stamps: &Stamps) {
        leader.scope().around_sync(|| self.complete(leader, value, stamps));
    }

    /// Runs the body after a miss.
    fn run(
        self,
        leader: Leader<'a>,
        replaced: Replaced,
        reason: Reason,
        Miss { cause, stand_in, older, making, noted }: Miss<V>,
        budget: TimeBudget,
    ) -> Run<'a, R, V> {
        self.function.counters.increment(cause);
        leader.ask_no_more();
        let sending = Sending::of(&self, making, noted, budget);
        Run(Some(Led { stand_in, sending, ..Led::new(self, leader, replaced) }), Frame::new(reason, older))
    }
}

impl<'a, R, V: ValueOf<R>> Led<'a, R, V> {
    #[inline]
    fn new(call: Call<'a, R, V>, leader: Leader<'a>, replaced: Replaced) -> Self {
        let began = Stopwatch::Coarse(0);
        Self { call, sending: None, leader, replaced, began, since: 0, stand_in: None, stood_in: false }
    }

    /// Runs the body, as memory has no value.
    fn after_miss(call: Call<'a, R, V>, leader: Leader<'a>) -> Run<'a, R, V> {
        let (miss, reason) = match leader.absent() {
            Absent::NeverSeen => (Count::NeverSeen, Reason::NeverSeen),
            Absent::Expired => (Count::Expired, Reason::Expired),
            Absent::Evicted => (Count::Evicted, Reason::Evicted),
            Absent::Invalidated => (Count::Invalidated, Reason::Invalidated),
        };
        call.function.counters.increment(miss);
        let Miss { stand_in, older, .. } = call.missed_in_memory(miss);
        let (began, replaced) = (Stopwatch::Coarse(0), Replaced::IfKept);
        let led = Self { call, sending: None, leader, replaced, began, since: 0, stand_in, stood_in: false };
        Run(Some(led), Frame::new(reason, older))
    }

    /// All user code of the flight (the body, conditions, clones, destructors) runs inside this scope: an annotated function that it
    /// calls then never waits for this flight.
    fn scope(&self) -> Change {
        self.leader.scope()
    }

    /// Takes the value from the body's answer, unless the body has `said` that it is another one, and stores it. An answer without one is the
    /// call's as it is. The error is a value to be sent to a backend.
    fn ran(&mut self, answer: R, said: Option<&Said>) -> Result<R, V> {
        let Call { engine, function, policy, .. } = &self.call;
        let took = function.body_ended(&self.began, &engine.clock, 1);
        let value = if let Some(older) = said.and_then(Said::kept_stale) {
            drop(PanicSafe::new(answer));
            older
        } else {
            if self.stand_in.is_some() && policy.has_failed(&answer) {
                self.call.put_off();
                if let Some(older) = self.stand_in() {
                    drop(PanicSafe::new(answer));
                    return Ok(older);
                }
            }
            match V::from_answer(answer) {
                Ok(value) => value,
                Err(answer) => {
                    self.call.pass_on_tags(said, self.since);
                    self.end_without_value(&answer);
                    return Ok(answer);
                }
            }
        };
        if let Some(sending) = &mut self.sending {
            sending.took = took;
            return Err(value);
        }
        self.store_in_memory(&value, said);
        Ok(value.into_answer())
    }

    /// An older value in place of the body's answer, also for those who wait. None if its time is over by now, or if it was invalidated.
    fn stand_in(&mut self) -> Option<R> {
        let stand_in = self.stand_in.take().filter(|_| !self.leader.is_fenced())?;
        let (older, stamps) = stand_in.take(self.call.engine.clock.coarse(), |older| self.call.clone_of(older))?;
        self.stood_in = true;
        self.leader.is_outdated();
        self.call.function.counters.increment(Count::StaleOnError);
        inherit(self.call.cache_id(), &stamps);
        self.call.complete_inside(&mut self.leader, &older, &stamps);
        Some(older.into_answer())
    }

    fn end_without_value(&mut self, answer: &R) {
        if V::has_failed(answer) {
            self.leader.fail(|| self.call.share_err(answer));
        } else {
            self.leader.complete(|| None);
        }
    }

    fn store_in_memory(&mut self, value: &V, said: Option<&Said>) {
        let Self { call, leader, replaced, since, .. } = self;
        let tags = call.tags_in_memory(value, said, *since);
        let kept = Kept { replaced: *replaced, said, tags: &tags, noted: &Noted::default() };
        if let Err(error) = call.try_store_in_memory(leader, value, kept) {
            call.function.fault("a value could not be kept", &error);
        }
        call.complete(leader, value, &tags.stamps);
        inherit(call.cache_id(), &tags.stamps);
    }

    async fn store(&mut self, value: &V, said: Option<&Said>) {
        let Self { call, leader, sending, replaced, since, .. } = self;
        let Some(Sending { making, noted, budget, took }) = sending.as_deref_mut() else { return };
        let tags = call.tags_of(value, said, *since, noted, budget).await;
        let kept = Kept { replaced: *replaced, said, tags: &tags, noted };
        if let Err(error) = call.try_store(leader, value, *took, kept, (making, budget)).await {
            call.function.fault("a value could not be kept", &error);
        }
        call.complete(leader, value, &tags.stamps);
        inherit(call.cache_id(), &tags.stamps);
    }
}
