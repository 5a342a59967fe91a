//! What each function's cache did: counted cheaply, read as a snapshot.

mod counters;
mod snapshot;
mod table;

pub(crate) use self::counters::{Count, Counters};
pub use self::snapshot::{BackendStats, Faults, FrontStats, FunctionStats, Misses, Stats};
