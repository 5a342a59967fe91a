//! The parts of a call: what it reads, how it joins the flight of its key, and how it invalidates.
//!
//! [`hit`] answers from memory. [`storing`](super::storing) has what it stores, and [`run`](super::run) puts all together.
//!
//! Nothing here fails the caller. If the cache, the backend, or the user's code for keys, clones and conditions fails or panics,
//! the body runs in the caller's task, and its answer is returned.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Engine,
    flight::{Caller, Felt, Fence, FlightKey, Group, Join, Leader, Outcome, Shared, Waiter},
    found::{Found, NotFresh, Verdict, Want, read, read_fresh},
    function::{Function, Placement},
    making::Asks,
    policy::Policy,
    tagging::TagList,
    this_call::inherit,
    value::{Value, ValueOf},
};
use crate::{
    Error, ErrorKind,
    backend::{Guarded, TimeBudget},
    base::{
        panic::{PanicSafe, catch_panic},
        timer::with_limit,
    },
    key::{Key, Lookup, PooledText},
    stats::{Count, HITS_MEASURED},
    store::{AnyTable, Freshness, Seen, tags::Stamps},
};

/// One call of a cached function whose cache and key are known.
pub(crate) struct Call<'a, R, V> {
    pub(super) engine: &'a Engine,
    pub(super) function: &'a Function<V>,
    pub(super) policy: &'a Policy<R, V>,
    key: &'a Key,
    /// The caller is a thread that waits for the answer and does nothing else.
    blocks: bool,
    /// It is one of several that one caller makes at once.
    group: Option<&'a Group>,
    /// The tags that its arguments tell, if those are not the policy's.
    tags: Option<&'a TagList>,
}

impl<R, V> Clone for Call<'_, R, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R, V> Copy for Call<'_, R, V> {}

/// The answer, if memory holds it. A hit costs no more than this.
#[inline]
pub(crate) fn hit<R, V: ValueOf<R>>(engine: &Engine, function: &Function<V>, key: &Key) -> Option<R> {
    if key.error().is_some() {
        return None;
    }
    match read_fresh(engine, function, key, V::into_answer) {
        Ok(answer) => {
            if function.counters.hit() && cfg!(feature = "report") {
                measure_hit(engine, function, key);
            }
            Some(answer)
        }
        Err(NotFresh::Absent) => None,
        Err(NotFresh::Due) => hit_closely(engine, function, key, Want::Usable).map(|found| found.value),
    }
}

/// Measures one hit for many, by a second one, without its key: a hit that is measured from its beginning would cost all others more.
#[cold]
#[inline(never)]
fn measure_hit<V: Value>(engine: &Engine, function: &Function<V>, key: &Key) {
    let Some(measures) = &function.measures else { return };
    let now = || engine.clock.after(Duration::ZERO);
    let began = now();
    if read(engine, function, key, Want::Usable, |value| drop(PanicSafe::new(value))).is_some() {
        measures.hit(Duration::from_nanos(now().saturating_sub(began)), HITS_MEASURED);
    }
    let now = engine.clock.coarse();
    let age = |_: &V, _: Freshness<'_>, seen: Seen<'_>| seen.moments.age(now, measures.timeout());
    if let Some(age) = function.table.look_closely(&key.lookup(), now, age).flatten() {
        measures.age(age);
    }
    measures.held(function.table.bytes(), now);
}

/// The answer, if memory holds it, and whether it is for this caller to replace the value.
#[inline]
pub(crate) fn hit_or_replace<R, V: ValueOf<R>>(
    engine: &Engine,
    function: &Function<V>,
    key: &Key,
) -> Option<(R, bool)> {
    if key.error().is_some() {
        return None;
    }
    let found = hit_closely(engine, function, key, Want::ToReplace)?;
    Some((found.value, found.verdict.is_due))
}

/// A hit that may be stale.
#[inline(never)]
fn hit_closely<R, V: ValueOf<R>>(engine: &Engine, function: &Function<V>, key: &Key, want: Want) -> Option<Found<R>> {
    let found = read(engine, function, key, want, V::into_answer)?;
    if found.count(function) && cfg!(feature = "report") {
        measure_hit(engine, function, key);
    }
    Some(found)
}

/// How waiting for another caller's body ended.
pub(super) enum Waited<'a, R> {
    Answered(Found<R>),
    Joins(Join<'a>),
}

/// A value for those who wait.
struct Passed<V> {
    value: PanicSafe<V>,
    stamps: Stamps,
    /// It is to be replaced while they wait on.
    is_awaited: bool,
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
        cached.then_some(Self { engine, function, policy, key, blocks, group: None, tags: None })
    }

    /// The same, as one of several that one caller makes at once.
    pub(super) fn within(self, group: &'a Group, tags: &'a TagList) -> Self {
        Self { group: Some(group), tags: Some(tags), ..self }
    }

    /// The tags that its arguments tell.
    pub(super) fn argument_tags(&self) -> &'a TagList {
        static NONE: TagList = TagList::NONE;
        self.tags.unwrap_or_else(|| self.policy.tag_rule().map_or(&NONE, |rule| &rule.of_arguments))
    }

    /// The answer, if memory or the backend has it. Counts only faults.
    pub(crate) async fn peek(&self) -> Option<R> {
        self.look_up(Want::Usable, Asks::Value, &mut self.budget()).await.ok().map(|found| found.value.into_answer())
    }

    /// Counts a body that was to replace a value, and has failed.
    pub(crate) fn refresh_has_failed(&self) {
        self.function.counters.increment(Count::RefreshesFailed);
        tracing::debug!(function = self.function.name.path(), "a value could not be replaced: the body has failed");
    }

    /// Notes that the body has failed, and that an older value may stand in for it.
    pub(super) fn put_off(&self) {
        let now = self.engine.clock.coarse();
        self.function.table.look_closely(&self.lookup(), now, |_, freshness, _| freshness.put_off());
        if self.backend().is_some() {
            self.engine.attempts.put_off(self.flight_key(), now, self.policy.spans().retry);
        }
    }

    /// The answer, if the cache has one, which a near cache then keeps, and its tags. Counts only faults.
    #[cfg(feature = "http")]
    pub(crate) async fn find(&self) -> Option<(R, Stamps)> {
        let leader = self.engine.near().and_then(|_| self.lead_alone());
        let asks = leader.as_ref().map_or(Asks::Value, Asks::NearValue);
        let found = self.look_up(Want::Usable, asks, &mut self.budget()).await.ok()?;
        Some((found.value.into_answer(), found.stamps))
    }

    /// The answer, if the backend has it, or memory where there is no backend. A near cache may have an older one. Counts only faults.
    #[cfg(feature = "http")]
    pub(crate) async fn peek_in_backend(&self) -> Option<R> {
        let found = match self.backend().zip(self.policy.codec()) {
            None => self.read_memory(Want::Usable),
            Some((backend, codec)) => {
                self.read_backend(backend, codec, Want::Usable, Asks::Value, &mut self.budget()).await.ok()
            }
        };
        found.map(|found| found.value.into_answer())
    }

    /// Whether the value is being removed at this moment.
    #[cfg(feature = "http")]
    pub(crate) fn is_being_removed(&self) -> bool {
        self.engine.removals.is_under_way(self.key.hash())
    }

    /// The answer, if memory has it, and its tags. Counts only faults.
    #[cfg(feature = "http")]
    pub(crate) fn find_in_memory(&self) -> Option<(R, Stamps)> {
        let found = self.read_memory(Want::Usable)?;
        Some((found.value.into_answer(), found.stamps))
    }

    /// The answer, if memory has it. Counts only faults.
    #[cfg(feature = "http")]
    pub(crate) fn peek_in_memory(&self) -> Option<R> {
        self.read_memory(Want::Usable).map(|found| found.value.into_answer())
    }

    /// Starts a flight that no caller waits for.
    #[cfg(feature = "http")]
    pub(super) fn lead_alone(&self) -> Option<Leader<'a>> {
        match self.engine.flights.alone(&Caller { table: None, ..self.caller() }) {
            Join::Leader(leader) => Some(leader.going_on()),
            Join::Waiter(_) | Join::Reader => None,
        }
    }

    /// Becomes the leader of this key's flight, or one of its waiters, or finds that memory has a value by now.
    pub(super) fn join(&self) -> Join<'a> {
        self.join_as(&self.caller())
    }

    /// Joins, whatever memory has.
    pub(super) fn join_in_any_case(&self) -> Join<'a> {
        self.join_as(&Caller { table: None, ..self.caller() })
    }

    fn join_as(&self, caller: &Caller<'_>) -> Join<'a> {
        let flights = &self.engine.flights;
        if self.function.coalesce { flights.join(caller) } else { flights.alone(caller) }
    }

    /// Waits for a value of the running bodies of this key, or for this call's turn to lead. The caller waits for others since it has `begun`.
    pub(super) async fn wait_since(
        &self,
        begun: Instant,
        mut wait: Waiter<'a>,
        want: Want,
        budget: &mut TimeBudget,
    ) -> Waited<'a, R> {
        let (flights, caller) = (&self.engine.flights, self.caller());
        let joined_at = self.engine.tags.newest();
        loop {
            // The caller has looked in memory. During a refresh, the backend's value is still valid.
            if wait.is_for_newer()
                && self.backend().is_some()
                && let Ok(found) = self.look_up(want, Asks::Value, budget).await
            {
                self.count_or_announce(&found);
                return Waited::Answered(found.map(V::into_answer));
            }
            let left = self.engine.wait_limit.saturating_sub(begun.elapsed());
            let joined = match with_limit(left.min(flights.poll_limit()), &mut wait).await {
                Some(Outcome::Value(shared)) => {
                    let Some(passed) = shared.downcast_ref::<Passed<V>>() else { return self.shared(None) };
                    // It has joined after one of the tags was invalidated, and the body began before.
                    if passed.stamps.were_invalidated_before(joined_at) {
                        return Waited::Joins(self.join());
                    }
                    return self.passed(passed);
                }
                Some(Outcome::Err(shared)) => return self.shared(self.err_of(&shared)),
                Some(Outcome::Nothing) => return self.shared(None),
                Some(Outcome::Room) => flights.join_again(&caller, wait),
                None if begun.elapsed() < self.engine.wait_limit => flights.look_after_leaders(&caller, wait),
                None => {
                    flights.give_up_on(&wait);
                    flights.join_again(&caller, wait)
                }
            };
            wait = match joined {
                // Others lead by now, and this one has waited long enough.
                Join::Waiter(_) if begun.elapsed() >= self.engine.wait_limit => return self.shared(None),
                Join::Waiter(wait) => wait,
                joined => return Waited::Joins(joined),
            };
        }
    }

    /// Ends a wait: with the answer that another caller shares, or else this one runs a body beside the others.
    fn shared(&self, answer: Option<R>) -> Waited<'a, R> {
        let Some(answer) = answer else { return Waited::Joins(self.engine.flights.alone(&self.caller())) };
        self.function.counters.increment(Count::Coalesced);
        Waited::Answered(Found::coalesced(answer))
    }

    /// The same with a value that another caller passes on.
    fn passed(&self, Passed { value, stamps, is_awaited }: &Passed<V>) -> Waited<'a, R> {
        let Some(value) = value.get().and_then(|value| self.clone_of(value)) else { return self.shared(None) };
        inherit(self.cache_id(), stamps);
        let answer = value.into_answer();
        if !is_awaited {
            return self.shared(Some(answer));
        }
        Waited::Answered(Found { verdict: Verdict::AWAITED, ..Found::coalesced(answer) })
    }

    /// Completes the flight with a value that has these tags, for those who wait, if they may have it.
    pub(super) fn complete(&self, leader: &mut Leader<'_>, value: &V, stamps: &Stamps) {
        self.pass(leader, value, stamps, false);
    }

    /// The same with what was found, which may be a value that they replace by a new one in a while.
    pub(super) fn complete_with(&self, leader: &mut Leader<'_>, found: &Found<V>) {
        self.pass(leader, &found.value, &found.stamps, found.verdict.is_awaited);
    }

    fn pass(&self, leader: &mut Leader<'_>, value: &V, stamps: &Stamps, is_awaited: bool) {
        // All that decides about the value has run by now.
        if !self.policy.wrong().is_none() {
            self.function.has_wrong_arguments(self.policy.wrong());
        }
        let value = Some(value).filter(|value| self.policy.may_be_shared(value));
        leader.complete(|| {
            let value = PanicSafe::new(self.clone_of(value?)?);
            Some(Arc::new(Passed { value, stamps: stamps.clone(), is_awaited }) as Shared)
        });
    }

    pub(super) fn share_err(&self, answer: &R) -> Option<Shared> {
        let sharing = self.policy.err_sharing()?;
        self.function.guard("the error's `Clone`", || (sharing.share)(answer)).flatten()
    }

    fn err_of(&self, shared: &Shared) -> Option<R> {
        let sharing = self.policy.err_sharing()?;
        self.function.guard("the error's `Clone`", || (sharing.answer)(&**shared)).flatten()
    }

    /// A clone, or `None` if the value's `Clone` panics.
    #[inline]
    pub(super) fn clone_of(&self, value: &V) -> Option<V> {
        self.function.guard("the value's `Clone`", || value.clone())
    }

    /// Waits until the values of older flights have arrived at the backend.
    pub(super) async fn pass_older(&self, fence: Fence, leader: &Leader<'_>) {
        if self.backend().is_some() {
            Felt::new(self.engine.pass(fence), leader.pulse()).await;
        }
    }

    pub(super) fn budget(&self) -> TimeBudget {
        self.backend().map_or_else(TimeBudget::default, |backend| backend.budget(self.blocks))
    }

    pub(super) fn backend(&self) -> Option<&'a Arc<Guarded>> {
        if self.function.placement == Placement::InBackend { self.engine.backend() } else { None }
    }

    pub(super) fn backend_with_fences(&self) -> Option<&'a Arc<Guarded>> {
        self.backend().filter(|backend| backend.has_fences())
    }

    pub(super) fn text(&self, backend: &Guarded) -> PooledText {
        self.function.stored_text(self.key, backend.max_key_bytes())
    }

    #[inline]
    pub(super) fn lookup(&self) -> Lookup<'_> {
        self.key.lookup()
    }

    pub(super) fn key(&self) -> &'a Key {
        self.key
    }

    pub(super) fn flight_key(&self) -> FlightKey<'_> {
        FlightKey { function: self.function.table.id, key: self.lookup() }
    }

    pub(super) fn caller(&self) -> Caller<'_> {
        // Memory has values of functions without a backend, and those of a near cache.
        let in_memory = self.backend().is_none() || self.engine.near().is_some();
        let table = in_memory.then_some(&*self.function.table as &dyn AnyTable);
        Caller { key: self.flight_key(), table, blocks: self.blocks, group: self.group }
    }
}

/// Runs the user's code, and makes its panic an error.
pub(super) fn catching<T>(what: &str, code: impl FnOnce() -> T) -> Result<T, Error> {
    catch_panic(code).ok_or_else(|| Error::new(ErrorKind::Panic, format!("{what} panicked")))
}
