//! Writes that are done in time or not at all.
//!
//! Whoever gives up leaves behind what was sent, and the server comes to it when it may: after what somebody has asked over
//! another connection meanwhile. A `set` after a later deletion would bring back what was deleted. To close its connection
//! does not help, as the server does what it finds there all the same; nor to wait for an answer, as the runtime that
//! would have to read it may be one that nobody drives.
//!
//! So nothing is written blindly. A first round trip asks for the number that the server gave to the item (its CAS, which no
//! other item ever has), and puts an item that has ended already where there is none. The second one writes in the place of
//! that very item. Whatever happens to the key in between, a deletion as well as a newer value, the write is not done any
//! more. That costs a write a second trip, and a look nothing.
//!
//! A server without CAS (`memcached -C`) has no such numbers. There, writes may come late.

use memcache::exp::{Get, Meta, MutationStatus, Op, Set};

use super::{Outcome, expiry, fleet::Failure};

/// An item as it was when a write began.
pub(super) struct Claim {
    cas: u64,
    /// Whether there was one, that had not ended.
    pub(super) is_there: bool,
}

/// What a server without CAS says that the number of every item is.
const NO_CAS: u64 = 0;

impl Claim {
    /// What to ask: for the item, and for the one that is put there if there is none.
    pub(super) fn ask(stored: &str) -> [Op; 2] {
        let look = Get::new(stored).meta(Meta::NONE.ttl().cas()).without_value();
        [look.into(), expiry::ended(stored).add().return_cas().into()]
    }

    /// `None` if the item came or went while it was looked for.
    pub(super) fn of(looked: Outcome, put: Outcome) -> Result<Option<Self>, Failure> {
        let (looked, put) = (looked?, put?);
        let (Some(looked), Some(put)) = (looked.as_get(), put.as_mutation()) else { return Err(Failure::nonsense()) };
        match put.status {
            MutationStatus::Applied => Ok(put.cas.map(|cas| Self { cas, is_there: false })),
            _ => Ok(looked.item.cas.map(|cas| Self { cas, is_there: expiry::is_there(looked) })),
        }
    }

    /// A write that is done only in the place of this item.
    pub(super) fn replace(&self, set: Set) -> Set {
        replace(self.cas, set)
    }
}

/// A write that is done only in the place of the item of this number.
pub(super) fn replace(cas: u64, set: Set) -> Set {
    if cas == NO_CAS { set } else { set.compare_cas(cas) }
}
