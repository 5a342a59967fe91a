//! One way to remember a function.

use std::time::Duration;

/// Entries that the bounded contenders have room for: more than there are keys, so that a warm call is always a hit.
pub(crate) const ROOM: u64 = 200_000;

/// When the expiring contenders' values expire: after the benchmark.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(300);

/// Calls a function once for each key.
type Call = Box<dyn Fn(&[u32]) + Sync>;

/// One way to remember a function.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) call: Call,
}

impl Contender {
    pub(crate) fn new(name: &'static str, call: impl Fn(&[u32]) + Sync + 'static) -> Self {
        Self { name, call: Box::new(call) }
    }
}
