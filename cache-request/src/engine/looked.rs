//! What a look at one cached value tells.

use std::time::Duration;

use super::source::Source;

/// A cached answer, with its times: what a handle's `lookup` returns.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Looked<R> {
    /// What a call would return.
    pub answer: R,
    /// How long ago it was stored, to a few milliseconds. `None` for a value in memory that may only be fresh or gone, if its timeout is
    /// `never`, is computed, or has `jitter`: memory knows when it ends.
    pub age: Option<Duration>,
    /// How long it is fresh, zero if it is stale. `None` if it is for ever.
    pub left: Option<Duration>,
    /// Its timeout is over, or it was invalidated softly, and it may be returned all the same.
    pub is_stale: bool,
    /// Where it is kept.
    pub source: Source,
}
