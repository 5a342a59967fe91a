//! What a call knows of tags in its backend.

use std::{collections::HashMap, hash::BuildHasherDefault};

use super::records::{Record, Standing};
use crate::{codec, key::PassThrough, store::tags::TagId};

/// What a call knows of tags in its backend. Nothing, for a call without any.
#[derive(Debug, Clone, Default)]
pub(in crate::engine) struct Noted(Option<Box<Read>>);

/// What was read.
#[derive(Debug, Clone, Default)]
pub(super) struct Read {
    /// `None` for a tag without a record. With the round in which it was read.
    records: HashMap<TagId, (Option<Record>, u32), BuildHasherDefault<PassThrough>>,
    round: u32,
    pub(super) sequence_is_read: bool,
    /// The newest invalidation when the sequence was read.
    pub(super) newest: Option<u64>,
}

impl Noted {
    pub(super) fn read(&mut self) -> &mut Read {
        self.0.get_or_insert_default()
    }

    /// What is stored is looked at once more, so its tags are read once more.
    pub(in crate::engine) fn begin_round(&mut self) {
        if let Some(read) = &mut self.0 {
            read.round += 1;
        }
    }

    /// Whether a tag was read in this round.
    pub(super) fn has(&self, id: TagId) -> bool {
        self.0.as_ref().is_some_and(|read| read.records.get(&id).is_some_and(|(_, round)| *round == read.round))
    }

    pub(super) fn record(&self, id: TagId) -> Option<Record> {
        self.0.as_ref()?.records.get(&id)?.0
    }

    pub(super) fn set(&mut self, id: TagId, record: Option<Record>) {
        let read = self.read();
        read.records.insert(id, (record, read.round));
    }

    /// Whether the tag is known to have no record.
    pub(super) fn lacks(&self, id: TagId) -> bool {
        self.0.as_ref().is_some_and(|read| matches!(read.records.get(&id), Some((None, _))))
    }

    pub(super) fn sequence_is_read(&self) -> bool {
        self.0.as_ref().is_some_and(|read| read.sequence_is_read)
    }

    pub(super) fn newest(&self) -> Option<u64> {
        self.0.as_ref()?.newest
    }

    /// How a value stands that has these tags, by their records.
    pub(in crate::engine) fn standing(&self, tags: &[codec::Tag]) -> Tagged {
        let mut stale_since: Option<u64> = None;
        for codec::Tag { name, generation } in tags {
            let record = self.record(TagId(*name));
            match record.map_or(Standing::Invalid, |record| record.standing(*generation)) {
                Standing::Valid => {}
                Standing::StaleSince(since) => stale_since = Some(stale_since.unwrap_or(since).min(since)),
                Standing::Invalid => return Tagged::Invalid,
            }
        }
        stale_since.map_or(Tagged::Valid, Tagged::StaleSince)
    }
}

/// How a value stands by its tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Tagged {
    Valid,
    /// In milliseconds since 1970.
    StaleSince(u64),
    Invalid,
}

/// The ids of the tags of a stored value.
pub(in crate::engine) fn ids_of(tags: &[codec::Tag]) -> Box<[TagId]> {
    tags.iter().map(|tag| TagId(tag.name)).collect()
}
