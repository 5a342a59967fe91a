//! What each function's cache did: counted cheaply, read as a snapshot.

pub(crate) mod columns;
mod counters;
pub(crate) mod measures;
pub(crate) mod serialize;
mod snapshot;
mod state;
mod table;

pub(crate) use self::counters::{Count, Counters, HITS_MEASURED};
pub use self::snapshot::{BackendStats, BreakerStats, Faults, FunctionStats, Misses, NearCacheStats, Stats};
pub use self::state::{BreakerState, Tracking};
