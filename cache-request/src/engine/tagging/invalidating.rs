//! How a tag is invalidated: in this process's memory, and in the backend.

use std::time::Duration;

use super::{
    list::id_of,
    records::{Record, Sequence},
};
use crate::{
    Error, ErrorKind,
    backend::{Claim, ClaimKind, Guarded, Right, TimeBudget},
    base::{clock::unix_millis, random, timer},
    engine::Engine,
    store::tags::TagId,
};

/// How often a change of a record is tried again, as other calls change it at the same time.
const ATTEMPTS: u32 = 16;

impl Engine {
    /// Invalidates the values that have a tag.
    pub(crate) async fn invalidate_tag(&self, tag: &str) -> Result<(), Error> {
        self.invalidate_all_of(tag_of(tag)?).await
    }

    /// The same for the id of a tag.
    pub(crate) async fn invalidate_all_of(&self, id: TagId) -> Result<(), Error> {
        // Before as well: what begins meanwhile in the backend uses no older value of memory.
        self.tags.invalidate(id);
        let told = match self.backend() {
            Some(backend) => self.invalidate_record(backend, id).await,
            None => Ok(()),
        };
        self.tags.invalidate(id);
        told
    }

    /// Declares the values stale that have a tag.
    pub(crate) async fn invalidate_tag_soft(&self, tag: &str) -> Result<(), Error> {
        let id = tag_of(tag)?;
        let told = match self.backend() {
            Some(backend) => self.soften_record(backend, id).await,
            None => Ok(()),
        };
        self.tags.soften(id, self.clock.coarse());
        told
    }

    async fn invalidate_record(&self, backend: &Guarded, id: TagId) -> Result<(), Error> {
        let named = self.name_in_sequence(backend, id).await;
        let removed = backend.invalidate(&self.tag_keys.of(id), Duration::ZERO).await;
        // If both fail, the caller gets the first error.
        named.and(removed.map(drop))
    }

    async fn soften_record(&self, backend: &Guarded, id: TagId) -> Result<(), Error> {
        if !backend.has_fences() {
            return self.invalidate_record(backend, id).await;
        }
        self.name_in_sequence(backend, id).await?;
        let now = unix_millis(self.clock.wall());
        let mut budget = backend.budget(false);
        let softened = |record: Record| Some(record.softened(now));
        if self.change_record(backend, id, softened, &mut budget).await? {
            return Ok(());
        }
        backend.invalidate(&self.tag_keys.of(id), Duration::ZERO).await.map(drop)
    }

    /// Adds an invalidation to the sequence. It comes before that of the record, so a body that finds none here has read the record of before.
    async fn name_in_sequence(&self, backend: &Guarded, id: TagId) -> Result<(), Error> {
        let text = self.tag_keys.of_sequence();
        let named = |bytes: Option<&[u8]>| {
            let known = bytes.and_then(Sequence::from_bytes).unwrap_or_else(Sequence::begin);
            Some((known.with(id).to_bytes(), None))
        };
        if backend.has_fences() && change(backend, &text, named, &mut backend.budget(false)).await? {
            return Ok(());
        }
        // Without it, no running body can tell what was invalidated.
        backend.invalidate(&text, Duration::ZERO).await.map(drop)
    }

    /// Changes the record of a tag, if there is one. Returns whether it did, or there is none.
    pub(super) async fn change_record(
        &self,
        backend: &Guarded,
        id: TagId,
        to: impl Fn(Record) -> Option<Record>,
        budget: &mut TimeBudget,
    ) -> Result<bool, Error> {
        let now = unix_millis(self.clock.wall());
        let changed = |bytes: Option<&[u8]>| {
            let record = to(bytes.and_then(Record::from_bytes)?)?;
            Some((record.to_bytes(), record.left(now)))
        };
        change(backend, &self.tag_keys.of(id), changed, budget).await
    }
}

/// The longest pause before the second attempt. The others are longer.
const PAUSE: Duration = Duration::from_micros(500);

fn tag_of(tag: &str) -> Result<TagId, Error> {
    id_of(tag).map_err(|wrong| Error::new(ErrorKind::Key, wrong))
}

/// Changes what is stored under a key to what `to` makes of it, and for how long that is kept. Nothing changes between the two. Returns
/// whether it did: not if others change it all the time. If `to` makes nothing of it, it stays.
async fn change(
    backend: &Guarded,
    text: &str,
    to: impl Fn(Option<&[u8]>) -> Option<(Vec<u8>, Option<Duration>)>,
    budget: &mut TimeBudget,
) -> Result<bool, Error> {
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            timer::pause(PAUSE.mul_f64(f64::from(attempt) * random::unit())).await;
        }
        let claim = Claim { kind: ClaimKind::Anew, token: random::number(), lease: backend.limits().soft_limit };
        let claimed = backend.claim(text, claim, budget).await?;
        let (Right::Leased(fence) | Right::Held(fence, _)) = claimed.right else { return Ok(false) };
        let Some((bytes, kept)) = to(claimed.value.as_deref()) else {
            backend.release(text, fence).await?;
            return Ok(true);
        };
        if backend.set_fenced(text, &bytes, kept, fence, budget).await? {
            return Ok(true);
        }
    }
    Ok(false)
}
