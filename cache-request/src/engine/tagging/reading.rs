//! What a call reads of tags in its backend: beside its value, before its body begins, and when the value is stored.

use std::{iter, sync::atomic::Ordering::Relaxed, time::Duration};

use super::{
    collected::{Collected, Known, ValueTags, Wanted},
    noted::{Noted, Tagged},
    records::{self, Record, Sequence, Standing},
    rule::TagRule,
};
use crate::{
    Error, ErrorKind,
    backend::{ClaimKind, Guarded, Here, TimeBudget},
    base::{both::both, clock::unix_millis},
    codec,
    engine::{call::Call, making::Making, this_call::Said, value::ValueOf},
    key::PooledText,
    store::tags::{Stamp, Stamps, TagId},
};

/// A tag's record is kept for so long at least, in a backend with fences. A tag without one has no valid values.
const KEPT: Duration = Duration::from_secs(24 * 3600);

impl<'a, R, V: ValueOf<R>> Call<'a, R, V> {
    /// Whether a body of the function may have tags that it does not know before it runs.
    fn may_name_tags(&self) -> bool {
        self.policy.tag_rule().is_some_and(TagRule::names_tags) || self.function.names_tags.load(Relaxed)
    }

    /// The tags that are known before the body runs, and were not read yet.
    pub(in crate::engine) fn unread(&self, noted: &Noted) -> Vec<TagId> {
        self.tags_before().into_iter().filter(|id| !noted.has(*id)).collect()
    }

    /// What the backend has under the text of the key, read together with the records of the call's tags.
    pub(in crate::engine) async fn get_with_tags(
        &self,
        (backend, here): (&Guarded, Here<'_>),
        text: &str,
        noted: &mut Noted,
        budget: &mut TimeBudget,
    ) -> Result<Option<Vec<u8>>, Error> {
        let ids = self.unread(noted);
        if ids.is_empty() {
            return backend.get(here, text, budget).await;
        }
        let of_tags: Vec<PooledText> = ids.iter().map(|id| self.engine.tag_keys.of(*id)).collect();
        let texts: Vec<&str> = iter::once(text).chain(of_tags.iter().map(|text| &**text)).collect();
        let mut outcomes = backend.get_many(&texts, budget).await?.into_iter();
        let value = outcomes.next();
        self.have_read(&ids, outcomes, noted);
        value.unwrap_or(Ok(None))
    }

    /// Claims the key, and meanwhile reads what a body has to know of tags before it begins.
    pub(in crate::engine) async fn claim_with_tags(
        &self,
        kind: ClaimKind,
        text: &str,
        noted: &mut Noted,
        budget: &mut TimeBudget,
    ) -> Result<(Option<Vec<u8>>, Making), Error> {
        if !self.has_to_note(noted) {
            return self.claim(kind, text, budget).await;
        }
        let mut beside = budget.beside();
        let (claimed, ()) = both(self.claim(kind, text, budget), self.note(noted, &mut beside)).await;
        budget.and(&beside);
        claimed
    }

    /// Whether a body has to know more of tags before it begins.
    fn has_to_note(&self, noted: &Noted) -> bool {
        self.tags_before().iter().any(|id| !noted.has(*id)) || (self.may_name_tags() && !noted.sequence_is_read())
    }

    /// Reads what a body has to know of tags before it begins.
    async fn note(&self, noted: &mut Noted, budget: &mut TimeBudget) {
        let ids = self.unread(noted);
        self.note_all(&ids, noted, budget).await;
    }

    /// Reads the records of these tags, and what a body has to know to name others.
    pub(in crate::engine) async fn note_all(&self, ids: &[TagId], noted: &mut Noted, budget: &mut TimeBudget) {
        let with_sequence = self.may_name_tags() && !noted.sequence_is_read();
        self.read_records(ids, with_sequence, noted, budget).await;
    }

    /// What a body has to know of tags that runs whatever is stored. Makes the records that are missing.
    pub(in crate::engine) async fn note_to_make(&self, budget: &mut TimeBudget) -> Noted {
        let mut noted = Noted::default();
        self.note(&mut noted, budget).await;
        self.begin_tags(&mut noted, budget).await;
        noted
    }

    /// The same where there is a stored value. Returns whether the body may build on that.
    pub(in crate::engine) async fn note_to_refresh(
        &self,
        stored: Option<&[u8]>,
        budget: &mut TimeBudget,
    ) -> (Noted, bool) {
        let mut noted = self.note_to_make(budget).await;
        let Some(bytes) = stored else { return (noted, false) };
        self.note_those_of([bytes], &mut noted, budget).await;
        let is_valid = noted.standing(&codec::tags_in(bytes)) != Tagged::Invalid;
        (noted, is_valid)
    }

    /// The same for a value that is made elsewhere. It may have tags that are not known yet if `names_tags`.
    #[cfg(feature = "http")]
    pub(in crate::engine) async fn note_to_make_elsewhere(&self, names_tags: bool, budget: &mut TimeBudget) -> Noted {
        let mut noted = Noted::default();
        let ids = self.tags_before();
        self.read_records(&ids, names_tags, &mut noted, budget).await;
        self.make_records(&ids, &mut noted, budget).await;
        noted
    }

    /// Reads the records of the tags of stored values that are not read yet.
    pub(in crate::engine) async fn note_those_of(
        &self,
        stored: impl IntoIterator<Item = &[u8]>,
        noted: &mut Noted,
        budget: &mut TimeBudget,
    ) {
        let ids = stored.into_iter().flat_map(codec::tags_in).map(|tag| TagId(tag.name));
        let mut ids: Vec<TagId> = ids.filter(|id| !noted.has(*id)).collect();
        ids.sort_unstable();
        ids.dedup();
        self.read_records(&ids, false, noted, budget).await;
    }

    /// Whether one of a stored value's tags was invalidated meanwhile, by any process, or may have been.
    pub(in crate::engine) async fn have_changed(&self, stamps: &Stamps, budget: &mut TimeBudget) -> bool {
        let ids: Vec<TagId> = stamps.as_slice().iter().map(|stamp| stamp.tag.id).collect();
        let mut noted = Noted::default();
        self.read_records(&ids, false, &mut noted, budget).await;
        let is_same = |stamp: &Stamp| noted.record(stamp.tag.id).map(|record| record.generation) == stamp.generation;
        !stamps.as_slice().iter().all(is_same)
    }

    async fn read_records(&self, ids: &[TagId], with_sequence: bool, noted: &mut Noted, budget: &mut TimeBudget) {
        let Some(backend) = self.backend().filter(|_| with_sequence || !ids.is_empty()) else { return };
        let keys = &self.engine.tag_keys;
        let texts: Vec<PooledText> =
            ids.iter().map(|id| keys.of(*id)).chain(with_sequence.then(|| keys.of_sequence())).collect();
        let texts: Vec<&str> = texts.iter().map(|text| &**text).collect();
        match backend.get_many(&texts, budget).await {
            Ok(outcomes) => self.have_read(ids, outcomes, noted),
            Err(error) => self.tags_not_read(&error),
        }
    }

    /// Notes what was read of these tags, and of the sequence if there is one more.
    fn have_read(
        &self,
        ids: &[TagId],
        outcomes: impl IntoIterator<Item = Result<Option<Vec<u8>>, Error>>,
        noted: &mut Noted,
    ) {
        let mut outcomes = outcomes.into_iter();
        for (id, outcome) in ids.iter().zip(&mut outcomes) {
            match outcome {
                Ok(bytes) => {
                    let record = bytes.and_then(|bytes| Record::from_bytes(&bytes));
                    noted.set(*id, record);
                }
                Err(error) => self.tags_not_read(&error),
            }
        }
        if let Some(outcome) = outcomes.next() {
            noted.read().sequence_is_read = true;
            match outcome {
                Ok(bytes) => noted.read().newest = bytes.and_then(|bytes| Sequence::from_bytes(&bytes)?.newest()),
                Err(error) => self.tags_not_read(&error),
            }
        }
    }

    fn tags_not_read(&self, error: &Error) {
        self.function.fault("tags could not be read", error);
    }

    /// Makes the records that a body's value needs and that are not there. Before the body, as an invalidation from then on has to end them.
    pub(in crate::engine) async fn begin_tags(&self, noted: &mut Noted, budget: &mut TimeBudget) {
        if self.backend().is_some() && self.has_to_note(noted) {
            self.note(noted, budget).await;
        }
        self.make_records(&self.tags_before(), noted, budget).await;
    }

    /// The same for these tags.
    pub(in crate::engine) async fn make_records(&self, ids: &[TagId], noted: &mut Noted, budget: &mut TimeBudget) {
        let Some(backend) = self.backend() else { return };
        self.add_missing(backend, ids, noted, budget).await;
        if noted.sequence_is_read() && noted.newest().is_none() && self.may_name_tags() {
            let sequence = Sequence::begin();
            match add(backend, &self.engine.tag_keys.of_sequence(), &sequence.to_bytes(), None, budget).await {
                Ok(true) => noted.read().newest = sequence.newest(),
                // Another call has made it. The next body knows it.
                Ok(false) => {}
                Err(error) => self.tags_not_read(&error),
            }
        }
    }

    /// Makes the records of those of these tags that are known to have none.
    async fn add_missing(&self, backend: &Guarded, ids: &[TagId], noted: &mut Noted, budget: &mut TimeBudget) {
        for id in ids {
            if noted.lacks(*id) {
                let record = self.add_record(backend, *id, budget).await;
                noted.set(*id, record);
            }
        }
    }

    /// Makes the record of a tag, unless it is there. Returns the one that is there then.
    async fn add_record(&self, backend: &Guarded, id: TagId, budget: &mut TimeBudget) -> Option<Record> {
        // Where it cannot be prolonged, it is kept for ever.
        let kept = backend.has_fences().then_some(KEPT);
        let record = Record::new(unix_millis(self.engine.clock.wall()), kept);
        let text = self.engine.tag_keys.of(id);
        match add(backend, &text, &record.to_bytes(), kept, budget).await {
            Ok(true) => Some(record),
            Ok(false) => Record::from_bytes(&self.read_one(backend, &text, budget).await?),
            Err(error) => {
                self.tags_not_read(&error);
                None
            }
        }
    }

    /// What the backend has under one key.
    async fn read_one(&self, backend: &Guarded, text: &str, budget: &mut TimeBudget) -> Option<Vec<u8>> {
        let read = match backend.get_many(&[text], budget).await.map(|mut outcomes| outcomes.pop()) {
            Ok(outcome) => outcome?,
            Err(error) => Err(error),
        };
        read.unwrap_or_else(|error| {
            self.tags_not_read(&error);
            None
        })
    }

    /// Lets the records of a value's tags last for longer than the value, which the backend keeps for so long.
    pub(in crate::engine) async fn prolong_tags(
        &self,
        stamps: &Stamps,
        kept: Option<Duration>,
        noted: &Noted,
        budget: &mut TimeBudget,
    ) {
        let Some(backend) = self.backend_with_fences() else { return };
        let now = unix_millis(self.engine.clock.wall());
        let needed = records::until(now, kept);
        for stamp in stamps.as_slice() {
            let Some(record) = noted.record(stamp.tag.id) else { continue };
            if record.until < needed {
                let kept = kept.and_then(|kept| kept.checked_mul(2)).map(|twice| twice.max(KEPT));
                let until = records::until(now, kept);
                let longer = |record: Record| (record.until < until).then_some(Record { until, ..record });
                let changed = self.engine.change_record(backend, stamp.tag.id, longer, budget).await;
                if let Err(error) = changed {
                    self.function.fault("the record of a tag could not be prolonged", &error);
                }
            }
        }
    }

    /// The tags of a value, whose body began after `noted` was read, and after the invalidation that memory knew of with the number `since`.
    pub(in crate::engine) async fn tags_of(
        &self,
        value: &V,
        said: Option<&Said>,
        since: u64,
        noted: &mut Noted,
        budget: &mut TimeBudget,
    ) -> ValueTags {
        if self.backend().is_none() {
            return self.tags_in_memory(value, said, since);
        }
        if self.has_no_tags(said) {
            return ValueTags::NONE;
        }
        let collected = match self.collect_tags(Some(value), said) {
            Ok(collected) => collected,
            Err(error) => return self.wrong_tags(&error),
        };
        let after: Vec<TagId> = collected.after().collect();
        let is_known = self.note_after(&after, noted, budget).await;
        self.tags_in_backend(&collected, since, noted, is_known)
    }

    /// The tags of a value with their generations. `is_known` says that those which the body has told are known from before it.
    pub(in crate::engine) fn tags_in_backend(
        &self,
        collected: &Collected,
        since: u64,
        noted: &Noted,
        is_known: bool,
    ) -> ValueTags {
        let generation = |tag: &Wanted| {
            let noted = noted.record(tag.id);
            match (tag.known, tag.inherited) {
                _ if tag.has_changed => None,
                (Known::Inherited, generation) => generation,
                (Known::After, _) if !is_known => None,
                (_, None) => noted.map(|record| record.generation),
                (_, Some(inherited)) => {
                    noted.filter(|record| record.standing(inherited) != Standing::Invalid).map(|_| inherited)
                }
            }
        };
        let tags: Vec<_> = collected.as_slice().iter().map(|tag| (*tag, generation(tag))).collect();
        let may_be_kept = tags.iter().all(|(_, generation)| generation.is_some());
        ValueTags { stamps: self.stamps(tags.into_iter(), since), may_be_kept }
    }

    /// Reads the records of tags that only the body has told. Returns whether they are the same as before it.
    pub(in crate::engine) async fn note_after(
        &self,
        ids: &[TagId],
        noted: &mut Noted,
        budget: &mut TimeBudget,
    ) -> bool {
        if ids.is_empty() {
            return true;
        }
        // The next body reads the sequence before it begins.
        self.function.names_tags.store(true, Relaxed);
        let (Some(backend), Some(since)) = (self.backend(), noted.newest()) else { return false };
        self.read_records(ids, false, noted, budget).await;
        self.add_missing(backend, ids, noted, budget).await;
        // An invalidation writes it before the record. So whatever has changed a record that was read is found here.
        let latest = self.read_one(backend, &self.engine.tag_keys.of_sequence(), budget).await;
        latest.and_then(|bytes| Sequence::from_bytes(&bytes)).is_some_and(|sequence| sequence.spares(since, ids))
    }
}

/// Stores a record, unless there is one. In a backend that cannot tell, the last one stays, and values of the others are not valid.
async fn add(
    backend: &Guarded,
    text: &str,
    bytes: &[u8],
    kept: Option<Duration>,
    budget: &mut TimeBudget,
) -> Result<bool, Error> {
    match backend.add(text, bytes, kept, budget).await {
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            backend.set(text, bytes, kept, budget).await.map(|()| true)
        }
        added => added,
    }
}
