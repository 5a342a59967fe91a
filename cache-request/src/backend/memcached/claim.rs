//! Writes that the server executes in time or not at all.
//!
//! A caller that gives up leaves its command on the way, and the server may execute it later than a command that was sent after it over
//! another connection. A `set` that comes after a later deletion would bring back what was deleted. To close the connection does not help:
//! the server executes what it has received. To wait for the answer does not help either: the runtime that would read it may not run.
//!
//! So every write takes two round trips. The first one reads the item's CAS number, which the server never gives to another item, and
//! adds an ended item if there is none. The second one writes if the item still has that number. If the key was deleted or written in
//! between, the number is another one, and the server drops the write.
//!
//! A server without CAS (`memcached -C`) has no such numbers, and may execute a write late.

use memcache::exp::{Get, Meta, MutationStatus, Op, Set};

use super::{
    expiry,
    failure::{Failure, Outcome},
};

/// An item as it was when a write began.
pub(super) struct Claim {
    cas: u64,
    /// Whether there was an item that had not ended.
    pub(super) is_there: bool,
    /// Whether that was the head of a value in chunks.
    pub(super) is_head: bool,
}

/// The number of every item on a server without CAS.
pub(super) const NO_CAS: u64 = 0;

impl Claim {
    /// The operations of the first round trip. Their outcomes are for [`of`](Self::of).
    pub(super) fn ask(stored: &str) -> [Op; 2] {
        let look = Get::new(stored).meta(Meta::NONE.ttl().cas()).without_value();
        [look.into(), expiry::ended(stored).add().return_cas().into()]
    }

    /// `None` if the item came or went between the two operations.
    pub(super) fn of(looked: Outcome, added: Outcome) -> Result<Option<Self>, Failure> {
        let (looked, added) = (looked?, added?);
        let (Some(looked), Some(added)) = (looked.as_get(), added.as_mutation()) else {
            return Err(Failure::unexpected_answer());
        };
        match added.status {
            MutationStatus::Applied => Ok(added.cas.map(|cas| Self { cas, is_there: false, is_head: false })),
            _ => {
                let (is_there, is_head) = (expiry::is_there(looked), expiry::is_head(looked));
                Ok(looked.item.cas.map(|cas| Self { cas, is_there, is_head }))
            }
        }
    }

    /// Restricts a write to this item.
    pub(super) fn replace(&self, set: Set) -> Set {
        replace(self.cas, set)
    }
}

/// Restricts a write to the item with this number.
pub(super) fn replace(cas: u64, set: Set) -> Set {
    if cas == NO_CAS { set } else { set.compare_cas(cas) }
}
