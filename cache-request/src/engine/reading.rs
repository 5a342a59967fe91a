//! How a call looks for its value: in memory, and then in the backend, whose bytes it checks, decodes and keeps near.

use std::{sync::Arc, time::Duration};

use super::{
    call::{Call, catching},
    flight::{Leader, Running},
    found::{Found, Miss, StandIn, Verdict, Want, read},
    idle::Idle,
    making::{Asks, Making},
    near_cache::{NearCache, NearValue, Reading},
    policy::Codec,
    source::Source,
    spans::Standing,
    tagging::noted::{Noted, Tagged, ids_of},
    this_call::{Older, inherit},
    value::ValueOf,
};
use crate::{
    Error,
    backend::{ClaimKind, Guarded, TimeBudget},
    base::{
        clock::{MACHINES_DIFFER, Nanos, unix_millis},
        panic::PanicSafe,
    },
    codec::{Facts, Opened, Refused},
    error::Blame,
    stats::Count,
    store::{Lifetime, tags::Stamps},
};

/// Whether the value was stored before now, as far as two machines agree on that. If not, it would be fresh for too long.
pub(super) fn is_past(facts: &Facts<'_>, now: u64) -> bool {
    facts.stored <= now.saturating_add(MACHINES_DIFFER.as_millis() as u64)
}

/// A value in a backend whose time is not over.
pub(super) struct Stored<'b, V> {
    pub(super) value: V,
    pub(super) facts: Facts<'b>,
    pub(super) standing: Standing,
    pub(super) idle: Idle,
}

impl<R, V: ValueOf<R>> Call<'_, R, V> {
    /// Looks in memory, and then in the backend. A value that a leader finds in the backend goes into the near cache.
    pub(super) async fn look_up(
        &self,
        want: Want,
        asks: Asks<'_, '_>,
        budget: &mut TimeBudget,
    ) -> Result<Found<V>, Miss<V>> {
        let Some((backend, codec)) = self.backend().zip(self.policy.codec()) else {
            return self.read_memory(want).ok_or_else(|| self.missed_in_memory(Count::NeverSeen));
        };
        let near = self.engine.near().is_some();
        if near {
            // Those who come later may know of a change that what is found does not know of.
            if let Some(leader) = asks.leader() {
                leader.ask();
            }
            if let Some(found) = self.read_memory(want) {
                return Ok(found);
            }
        }
        let read = self.read_backend(backend, codec, want, asks, budget).await;
        read.map_err(|miss| {
            let has_more = near && miss.older.is_none();
            if !has_more {
                return miss;
            }
            let more = self.missed_in_memory(miss.cause);
            // What is in front may be from before an invalidation by another process, which the claim comes after.
            let older = more.older.filter(|_| !matches!(miss.making, Making::Fenced(..)));
            Miss { making: miss.making, noted: miss.noted, older, ..more }
        })
    }

    pub(super) fn read_memory(&self, want: Want) -> Option<Found<V>> {
        read(self.engine, self.function, self.key(), want, |value| value)
    }

    /// How a value of the backend answers that may stand in for the time that is `left`. `None` if it does not.
    pub(super) fn judge(&self, want: Want, standing: Standing, left: Nanos) -> Option<Verdict> {
        let (attempts, now) = (&self.engine.attempts, || self.engine.clock.coarse());
        let takes = || attempts.take(self.flight_key(), now(), self.policy.spans().retry);
        want.answers(standing, left, takes, || attempts.is_put_off(self.flight_key(), now()))
    }

    /// Looks in the backend. If the caller asks to make the value, the key is claimed for it: by the look itself, unless the function mostly
    /// finds its values. A value that is no answer has to be claimed as well.
    pub(super) async fn read_backend(
        &self,
        backend: &Guarded,
        codec: &Codec<V>,
        want: Want,
        asks: Asks<'_, '_>,
        budget: &mut TimeBudget,
    ) -> Result<Found<V>, Miss<V>> {
        let here = backend.ready_to_read(budget).map_err(|error| self.not_read(&error))?;
        let text = self.text(backend);
        let claims = asks.claims() && backend.has_fences() && backend.takes_writes();
        let mut kind = (claims && !self.function.looks.mostly_find()).then_some(ClaimKind::Missing);
        let (mut miss, mut unusable, mut is_unreadable) = (Miss::from(Count::NeverSeen), None, false);
        let mut noted = Noted::default();
        loop {
            let near = self.engine.near().zip(asks.leader());
            let reading = near.and_then(|(near, leader)| Some((&**near, leader, near.begin(&text)?)));
            if let Some(leader) = asks.leader() {
                leader.ask();
            }
            let since = self.engine.tags.newest();
            noted.begin_round();
            let (bytes, making) = match kind {
                None => (self.get_with_tags((backend, here), &text, &mut noted, budget).await, Making::Unfenced),
                Some(kind) => match self.claim_with_tags(kind, &text, &mut noted, budget).await {
                    Ok((bytes, making)) => (Ok(bytes), making),
                    // What cannot be read is replaced.
                    Err(error) if error.kind().blame() == Blame::Key && !is_unreadable => {
                        (Err(error), Making::Unfenced)
                    }
                    Err(error) => (Err(error), Making::Refused),
                },
            };
            match bytes {
                Err(error) => {
                    is_unreadable = error.kind().blame() == Blame::Key;
                    miss = self.not_read(&error).into();
                }
                Ok(None) if is_unreadable => {}
                Ok(None) => miss = Count::NeverSeen.into(),
                // It was no answer before.
                Ok(Some(bytes)) if unusable.as_ref() == Some(&bytes) => {}
                Ok(Some(bytes)) => {
                    self.note_those_of([&*bytes], &mut noted, budget).await;
                    let (answer, touch) = self.answer_in(&bytes, codec, want, &text, reading, (&noted, since));
                    // A caller that is cancelled drops it.
                    let answer = answer.map(|found| found.map(PanicSafe::new));
                    match (touch, &answer) {
                        // A value that is replaced now is stored anew.
                        (Some(keep), Ok(found)) if !found.verdict.is_due => {
                            Box::pin(self.touch(backend, &text, keep, budget)).await;
                        }
                        (Some(_), _) => self.touches_not(),
                        (None, _) => {}
                    }
                    match answer {
                        Ok(found) => {
                            self.function.looks.found();
                            return Ok(found.map(|value| value.take().expect("it is there until it is taken")));
                        }
                        Err(no_answer) => (miss, unusable) = (no_answer, Some(bytes)),
                    }
                }
            }
            kind = match making {
                Making::Unfenced if claims && !budget.is_over() => Some(match &unusable {
                    _ if is_unreadable => ClaimKind::Anew,
                    Some(_) => ClaimKind::Any,
                    None => ClaimKind::Missing,
                }),
                making => {
                    self.function.looks.missed();
                    return Err(Miss { making, noted, ..miss });
                }
            }
        }
    }

    /// The answer in the bytes of a backend, which a near cache keeps then, and for how long this caller is to touch it.
    pub(super) fn answer_in(
        &self,
        bytes: &[u8],
        codec: &Codec<V>,
        want: Want,
        text: &str,
        reading: Option<(&NearCache, &Leader<'_>, Reading)>,
        (noted, since): (&Noted, u64),
    ) -> (Result<Found<V>, Miss<V>>, Option<Duration>) {
        // Read before the wall clock, so that the near cache never holds a value for longer than it is fresh.
        let reading = reading.map(|reading| (reading, self.engine.clock.after(Duration::ZERO)));
        let now = unix_millis(self.engine.clock.wall());
        match self.stored_in(codec, bytes, text, noted, now) {
            Ok(stored) => {
                let touch = stored.idle.touch;
                (self.answer_of(stored, want, reading, since, now), touch)
            }
            Err(cause) => (Err(cause.into()), None),
        }
    }

    /// The value in these bytes, if its time is not over, by its tags as well.
    pub(super) fn stored_in<'b>(
        &self,
        codec: &Codec<V>,
        bytes: &'b [u8],
        text: &str,
        noted: &Noted,
        now: u64,
    ) -> Result<Stored<'b, V>, Count> {
        let Opened { value, mut facts } = self.open(codec, bytes, text, now)?;
        let spans = self.policy.spans();
        match noted.standing(&facts.tags) {
            Tagged::Valid => {}
            Tagged::StaleSince(moment) => spans.end(&mut facts, moment),
            Tagged::Invalid => return Err(Count::Invalidated),
        }
        let standing = spans.standing(&facts, now).ok_or(Count::Expired)?;
        let idle = self.idle_of(&value, &facts, now);
        Ok(Stored { value, facts, standing, idle })
    }

    fn answer_of(
        &self,
        Stored { value, facts, standing, idle }: Stored<'_, V>,
        want: Want,
        reading: Option<((&NearCache, &Leader<'_>, Reading), Nanos)>,
        since: u64,
        now: u64,
    ) -> Result<Found<V>, Miss<V>> {
        let (spans, stamps) = (self.policy.spans(), self.stored_stamps(&facts.tags, since));
        let Some(verdict) = self.judge(want, standing, spans.left(&facts, now)) else {
            let until = || self.engine.clock.coarse().saturating_add(spans.left(&facts, now));
            let value = Arc::new(PanicSafe::new(value));
            let older = Some(Older::of(
                matches!(standing, Standing::Fresh | Standing::Early),
                Arc::clone(&value),
                ids_of(&facts.tags),
            ));
            let stand_in =
                self.has_stand_ins().then(|| Box::new(StandIn { value, stamps: stamps.clone(), until: until() }));
            return Err(Miss { stand_in, older, ..Count::Expired.into() });
        };
        // A value that is due to be replaced would be so again there.
        if let (Some(((near, leader, reading), asked)), Standing::Fresh) = (reading, standing) {
            let latest = self.engine.clock.after(near.timeout()).min(idle.next);
            let life = spans.near_life(&facts, now, asked, latest);
            match catching("the value's weight", || self.policy.weight_of(&value)) {
                Ok(weight) => {
                    self.keep_near(near, &reading, leader, &value, weight, (life, stamps.clone()));
                }
                Err(error) => self.function.fault("a value could not be kept near", &error),
            }
        }
        if let Some(measures) = &self.function.measures {
            measures.age(Duration::from_millis(now.saturating_sub(facts.stored)));
        }
        inherit(self.cache_id(), &stamps);
        Ok(Found { value, source: Source::Backend, verdict, stamps })
    }

    pub(super) fn not_read(&self, error: &Error) -> Count {
        let (fault, miss) = match error.kind().blame() {
            // The call goes on, and writes over what is stored.
            Blame::Key => ("stored bytes cannot be used", Count::Undecodable),
            Blame::Server | Blame::Backend => ("the backend could not be read", Count::BackendFault),
        };
        self.function.fault(fault, error);
        miss
    }

    /// The bytes of a value.
    pub(super) fn seal(&self, codec: &Codec<V>, value: &V, text: &str, facts: &Facts<'_>) -> Result<Vec<u8>, Error> {
        let seal = || (codec.seal)(value, self.function.type_info(), text, facts, &self.engine.envelope);
        catching("the value's `Serialize`", seal)?
    }

    /// The value in these bytes, unless its time is over.
    pub(super) fn open<'b>(
        &self,
        codec: &Codec<V>,
        bytes: &'b [u8],
        text: &str,
        now: u64,
    ) -> Result<Opened<'b, V>, Count> {
        let open = || (codec.open)(bytes, self.function.type_info(), text, now, &self.engine.envelope);
        let opened = catching("the value's `Deserialize`", open).map_err(Refused::from).and_then(|opened| opened);
        match opened {
            Ok(Some(opened)) if is_past(&opened.facts, now) => Ok(opened),
            Ok(_) => Err(Count::Expired),
            Err(Refused { error, is_foreign }) => {
                self.function.fault("stored bytes cannot be used", &error);
                if is_foreign {
                    self.function.found_foreign(&error);
                }
                Err(Count::Undecodable)
            }
        }
    }

    /// Puts a value into the near cache, unless its key was invalidated or changed since `reading`.
    pub(super) fn keep_near(
        &self,
        near: &NearCache,
        reading: &Reading,
        leader: &Leader<'_>,
        value: &V,
        weight: usize,
        (life, stamps): (Lifetime, Stamps),
    ) {
        let value = match catching("the value's `Clone`", || PanicSafe::new(value.clone())) {
            Ok(value) => value,
            Err(error) => return self.function.fault("a value could not be kept near", &error),
        };
        let _deferred = self.engine.store.defer_drops();
        // A value that is too large for the near cache is no fault: the backend has it.
        let may = |running: &mut Running| leader.may_keep(running);
        let _refused =
            near.fill(reading, &self.function.table, &self.lookup(), NearValue { value, life, weight, stamps }, may);
    }
}
