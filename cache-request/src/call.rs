//! One call, from the look-up to the answer.
//!
//! [`hit`] is all that a remembered answer costs. What is not remembered goes through [`answer`]: join the flight,
//! look in the backend, run the body, keep what it returns, release those who wait. It is written once: a plain function
//! drives it on its own thread.
//!
//! Nothing here may fail the caller: whatever the cache, its backend or the user's own code for keys, clones and policies
//! does, the body runs in the caller's task and its answer is returned.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    Error, ErrorKind,
    backend::{Guarded, Patience},
    cache::Cache,
    clock::{NEVER, Nanos, nanos, unix_millis},
    codec::{self, FOREVER},
    contained::{Contained, contain},
    flight::{FlightKey, Join, Landing, Lead, Shared, Wait},
    front::{Front, Reading, Write},
    function::{Function, Kept},
    key::{Key, Lookup, OwnedKey, text},
    policy::{Codec, Policy, ValueOf},
    scope,
    shim::{interleave, within},
    site::{Site, Target},
    stats::Count,
    store::{Absent, Farewell},
};

/// One call of an annotated function whose cache and key are known.
pub(crate) struct Call<'a, R, V> {
    pub(crate) site: &'static Site,
    pub(crate) cache: &'a Cache,
    pub(crate) function: &'a Function<V>,
    pub(crate) policy: &'a Policy<R, V>,
    pub(crate) key: &'a Key,
    /// Whether the caller is a thread, which can do nothing else until there is an answer.
    pub(crate) blocks: bool,
}

/// The answer, if memory holds it: all that a remembered answer takes.
#[inline]
pub(crate) fn hit<R, V: ValueOf<R>>(target: &Target, key: &Key) -> Option<R> {
    let function = target.function::<V>()?;
    if key.error().is_some() {
        return None;
    }
    let answer = read(&target.cache, function, key).ok()?;
    function.counters.one(Count::Hit);
    Some(answer)
}

/// Reads memory, and counts nothing.
#[inline]
fn read<R, V: ValueOf<R>>(cache: &Cache, function: &Function<V>, key: &Key) -> Result<R, Absent> {
    interleave();
    let mut answer = None;
    // Into its place at once: each wrapper on the way out would copy it once more.
    function.table.read(
        &key.lookup(),
        || cache.clock().coarse(),
        |value| function.guard("the value's `Clone`", || answer = Some(value.clone().into_answer())),
    )?;
    answer.ok_or(Absent::Missing)
}

/// Answers a call that found nothing in memory.
pub(crate) async fn answer<R, V: ValueOf<R>>(call: &Call<'_, R, V>, body: impl Future<Output = R>) -> R {
    let mut patience = call.patience();
    let mut lead = match call.join() {
        Join::Lead(lead) => lead,
        Join::Wait(wait) => match Box::pin(call.wait(wait, &mut patience)).await {
            Waited::Answered(answer) => return answer,
            Waited::Leads(lead) => lead,
        },
    };
    // All of it is part of the flight, so that whatever of the user's code runs in it (the body, conditions, clones,
    // destructors) may call annotated functions, and never waits for itself.
    scope::within(lead.lineage(), call.look_or_fly(&mut lead, body, &mut patience)).await
}

/// Runs the body, whatever is remembered, and keeps what it returns. What began to run earlier is not kept.
pub(crate) async fn refresh<R, V: ValueOf<R>>(call: &Call<'_, R, V>, body: impl Future<Output = R>) -> R {
    let (fence, mut lead) = call.cache.flights().supersede(&call.flight_key());
    call.cache.pass(fence).await;
    scope::within(lead.lineage(), call.fly(&mut lead, body, Replaced::ByAnyValue, &mut call.patience())).await
}

/// What a call came to that waited.
enum Waited<'a, R> {
    Answered(R),
    Leads(Lead<'a>),
}

/// When what was kept before has to go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Replaced {
    /// When the new value takes its place.
    IfKept,
    /// Also when there is a new value that is not to be kept.
    ByAnyValue,
}

/// What became of a body's value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Kept,
    /// The attribute's conditions are against it, or the backend has failed this call already.
    Unwanted,
    /// The key was invalidated meanwhile.
    Outdated,
}

impl<'a, R, V: ValueOf<R>> Call<'a, R, V> {
    /// The call that goes to `target`, or `None` if it is to run its body with no cache.
    #[inline]
    pub(crate) fn of(
        site: &'static Site,
        target: &'a Target,
        policy: &'a Policy<R, V>,
        key: &'a Key,
        blocks: bool,
    ) -> Option<Self> {
        let function = target.function::<V>()?;
        let cached = function.kept != Kept::Nowhere && key.error().is_none();
        cached.then_some(Self { site, cache: &target.cache, function, policy, key, blocks })
    }

    /// The answer, if it is remembered anywhere. Counts nothing but faults.
    pub(crate) async fn peek(&self) -> Option<R> {
        self.look_again(None, &mut self.patience()).await.ok()
    }

    /// Keeps `value` as if a body had just returned it.
    pub(crate) async fn put(&self, value: &V) -> Result<(), Error> {
        let (fence, mut lead) = self.cache.flights().supersede(&self.flight_key());
        self.cache.pass(fence).await;
        scope::within(lead.lineage(), async {
            let kept = self.try_keep(&mut lead, value, Replaced::ByAnyValue, &mut self.patience()).await;
            self.land(&mut lead, Some(value));
            kept
        })
        .await
    }

    /// Forgets the value, also one that a running body is about to return. Says whether there was one.
    pub(crate) async fn invalidate(&self) -> Result<bool, Error> {
        let removed = self.remove().await;
        // Nobody joins those any more who have looked before it was gone.
        drop(self.cache.flights().fence(&self.flight_key()));
        removed
    }

    async fn remove(&self) -> Result<bool, Error> {
        let fence = self.cache.flights().fence(&self.flight_key());
        interleave();
        // A value still on its way to the backend must not arrive after the deletion.
        self.cache.pass(fence).await;
        self.forget().await
    }

    async fn forget(&self) -> Result<bool, Error> {
        match self.backend() {
            Some(backend) => self.delete(backend, &self.text(backend)).await,
            None => Ok(self.cache.store().remove(&self.function.table, &self.lookup(), Farewell::Invalidated)),
        }
    }

    /// Deletes what is behind and then what is in front, where it may have come from behind meanwhile.
    async fn delete(&self, backend: &Guarded, text: &str) -> Result<bool, Error> {
        let write = Write::begin(self.cache.front(), text);
        let deleted = backend.delete(text).await;
        let was_in_front = write.end();
        deleted.map(|deleted| deleted || was_in_front)
    }

    /// Becomes the one to run the body for this key, or one of those who wait for that.
    fn join(&self) -> Join<'_> {
        let (key, flights) = (self.flight_key(), self.cache.flights());
        if self.site.coalesce { flights.join(&key) } else { Join::Lead(flights.alone(&key)) }
    }

    /// Waits for the body that runs for this key, as long as there is one that is worth it.
    async fn wait(&self, mut wait: Wait, patience: &mut Patience) -> Waited<'_, R> {
        let (key, flights) = (self.flight_key(), self.cache.flights());
        loop {
            // Memory has been looked in; what the backend has is good while the newer value is being made.
            if wait.is_for_newer()
                && self.backend().is_some()
                && let Ok(answer) = self.look_again(None, patience).await
            {
                self.function.counters.one(Count::Hit);
                return Waited::Answered(answer);
            }
            match within(self.cache.wait_limit(), &mut wait).await {
                Some(Landing::Value(shared)) => {
                    let value = shared.downcast_ref().and_then(Contained::get).and_then(|value| self.clone_of(value));
                    let Some(value) = value else { return Waited::Leads(flights.alone(&key)) };
                    self.function.counters.one(Count::Coalesced);
                    return Waited::Answered(value.into_answer());
                }
                Some(Landing::Nothing) => return Waited::Leads(flights.alone(&key)),
                Some(Landing::Abandoned) => {}
                None => flights.give_up_on(&key, &wait),
            }
            wait = match flights.join(&key) {
                Join::Lead(lead) => return Waited::Leads(lead),
                Join::Wait(wait) => wait,
            };
        }
    }

    /// Looks where the value may be by now: in memory, where another flight may have left it, or in the backend. What a leader
    /// finds there is kept in front.
    async fn look_again(&self, lead: Option<&Lead<'_>>, patience: &mut Patience) -> Result<R, Count> {
        match self.backend().zip(self.policy.codec()) {
            None => self.look_in_memory(),
            // In a place of its own: a call that needs no backend carries nothing of it, and bodies nest.
            Some((backend, codec)) => Box::pin(self.look_in(backend, codec, lead, patience)).await,
        }
    }

    fn look_in_memory(&self) -> Result<R, Count> {
        read(self.cache, self.function, self.key).map_err(|absent| match absent {
            Absent::Expired => Count::Expired,
            Absent::Missing => match self.cache.store().farewell(self.function.table.id, self.key.hash()) {
                Some(Farewell::Evicted) => Count::Evicted,
                Some(Farewell::Invalidated) => Count::Invalidated,
                None => Count::NeverSeen,
            },
        })
    }

    async fn look_in(
        &self,
        backend: &Guarded,
        codec: &Codec<V>,
        lead: Option<&Lead<'_>>,
        patience: &mut Patience,
    ) -> Result<R, Count> {
        let front = self.cache.front();
        if front.is_some()
            && let Ok(answer) = read(self.cache, self.function, self.key)
        {
            return Ok(answer);
        }
        let unreachable = |error: Error| {
            self.function.fault("the backend could not be read", &error);
            Count::BackendFault
        };
        backend.ready(patience).map_err(unreachable)?;
        let text = self.text(backend);
        let reading = front.zip(lead).and_then(|(front, lead)| Some((front, lead, front.begin(&text)?)));
        let bytes = backend.get(&text, patience).await.map_err(unreachable)?.ok_or(Count::NeverSeen)?;
        // Before the wall clock is read: a value that goes in front is to be there no longer than it is fresh.
        let reading = reading.map(|reading| (reading, self.cache.clock().after(Duration::ZERO)));
        let now = unix_millis(self.cache.clock().wall());
        let open = || (codec.open)(&bytes, self.function.kind(codec), &text, now, self.cache.packing());
        match contained("the value's `Deserialize`", open).and_then(|opened| opened) {
            Ok(Some(value)) => {
                if let Some(((front, lead, reading), asked)) = reading {
                    let left = Duration::from_millis(codec::fresh_until(&bytes).saturating_sub(now));
                    self.put_in_front(front, &reading, lead, &value, asked.saturating_add(nanos(left)));
                }
                Ok(value.into_answer())
            }
            Ok(None) => Err(Count::Expired),
            Err(error) => {
                self.function.fault("stored bytes cannot be used", &error);
                Err(Count::Undecodable)
            }
        }
    }

    async fn look_or_fly(&self, lead: &mut Lead<'_>, body: impl Future<Output = R>, patience: &mut Patience) -> R {
        match self.look_again(Some(lead), patience).await {
            Ok(answer) => {
                self.function.counters.one(Count::Hit);
                self.land(lead, V::of(&answer));
                return answer;
            }
            Err(miss) => self.function.counters.one(miss),
        }
        self.fly(lead, body, Replaced::IfKept, patience).await
    }

    /// Runs the body, keeps its value, and shares it with those who wait.
    async fn fly(
        &self,
        lead: &mut Lead<'_>,
        body: impl Future<Output = R>,
        replaced: Replaced,
        patience: &mut Patience,
    ) -> R {
        let start = Instant::now();
        let answer = body.await;
        let nanos = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.function.counters.one(Count::Bodies);
        self.function.counters.add(Count::BodyNanos, nanos);
        // From here on there is a value, or nothing to wait for. An `Err` need not be `Send`, and is never held while this
        // waits: where the function's own future is `Send`, so is this.
        let value = match V::from_answer(answer) {
            Ok(value) => value,
            Err(answer) => {
                self.land(lead, None);
                return answer;
            }
        };
        if let Err(error) = self.try_keep(lead, &value, replaced, patience).await {
            self.function.fault("a value could not be kept", &error);
        }
        self.land(lead, Some(&value));
        value.into_answer()
    }

    /// Keeps `value`, if it is to be kept and the key was not invalidated meanwhile.
    async fn try_keep(
        &self,
        lead: &mut Lead<'_>,
        value: &V,
        replaced: Replaced,
        patience: &mut Patience,
    ) -> Result<(), Error> {
        let outcome = self.keep(lead, value, patience).await;
        if replaced == Replaced::ByAnyValue && matches!(outcome, Ok(Outcome::Unwanted) | Err(_)) {
            let forgotten = Box::pin(self.forget()).await;
            // That it could not be kept says more than that the older one could not be removed.
            return outcome.and(forgotten).map(drop);
        }
        outcome.map(drop)
    }

    async fn keep(&self, lead: &mut Lead<'_>, value: &V, patience: &mut Patience) -> Result<Outcome, Error> {
        let timeout = contained("`when`, or the timeout,", || self.policy.keep_for(value))?;
        match (timeout, self.backend().zip(self.policy.codec())) {
            (None, _) => Ok(Outcome::Unwanted),
            (Some(timeout), None) => self.keep_in_memory(lead, value, timeout),
            (Some(timeout), Some((backend, codec))) => {
                let expires = self.cache.clock().after(timeout);
                let outcome = Box::pin(self.keep_in(backend, codec, lead, value, timeout, patience)).await;
                if !matches!(outcome, Ok(Outcome::Outdated)) {
                    self.keep_in_front(backend, lead, value, expires);
                }
                outcome
            }
        }
    }

    /// Keeps a new value in front, also if it could not be kept behind: for as long as the front may be older than that.
    ///
    /// Where the backend tells of changes, it tells of this one, too: the next call reads what is behind.
    fn keep_in_front(&self, backend: &Guarded, lead: &mut Lead<'_>, value: &V, expires: Nanos) {
        let Some(front) = self.cache.front().filter(|front| !front.is_tracked()) else { return };
        // Where nothing could be sent behind, older flights have still to be overtaken.
        drop(lead.overtake());
        if let Some(reading) = front.begin(&self.text(backend)) {
            self.put_in_front(front, &reading, lead, value, expires);
        }
    }

    /// Puts a value in front that is fresh until then, unless the key was invalidated or has changed meanwhile.
    fn put_in_front(&self, front: &Front, reading: &Reading, lead: &Lead<'_>, value: &V, expires: Nanos) {
        let weight = contained("the value's weight", || self.policy.weight_of(value));
        let copy = contained("the value's `Clone`", || Contained::new(value.clone()));
        let (weight, copy) = match weight.and_then(|weight| Ok((weight, copy?))) {
            Ok(weighed) => weighed,
            Err(error) => return self.function.fault("a value could not be kept in front", &error),
        };
        let expires = expires.min(self.cache.clock().after(front.timeout()));
        let _deferred = self.cache.store().defer_drops();
        // Not a fault if it is too large: it is behind.
        let _unkept = lead.keep(|| front.fill(reading, &self.function.table, &self.lookup(), copy, expires, weight));
    }

    fn keep_in_memory(&self, lead: &mut Lead<'_>, value: &V, timeout: Duration) -> Result<Outcome, Error> {
        let weight = contained("the value's weight", || self.policy.weight_of(value))?;
        let value = Contained::new(contained("the value's `Clone`", || value.clone())?);
        let expires = if timeout == Duration::MAX { NEVER } else { self.cache.clock().after(timeout) };
        // Values are on their way to backends only.
        drop(lead.overtake());
        let store = self.cache.store();
        let _deferred = store.defer_drops();
        match lead.keep(|| store.put(&self.function.table, &self.lookup(), value, expires, weight)) {
            Some(Ok(())) => Ok(Outcome::Kept),
            Some(Err(_value)) => Err(Error::too_large(weight, store.limits().bytes)),
            None => Ok(Outcome::Outdated),
        }
    }

    async fn keep_in(
        &self,
        backend: &Guarded,
        codec: &Codec<V>,
        lead: &mut Lead<'_>,
        value: &V,
        timeout: Duration,
        patience: &mut Patience,
    ) -> Result<Outcome, Error> {
        if patience.is_over() {
            return Ok(Outcome::Unwanted);
        }
        backend.ready(patience)?;
        let text = self.text(backend);
        let forever = timeout == Duration::MAX;
        let fresh_until = self.cache.clock().wall().checked_add(timeout).map_or(FOREVER, unix_millis);
        let seal = || (codec.seal)(value, self.function.kind(codec), &text, fresh_until, self.cache.packing());
        let bytes = contained("the value's `Serialize`", seal)??;
        self.cache.pass(lead.overtake()).await;
        if !lead.begin_storing() {
            return Ok(Outcome::Outdated);
        }
        let write = Write::begin(self.cache.front(), &text);
        let stored = backend.set(&text, &bytes, (!forever).then_some(timeout), patience).await;
        write.end();
        if lead.came_too_late() {
            // Also if that failed: it may be there all the same.
            self.delete(backend, &text).await?;
            return Ok(Outcome::Outdated);
        }
        stored?;
        self.function.counters.add(Count::WrittenBytes, bytes.len() as u64);
        Ok(Outcome::Kept)
    }

    /// Ends the flight with a value for those who wait, or with none.
    fn land(&self, lead: &mut Lead<'_>, value: Option<&V>) {
        lead.land(|| Some(Arc::new(Contained::new(self.clone_of(value?)?)) as Shared));
    }

    /// A clone, unless the value's own `Clone` panics.
    #[inline]
    fn clone_of(&self, value: &V) -> Option<V> {
        self.function.guard("the value's `Clone`", || value.clone())
    }

    fn patience(&self) -> Patience {
        self.backend().map_or_else(Patience::default, |backend| backend.patience(self.blocks))
    }

    fn backend(&self) -> Option<&Guarded> {
        if self.function.kept == Kept::InBackend { self.cache.backend() } else { None }
    }

    fn text(&self, backend: &Guarded) -> String {
        text::shorten(key_text(self.site, self.function, self.key), backend.max_key_bytes())
    }

    #[inline]
    fn lookup(&self) -> Lookup<'_> {
        self.key.lookup()
    }

    fn flight_key(&self) -> FlightKey {
        FlightKey { function: self.function.table.id, hash: self.key.hash(), key: OwnedKey::from(self.key.words()) }
    }
}

/// Runs the user's code, whose panic is an error of the cache.
fn contained<T>(what: &str, code: impl FnOnce() -> T) -> Result<T, Error> {
    contain(code).ok_or_else(|| Error::new(ErrorKind::Panic, format!("{what} panicked")))
}

/// The key, as it reads where it leaves the process.
pub(crate) fn key_text<V>(site: &Site, function: &Function<V>, key: &Key) -> String {
    text::render(site, function.name.head(), key.words())
}

impl<R, V> fmt::Debug for Call<'_, R, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("function", &self.function.name.path()).finish_non_exhaustive()
    }
}
