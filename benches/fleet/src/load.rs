//! What a fleet is asked to do, and with which settings.

use super::{Nanos, SECOND};

pub(crate) const MILLISECOND: Nanos = SECOND / 1000;

#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) processes: usize,
    pub(crate) servers: usize,
    pub(crate) keys: usize,
    /// One key stands for so many others at most.
    pub(crate) most: usize,
    /// The share of the calls that ask for one hot key.
    pub(crate) hot: f64,
    /// Calls of one process in a second.
    pub(crate) rate: f64,
    /// For each call, so many invalidations of any key, popular or not.
    pub(crate) writes: f64,
    pub(crate) body: Nanos,
    pub(crate) round_trip: Nanos,
    pub(crate) timeout: Nanos,
    pub(crate) stale: Nanos,
    pub(crate) early: f64,
    pub(crate) jitter: f64,
    pub(crate) leases: bool,
    pub(crate) lease: Nanos,
    /// The first pause of a caller that waits for a lease, and the longest.
    pub(crate) pauses: [Nanos; 2],
    /// The entries of a near cache.
    pub(crate) near: Option<f64>,
    /// The servers have the values already.
    pub(crate) warm: bool,
    /// When one of the servers is lost, and when its replica takes its place.
    pub(crate) lost: Option<(Nanos, Nanos)>,
    /// Every answer has two tags: its own one, which is what is invalidated instead of its key, and one of a tenth of the answers, which is
    /// invalidated at this time.
    pub(crate) tags: Option<Nanos>,
    /// What happens before is not counted.
    pub(crate) from: Nanos,
    pub(crate) until: Nanos,
    pub(crate) seed: u64,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            processes: 1,
            servers: 12,
            keys: 1_000_000,
            most: 100,
            hot: 0.0,
            rate: 1000.0,
            writes: 0.001,
            body: 50 * MILLISECOND,
            round_trip: MILLISECOND / 2,
            timeout: 300 * SECOND,
            stale: 0,
            early: 1.0,
            jitter: 0.0,
            leases: true,
            lease: 3 * SECOND,
            pauses: [2 * MILLISECOND, 100 * MILLISECOND],
            near: Some(50_000.0),
            warm: false,
            lost: None,
            tags: None,
            from: 0,
            until: 30 * SECOND,
            seed: 7,
        }
    }
}
