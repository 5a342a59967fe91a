//! One call, from the look-up to the answer.
//!
//! [`hit`] answers from memory. Any other call [`begin`]s: it joins the flight and reads the backend. If that gives no answer, the caller
//! takes a [`Run`] through its steps: the body, its value, and storing that for the cache and the flight's waiters. There is one such path:
//! a plain function drives the future on its own thread.
//!
//! Nothing here fails the caller. If the cache, the backend, or the user's code for keys, clones and conditions fails or panics,
//! the body runs in the caller's task, and its answer is returned.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Engine,
    flight::{Felt, FlightKey, Join, Leader, Outcome, Pulse, Shared, Waiter},
    function::{Function, Placement},
    near_cache::{BackendWrite, NearCache, Reading},
    policy::{Codec, Keep, Policy},
    source::Source,
    value::{Value, ValueOf},
};
use crate::{
    Error, ErrorKind,
    backend::{Guarded, TimeBudget},
    base::{
        clock::{CLOCK_TOLERANCE, NEVER, Nanos, Stopwatch, nanos, unix_millis},
        context::{Change, Scoped},
        panic::{PanicSafe, catch_panic},
        sync::interleave,
        timer::with_limit,
    },
    codec::{FOREVER, Facts, Opened, Refused, Writer},
    error::Blame,
    key::{Key, Lookup, OwnedKey, text},
    stats::Count,
    store::{Freshness, RemovalCause, UNKNOWN},
};

/// One call of a cached function whose cache and key are known.
pub(crate) struct Call<'a, R, V> {
    engine: &'a Engine,
    function: &'a Function<V>,
    policy: &'a Policy<R, V>,
    key: &'a Key,
    /// The caller is a thread that waits for the answer and does nothing else.
    blocks: bool,
}

/// The answer, if memory holds it. A hit costs no more than this.
#[inline]
pub(crate) fn hit<R, V: ValueOf<R>>(engine: &Engine, function: &Function<V>, key: &Key) -> Option<R> {
    if key.error().is_some() {
        return None;
    }
    let answer = read(engine, function, key, V::into_answer).ok()?;
    function.counters.increment(Count::Hit);
    Some(answer)
}

/// Why memory has no answer.
enum Absent {
    Missing,
    Expired,
}

/// Reads memory, and counts nothing. Returns what `map` makes of a clone of the value.
#[inline]
fn read<V: Value, T>(
    engine: &Engine,
    function: &Function<V>,
    key: &Key,
    map: impl FnOnce(V) -> T,
) -> Result<T, Absent> {
    interleave();
    let mut answer = Err(Absent::Missing);
    // The closure writes the answer in place: returning it through the closures would copy it once more.
    function.table.read(
        &key.lookup(),
        || engine.clock.coarse(),
        |value, freshness| match freshness {
            Freshness::Fresh => _ = function.guard("the value's `Clone`", || answer = Ok(map(value.clone()))),
            Freshness::Expired => answer = Err(Absent::Expired),
        },
    );
    answer
}

/// Begins a call that found nothing in memory: joins the flight of its key, and looks in the backend.
pub(crate) async fn begin<R, V: ValueOf<R>>(call: Call<'_, R, V>) -> Begun<'_, R, V> {
    let mut budget = call.budget();
    let leader = match call.join() {
        Join::Leader(leader) => leader,
        Join::Waiter(waiter) => match Box::pin(call.wait(waiter, &mut budget)).await {
            Waited::Answered(answer, source) => return Begun::Answered(answer, source),
            Waited::Leads(leader) => leader,
        },
    };
    Led::new(call, leader, budget, Replaced::IfKept).look_up().await
}

/// Begins a call that runs its body even if there is a cached value, and keeps the new value. Bodies of the key that began earlier keep
/// nothing.
pub(crate) async fn begin_refresh<R, V: ValueOf<R>>(call: Call<'_, R, V>) -> Begun<'_, R, V> {
    let (fence, leader) = call.engine.flights.supersede(&call.flight_key());
    call.engine.pass(fence).await;
    let budget = call.budget();
    Begun::Runs(Run(Some(Led::new(call, leader, budget, Replaced::ByAnyValue))))
}

/// How far a call is before its body.
#[expect(clippy::large_enum_variant, reason = "a box would cost each miss an allocation")]
pub(crate) enum Begun<'a, R, V> {
    /// It needs no body.
    Answered(R, Source),
    /// Its body runs.
    Runs(Run<'a, R, V>),
}

/// One run of a body. To the body, it is one of three steps: [`around`](Self::around) it, then [`ran`](Self::ran), then
/// [`store`](Self::store). Only the first has the body's type, so that the others are compiled once for each type of answer.
pub(crate) struct Run<'a, R, V>(Option<Led<'a, R, V>>);

impl<R, V: ValueOf<R>> Run<'_, R, V> {
    /// A run without a cache.
    pub(crate) const UNCACHED: Self = Self(None);

    /// The body, inside its flight.
    pub(crate) fn around<B: Future<Output = R>>(&mut self, body: B) -> Felt<Scoped<B>> {
        let Some(led) = &mut self.0 else { return Felt::new(Change::Nothing.around(body), None) };
        led.leader.begin();
        // What is stored elsewhere says how long it took.
        led.began = if led.call.backend().is_some() { Stopwatch::precise() } else { Stopwatch::coarse() };
        Felt::new(led.scope().around(body), led.leader.pulse(led.call.blocks))
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

    /// Stores the value, and shares it with the flight's waiters.
    pub(crate) async fn store(self, value: V) -> R {
        if let Some(mut led) = self.0 {
            let (scope, pulse) = (led.scope(), led.pulse_of_backend());
            Felt::new(scope.around(led.store(&value)), pulse).await;
        }
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
        Self { call, leader, budget, replaced, began: Stopwatch::coarse(), took: Duration::ZERO }
    }

    /// All user code of the flight (the body, conditions, clones, destructors) runs inside this scope: an annotated function that it
    /// calls then never waits for this flight.
    fn scope(&self) -> Change {
        Change::Ancestors(self.leader.ancestors())
    }

    /// Without a backend, only the body can be waited for.
    fn pulse_of_backend(&self) -> Option<Arc<Pulse>> {
        self.call.backend().and_then(|_| self.leader.pulse(self.call.blocks))
    }

    /// Looks for the value again, as another flight may have left it. If there is none, the body runs.
    async fn look_up(mut self) -> Begun<'a, R, V> {
        let (scope, pulse) = (self.scope(), self.pulse_of_backend());
        let looked = self.call.look_up(Some(&self.leader), &mut self.budget);
        match Felt::new(scope.around(looked), pulse).await {
            Ok((value, source)) => {
                self.call.function.counters.increment(Count::Hit);
                self.scope().around_sync(|| self.call.complete(&mut self.leader, &value));
                Begun::Answered(value.into_answer(), source)
            }
            Err(miss) => {
                self.call.function.counters.increment(miss);
                Begun::Runs(Run(Some(self)))
            }
        }
    }

    fn end_without_value(&mut self, answer: &R) {
        if V::has_failed(answer) {
            self.leader.fail(|| self.call.share_err(answer));
        } else {
            self.leader.complete(|| None);
        }
    }

    async fn store(&mut self, value: &V) {
        let Self { call, leader, budget, replaced, took, .. } = self;
        if let Err(error) = call.try_store(leader, value, *took, *replaced, budget).await {
            call.function.fault("a value could not be kept", &error);
        }
        call.complete(leader, value);
    }
}

/// How waiting for another caller's body ended.
enum Waited<'a, R> {
    Answered(R, Source),
    Leads(Leader<'a>),
}

/// What a new value does to the cached one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Replaced {
    /// It replaces the cached value if it is kept itself.
    IfKept,
    /// It also removes the cached value if it is not kept itself.
    ByAnyValue,
}

/// Whether a body's value was kept.
#[derive(Clone, Copy, PartialEq, Eq)]
enum StoreOutcome {
    Kept,
    /// The attribute's conditions refuse it, or the call's time for the backend is used up.
    Refused,
    /// The key was invalidated meanwhile.
    Outdated,
}

impl<'a, R, V: ValueOf<R>> Call<'a, R, V> {
    /// A call of `function`, or `None` if the call must run its body without the cache.
    #[inline]
    pub(crate) fn of(
        engine: &'a Engine,
        function: &'a Function<V>,
        policy: &'a Policy<R, V>,
        key: &'a Key,
        blocks: bool,
    ) -> Option<Self> {
        let cached = function.placement != Placement::Nowhere && key.error().is_none();
        cached.then_some(Self { engine, function, policy, key, blocks })
    }

    /// The answer, if memory or the backend has it. Counts only faults.
    pub(crate) async fn peek(&self) -> Option<R> {
        self.look_up(None, &mut self.budget()).await.ok().map(|(value, _)| value.into_answer())
    }

    /// The answer, if the cache has one, which a near cache then keeps. Counts only faults.
    #[cfg(feature = "http")]
    pub(crate) async fn find(&self) -> Option<R> {
        let leader = self.engine.near().map(|_| self.lead_alone());
        self.look_up(leader.as_ref(), &mut self.budget()).await.ok().map(|(value, _)| value.into_answer())
    }

    /// The answer, if the backend has it, or memory where there is no backend. A near cache may have an older one. Counts only faults.
    #[cfg(feature = "http")]
    pub(crate) async fn peek_in_backend(&self) -> Option<R> {
        let found = match self.backend().zip(self.policy.codec()) {
            None => self.read_memory().map(|value| (value, Source::Memory)),
            Some((backend, codec)) => self.read_backend(backend, codec, None, &mut self.budget()).await,
        };
        found.ok().map(|(value, _)| value.into_answer())
    }

    /// Whether the value is being removed at this moment.
    #[cfg(feature = "http")]
    pub(crate) fn is_being_removed(&self) -> bool {
        self.engine.removals.is_under_way(self.key.hash())
    }

    /// The answer, if memory has it. Counts only faults.
    #[cfg(feature = "http")]
    pub(crate) fn peek_in_memory(&self) -> Option<R> {
        read(self.engine, self.function, self.key, V::into_answer).ok()
    }

    /// Stores `value` as if a body had just returned it.
    pub(crate) async fn put(&self, value: &V) -> Result<(), Error> {
        let (fence, mut leader) = self.engine.flights.supersede(&self.flight_key());
        self.engine.pass(fence).await;
        Change::Ancestors(leader.ancestors())
            .around(async {
                let (replaced, mut budget) = (Replaced::ByAnyValue, self.budget());
                let kept = self.try_store(&mut leader, value, Duration::ZERO, replaced, &mut budget).await;
                self.complete(&mut leader, value);
                kept
            })
            .await
    }

    /// Starts a flight for a value that is made elsewhere, and that [`store_led`](Self::store_led) stores. No caller waits for it.
    #[cfg(feature = "http")]
    pub(crate) fn lead_alone(&self) -> Leader<'a> {
        self.engine.flights.alone(&self.flight_key())
    }

    /// Stores a value, unless the key was invalidated since `leader` began. `took` is the time that making it took.
    #[cfg(feature = "http")]
    pub(crate) async fn store_led(&self, leader: &mut Leader<'_>, value: &V, took: Duration) -> Result<(), Error> {
        self.try_store(leader, value, took, Replaced::ByAnyValue, &mut self.budget()).await
    }

    /// Removes the value, and keeps running bodies from storing theirs. Returns whether there was a value.
    pub(crate) async fn invalidate(&self) -> Result<bool, Error> {
        let _removal = self.engine.removals.begin(self.key.hash());
        let removed = self.remove().await;
        // A flight that looked before the removal may have found the old value, so no later caller joins it.
        drop(self.engine.flights.fence(&self.flight_key()));
        removed
    }

    async fn remove(&self) -> Result<bool, Error> {
        let fence = self.engine.flights.fence(&self.flight_key());
        interleave();
        // A value still on its way to the backend must not arrive after the deletion.
        self.engine.pass(fence).await;
        self.forget().await
    }

    async fn forget(&self) -> Result<bool, Error> {
        match self.backend() {
            Some(backend) => self.delete(backend, &self.text(backend)).await,
            None => Ok(self.engine.store.remove(&self.function.table, &self.lookup(), RemovalCause::Invalidated)),
        }
    }

    /// Deletes from the backend first, and then from the near cache, which may have read the backend in between.
    async fn delete(&self, backend: &Guarded, text: &str) -> Result<bool, Error> {
        let write = BackendWrite::begin(self.engine.near(), text);
        let deleted = backend.delete(text).await;
        let was_near = write.end();
        deleted.map(|deleted| deleted || was_near)
    }

    /// Becomes the leader of this key's flight, or one of its waiters.
    fn join(&self) -> Join<'a> {
        let (key, flights) = (self.flight_key(), &self.engine.flights);
        if self.function.coalesce { flights.join(&key) } else { Join::Leader(flights.alone(&key)) }
    }

    /// Waits for a value of the running bodies of this key, or for this call's turn to lead.
    async fn wait(&self, mut wait: Waiter<'a>, budget: &mut TimeBudget) -> Waited<'a, R> {
        let flights = &self.engine.flights;
        let begun = Instant::now();
        loop {
            // The caller has looked in memory. During a refresh, the backend's value is still valid.
            if wait.is_for_newer()
                && self.backend().is_some()
                && let Ok((value, source)) = self.look_up(None, budget).await
            {
                self.function.counters.increment(Count::Hit);
                return Waited::Answered(value.into_answer(), source);
            }
            let left = self.engine.wait_limit.saturating_sub(begun.elapsed());
            let joined = match with_limit(left.min(flights.poll_limit()), &mut wait).await {
                Some(Outcome::Value(shared)) => {
                    let value = shared.downcast_ref().and_then(PanicSafe::get).and_then(|value| self.clone_of(value));
                    return self.shared(value.map(V::into_answer));
                }
                Some(Outcome::Err(shared)) => return self.shared(self.err_of(&shared)),
                Some(Outcome::Nothing) => return self.shared(None),
                Some(Outcome::Room) => flights.join_again(wait),
                None if begun.elapsed() < self.engine.wait_limit => flights.look_after_leaders(wait),
                None => {
                    flights.give_up_on(&wait);
                    flights.join_again(wait)
                }
            };
            wait = match joined {
                Join::Leader(leader) => return Waited::Leads(leader),
                // Others lead by now, and this one has waited long enough.
                Join::Waiter(_) if begun.elapsed() >= self.engine.wait_limit => return self.shared(None),
                Join::Waiter(wait) => wait,
            };
        }
    }

    /// Ends a wait: with the answer that another caller shares, or else this one runs a body beside the others.
    fn shared(&self, answer: Option<R>) -> Waited<'a, R> {
        let Some(answer) = answer else { return Waited::Leads(self.engine.flights.alone(&self.flight_key())) };
        self.function.counters.increment(Count::Coalesced);
        Waited::Answered(answer, Source::Coalesced)
    }

    /// Looks in memory again, where another flight may have left the value, and then in the backend. A value that a leader finds in
    /// the backend goes into the near cache.
    async fn look_up(&self, leader: Option<&Leader<'_>>, budget: &mut TimeBudget) -> Result<(V, Source), Count> {
        match self.backend().zip(self.policy.codec()) {
            None => self.read_memory().map(|value| (value, Source::Memory)),
            Some((backend, codec)) => {
                if self.engine.near().is_some()
                    && let Ok(value) = read(self.engine, self.function, self.key, |value| value)
                {
                    return Ok((value, Source::Memory));
                }
                // Boxed, so that the futures of calls without a backend stay small. They nest with the bodies.
                Box::pin(self.read_backend(backend, codec, leader, budget)).await
            }
        }
    }

    fn read_memory(&self) -> Result<V, Count> {
        read(self.engine, self.function, self.key, |value| value).map_err(|absent| match absent {
            Absent::Expired => Count::Expired,
            Absent::Missing => match self.engine.store.removal_cause(self.function.table.id, self.key.hash()) {
                Some(RemovalCause::Evicted) => Count::Evicted,
                Some(RemovalCause::Invalidated) => Count::Invalidated,
                None => Count::NeverSeen,
            },
        })
    }

    async fn read_backend(
        &self,
        backend: &Guarded,
        codec: &Codec<V>,
        leader: Option<&Leader<'_>>,
        budget: &mut TimeBudget,
    ) -> Result<(V, Source), Count> {
        let near = self.engine.near();
        let failed = |error: Error| {
            let (fault, miss) = match error.kind().blame() {
                // The call goes on, and writes over what is stored.
                Blame::Key => ("stored bytes cannot be used", Count::Undecodable),
                Blame::Server | Blame::Backend => ("the backend could not be read", Count::BackendFault),
            };
            self.function.fault(fault, &error);
            miss
        };
        backend.ready_to_read(budget).map_err(failed)?;
        let text = self.text(backend);
        let reading = near.zip(leader).and_then(|(near, leader)| Some((near, leader, near.begin(&text)?)));
        let bytes = backend.get(&text, budget).await.map_err(failed)?.ok_or(Count::NeverSeen)?;
        // Read before the wall clock, so that the near cache never holds a value for longer than it is fresh.
        let reading = reading.map(|reading| (reading, self.engine.clock.after(Duration::ZERO)));
        let now = unix_millis(self.engine.clock.wall());
        let open = || (codec.open)(&bytes, self.function.type_info(), &text, now, &self.engine.envelope);
        let opened = catching("the value's `Deserialize`", open).map_err(Refused::from).and_then(|opened| opened);
        let latest = now.saturating_add(CLOCK_TOLERANCE.as_millis() as u64);
        match opened {
            // The writer's clock is ahead, so the value would be fresh for too long.
            Ok(Some(Opened { facts, .. })) if facts.stored > latest => Err(Count::Expired),
            Ok(Some(Opened { value, facts })) => {
                if let Some(((near, leader, reading), asked)) = reading {
                    let left = Duration::from_millis(facts.fresh_until.saturating_sub(now));
                    let expires = asked.saturating_add(nanos(left));
                    match catching("the value's weight", || self.policy.weight_of(&value)) {
                        Ok(weight) => self.keep_near(near, &reading, leader, &value, weight, expires),
                        Err(error) => self.function.fault("a value could not be kept near", &error),
                    }
                }
                Ok((value, Source::Backend))
            }
            Ok(None) => Err(Count::Expired),
            Err(Refused { error, is_foreign }) => {
                self.function.fault("stored bytes cannot be used", &error);
                if is_foreign {
                    self.function.found_foreign(&error);
                }
                Err(Count::Undecodable)
            }
        }
    }

    /// Stores `value`, unless the conditions refuse it or the key was invalidated meanwhile. `took` is the time that its body took.
    async fn try_store(
        &self,
        leader: &mut Leader<'_>,
        value: &V,
        took: Duration,
        replaced: Replaced,
        budget: &mut TimeBudget,
    ) -> Result<(), Error> {
        let outcome = self.keep(leader, value, took, budget).await;
        if replaced == Replaced::ByAnyValue && matches!(outcome, Ok(StoreOutcome::Refused) | Err(_)) {
            let forgotten = Box::pin(self.forget()).await;
            // If both fail, the caller gets the first error.
            return outcome.and(forgotten).map(drop);
        }
        outcome.map(drop)
    }

    async fn keep(
        &self,
        leader: &mut Leader<'_>,
        value: &V,
        took: Duration,
        budget: &mut TimeBudget,
    ) -> Result<StoreOutcome, Error> {
        let backend = self.backend().zip(self.policy.codec());
        let near = self.engine.near().filter(|near| backend.is_some() && !near.is_tracked());
        let weigh = backend.is_none() || near.is_some();
        let decision = catching("`when`, the timeout or the weight", || self.policy.decide(value, weigh))?;
        let Some(keep) = decision else { return Ok(StoreOutcome::Refused) };
        let Some(backend) = backend else { return self.store_in_memory(leader, value, keep) };

        let expires = self.engine.clock.after(keep.timeout);
        let outcome = Box::pin(self.store_in_backend(backend, leader, value, took, keep.timeout, budget)).await;
        // The near cache takes the value even if the backend could not store it. A tracked near cache does not: the backend tells it
        // of this write, and the next call reads the backend.
        if let (Some(near), false) = (near, matches!(outcome, Ok(StoreOutcome::Outdated))) {
            // `store_in_backend` may have returned before it fenced the older flights.
            drop(leader.overtake());
            if let Some(reading) = near.begin(&self.text(backend.0)) {
                self.keep_near(near, &reading, leader, value, keep.weight, expires);
            }
        }
        outcome
    }

    /// Puts a value that is fresh until `expires` into the near cache, unless its key was invalidated or changed since `reading`.
    fn keep_near(
        &self,
        near: &NearCache,
        reading: &Reading,
        leader: &Leader<'_>,
        value: &V,
        weight: usize,
        expires: Nanos,
    ) {
        let copy = match catching("the value's `Clone`", || PanicSafe::new(value.clone())) {
            Ok(copy) => copy,
            Err(error) => return self.function.fault("a value could not be kept near", &error),
        };
        let expires = expires.min(self.engine.clock.after(near.timeout()));
        let _deferred = self.engine.store.defer_drops();
        // A value that is too large for the near cache is no fault: the backend has it.
        let _refused = leader.keep(|| near.fill(reading, &self.function.table, &self.lookup(), copy, expires, weight));
    }

    fn store_in_memory(&self, leader: &mut Leader<'_>, value: &V, keep: Keep) -> Result<StoreOutcome, Error> {
        let Keep { timeout, weight } = keep;
        let value = PanicSafe::new(catching("the value's `Clone`", || value.clone())?);
        let expires = if timeout == Duration::MAX { NEVER } else { self.engine.clock.expiry(timeout) };
        // Values in memory arrive at once, so the fence needs no wait.
        drop(leader.overtake());
        let store = &self.engine.store;
        let _deferred = store.defer_drops();
        match leader.keep(|| store.put(&self.function.table, &self.lookup(), value, expires, weight)) {
            Some(Ok(())) => Ok(StoreOutcome::Kept),
            Some(Err(_value)) if weight == UNKNOWN => Err(Error::new(
                ErrorKind::TooLarge,
                "a value of unknown size: its `Serialize` fails, or it is nested too deeply. If it may be held, say its size with `weight`",
            )),
            Some(Err(_value)) => Err(Error::too_large(weight, store.limits().bytes)),
            None => Ok(StoreOutcome::Outdated),
        }
    }

    async fn store_in_backend(
        &self,
        (backend, codec): (&Guarded, &Codec<V>),
        leader: &mut Leader<'_>,
        value: &V,
        took: Duration,
        timeout: Duration,
        budget: &mut TimeBudget,
    ) -> Result<StoreOutcome, Error> {
        if budget.is_over() {
            return Ok(StoreOutcome::Refused);
        }
        backend.ready_to_write(budget)?;
        let text = self.text(backend);
        let forever = timeout == Duration::MAX;
        let now = self.engine.clock.wall();
        let fresh_until = now.checked_add(timeout).map_or(FOREVER, unix_millis);
        let facts = Facts {
            stored: unix_millis(now),
            fresh_until,
            stale_until: fresh_until,
            stale_on_error_until: fresh_until,
            body: took,
            generation: 0,
            tags: Vec::new(),
            writer: Writer::here(),
        };
        let seal = || (codec.seal)(value, self.function.type_info(), &text, &facts, &self.engine.envelope);
        let bytes = catching("the value's `Serialize`", seal)??;
        self.engine.pass(leader.overtake()).await;
        if !leader.begin_storing() {
            return Ok(StoreOutcome::Outdated);
        }
        let write = BackendWrite::begin(self.engine.near(), &text);
        let stored = backend.set(&text, &bytes, (!forever).then_some(timeout), budget).await;
        write.end();
        if leader.came_too_late() {
            // The write may have arrived even if it returned an error.
            self.delete(backend, &text).await?;
            return Ok(StoreOutcome::Outdated);
        }
        stored?;
        self.function.counters.add(Count::WrittenBytes, bytes.len() as u64);
        Ok(StoreOutcome::Kept)
    }

    /// Completes the flight with a value for those who wait, if they may have it.
    fn complete(&self, leader: &mut Leader<'_>, value: &V) {
        let value = Some(value).filter(|value| self.policy.may_be_shared(value));
        leader.complete(|| Some(Arc::new(PanicSafe::new(self.clone_of(value?)?)) as Shared));
    }

    fn share_err(&self, answer: &R) -> Option<Shared> {
        let sharing = self.policy.err_sharing()?;
        self.function.guard("the error's `Clone`", || (sharing.share)(answer)).flatten()
    }

    fn err_of(&self, shared: &Shared) -> Option<R> {
        let sharing = self.policy.err_sharing()?;
        self.function.guard("the error's `Clone`", || (sharing.answer)(&**shared)).flatten()
    }

    /// A clone, or `None` if the value's `Clone` panics.
    #[inline]
    fn clone_of(&self, value: &V) -> Option<V> {
        self.function.guard("the value's `Clone`", || value.clone())
    }

    fn budget(&self) -> TimeBudget {
        self.backend().map_or_else(TimeBudget::default, |backend| backend.budget(self.blocks))
    }

    fn backend(&self) -> Option<&Guarded> {
        if self.function.placement == Placement::InBackend { self.engine.backend() } else { None }
    }

    fn text(&self, backend: &Guarded) -> String {
        text::shorten(self.function.key_text(self.key), backend.max_key_bytes())
    }

    #[inline]
    fn lookup(&self) -> Lookup<'_> {
        self.key.lookup()
    }

    fn flight_key(&self) -> FlightKey {
        FlightKey { function: self.function.table.id, hash: self.key.hash(), key: OwnedKey::from(self.key.words()) }
    }
}

/// Runs the user's code, and makes its panic an error.
fn catching<T>(what: &str, code: impl FnOnce() -> T) -> Result<T, Error> {
    catch_panic(code).ok_or_else(|| Error::new(ErrorKind::Panic, format!("{what} panicked")))
}
