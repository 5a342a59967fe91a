//! How a call for several keys asks the backend: once for all that it leads.

use super::{
    Each,
    led::{Leads, Stage},
};
use crate::{
    Error,
    backend::{Claim, ClaimKind, Guarded, TimeBudget},
    base::{
        both::{all, both},
        panic::PanicSafe,
        random,
    },
    engine::{
        call::Call,
        claiming::{was_not_sent, what_came_of},
        found::{Found, Miss, Want},
        keeper::Sent,
        making::Making,
        policy::Codec,
        tagging::{collected::ValueTags, noted::Noted},
        value::Value,
    },
    key::PooledText,
    stats::Count,
    store::{Absent, tags::TagId},
};
use std::{sync::Arc, time::Duration};

/// A key that the backend is asked for.
struct Asked<'t> {
    /// Its place among the flights.
    led: usize,
    text: &'t PooledText,
    /// `None` to look only.
    kind: Option<ClaimKind>,
    /// What the backend has, and what is no answer.
    unusable: Option<Vec<u8>>,
    /// What the backend has cannot be read.
    is_unreadable: bool,
}

/// So many values are touched at a time.
const TOUCHED_AT_ONCE: usize = 64;

/// What the backend has under a key, and what becomes of a value that is made.
type Outcome = Result<(Option<Vec<u8>>, Making), Error>;

impl<'a, V: Value> Each<'a, V> {
    /// Looks for the values of the flights that ask, in memory and in the backend. What is not there has to be made, or is made by another
    /// process. Returns whether a wait for one has begun.
    pub(super) async fn look(&mut self) -> bool {
        let mut asks = self.leads.take(Stage::Asks);
        if asks.is_empty() {
            return false;
        }
        let Some((backend, codec)) = self.backend().zip(self.policy.codec()) else {
            for led in &mut *asks {
                led.cause = cause_of(led.leader.absent());
                led.stage = Stage::Makes;
            }
            self.leads.append(asks);
            return false;
        };
        asks.iter_mut().for_each(|led| led.wait.begin_look());
        let scope = asks.scope();
        scope.around(self.ask(&mut asks, backend, codec)).await;
        let mut begun = 0;
        for led in asks.iter_mut().filter(|led| led.stage != Stage::Has) {
            let is_new = led.wait.is_new();
            let call = self.calls[led.at].filter(|call| call.waits_for(&led.making));
            let call = call.filter(|_| led.wait.goes_on(&led.making, self.engine.wait_limit));
            call.iter().for_each(|call| call.wait_for_change(&mut led.wait));
            led.stage = if call.is_some() { Stage::Elsewhere } else { Stage::Makes };
            begun += u64::from(call.is_some() && is_new);
        }
        self.function.counters.add(Count::LeaseWaits, begun);
        let mut found = asks.take(Stage::Has);
        let scope = found.scope();
        for led in &mut *found {
            if let (Some(call), Some(value)) =
                (self.calls[led.at], self.values[led.at].as_ref().and_then(PanicSafe::get))
            {
                Self::in_flight(&scope, || call.complete(&mut led.leader, value, &led.tags.stamps));
            }
        }
        self.leads.append(asks);
        begun > 0
    }

    fn backend(&self) -> Option<&'a Arc<Guarded>> {
        self.calls.iter().flatten().next()?.backend()
    }

    async fn ask(&mut self, asks: &mut Leads<'a>, backend: &'a Arc<Guarded>, codec: &Codec<V>) {
        let near = self.engine.near();
        if near.is_some() {
            for led in &mut **asks {
                // It is shared when the backend has answered for the others. Those who come until then may know of a change that it does not
                // know of.
                led.leader.ask();
                if let Some(found) = self.calls[led.at].and_then(|call| call.read_memory(Want::Usable)) {
                    led.tags = self.found(led.at, found);
                    led.stage = Stage::Has;
                }
            }
        }
        // Another process may have made new ones meanwhile.
        self.noted = Noted::default();
        if let Err(error) = backend.ready_to_read(&mut self.budget) {
            let cause = self.not_read(&error);
            asks.iter_mut().for_each(|led| (led.cause, led.making) = (cause, Making::Refused));
            return;
        }
        let claims = backend.has_fences() && backend.takes_writes();
        let kind = (claims && !self.function.looks.mostly_find()).then_some(ClaimKind::Missing);
        let texts: Vec<_> = asks.iter().map(|led| self.calls[led.at].map(|call| call.text(backend))).collect();
        let asked = texts.iter().enumerate().filter(|(led, _)| asks[*led].stage == Stage::Asks);
        let mut touches = Vec::new();
        let mut asked: Vec<Asked<'_>> = asked
            .filter_map(|(led, text)| {
                Some(Asked { led, text: text.as_ref()?, kind, unusable: None, is_unreadable: false })
            })
            .collect();
        while let Some(first) = asked.first() {
            let (kind, since) = (first.kind, self.engine.tags.newest());
            self.noted.begin_round();
            let (now, later): (Vec<_>, Vec<_>) = asked.into_iter().partition(|one| one.kind == kind);
            asked = later;
            let readings: Vec<_> = now.iter().map(|one| near.and_then(|near| near.begin(one.text))).collect();
            now.iter().for_each(|one| asks[one.led].leader.ask());
            let outcomes = self.outcomes(backend, kind, &now, asks).await;
            for ((mut one, reading), outcome) in now.into_iter().zip(readings).zip(outcomes) {
                let led = &mut asks[one.led];
                let at = led.at;
                let Some(call) = self.calls[at] else { continue };
                let (bytes, making) = match outcome {
                    Ok((bytes, making)) => (Ok(bytes), making),
                    // What cannot be read is replaced.
                    Err(cause) if cause == Count::Undecodable && !one.is_unreadable => (Err(cause), Making::Unfenced),
                    Err(cause) if !backend.has_fences() => (Err(cause), Making::Unfenced),
                    Err(cause) => {
                        led.is_lost = cause == Count::BackendFault;
                        (Err(cause), Making::Refused)
                    }
                };
                match bytes {
                    Err(cause) => (led.cause, one.is_unreadable) = (cause, cause == Count::Undecodable),
                    Ok(None) if one.is_unreadable => {}
                    Ok(None) => led.cause = Count::NeverSeen,
                    // It was no answer before.
                    Ok(Some(bytes)) if one.unusable.as_ref() == Some(&bytes) => {}
                    Ok(Some(bytes)) => {
                        let reading = near.zip(reading).map(|(near, reading)| (&**near, &led.leader, reading));
                        let (answer, touch) =
                            call.answer_in(&bytes, codec, Want::Usable, one.text, reading, (&self.noted, since));
                        match (touch, &answer) {
                            (Some(keep), Ok(_)) => touches.push((call, one.text, keep)),
                            (Some(_), Err(_)) => call.touches_not(),
                            (None, _) => {}
                        }
                        match answer {
                            Ok(found) => {
                                self.function.looks.found();
                                led.tags = self.found(at, found);
                                led.stage = Stage::Has;
                                continue;
                            }
                            Err(Miss { cause, .. }) => (led.cause, one.unusable) = (cause, Some(bytes)),
                        }
                    }
                }
                match making {
                    Making::Unfenced if claims && !self.budget.is_over() => {
                        one.kind = Some(match &one.unusable {
                            _ if one.is_unreadable => ClaimKind::Anew,
                            Some(_) => ClaimKind::Any,
                            None => ClaimKind::Missing,
                        });
                        asked.push(one);
                    }
                    making => {
                        self.function.looks.missed();
                        led.making = making;
                    }
                }
            }
        }
        self.touch(backend, &touches).await;
    }

    /// Touches the values whose idle time is to go on.
    async fn touch(&mut self, backend: &Guarded, touches: &[(Call<'a, V, V>, &PooledText, Duration)]) {
        for some in touches.chunks(TOUCHED_AT_ONCE) {
            if self.budget.is_over() {
                some.iter().for_each(|(call, ..)| call.touches_not());
                continue;
            }
            let mut budgets: Vec<_> = some.iter().map(|_| self.budget.beside()).collect();
            let touched = some.iter().zip(&mut budgets).map(|((call, text, keep), budget)| {
                let touched = call.touch(backend, text, *keep, budget);
                Box::pin(touched)
            });
            all(touched.collect()).await;
            budgets.iter().for_each(|beside| self.budget.and(beside));
        }
    }

    /// Asks for all of them at once. An error is why there is no answer.
    async fn outcomes(
        &mut self,
        backend: &'a Arc<Guarded>,
        kind: Option<ClaimKind>,
        asked: &[Asked<'_>],
        leads: &Leads<'a>,
    ) -> Vec<Result<(Option<Vec<u8>>, Making), Count>> {
        let texts: Vec<&str> = asked.iter().map(|one| &**one.text).collect();
        let lease = self.engine.leases.time;
        let mut beside = self.budget.beside();
        let ids = self.unread_tags(asked.iter().filter_map(|one| self.calls[leads[one.led].at]));
        let first = self.calls.iter().flatten().next().copied();
        let note = async {
            if let Some(call) = first {
                call.note_all(&ids, &mut self.noted, &mut beside).await;
            }
        };
        let look = async {
            match kind {
                None => look(backend, &texts, &mut self.budget).await,
                Some(kind) => {
                    claim(backend, &texts, Claim { kind, token: random::number(), lease }, &mut self.budget).await
                }
            }
        };
        let (outcomes, ()) = both(look, note).await;
        self.budget.and(&beside);
        if let (Some(call), Ok(outcomes)) = (first, &outcomes) {
            let found = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()?.0.as_deref());
            call.note_those_of(found, &mut self.noted, &mut self.budget).await;
        }
        match outcomes {
            Ok(outcomes) => {
                outcomes.into_iter().map(|outcome| outcome.map_err(|error| self.not_read(&error))).collect()
            }
            Err(error) => {
                let cause = self.not_read(&error);
                asked.iter().map(|_| Err(cause)).collect()
            }
        }
    }

    /// The tags that these calls' arguments tell, and that are not read.
    fn unread_tags(&self, calls: impl Iterator<Item = Call<'a, V, V>>) -> Vec<TagId> {
        let mut ids: Vec<TagId> = calls.flat_map(|call| call.unread(&self.noted)).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    fn not_read(&self, error: &Error) -> Count {
        self.calls.iter().flatten().next().map_or(Count::BackendFault, |call: &Call<'_, V, V>| call.not_read(error))
    }

    /// Notes what was found. Returns its tags.
    fn found(&mut self, at: usize, found: Found<V>) -> ValueTags {
        found.count(self.function);
        self.values[at] = Some(PanicSafe::new(found.value));
        ValueTags::in_memory(found.stamps)
    }
}

async fn look(backend: &Guarded, texts: &[&str], budget: &mut TimeBudget) -> Result<Vec<Outcome>, Error> {
    let outcomes = backend.get_many(texts, budget).await?;
    Ok(outcomes.into_iter().map(|outcome| Ok((outcome?, Making::Unfenced))).collect())
}

async fn claim(
    backend: &Arc<Guarded>,
    texts: &[&str],
    claim: Claim,
    budget: &mut TimeBudget,
) -> Result<Vec<Outcome>, Error> {
    let sent: Vec<_> = texts.iter().map(|text| Sent::new(backend, text, claim.token)).collect();
    let outcomes = backend.claim_many(texts, claim, budget).await?;
    let of_one = |((outcome, sent), text): ((Result<_, Error>, Sent<'_>), &&str)| {
        if outcome.is_ok() || was_not_sent(&outcome) {
            sent.answered();
        }
        let claimed = outcome?;
        Ok(what_came_of(claimed, claim, backend, text))
    };
    Ok(outcomes.into_iter().zip(sent).zip(texts).map(of_one).collect())
}

fn cause_of(absent: Absent) -> Count {
    match absent {
        Absent::NeverSeen => Count::NeverSeen,
        Absent::Expired => Count::Expired,
        Absent::Evicted => Count::Evicted,
        Absent::Invalidated => Count::Invalidated,
    }
}
