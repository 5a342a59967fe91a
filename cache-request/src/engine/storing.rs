//! What a call stores: in memory, where its flight lands with the value, or in the backend and the near cache.

use std::time::Duration;

#[cfg(feature = "http")]
use super::claiming::MadeElsewhere;
use super::{
    call::{Call, catching},
    flight::{Felt, Leader, Running},
    making::Making,
    near_cache::{BackendWrite, NearCache},
    policy::{Codec, Keep},
    tagging::{collected::ValueTags, noted::Noted},
    this_call::Said,
    value::ValueOf,
};
use crate::{
    Error, ErrorKind,
    backend::{ClaimKind, Guarded, TimeBudget},
    base::{clock::unix_millis, panic::PanicSafe},
    codec::{self, FOREVER, Facts, Writer},
    stats::Count,
    store::{Lifetime, Put, UNKNOWN, tags::Stamps},
};

/// What a new value does to the cached one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Replaced {
    /// It replaces the cached value if it is kept itself.
    IfKept,
    /// The same, but an `Err` is not kept, as the cached value may still be returned.
    IfOk,
    /// It also removes the cached value if it is not kept itself.
    ByAnyValue,
}

impl Replaced {
    /// Whether the cached value goes without a new one.
    fn falls(self, outcome: &Result<StoreOutcome, Error>) -> bool {
        self == Self::ByAnyValue && matches!(outcome, Ok(StoreOutcome::Refused) | Err(_))
    }
}

/// How a new value is kept.
#[derive(Clone, Copy)]
pub(super) struct Kept<'s> {
    pub(super) replaced: Replaced,
    /// By its body.
    pub(super) said: Option<&'s Said>,
    pub(super) tags: &'s ValueTags,
    /// What is known of tags in the backend.
    pub(super) noted: &'s Noted,
}

/// How long a backend keeps a value. `None` is for ever.
#[derive(Clone, Copy)]
pub(super) struct Lasting {
    /// At most, so the records of its tags are kept for so long.
    pub(super) longest: Option<Duration>,
    /// Unless it is read: what it is stored for.
    pub(super) unread: Option<Duration>,
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

impl<R, V: ValueOf<R>> Call<'_, R, V> {
    /// Stores `value` as if a body had just returned it.
    pub(crate) async fn put(&self, value: &V) -> Result<(), Error> {
        self.put_made(value, self.engine.tags.newest(), None).await
    }

    /// Stores a value whose making began after the invalidation with the number `since`, with the tags of what was `said`, if they were noted
    /// then.
    async fn put_made(&self, value: &V, since: u64, made: Option<(Option<&Said>, Noted)>) -> Result<(), Error> {
        let (fence, mut leader) = self.engine.flights.supersede(&self.caller());
        self.pass_older(fence, &leader).await;
        leader.begin_anew();
        let (scope, pulse) = (leader.scope(), leader.pulse().filter(|_| self.backend().is_some()));
        let put = async {
            let mut budget = self.budget();
            let mut making = match self.claim_or_fail(ClaimKind::Anew, &mut budget).await {
                Ok((_, making)) => making,
                Err(error) => {
                    // The older value must not stay. The error of the claim says more than one of the removal.
                    let _ = self.forget().await;
                    return Err(error);
                }
            };
            let (said, mut noted) = match made {
                Some(made) => made,
                None => (None, self.note_to_make(&mut budget).await),
            };
            let tags = self.tags_of(value, said, since, &mut noted, &mut budget).await;
            let kept = Kept { replaced: Replaced::ByAnyValue, said: None, tags: &tags, noted: &noted };
            let stored = self.try_store(&mut leader, value, Duration::ZERO, kept, (&mut making, &mut budget)).await;
            self.complete(&mut leader, value, &tags.stamps);
            stored
        };
        Felt::new(scope.around(put), pulse).await
    }

    /// Stores a value, unless the key was invalidated since its making began, or one of its tags. `took` is the time that making it took.
    #[cfg(feature = "http")]
    pub(crate) async fn store_led(
        &self,
        MadeElsewhere { leader, making, noted, since }: &mut MadeElsewhere<'_>,
        value: &V,
        took: Duration,
        said: Option<&Said>,
    ) -> Result<(), Error> {
        let mut budget = self.budget();
        let tags = self.tags_of(value, said, *since, noted, &mut budget).await;
        let kept = Kept { replaced: Replaced::ByAnyValue, said: None, tags: &tags, noted };
        self.try_store(leader, value, took, kept, (making, &mut budget)).await
    }

    /// Stores a value beside the one that is being made, under another key.
    #[cfg(feature = "http")]
    pub(crate) async fn put_beside(
        &self,
        MadeElsewhere { noted, since, .. }: &MadeElsewhere<'_>,
        value: &V,
        said: Option<&Said>,
    ) -> Result<(), Error> {
        self.put_made(value, *since, Some((said, noted.clone()))).await
    }

    /// Stores `value`, unless the conditions refuse it or the key was invalidated meanwhile. `took` is the time that its body took.
    pub(super) async fn try_store(
        &self,
        leader: &mut Leader<'_>,
        value: &V,
        took: Duration,
        kept: Kept<'_>,
        (making, budget): (&mut Making, &mut TimeBudget),
    ) -> Result<(), Error> {
        let Some((backend, codec)) = self.backend().zip(self.policy.codec()) else {
            return self.try_store_in_memory(leader, value, kept);
        };
        let replaced = kept.replaced;
        if self.is_refused_err(value, replaced) {
            return Ok(());
        }
        let outcome = self.keep_in_backend((backend, codec), leader, value, (took, kept), (making, budget)).await;
        if replaced.falls(&outcome) {
            let forgotten = Box::pin(self.forget()).await;
            // If both fail, the caller gets the first error.
            return outcome.and(forgotten).map(drop);
        }
        outcome.map(drop)
    }

    /// The same without a backend.
    pub(super) fn try_store_in_memory(
        &self,
        leader: &mut Leader<'_>,
        value: &V,
        Kept { replaced, said, tags, .. }: Kept<'_>,
    ) -> Result<(), Error> {
        if self.is_refused_err(value, replaced) {
            return Ok(());
        }
        let outcome = match self.decide(value, true, said) {
            Ok(Some(_)) if self.is_refused(leader) => Ok(StoreOutcome::Outdated),
            Ok(Some(_)) if !tags.may_be_kept_in_memory() => Ok(self.is_outdated_by_tags(leader, replaced)),
            Ok(Some(keep)) => self.store_in_memory(leader, value, keep, &tags.stamps),
            Ok(None) => Ok(StoreOutcome::Refused),
            Err(error) => Err(error),
        };
        if replaced.falls(&outcome) {
            self.forget_in_memory();
        }
        outcome.map(drop)
    }

    /// One of its tags was invalidated since the body began, or cannot be one.
    fn is_outdated_by_tags(&self, leader: &Leader<'_>, replaced: Replaced) -> StoreOutcome {
        self.function.counters.increment(Count::Outdated);
        leader.is_outdated();
        // The older value may have other tags. A newer one stays.
        if replaced == Replaced::ByAnyValue && !leader.is_fenced() {
            StoreOutcome::Refused
        } else {
            StoreOutcome::Outdated
        }
    }

    pub(super) fn decide(&self, value: &V, weigh: bool, said: Option<&Said>) -> Result<Option<Keep>, Error> {
        catching("`when`, the timeout or the weight", || self.policy.decide(value, weigh, said))
    }

    /// Whether the value is an `Err` that would take the place of one that may still be returned.
    fn is_refused_err(&self, value: &V, replaced: Replaced) -> bool {
        replaced == Replaced::IfOk && self.policy.is_err(value)
    }

    async fn keep_in_backend(
        &self,
        backend: (&Guarded, &Codec<V>),
        leader: &mut Leader<'_>,
        value: &V,
        (took, kept): (Duration, Kept<'_>),
        rights: (&mut Making, &mut TimeBudget),
    ) -> Result<StoreOutcome, Error> {
        let near = self.engine.near().filter(|near| !near.is_tracked());
        let Some(keep) = self.decide(value, near.is_some(), kept.said)? else { return Ok(StoreOutcome::Refused) };
        if !kept.tags.may_be_kept() {
            // Its lease is given back.
            *rights.0 = Making::Refused;
            return Ok(self.is_outdated_by_tags(leader, kept.replaced));
        }
        let life = near.map(|near| self.near_life(near, &keep));
        let is_refused = matches!(rights.0, Making::Refused) || self.is_refused(leader);
        let outcome = self.store_in_backend(backend, leader, value, (took, keep, kept), rights).await;
        // The near cache takes the value even if the backend could not store it. A tracked near cache does not: the backend tells it
        // of this write, and the next call reads the backend.
        let is_outdated = is_refused || matches!(outcome, Ok(StoreOutcome::Outdated));
        if let (Some((near, life)), false) = (near.zip(life), is_outdated) {
            // `store_in_backend` may have returned before it fenced the older flights.
            drop(leader.overtake());
            if let Some(reading) = near.begin(&self.text(backend.0)) {
                self.keep_near(near, &reading, leader, value, keep.weight, (life, kept.tags.stamps.clone()));
            }
        }
        outcome
    }

    /// The life in the near cache of a value that is stored in the backend now.
    pub(super) fn near_life(&self, near: &NearCache, keep: &Keep) -> Lifetime {
        let (clock, spans) = (&self.engine.clock, self.policy.spans_of(keep.is_err));
        // It is read in the backend in time to be touched there.
        let longest = spans.idle.map_or(Duration::MAX, |idle| idle / 2).min(near.timeout());
        spans.life(keep.timeout, clock.after(Duration::ZERO)).no_later_than(clock.after(longest))
    }

    fn store_in_memory(
        &self,
        leader: &mut Leader<'_>,
        value: &V,
        keep: Keep,
        stamps: &Stamps,
    ) -> Result<StoreOutcome, Error> {
        let weight = keep.weight;
        let fixed_timeout = self.policy.fixed_timeout(value);
        if let Some(measures) = &self.function.measures {
            measures.held(self.function.table.bytes(), self.engine.clock.coarse());
        }
        let value = PanicSafe::new(catching("the value's `Clone`", || value.clone())?);
        let life = self.policy.life(&keep, self.engine.clock.expiry(Duration::ZERO));
        let store = &self.engine.store;
        let land = |running: &mut Running| leader.land(running, self.lookup().words);
        match store.put_if(&self.function.table, &self.lookup(), value, (life, stamps.clone()), weight, land) {
            Put::Stored => {
                if let Some(measures) = &self.function.measures {
                    measures.stored(weight);
                    measures.keep_timeout(fixed_timeout);
                }
                Ok(StoreOutcome::Kept)
            }
            Put::Refused(_value) => Ok(StoreOutcome::Outdated),
            Put::TooLarge(_value) if weight == UNKNOWN => Err(Error::new(
                ErrorKind::TooLarge,
                "a value of unknown size: its `Serialize` fails, or it is nested too deeply. If it may be held, say its size with `weight`",
            )),
            Put::TooLarge(_value) => Err(Error::too_large(weight, store.limits().bytes)),
        }
    }

    /// The bytes of a value, and how long it is of use.
    pub(super) fn sealed(
        &self,
        codec: &Codec<V>,
        text: &str,
        value: &V,
        (took, stamps): (Duration, &Stamps),
        (timeout, is_err): (Duration, bool),
    ) -> Result<(Vec<u8>, Lasting), Error> {
        let spans = self.policy.spans_of(is_err);
        let now = self.engine.clock.wall();
        let mut facts = Facts {
            stored: unix_millis(now),
            fresh_until: FOREVER,
            stale_until: FOREVER,
            stale_on_error_until: FOREVER,
            body: took,
            generation: 0,
            tags: tags_of(stamps),
            writer: Writer::here(),
        };
        spans.put_in(timeout, now, &mut facts);
        let bytes = self.seal(codec, value, text, &facts)?;
        let limited = |kept: Duration| (kept < Duration::MAX).then_some(kept);
        Ok((bytes, Lasting { longest: limited(spans.kept(timeout)), unread: limited(spans.kept_unread(timeout)) }))
    }

    async fn store_in_backend(
        &self,
        (backend, codec): (&Guarded, &Codec<V>),
        leader: &mut Leader<'_>,
        value: &V,
        (took, Keep { timeout, is_err, .. }, of_body): (Duration, Keep, Kept<'_>),
        (making, budget): (&mut Making, &mut TimeBudget),
    ) -> Result<StoreOutcome, Error> {
        if budget.is_over() {
            return Ok(StoreOutcome::Refused);
        }
        backend.ready_to_write(budget)?;
        let text = self.text(backend);
        let Kept { tags: ValueTags { stamps, .. }, noted, .. } = of_body;
        let (bytes, lasting) = self.sealed(codec, &text, value, (took, stamps), (timeout, is_err))?;
        self.prolong_tags(stamps, lasting.longest, noted, budget).await;
        self.engine.pass(leader.overtake()).await;
        if self.is_refused(leader) || !leader.begin_storing() {
            return Ok(StoreOutcome::Outdated);
        }
        let write = BackendWrite::begin(self.engine.near(), &text);
        leader.ask_to_store();
        let stored = match making {
            // It could store a value from before an invalidation by another process.
            Making::Unfenced if backend.has_fences() => Err(Making::unwritable()),
            Making::Unfenced => backend.set(&text, &bytes, lasting.unread, budget).await.map(|()| true),
            Making::Fenced(fence, _) => backend.set_fenced(&text, &bytes, lasting.unread, *fence, budget).await,
            Making::Refused => Ok(false),
            Making::Unwritable => Err(Making::unwritable()),
        };
        write.end();
        if leader.came_too_late() {
            // The write may have arrived even if it returned an error.
            self.forget_in(backend, &text, Duration::ZERO).await?;
            return Ok(StoreOutcome::Outdated);
        }
        let is_stored = stored.inspect_err(|_| leader.ask_no_more())?;
        making.end();
        if !is_stored {
            self.function.counters.increment(Count::Outdated);
            leader.is_outdated();
            return Ok(StoreOutcome::Outdated);
        }
        // A fence tells of invalidations of the key alone.
        if !stamps.is_empty() && leader.others_have_come() && self.have_changed(stamps, budget).await {
            leader.is_outdated();
        }
        self.function.counters.add(Count::WrittenBytes, bytes.len() as u64);
        if let Some(measures) = &self.function.measures {
            measures.stored(bytes.len());
        }
        Ok(StoreOutcome::Kept)
    }
}

/// The tags of a value as its envelope has them.
fn tags_of(stamps: &Stamps) -> Vec<codec::Tag> {
    let tags = stamps.as_slice().iter();
    tags.filter_map(|stamp| Some(codec::Tag { name: stamp.tag.id.0, generation: stamp.generation? })).collect()
}
