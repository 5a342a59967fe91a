//! Fences and leases: what keeps old values out of a backend that processes share, and bodies from running twice.

use std::time::Duration;

/// The generation of a key.
///
/// A backend returns it when a value begins to be made, and stores the value only if the fence still stands by then. An invalidation
/// ends the fence, as does each value that is stored. No fence of a key is ever used again: it is a fencing token (Burrows, "The Chubby lock
/// service for loosely-coupled distributed systems", OSDI 2006).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fence(u64);

impl Fence {
    /// The fence with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// What a caller wants of a key: see [`Backend::claim`](crate::Backend::claim).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// What is to happen if there is a value, or another claim.
    pub kind: ClaimKind,
    /// A random number, new for each claim. A backend can make it the fence.
    pub token: u64,
    /// How long the claim lasts, unless it is renewed.
    pub lease: Duration,
}

/// What happens to a claim if there is a value, or another claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimKind {
    /// A value that is there is returned, and nothing is claimed. An older claim stays.
    Missing,
    /// A value that is there is returned, and the key is claimed as well, to replace the value. An older claim stays.
    Any,
    /// As [`Any`](Self::Any), but an older claim ends: what is being made for it is not stored.
    Anew,
}

/// What came of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// What is stored.
    pub value: Option<Vec<u8>>,
    /// Who may store a value.
    pub right: Right,
}

/// The right to make and store a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Nothing is claimed, as there is a value.
    None,
    /// The caller has the lease: it is to make the value, and stores it with this fence.
    Leased(Fence),
    /// An older claim has the lease, and has it for so long from now on, unless it is renewed or given back. A caller that does not wait for
    /// its value may store its own with this fence: the first one to store wins.
    Held(Fence, Duration),
    /// No value is stored for so long from now on: see [`Backend::invalidate`](crate::Backend::invalidate). Zero says that the backend takes
    /// no writes at present, which counts as a fault.
    Refused(Duration),
}
