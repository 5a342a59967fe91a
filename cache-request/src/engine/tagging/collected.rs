//! The tags of a value, from its function's attribute and from its body.

use smallvec::SmallVec;

use super::{
    list::{MOST_TAGS, id_of_client},
    used::{CacheId, Inherited},
};
use crate::{
    Error, ErrorKind, codec,
    engine::{
        call::Call,
        this_call::{Said, inherit},
        value::ValueOf,
    },
    store::tags::{Stamp, Stamps, TagId},
};

/// A tag of a value that is to be stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) id: TagId,
    pub(super) known: Known,
    /// That of the values that the body has used.
    pub(super) inherited: Option<u64>,
    /// It has used a stale value, whose body began after the invalidation with this number.
    stale_since: Option<u64>,
    /// It was invalidated between two values that the body has used.
    pub(super) has_changed: bool,
}

/// When a tag is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Known {
    /// With a value that the body has used, which is as it was made.
    Inherited,
    /// Only after the body: the value, or the body, has told it.
    After,
    /// Before the body began.
    Before,
}

impl Wanted {
    fn new(id: TagId, known: Known) -> Self {
        Self { id, known, inherited: None, stale_since: None, has_changed: false }
    }
}

/// The tags of one value.
#[derive(Default)]
pub(in crate::engine) struct Collected(SmallVec<[Wanted; 2]>);

/// The tags of a value that is to be stored.
#[derive(Debug)]
pub(in crate::engine) struct ValueTags {
    pub(in crate::engine) stamps: Stamps,
    /// Not if one of them was invalidated since the body began, or may have been.
    pub(super) may_be_kept: bool,
}

impl ValueTags {
    pub(in crate::engine) const NONE: Self = Self::in_memory(Stamps::NONE);

    pub(in crate::engine) const fn in_memory(stamps: Stamps) -> Self {
        Self { stamps, may_be_kept: true }
    }

    /// Whether the backend may keep the value. What it has of older generations is not valid there.
    pub(in crate::engine) fn may_be_kept(&self) -> bool {
        self.may_be_kept
    }

    /// Whether memory may keep it.
    pub(in crate::engine) fn may_be_kept_in_memory(&self) -> bool {
        self.may_be_kept && !self.stamps.are_invalid()
    }
}

impl Collected {
    pub(super) fn as_slice(&self) -> &[Wanted] {
        &self.0
    }

    /// Those that only the value, or the body, has told.
    pub(in crate::engine) fn after(&self) -> impl Iterator<Item = TagId> {
        self.0.iter().filter(|tag| tag.known == Known::After).map(|tag| tag.id)
    }

    fn add(&mut self, new: Wanted) -> Result<(), Error> {
        if let Some(tag) = self.0.iter_mut().find(|other| other.id == new.id) {
            let generations = tag.inherited.zip(new.inherited);
            tag.has_changed |= new.has_changed || generations.is_some_and(|(one, other)| one != other);
            tag.known = tag.known.max(new.known);
            tag.inherited = tag.inherited.or(new.inherited);
            tag.stale_since = tag.stale_since.into_iter().chain(new.stale_since).min();
        } else if self.0.len() == MOST_TAGS {
            return Err(too_many());
        } else {
            self.0.push(new);
        }
        Ok(())
    }

    fn add_all<'i>(&mut self, ids: impl IntoIterator<Item = &'i TagId>, known: Known) -> Result<(), Error> {
        ids.into_iter().try_for_each(|id| self.add(Wanted::new(*id, known)))
    }
}

impl<R, V: ValueOf<R>> Call<'_, R, V> {
    /// The tags of a body's `value`, if it has one, and of what its body has `said`.
    pub(in crate::engine) fn collect_tags(&self, value: Option<&V>, said: Option<&Said>) -> Result<Collected, Error> {
        let mut tags = Collected::default();
        // Those that cannot be made keep the value from being kept.
        self.argument_tags().ids()?;
        tags.add_all(&self.tags_before(), Known::Before)?;
        if let Some(list) = value.and_then(|value| self.policy.tag_rule()?.value_tags(value)) {
            tags.add_all(list.ids()?, Known::After)?;
        }
        let Some(said) = said else { return Ok(tags) };
        said.used(|used| {
            tags.add_all(used.named().ids()?, Known::After)?;
            tags.add_all(used.older(), Known::Before)?;
            if self.policy.tag_rule().is_some_and(|rule| !rule.inherits) {
                return Ok(());
            }
            if used.is_wrong() {
                return Err(Error::new(ErrorKind::Key, "the body has used a value whose tags cannot be made"));
            }
            used.inherited().try_for_each(|(id, inherited, stale_since)| {
                tags.add(Wanted { stale_since, ..self.wanted(id, inherited) })
            })
        })?;
        Ok(tags)
    }

    /// The tags that are known before the body runs.
    pub(in crate::engine) fn tags_before(&self) -> SmallVec<[TagId; 4]> {
        let mut ids = SmallVec::from_slice(self.argument_tags().ids().unwrap_or_default());
        if self.engine.function_tags {
            ids.push(self.function.tag);
            ids.extend(self.key().client().map(|client| id_of_client(&client)));
        }
        ids
    }

    fn wanted(&self, id: TagId, inherited: Inherited) -> Wanted {
        match inherited {
            Inherited::Of { cache, generation } if cache == self.cache_id() => {
                Wanted { inherited: Some(generation), ..Wanted::new(id, Known::Inherited) }
            }
            Inherited::Of { .. } | Inherited::Unknown => Wanted::new(id, Known::After),
            Inherited::Changed => Wanted { has_changed: true, ..Wanted::new(id, Known::Inherited) },
        }
    }

    pub(in crate::engine) fn cache_id(&self) -> CacheId {
        CacheId::of(self.engine)
    }

    /// Whether a value can have no tags.
    #[inline]
    pub(super) fn has_no_tags(&self, said: Option<&Said>) -> bool {
        said.is_none()
            && self.policy.tag_rule().is_none()
            && !self.engine.function_tags
            && self.argument_tags().is_empty()
    }

    /// The tags of a value in memory, whose body began after the invalidation with the number `since`.
    pub(in crate::engine) fn tags_in_memory(&self, value: &V, said: Option<&Said>, since: u64) -> ValueTags {
        if self.has_no_tags(said) {
            return ValueTags::NONE;
        }
        match self.collect_tags(Some(value), said) {
            Ok(collected) => ValueTags::in_memory(self.local_stamps(&collected, since)),
            Err(error) => self.wrong_tags(&error),
        }
    }

    fn local_stamps(&self, collected: &Collected, since: u64) -> Stamps {
        self.stamps(collected.as_slice().iter().map(|tag| (*tag, None)), since)
    }

    /// The value is not kept: it could not be invalidated by its tags.
    pub(in crate::engine) fn wrong_tags(&self, error: &Error) -> ValueTags {
        self.function.fault("a value is not kept, as its tags cannot be made", error);
        ValueTags { stamps: Stamps::wrong(), may_be_kept: false }
    }

    /// The tags of what was `said` so far, as memory knows them.
    #[cfg(feature = "http")]
    pub(crate) fn stamps_said(&self, said: &Said, since: u64) -> Stamps {
        let collected = self.collect_tags(None, Some(said));
        collected.map_or_else(|_| Stamps::wrong(), |collected| self.local_stamps(&collected, since))
    }

    /// A body has ended without a value. The body around it has used what it has used.
    pub(in crate::engine) fn pass_on_tags(&self, said: Option<&Said>, since: u64) {
        if self.has_no_tags(said) {
            return;
        }
        let stamps = match self.collect_tags(None, said) {
            Ok(collected) => self.local_stamps(&collected, since),
            Err(_) => Stamps::wrong(),
        };
        inherit(self.cache_id(), &stamps);
    }

    /// The stamps of tags with these generations, of a value whose body began after the invalidation with the number `since`.
    pub(super) fn stamps(&self, tags: impl Iterator<Item = (Wanted, Option<u64>)>, since: u64) -> Stamps {
        let stamp = |(wanted, generation): (Wanted, Option<u64>)| {
            let since = wanted.stale_since.map_or(since, |stale| stale.min(since));
            Stamp { tag: self.engine.tags.get(wanted.id), generation, since }
        };
        Stamps::new(tags.map(stamp).collect())
    }

    /// Those of a value in the backend.
    pub(in crate::engine) fn stored_stamps(&self, tags: &[codec::Tag], since: u64) -> Stamps {
        self.stamps(tags.iter().map(|tag| (Wanted::new(TagId(tag.name), Known::Before), Some(tag.generation))), since)
    }
}

#[cold]
fn too_many() -> Error {
    Error::new(ErrorKind::Key, format!("a value has more than {MOST_TAGS} tags"))
}
