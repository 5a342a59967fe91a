//! What stands on a server for a claim or a refusal, and the fences that name claims.
//!
//! The claim of a missing key is an empty item under the key itself. The look-up makes it, if it is asked to (flag `N` of the meta protocol), and
//! the server tells one caller that it has won. The fence is the item's CAS number, so a value is stored in one command, if the item is
//! still that one. A touch cannot be bound to a number, and could lengthen the time of a newer value. So a claim is renewed by another item,
//! whose content is the fence.
//!
//! The claim of a key whose value stays meanwhile is a *record* beside the value, on the same server. It names the value by its CAS number, and
//! is void when another value, or none, is there.
//!
//! A refusal is an item under the key. All these items count as ended for everything else.
//!
//! Leases and refusals end by the server's clock, which counts seconds: up to two seconds late, and never early.

use std::time::Duration;

use memcache::exp::{Delete, Get, GetResult, LeaseState, Meta, Set};
use xxhash_rust::xxh3::xxh3_64;

use super::{
    claim::NO_CAS,
    expiry::{self, LONGEST_SECONDS},
};
use crate::backend::Fence;

/// The bit of the fence of a claim that has a record.
const HAS_RECORD: u64 = 1 << 63;

/// How many bits of another fence are the CAS number. A server that gives a million numbers a second does not need more within eight years.
const NUMBER_BITS: u32 = 48;
const NUMBER: u64 = (1 << NUMBER_BITS) - 1;

/// The fence of the claim under a key whose item has, or first had, this CAS number. The other bits are of the key, which contains the
/// generation: another server may give the same number to another key, and a server that restarts begins its numbers again.
pub(super) fn fence_under(stored: &str, cas: u64) -> Fence {
    Fence::new(xxh3_64(stored.as_bytes()) >> (NUMBER_BITS + 1) << NUMBER_BITS | cas & NUMBER)
}

/// A new fence for a claim that has a record.
pub(super) fn fence_beside(random: u64) -> Fence {
    Fence::new(random | HAS_RECORD)
}

/// Where the claim with a fence is.
pub(super) enum Whereabouts {
    /// Under the key, and the item had this CAS number at first.
    Under(u64),
    /// In a record.
    Beside,
    /// Nowhere: it is of another key, or of another generation.
    Nowhere,
}

impl Whereabouts {
    pub(super) fn of(fence: Fence, stored: &str) -> Self {
        let cas = fence.get() & NUMBER;
        if fence.get() & HAS_RECORD != 0 {
            Self::Beside
        } else if fence == fence_under(stored, cas) {
            Self::Under(cas)
        } else {
            Self::Nowhere
        }
    }
}

/// The seconds that the server is told for so long. Its clock may be about to tick, so one second more.
pub(super) fn seconds(time: Duration) -> u32 {
    let seconds = time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0)).saturating_add(1);
    seconds.min(LONGEST_SECONDS) as u32
}

/// The seconds that the server has left for an item: none if it has ended while the server answered, which has no sign for that.
fn seconds_left(found: &GetResult) -> u32 {
    found
        .item
        .ttl
        .and_then(|left| u32::try_from(left).ok())
        .filter(|left| u64::from(*left) <= LONGEST_SECONDS)
        .unwrap_or(0)
}

/// How long a claim or a refusal lasts for which the server has so many seconds left. A caller that looks again after that must not look
/// all the time.
pub(super) fn left(seconds: u32) -> Duration {
    Duration::from_secs(seconds.saturating_sub(1).max(1).into())
}

/// Writes a claim that is renewed.
pub(super) fn renewed(stored: &str, fence: Fence, lease: Duration) -> Set {
    expiry::mark(stored, &fence.get().to_le_bytes(), seconds(lease))
}

/// Writes a refusal.
pub(super) fn refusal(stored: &str, refuse: Duration) -> Set {
    expiry::mark(stored, REFUSAL, seconds(refuse))
}

const REFUSAL: &[u8] = b"r";

/// Restricts a write to the item with this number. On a server without CAS, something must be there at least.
pub(super) fn replace(cas: u64, set: Set) -> Set {
    if cas == NO_CAS { set.replace() } else { set.compare_cas(cas) }
}

/// Removes the item with this number.
pub(super) fn remove(stored: &str, cas: u64) -> Delete {
    let delete = Delete::new(stored);
    if cas == NO_CAS { delete } else { delete.compare_cas(cas) }
}

/// What stands under a key.
pub(super) enum Standing {
    Missing,
    Claim {
        fence: Fence,
        cas: u64,
        seconds: u32,
    },
    Refusal {
        cas: u64,
        seconds: u32,
    },
    /// An item that has ended, or the place that a write has taken.
    Ended {
        cas: u64,
    },
    Value {
        cas: u64,
        found: GetResult,
    },
}

impl Standing {
    /// What was found. The get must ask for the number and the time left, and for the size if not for the value.
    pub(super) fn of(found: GetResult, stored: &str) -> Self {
        let Some(cas) = found.item.cas else { return Self::Missing };
        let seconds = seconds_left(&found);
        if found.lease_state != LeaseState::None {
            return Self::Claim { fence: fence_under(stored, cas), cas, seconds };
        }
        if expiry::is_there(&found) {
            return Self::Value { cas, found };
        }
        if !expiry::is_mark(&found) || seconds == 0 {
            return Self::Ended { cas };
        }
        let length = found.value.as_ref().map(|value| value.len() as u64).or(found.item.size);
        match (length, found.value.as_deref().unwrap_or_default().try_into()) {
            (_, Ok(fence)) => Self::Claim { fence: Fence::new(u64::from_le_bytes(fence)), cas, seconds },
            (Some(length), _) if length == REFUSAL.len() as u64 => Self::Refusal { cas, seconds },
            _ => Self::Ended { cas },
        }
    }
}

/// The claim of a key whose value stays meanwhile.
pub(super) struct Record {
    pub(super) fence: Fence,
    /// The CAS number of the value.
    pub(super) value: u64,
    /// That of the record.
    pub(super) cas: u64,
    pub(super) seconds: u32,
}

impl Record {
    /// Its key. Keys of values contain a colon, and those of chunks end in a digit.
    pub(super) fn key(namespace: &str, stored: &str) -> String {
        let hash = blake3::hash(stored.as_bytes()).to_hex();
        format!("{namespace}!{}.claim", &hash[..32])
    }

    pub(super) fn get(key: &str) -> Get {
        Get::new(key).meta(Meta::NONE.ttl().cas())
    }

    pub(super) fn of(found: &GetResult) -> Option<Self> {
        let (fence, rest) = found.value.as_ref()?.split_first_chunk()?;
        Some(Self {
            fence: Fence::new(u64::from_le_bytes(*fence)),
            value: u64::from_le_bytes(rest.try_into().ok()?),
            cas: found.item.cas?,
            seconds: seconds_left(found),
        })
    }

    pub(super) fn set(key: &str, fence: Fence, value: u64, lease: Duration) -> Set {
        Self::write(key, fence, value, seconds(lease))
    }

    /// The same claim, of a value that has another number now.
    pub(super) fn renamed(&self, key: &str, value: u64) -> Set {
        // A server takes zero for never.
        Self::write(key, self.fence, value, self.seconds.max(1))
    }

    fn write(key: &str, fence: Fence, value: u64, seconds: u32) -> Set {
        let bytes = [fence.get().to_le_bytes(), value.to_le_bytes()].concat();
        Set::new(key, bytes).ttl_raw(seconds).return_cas()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_of_another_key_or_generation_is_nowhere() {
        let fence = fence_under("n:65b9:key", 7);
        assert!(matches!(Whereabouts::of(fence, "n:65b9:key"), Whereabouts::Under(7)));
        for other in ["n:65b9:kez", "n:65ba:key"] {
            assert!(matches!(Whereabouts::of(fence, other), Whereabouts::Nowhere), "{other}");
        }
        assert_ne!(fence, fence_under("n:65b9:key", 8));
        for random in [0, 7, u64::MAX] {
            assert!(matches!(Whereabouts::of(fence_beside(random), "n:65b9:key"), Whereabouts::Beside));
        }
    }

    #[test]
    fn the_server_is_told_no_less_than_the_lease_and_never_a_date() {
        for (lease, told) in [
            (Duration::ZERO, 1),
            (Duration::from_nanos(1), 2),
            (Duration::from_secs(1), 2),
            (Duration::from_millis(1001), 3),
            (Duration::MAX, 2_592_000),
        ] {
            assert_eq!(seconds(lease), told, "{lease:?}");
        }
    }

    #[test]
    fn records_of_different_keys_have_different_keys_that_fit() {
        let (namespace, stored) = ("n".repeat(100), "k".repeat(250));
        let key = Record::key(&namespace, &stored);
        assert!(key.len() <= 250 && !key.contains(':'), "{key}");
        assert_ne!(key, Record::key(&namespace, &stored[1..]));
    }
}
