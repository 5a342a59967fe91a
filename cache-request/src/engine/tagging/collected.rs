//! The tags of a value, from its function's attribute and from its body.

use smallvec::SmallVec;

use super::{
    list::{MOST_TAGS, TagList, id_of_client},
    used::{CacheId, Inherited, Used},
};
use crate::{
    Error, ErrorKind,
    engine::{
        call::Call,
        this_call::{Said, inherit},
        value::ValueOf,
    },
    store::tags::{Stamp, Stamps, TagId},
};

/// What is known of a tag of a value that is to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// The arguments have told it before the body began.
    Before,
    /// The body has used values of it, of this generation.
    Inherited(u64),
    /// Only the value, or the body, has told it.
    After,
    /// It was invalidated meanwhile.
    Changed,
}

/// The tags of one value.
#[derive(Default)]
pub(in crate::engine) struct Collected(SmallVec<[(TagId, Known); 4]>);

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

    pub(in crate::engine) fn may_be_kept(&self) -> bool {
        self.may_be_kept && !self.stamps.are_invalid()
    }
}

impl Collected {
    pub(super) fn as_slice(&self) -> &[(TagId, Known)] {
        &self.0
    }

    /// Those that only the value, or the body, has told.
    pub(in crate::engine) fn after(&self) -> impl Iterator<Item = TagId> {
        self.0.iter().filter(|(_, known)| *known == Known::After).map(|(id, _)| *id)
    }

    fn add(&mut self, id: TagId, known: Known) -> Result<(), Error> {
        if let Some((_, other)) = self.0.iter_mut().find(|(other, _)| *other == id) {
            *other = other.and(known);
        } else if self.0.len() == MOST_TAGS {
            return Err(too_many());
        } else {
            self.0.push((id, known));
        }
        Ok(())
    }

    fn add_all(&mut self, list: &TagList, known: Known) -> Result<(), Error> {
        list.ids()?.iter().try_for_each(|id| self.add(*id, known))
    }
}

impl<R, V: ValueOf<R>> Call<'_, R, V> {
    /// The tags of a body's `value`, if it has one, and of what its body has `said`.
    pub(in crate::engine) fn collect_tags(&self, value: Option<&V>, said: Option<&Said>) -> Result<Collected, Error> {
        let mut tags = Collected::default();
        // Those that cannot be made keep the value from being kept.
        tags.add_all(self.argument_tags(), Known::Before)?;
        self.tags_before().into_iter().try_for_each(|id| tags.add(id, Known::Before))?;
        if let Some(list) = value.and_then(|value| self.policy.value_tags(value)) {
            tags.add_all(&list, Known::After)?;
        }
        let Some(said) = said else { return Ok(tags) };
        said.used(|used| {
            tags.add_all(used.named(), Known::After)?;
            if !self.policy.inherits_tags() {
                return Ok(());
            }
            if used.is_wrong() {
                return Err(Error::new(ErrorKind::Key, "the body has used a value whose tags cannot be made"));
            }
            used.inherited().try_for_each(|(id, inherited)| tags.add(id, self.known_of(inherited)))
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

    fn known_of(&self, inherited: Inherited) -> Known {
        match inherited {
            Inherited::Of { cache, generation } if cache == self.cache_id() => Known::Inherited(generation),
            Inherited::Of { .. } | Inherited::Unknown => Known::After,
            Inherited::Changed => Known::Changed,
        }
    }

    pub(in crate::engine) fn cache_id(&self) -> CacheId {
        CacheId::of(self.engine)
    }

    /// The tags of a value in memory, whose body began after the invalidation with the number `since`.
    pub(in crate::engine) fn tags_in_memory(&self, value: &V, said: Option<&Said>, since: u64) -> ValueTags {
        match self.collect_tags(Some(value), said) {
            Ok(collected) => ValueTags::in_memory(self.local_stamps(&collected, said, since)),
            Err(error) => self.wrong_tags(&error),
        }
    }

    fn local_stamps(&self, collected: &Collected, said: Option<&Said>, since: u64) -> Stamps {
        self.stamps(collected.as_slice().iter().map(|(id, _)| (*id, None)), self.since(said, since))
    }

    /// The value is not kept: it could not be invalidated by its tags.
    pub(in crate::engine) fn wrong_tags(&self, error: &Error) -> ValueTags {
        self.function.fault("a value is not kept, as its tags cannot be made", error);
        ValueTags { stamps: Stamps::wrong(), may_be_kept: false }
    }

    /// The tags of what was `said` so far, as memory knows them.
    #[cfg(feature = "http")]
    pub(crate) fn stamps_said(&self, said: &Said, since: u64) -> Stamps {
        let said = Some(said);
        self.collect_tags(None, said)
            .map_or_else(|_| Stamps::wrong(), |collected| self.local_stamps(&collected, said, since))
    }

    /// A body has ended without a value. The body around it has used what it has used.
    pub(in crate::engine) fn pass_on_tags(&self, said: Option<&Said>, since: u64) {
        let stamps = match self.collect_tags(None, said) {
            Ok(collected) => self.local_stamps(&collected, said, since),
            Err(_) => Stamps::wrong(),
        };
        inherit(self.cache_id(), &stamps, false);
    }

    pub(in crate::engine) fn since(&self, said: Option<&Said>, since: u64) -> u64 {
        let stale_since = said.filter(|_| self.policy.inherits_tags()).and_then(|said| said.used(Used::stale_since));
        stale_since.map_or(since, |stale| stale.min(since))
    }

    /// Tags, and their generations.
    pub(in crate::engine) fn stamps(&self, tags: impl Iterator<Item = (TagId, Option<u64>)>, since: u64) -> Stamps {
        let stamps = tags.map(|(id, generation)| Stamp { tag: self.engine.tags.get(id), generation });
        Stamps::new(stamps.collect(), since)
    }
}

impl Known {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Changed, _) | (_, Self::Changed) => Self::Changed,
            (Self::Inherited(one), Self::Inherited(other)) if one != other => Self::Changed,
            // What is known from before the body holds for all that it has used.
            (Self::Before, _) | (_, Self::Before) => Self::Before,
            (Self::After, _) | (_, Self::After) => Self::After,
            (Self::Inherited(_), Self::Inherited(_)) => self,
        }
    }
}

#[cold]
fn too_many() -> Error {
    Error::new(ErrorKind::Key, format!("a value has more than {MOST_TAGS} tags"))
}
