//! How a call for several keys stores what its body has made: all of it at once.

use std::{sync::Arc, time::Duration};

use super::{
    Each,
    led::{Leads, Led},
};
use crate::{
    Error,
    backend::{Fence as BackendFence, Guarded, Item, Outcomes},
    base::panic::PanicSafe,
    engine::{
        call::Call,
        flight::Fence,
        making::Making,
        near_cache::BackendWrite,
        policy::{Codec, Keep},
        storing::{Kept, Lasting, Replaced},
        tagging::{
            collected::{Collected, ValueTags},
            noted::Noted,
        },
        this_call::{Said, inherit},
        value::Value,
    },
    key::PooledText,
    stats::Count,
    store::{Lifetime, tags::TagId},
};

/// A value on its way to the backend.
struct Sent {
    /// Its place among the flights.
    led: usize,
    text: PooledText,
    bytes: Vec<u8>,
    lasting: Lasting,
    keep: Keep,
    outcome: Outcome,
}

/// What became of a value at the backend.
enum Outcome {
    /// It may not be stored, or an operation for it was not begun.
    NotSent,
    Stored,
    /// The key was invalidated meanwhile.
    Outdated,
    Failed,
}

impl<'a, V: Value> Each<'a, V> {
    /// Stores the values of the flights, and shares them with those who wait.
    pub(super) async fn store(&mut self, mut leads: Leads<'a>, took: Duration, said: Option<&Said>) {
        let scope = leads.scope();
        match leads.first().and_then(|led| self.calls[led.at]?.backend()).zip(self.policy.codec()) {
            Some((backend, codec)) => {
                scope.clone().around(self.store_in_backend(&mut leads, backend, codec, (took, said))).await;
            }
            None => Self::in_flight(&scope, || leads.iter_mut().for_each(|led| self.store_in_memory(led, said))),
        }
        Self::in_flight(&scope, || {
            for led in &mut *leads {
                if let (Some(call), Some(value)) =
                    (self.calls[led.at], self.values[led.at].as_ref().and_then(PanicSafe::get))
                {
                    call.complete(&mut led.leader, value, &led.tags.stamps);
                    inherit(call.cache_id(), &led.tags.stamps);
                }
            }
        });
    }

    fn store_in_memory(&self, led: &mut Led<'_>, said: Option<&Said>) {
        let value = self.values[led.at].as_ref().and_then(PanicSafe::get);
        let (Some(call), Some(value)) = (self.calls[led.at], value) else { return };
        led.tags = call.tags_in_memory(value, said, led.since);
        let kept = Kept { replaced: Replaced::IfKept, said, tags: &led.tags, noted: &Noted::default() };
        if let Err(error) = call.try_store_in_memory(&mut led.leader, value, kept) {
            self.not_kept(&error);
        }
    }

    async fn store_in_backend(
        &mut self,
        leads: &mut Leads<'a>,
        backend: &'a Arc<Guarded>,
        codec: &Codec<V>,
        of_body: (Duration, Option<&Said>),
    ) {
        self.resolve_tags(leads, of_body.1).await;
        let by_time = self.engine.near().filter(|near| !near.is_tracked());
        let mut sent = Vec::with_capacity(leads.len());
        let is_ready = !self.budget.is_over() && self.ready_to_write(backend);
        for (place, led) in leads.iter().enumerate().filter(|(_, led)| !led.is_lost) {
            match self.sealed(led, place, backend, codec, of_body, by_time.is_some()) {
                Ok(Some(value)) => {
                    if let Some(call) = self.calls[led.at] {
                        call.prolong_tags(&led.tags.stamps, value.lasting.longest, &self.noted, &mut self.budget).await;
                    }
                    sent.push(value);
                }
                Ok(None) => {}
                Err(error) => self.not_kept(&error),
            }
        }
        let lives: Vec<Option<Lifetime>> =
            sent.iter().map(|value| Some(self.calls[leads[value.led].at]?.near_life(by_time?, &value.keep))).collect();
        let mut fence = Fence::default();
        leads.iter().for_each(|led| led.leader.overtake_in(&mut fence));
        if is_ready {
            self.engine.pass(fence).await;
            self.send(leads, &mut sent, backend).await;
        }
        for (value, life) in sent.iter().zip(lives) {
            let led = &mut leads[value.led];
            match value.outcome {
                Outcome::Stored => {
                    led.making.end();
                    self.function.counters.add(Count::WrittenBytes, value.bytes.len() as u64);
                }
                Outcome::Outdated => continue,
                Outcome::NotSent | Outcome::Failed => {}
            }
            // The near cache takes the value even if the backend could not store it, unless the backend tells it of changes.
            if let (Some(near), Some(life), Some(call)) = (by_time, life, self.calls[led.at])
                && !(call.is_refused(&led.leader) || matches!(led.making, Making::Refused))
                && let Some(kept) = self.values[led.at].as_ref().and_then(PanicSafe::get)
                && let Some(reading) = near.begin(&value.text)
            {
                call.keep_near(near, &reading, &led.leader, kept, value.keep.weight, (life, led.tags.stamps.clone()));
            }
        }
    }

    /// Finds out the tags of all values, and their generations.
    async fn resolve_tags(&mut self, leads: &mut Leads<'a>, said: Option<&Said>) {
        let collected: Vec<_> = leads.iter().map(|led| self.collected(led, said)).collect();
        let mut after: Vec<TagId> = collected
            .iter()
            .flatten()
            .flat_map(|(_, collected)| collected.as_ref().ok())
            .flat_map(Collected::after)
            .collect();
        after.sort_unstable();
        after.dedup();
        let Some(first) = self.calls.iter().flatten().next().copied() else { return };
        let is_known = first.note_after(&after, &mut self.noted, &mut self.budget).await;
        for (led, collected) in leads.iter_mut().zip(collected) {
            led.tags = match collected {
                None => ValueTags::NONE,
                Some((call, Ok(collected))) => call.tags_in_backend(&collected, led.since, &self.noted, is_known),
                Some((call, Err(error))) => call.wrong_tags(&error),
            };
            if !led.tags.may_be_kept() {
                self.function.counters.increment(Count::Outdated);
                led.leader.is_outdated();
                // Its lease is given back.
                led.making = Making::Refused;
            }
        }
    }

    fn collected(&self, led: &Led<'_>, said: Option<&Said>) -> Option<(Call<'a, V, V>, Result<Collected, Error>)> {
        let (call, value) = self.calls[led.at].zip(self.values[led.at].as_ref()?.get())?;
        Some((call, call.collect_tags(Some(value), said)))
    }

    fn ready_to_write(&mut self, backend: &Guarded) -> bool {
        backend.ready_to_write(&mut self.budget).inspect_err(|error| self.not_kept(error)).is_ok()
    }

    /// A value as the backend keeps it. `None` if the conditions refuse it.
    fn sealed(
        &self,
        led: &Led<'_>,
        place: usize,
        backend: &Guarded,
        codec: &Codec<V>,
        (took, said): (Duration, Option<&Said>),
        weigh: bool,
    ) -> Result<Option<Sent>, Error> {
        let value = self.values[led.at].as_ref().and_then(PanicSafe::get);
        let Some((call, value)) = self.calls[led.at].zip(value) else { return Ok(None) };
        let Some(keep) = call.decide(value, weigh, said)? else { return Ok(None) };
        if !led.tags.may_be_kept() {
            return Ok(None);
        }
        let text = call.text(backend);
        let of_body = (took, &led.tags.stamps);
        let (bytes, lasting) = call.sealed(codec, &text, value, of_body, (keep.timeout, keep.is_err))?;
        Ok(Some(Sent { led: place, text, bytes, lasting, keep, outcome: Outcome::NotSent }))
    }

    /// Sends the values: one operation for those with a fence, and one for the others.
    async fn send(&mut self, leads: &mut Leads<'a>, sent: &mut [Sent], backend: &'a Arc<Guarded>) {
        let (mut fenced, mut plain) = (Vec::new(), Vec::new());
        for (place, value) in sent.iter_mut().enumerate() {
            let led = &mut leads[value.led];
            value.outcome = Outcome::Outdated;
            if self.calls[led.at].is_none_or(|call| call.is_refused(&led.leader)) || !led.leader.begin_storing() {
                continue;
            }
            led.leader.ask_to_store();
            match led.making {
                Making::Refused => {
                    self.function.counters.increment(Count::Outdated);
                    led.leader.is_outdated();
                }
                Making::Unfenced if !backend.has_fences() => plain.push(place),
                Making::Fenced(fence, _) => fenced.push((place, fence)),
                Making::Unfenced | Making::Unwritable => {
                    self.function.fault("a value could not be kept", &Making::unwritable());
                    led.leader.ask_no_more();
                    value.outcome = Outcome::NotSent;
                }
            }
        }
        let item = |place: usize| {
            let Sent { text, bytes, lasting, .. } = &sent[place];
            Item { key: text, value: bytes, timeout: lasting.unread }
        };
        let near = self.engine.near();
        let begin = |place: usize| BackendWrite::begin(near, &sent[place].text);
        let mut outcomes = Vec::with_capacity(sent.len());
        if !fenced.is_empty() {
            let writes: Vec<_> = fenced.iter().map(|(place, _)| begin(*place)).collect();
            let items: Vec<(Item<'_>, BackendFence)> =
                fenced.iter().map(|(place, fence)| (item(*place), *fence)).collect();
            let stored = backend.set_fenced_many(&items, &mut self.budget).await;
            writes.into_iter().for_each(|write| _ = write.end());
            outcomes.extend(fenced.iter().map(|(place, _)| *place).zip(self.each(stored, items.len())));
        }
        if self.budget.is_over() {
            // They are not sent any more.
            plain.drain(..).for_each(|place| leads[sent[place].led].leader.ask_no_more());
        }
        if !plain.is_empty() {
            let writes: Vec<_> = plain.iter().map(|place| begin(*place)).collect();
            let items: Vec<Item<'_>> = plain.iter().map(|place| item(*place)).collect();
            let stored = backend.set_many(&items, &mut self.budget).await;
            writes.into_iter().for_each(|write| _ = write.end());
            let stored = stored.map(|stored| stored.into_iter().map(|stored| stored.map(|()| true)).collect());
            outcomes.extend(plain.into_iter().zip(self.each(stored, items.len())));
        }
        for (place, outcome) in outcomes {
            let led = &leads[sent[place].led];
            if led.leader.came_too_late() {
                // The write may have arrived even if it returned an error.
                self.forget(led.at, backend, &sent[place].text).await;
                continue;
            }
            sent[place].outcome = match outcome {
                Some(true) => {
                    self.look_at_tags(led).await;
                    Outcome::Stored
                }
                Some(false) => {
                    self.function.counters.increment(Count::Outdated);
                    led.leader.is_outdated();
                    Outcome::Outdated
                }
                None => {
                    led.leader.ask_no_more();
                    Outcome::Failed
                }
            };
        }
    }

    /// Whether each value was stored. `None` for those that failed.
    fn each(&self, stored: Result<Outcomes<bool>, Error>, count: usize) -> Vec<Option<bool>> {
        match stored {
            Ok(stored) => {
                stored.into_iter().map(|stored| stored.inspect_err(|error| self.not_kept(error)).ok()).collect()
            }
            Err(error) => {
                self.not_kept(&error);
                vec![None; count]
            }
        }
    }

    async fn forget(&mut self, at: usize, backend: &Guarded, text: &str) {
        if let Some(call) = self.calls[at]
            && let Err(error) = call.forget_in(backend, text, Duration::ZERO).await
        {
            self.not_kept(&error);
        }
    }

    /// A fence tells of invalidations of a key alone.
    async fn look_at_tags(&mut self, led: &Led<'_>) {
        let stamps = &led.tags.stamps;
        if let Some(call) = self.calls[led.at].filter(|_| !stamps.is_empty() && led.leader.others_have_come())
            && call.have_changed(stamps, &mut self.budget).await
        {
            led.leader.is_outdated();
        }
    }

    fn not_kept(&self, error: &Error) {
        self.function.fault("a value could not be kept", error);
    }
}
