//! What a backend keeps of tags, as bytes. Numbers are little-endian.
//!
//! A *record* of a tag is its present generation, the one before if values of that are stale, since when they are, in milliseconds since 1970, and
//! until when the record is kept. Generations are random numbers. A tag without a record has no valid values.
//!
//! The *sequence* names the latest invalidations, the oldest first: a random number and the tag of each. It tells a body that ends whether a tag
//! was invalidated while it ran, if it did not know before that it needs it.

use std::time::Duration;

use crate::{base::random, codec::FOREVER, store::tags::TagId};

/// The generations of a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    pub(super) generation: u64,
    /// Values of this one are stale. Zero for none.
    pub(super) stale: u64,
    pub(super) stale_since: u64,
    /// Until when the backend keeps it.
    pub(super) until: u64,
}

/// How a value stands by the record of one of its tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Valid,
    StaleSince(u64),
    Invalid,
}

/// The first byte of both.
const FORMAT: u8 = 1;

impl Record {
    pub(super) fn new(now: u64, kept: Option<Duration>) -> Self {
        Self { generation: number(), stale: 0, stale_since: 0, until: until(now, kept) }
    }

    /// The next generation. Values of this one are stale from `now` on.
    pub(super) fn softened(self, now: u64) -> Self {
        Self { generation: number(), stale: self.generation, stale_since: now, ..self }
    }

    pub(super) fn standing(&self, generation: u64) -> Standing {
        if generation == self.generation {
            Standing::Valid
        } else if generation == self.stale && self.stale > 0 {
            Standing::StaleSince(self.stale_since)
        } else {
            Standing::Invalid
        }
    }

    /// How long the backend keeps it from `now` on. `None` is for ever.
    pub(super) fn left(&self, now: u64) -> Option<Duration> {
        (self.until != FOREVER).then(|| Duration::from_millis(self.until.saturating_sub(now)))
    }

    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = vec![FORMAT];
        for number in [self.generation, self.stale, self.stale_since, self.until] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let [generation, stale, stale_since, until] = numbers(bytes)?[..].try_into().ok()?;
        Some(Self { generation, stale, stale_since, until })
    }
}

/// The latest invalidations of a cache's tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sequence(Vec<(u64, TagId)>);

/// So many invalidations are named. A body that began before the oldest of them cannot tell whether its tags are valid.
const NAMED: usize = 64;

impl Sequence {
    /// A new one, in which nothing was invalidated.
    pub(super) fn begin() -> Self {
        Self(vec![(number(), TagId(0))])
    }

    pub(super) fn with(mut self, id: TagId) -> Self {
        self.0.push((number(), id));
        let many = self.0.len().saturating_sub(NAMED);
        self.0.drain(..many);
        self
    }

    /// The number of the newest invalidation.
    pub(super) fn newest(&self) -> Option<u64> {
        self.0.last().map(|(number, _)| *number)
    }

    /// Whether none of these tags was invalidated after the invalidation with the number `since`.
    pub(super) fn spares(&self, since: u64, tags: &[TagId]) -> bool {
        let Some(at) = self.0.iter().rposition(|(number, _)| *number == since) else { return false };
        self.0[at + 1..].iter().all(|(_, id)| !tags.contains(id))
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![FORMAT];
        for (number, TagId(id)) in &self.0 {
            bytes.extend_from_slice(&number.to_le_bytes());
            bytes.extend_from_slice(&id.to_le_bytes());
        }
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let numbers = numbers(bytes)?;
        let (pairs, []) = numbers.as_chunks::<2>() else { return None };
        Some(Self(pairs.iter().map(|[number, id]| (*number, TagId(*id))).collect()))
    }
}

fn numbers(bytes: &[u8]) -> Option<Vec<u64>> {
    let (&[FORMAT], rest) = bytes.split_first_chunk()? else { return None };
    let (numbers, []) = rest.as_chunks() else { return None };
    Some(numbers.iter().map(|number| u64::from_le_bytes(*number)).collect())
}

/// A number that no other one is equal to. Not zero, which is none.
fn number() -> u64 {
    random::number().max(1)
}

pub(super) fn until(now: u64, kept: Option<Duration>) -> u64 {
    kept.map_or(FOREVER, |kept| now.saturating_add(kept.as_millis().try_into().unwrap_or(FOREVER)))
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_as_they_went() {
        let record = Record::new(5, Some(Duration::from_secs(1))).softened(7);
        assert_eq!(Record::from_bytes(&record.to_bytes()), Some(record));
        let sequence = Sequence::begin().with(TagId(7)).with(TagId(u64::MAX));
        assert_eq!(Sequence::from_bytes(&sequence.to_bytes()), Some(sequence));
        let bytes = record.to_bytes();
        for cut in 0..bytes.len() {
            assert_eq!(Record::from_bytes(&bytes[..cut]), None, "{cut}");
        }
        assert_eq!((Record::from_bytes(b"\x02"), Sequence::from_bytes(b"")), (None, None));
    }

    #[test]
    fn a_value_of_two_generations_ago_was_stale() {
        let first = Record::new(0, None);
        let second = first.softened(10);
        assert_eq!(second.standing(second.generation), Standing::Valid);
        assert_eq!(second.standing(first.generation), Standing::StaleSince(10));
        let third = second.softened(20);
        assert_eq!(third.standing(first.generation), Standing::Invalid);
        assert_eq!(Record::new(0, None).standing(0), Standing::Invalid, "no value has the generation zero");
    }

    #[test]
    fn an_invalidation_that_is_not_named_any_more_was_overlooked() {
        let sequence = Sequence::begin();
        let since = sequence.newest().unwrap();
        let (seven, eight) = (TagId(7), TagId(8));
        assert!(sequence.spares(since, &[seven]));
        let later = sequence.with(eight);
        assert!(later.spares(since, &[seven]) && !later.spares(since, &[seven, eight]));
        assert!(later.spares(later.newest().unwrap(), &[eight]));
        let much_later = (0..NAMED).fold(later, |sequence, _| sequence.with(eight));
        assert!(!much_later.spares(since, &[seven]), "it cannot tell");
        assert!(!Sequence::begin().spares(since, &[seven]), "it was lost, and made anew");
    }
}
