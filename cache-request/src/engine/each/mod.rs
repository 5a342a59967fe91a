//! One call for several keys, with one body for all that are missing.
//!
//! A call that has a body to run never waits for another call. So two calls for the same keys, in whatever order, do not wait for one
//! another. [`looking`] asks the backend, and [`storing`] stores what the body returns.

pub(crate) mod keys;
mod led;
mod looking;
mod storing;

use std::{
    future::poll_fn,
    mem,
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use self::{
    keys::Keys,
    led::{Leads, Led, Stage},
};
use super::{
    Engine,
    call::{Call, Waited},
    claiming::Pauses,
    flight::{Felt, Group, Join, Waiter},
    found::Want,
    function::Function,
    policy::Policy,
    run::reason_of,
    tagging::{TagList, noted::Noted},
    this_call::{Frame, Framed},
    value::Value,
};
use crate::{
    backend::TimeBudget,
    base::{context::Change, panic::PanicSafe, timer},
    stats::Count,
    store::tags::TagId,
};

/// A call for several keys, which memory did not have.
pub(crate) struct Each<'a, V> {
    engine: &'a Engine,
    function: &'a Function<V>,
    policy: &'a Policy<V, V>,
    group: &'a Group,
    /// One for each key. None if the key could not be made.
    calls: Vec<Option<Call<'a, V, V>>>,
    // Before the values: their destructors are the user's code, which may call for a key that this call leads.
    leads: Leads<'a>,
    values: Vec<Option<PanicSafe<V>>>,
    /// What other calls make, and no wait for that has begun.
    waiters: Vec<(usize, Waiter<'a>)>,
    waits: Vec<(usize, Wait<'a, V>)>,
    /// Keys that no other call knows of.
    unkeyed: Vec<usize>,
    /// What is known of tags in the backend.
    noted: Noted,
    budget: TimeBudget,
}

/// A wait for another call's body.
type Wait<'a, V> = Pin<Box<dyn Future<Output = Waited<'a, V>> + Send + 'a>>;

impl<'a, V: Value> Each<'a, V> {
    /// A call for `keys`, each of which has its `tags`. `blocks` says that the caller is a thread that waits for the answer and does nothing else.
    pub(crate) fn new(
        engine: &'a Engine,
        function: &'a Function<V>,
        policy: &'a Policy<V, V>,
        keys: &'a Keys,
        tags: &'a [TagList],
        (group, blocks): (&'a Group, bool),
    ) -> Self {
        let call = |(key, tags)| Some(Call::of(engine, function, policy, key, blocks)?.within(group, tags));
        let calls: Vec<Option<Call<'_, V, V>>> = keys.as_slice().iter().zip(tags).map(call).collect();
        Self {
            engine,
            function,
            policy,
            group,
            values: calls.iter().map(|_| None).collect(),
            leads: Leads::default(),
            waiters: Vec::new(),
            waits: Vec::new(),
            noted: Noted::default(),
            unkeyed: (0..calls.len()).filter(|at| calls[*at].is_none()).collect(),
            budget: calls.iter().flatten().next().map_or_else(TimeBudget::default, Call::budget),
            calls,
        }
    }

    /// The values of all keys, in their order. `run` begins a body for the keys at some places, and the body returns their values. If it
    /// returns an error, that is the end of the call.
    ///
    /// While the call leads flights, its future is felt. While it only waits, a leader in the same task has to know it by the task's own waker.
    pub(crate) async fn values<T, B: Future<Output = Result<Vec<V>, T>>>(
        mut self,
        run: impl Fn(&[usize]) -> B,
    ) -> Result<Vec<Option<V>>, T> {
        let group = self.group;
        self.join();
        let first = Pauses::new(self.engine.leases.pauses);
        let (mut pauses, mut until) = (first, None);
        loop {
            if Felt::new(self.look(), group.pulse()).await {
                (pauses, until) = (first, None);
            }
            let mut leads = self.leads.take(Stage::Makes);
            for led in &mut *leads {
                self.calls[led.at].iter().for_each(|call| call.heed_refusal(&mut led.leader));
                led.since = self.engine.tags.newest();
            }
            if !leads.is_empty() || !self.unkeyed.is_empty() {
                let (places, scope) = (self.begin(&leads), leads.scope());
                Felt::new(self.begin_tags(&leads), group.pulse()).await;
                let stopwatch = self.function.time_body(&self.engine.clock, self.engine.backend().is_some());
                let mut frame = frame(&leads);
                let body = Self::in_flight(&scope, || run(&places));
                let framed = Framed::new(&mut frame, scope.around(body));
                let values = match Felt::new(framed, group.pulse()).await {
                    Ok(values) => values,
                    Err(end) => {
                        frame.pass_on();
                        leads.fail();
                        return Err(end);
                    }
                };
                // An element without a key has no entry with its tags.
                if places.len() > leads.len() {
                    frame.pass_on();
                }
                let took = self.function.body_ended(&stopwatch, &self.engine.clock, places.len());
                for (at, value) in places.into_iter().zip(values) {
                    self.values[at] = Some(PanicSafe::new(value));
                }
                Felt::new(self.store(leads, took, frame.said()), group.pulse()).await;
            } else if !self.leads.is_empty() {
                let is_told = self.leads.iter().all(|led| led.wait.is_told());
                let end = *until.get_or_insert_with(|| Instant::now() + pauses.next(is_told));
                if Felt::new(self.pause(end), group.pulse()).await {
                    until = None;
                }
            } else if !self.waiters.is_empty() || !self.waits.is_empty() {
                poll_fn(|context| self.poll_waits(context)).await;
                self.renew_budget();
            } else {
                return Ok(mem::take(&mut self.values).into_iter().map(|value| value?.take()).collect());
            }
        }
    }

    /// Joins the flights of all keys, which waits for none.
    fn join(&mut self) {
        for at in 0..self.calls.len() {
            if let Some(call) = self.calls[at] {
                self.joined(at, call, call.join());
            }
        }
    }

    fn joined(&mut self, at: usize, call: Call<'a, V, V>, mut joined: Join<'a>) {
        loop {
            joined = match joined {
                Join::Leader(leader) => return self.leads.push(Led::new(at, leader)),
                Join::Waiter(waiter) => return self.waiters.push((at, waiter)),
                Join::Reader => match call.read_memory(Want::Usable) {
                    Some(found) => {
                        found.count(self.function);
                        self.values[at] = Some(PanicSafe::new(found.value));
                        return;
                    }
                    // It has gone since, or its `Clone` panics.
                    None => call.join_in_any_case(),
                },
            };
        }
    }

    /// Counts what a body is about to make. Returns the places, in their order.
    fn begin(&mut self, leads: &Leads<'_>) -> Vec<usize> {
        for led in leads.iter() {
            self.function.counters.increment(led.cause);
            led.leader.ask_no_more();
        }
        let unkeyed = mem::take(&mut self.unkeyed);
        self.function.counters.add(Count::Uncached, unkeyed.len() as u64);
        let mut places: Vec<usize> = leads.iter().map(|led| led.at).chain(unkeyed).collect();
        places.sort_unstable();
        places
    }

    /// Makes the records of the tags that the body's values need.
    async fn begin_tags(&mut self, leads: &Leads<'_>) {
        let calls = leads.iter().filter_map(|led| self.calls[led.at]);
        let mut ids: Vec<TagId> = calls.flat_map(|call| call.tags_before()).collect();
        ids.sort_unstable();
        ids.dedup();
        if let Some(call) = self.calls.iter().flatten().next() {
            call.make_records(&ids, &mut self.noted, &mut self.budget).await;
        }
    }

    /// Waits for other processes, and for other calls meanwhile. Returns whether to look again for all that others make. If not, their backend has
    /// told of changes, and there is more to look for than these before the pause is over.
    async fn pause(&mut self, end: Instant) -> bool {
        let has_waits = !(self.waiters.is_empty() && self.waits.is_empty());
        let changes = poll_fn(|context| {
            let mut is_told = false;
            for led in &mut *self.leads {
                if led.wait.poll_change(context).is_ready() {
                    led.stage = Stage::Asks;
                    is_told = true;
                }
            }
            if has_waits && self.poll_waits(context).is_ready() {
                return Poll::Ready(false);
            }
            if is_told { Poll::Ready(true) } else { Poll::Pending }
        });
        let left = end.saturating_duration_since(Instant::now());
        let is_told = if has_waits {
            timer::with_limit(left, changes).await
        } else {
            timer::before(timer::pause(left), changes).await
        };
        self.renew_budget();
        // What is told of again and again keeps no other key waiting.
        if is_told == Some(true) && !left.is_zero() {
            return false;
        }
        self.leads.iter_mut().for_each(|led| led.stage = Stage::Asks);
        true
    }

    /// The backend has answered so far, so what is asked after a wait has all of a call's time.
    fn renew_budget(&mut self) {
        if let Some(call) = self.calls.iter().flatten().next() {
            self.budget = call.budget();
        }
    }

    /// Waits for other calls, until there is a body to run in place of theirs, or they all have ended.
    fn poll_waits(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let led = self.leads.len();
        loop {
            let begun = Instant::now();
            for (at, waiter) in mem::take(&mut self.waiters) {
                let Some(call) = self.calls[at] else { continue };
                let wait = async move { call.wait_since(begun, waiter, Want::Usable, &mut call.budget()).await };
                self.waits.push((at, Box::pin(wait)));
            }
            for (at, mut wait) in mem::take(&mut self.waits) {
                match (wait.as_mut().poll(context), self.calls[at]) {
                    (Poll::Ready(Waited::Answered(found)), _) => self.values[at] = Some(PanicSafe::new(found.value)),
                    (Poll::Ready(Waited::Joins(joined)), Some(call)) => self.joined(at, call, joined),
                    (Poll::Ready(Waited::Joins(_)), None) => {}
                    (Poll::Pending, _) => self.waits.push((at, wait)),
                }
            }
            // One that has joined again as a waiter was not polled yet.
            if self.waiters.is_empty() {
                break;
            }
        }
        if self.leads.len() > led || self.waits.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Runs user code in the flights.
    fn in_flight<T>(scope: &Change, code: impl FnOnce() -> T) -> T {
        let _entered = scope.enter();
        code()
    }
}

/// What a body knows of its call. If the elements are missing for several reasons, it knows that of the first one.
fn frame(leads: &Leads<'_>) -> Frame {
    leads.first().map_or(Frame::UNCACHED, |led| Frame::new(reason_of(led.cause), None))
}
