//! A snapshot of the counters.

use std::time::Duration;

use super::{BreakerState, Count, Counters, Tracking};
use crate::ErrorKind;

/// What the functions of one cache did since they were first called.
///
/// `Display` prints one line per function, the busiest first. Below, it prints the causes of misses and of faults for
/// the functions that had any. It omits functions without calls, and columns that are zero.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Stats {
    /// One entry per function that was called or whose companion was used. Each instance of a generic function has its
    /// own.
    pub functions: Vec<FunctionStats>,
    /// Bytes that the cache holds in this process's memory, including the entries' overhead.
    pub held_bytes: u64,
    /// Entries that the cache holds in this process's memory.
    pub entries: u64,
    /// The state of its backend; `None` for a cache in memory.
    pub backend: Option<BackendStats>,
}

/// The state of a cache's backend.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BackendStats {
    /// The name that [`Backend::name`](crate::Backend::name) returns.
    pub name: &'static str,
    /// The circuit breaker of reads.
    pub reads: BreakerStats,
    /// The circuit breaker of writes and deletions.
    pub writes: BreakerStats,
    /// Operations in flight at this moment.
    pub under_way: u64,
    /// The state of its near cache; `None` if there is none.
    pub near: Option<NearCacheStats>,
}

/// The state of one of a backend's two circuit breakers.
///
/// Each counts the faults in a row of its operations: reads, or writes and deletions. An operation that succeeds counts as a fault
/// if it takes more than three quarters of the soft limit. An error that concerns one key or one of several servers does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BreakerStats {
    /// Whether calls use the backend at present.
    pub state: BreakerState,
    /// How often the breaker has opened.
    pub opened: u64,
}

/// The state of a near cache. Its entries and bytes are part of what the cache holds in memory.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NearCacheStats {
    /// Whether the backend tells it of changes.
    pub tracking: Tracking,
    /// Changes that the backend has told of, also of keys that it did not hold.
    pub changed: u64,
    /// How often changes may have been missed, so that it was emptied. A failed attempt to connect counts as well.
    pub lost: u64,
}

/// What one function's cache did.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct FunctionStats {
    /// Module and function, as in the function's keys.
    pub name: String,
    /// Calls answered from the cache.
    pub hits: u64,
    /// Hits whose timeout was over, by `stale`.
    pub stale: u64,
    /// Calls whose body failed and that were answered with an older value, by `stale_if_error`.
    pub stale_on_error: u64,
    /// Bodies begun to replace a value that could still be returned, by `stale` and `early`.
    pub refreshes: u64,
    /// Refreshes in the background that ended with an `Err`, a panic, or a response with a status of 500 or more.
    pub refreshes_failed: u64,
    /// Refreshes that did not begin, as too many were under way in the background.
    pub refreshes_refused: u64,
    /// Calls that found nothing, by cause.
    pub misses: Misses,
    /// Calls answered by a body that another caller ran meanwhile. With `share_err`, also with its `Err`.
    pub coalesced: u64,
    /// Calls that waited for a body of another process. They count as hits, too, or as misses if they ran a body in the end.
    pub lease_waits: u64,
    /// Values that were not kept in the backend, as their key was invalidated or stored while they were made.
    pub outdated: u64,
    /// Calls without a cache: it is disabled or not installed, or no key could be made.
    pub uncached: u64,
    /// Values that bodies returned for elements which they were not asked for, by `each`. They are ignored.
    pub unasked: u64,
    /// Bodies that ran to their end.
    pub bodies: u64,
    /// The total time of all bodies. Where values are in memory only, and calls are not measured, it is by the machine's coarse clock, in ticks of some
    /// milliseconds: a shorter body counts as a tick as often as a tick falls into it, and else as nothing. So the total of many bodies is
    /// right, and that of a few short ones is not.
    pub body_time: Duration,
    /// Entries held in this process's memory.
    pub entries: u64,
    /// Bytes held in this process's memory, including the entries' overhead.
    pub held_bytes: u64,
    /// Bytes sent to the backend.
    pub written_bytes: u64,
    /// Faults of the cache or its backend, by cause. No call fails because of them.
    pub faults: Faults,
}

/// Calls that found nothing in the cache and ran the body, by cause.
///
/// Evicted and invalidated keys are remembered only for a while. After that they count as never seen.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Misses {
    /// The key was never stored, or its removal is no longer remembered.
    pub never_seen: u64,
    /// Its timeout was over.
    pub expired: u64,
    /// It was evicted to make room.
    pub evicted: u64,
    /// It was invalidated.
    pub invalidated: u64,
    /// The stored bytes are garbage, of another version or type, or not authenticated by the cache's secret.
    pub undecodable: u64,
    /// The backend did not answer.
    pub backend_fault: u64,
}

impl Misses {
    /// The number of all misses.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.never_seen + self.expired + self.evicted + self.invalidated + self.undecodable + self.backend_fault
    }
}

/// Faults of the cache or its backend, by cause. The causes are those of [`ErrorKind`], which the log shows.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Faults {
    /// The backend took longer than a call's soft limit.
    pub timeout: u64,
    /// The backend was not asked, because its breaker is open or too many operations are in flight; or one of several
    /// servers is down while the others go on.
    pub unavailable: u64,
    /// The backend failed: unreachable, full, refused, or its code panicked. Also what is wrong with a function's attribute.
    pub backend: u64,
    /// A value could not be encoded, or would not have come back as it was.
    pub codec: u64,
    /// Stored bytes are damaged, or of another version or type.
    pub corrupt: u64,
    /// Stored bytes are not authenticated by the cache's secret.
    pub forged: u64,
    /// A value is larger than the cache or its backend accepts.
    pub too_large: u64,
    /// User code that the cache runs panicked: a clone, a condition, a serialiser.
    pub panic: u64,
    /// No key could be made of a call's arguments, or no tags of a value.
    pub key: u64,
}

impl Faults {
    fn read(counters: &Counters) -> Self {
        // Of the latter three, calls know what is wrong with an attribute. A program's own backend may return them as well.
        let backend = [ErrorKind::Backend, ErrorKind::Unsupported, ErrorKind::Config, ErrorKind::Installed];
        Self {
            timeout: counters.faults(ErrorKind::Timeout),
            unavailable: counters.faults(ErrorKind::Unavailable),
            backend: backend.into_iter().map(|kind| counters.faults(kind)).sum(),
            codec: counters.faults(ErrorKind::Codec),
            corrupt: counters.faults(ErrorKind::Corrupt),
            forged: counters.faults(ErrorKind::Forged),
            too_large: counters.faults(ErrorKind::TooLarge),
            panic: counters.faults(ErrorKind::Panic),
            key: counters.faults(ErrorKind::Key),
        }
    }

    /// The number of all faults.
    #[must_use]
    pub fn total(&self) -> u64 {
        let Self { timeout, unavailable, backend, codec, corrupt, forged, too_large, panic, key } = self;
        timeout + unavailable + backend + codec + corrupt + forged + too_large + panic + key
    }
}

impl FunctionStats {
    pub(crate) fn read(name: String, counters: &Counters, entries: usize, held_bytes: usize) -> Self {
        Self {
            name,
            hits: counters.get(Count::Hit),
            stale: counters.get(Count::Stale),
            stale_on_error: counters.get(Count::StaleOnError),
            refreshes: counters.get(Count::Refreshes),
            refreshes_failed: counters.get(Count::RefreshesFailed),
            refreshes_refused: counters.get(Count::RefreshesRefused),
            misses: Misses {
                never_seen: counters.get(Count::NeverSeen),
                expired: counters.get(Count::Expired),
                evicted: counters.get(Count::Evicted),
                invalidated: counters.get(Count::Invalidated),
                undecodable: counters.get(Count::Undecodable),
                backend_fault: counters.get(Count::BackendFault),
            },
            coalesced: counters.get(Count::Coalesced),
            lease_waits: counters.get(Count::LeaseWaits),
            outdated: counters.get(Count::Outdated),
            uncached: counters.get(Count::Uncached),
            unasked: counters.get(Count::Unasked),
            bodies: counters.get(Count::Bodies),
            body_time: Duration::from_nanos(counters.get(Count::BodyNanos)),
            entries: entries as u64,
            held_bytes: held_bytes as u64,
            written_bytes: counters.get(Count::WrittenBytes),
            faults: Faults::read(counters),
        }
    }

    /// Whether `name` is its name, or the last segments of that.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        self.name.strip_suffix(name).is_some_and(|head| head.is_empty() || head.ends_with('.'))
    }

    /// The share of calls that ran no body of their own, from 0 to 1; `None` before the first call.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a ratio needs no more than 52 bits")]
    pub fn hit_ratio(&self) -> Option<f64> {
        let calls = self.calls();
        (calls > 0).then(|| (self.hits + self.coalesced) as f64 / calls as f64)
    }

    /// The average time of one body; `None` before the first.
    #[must_use]
    pub fn mean_body_time(&self) -> Option<Duration> {
        let nanos = self.body_time.as_nanos().checked_div(u128::from(self.bodies))?;
        Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    /// Calls so far: each is a hit, coalesced, a miss or uncached. A miss counts when its body begins. A refresh does not count.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.hits + self.coalesced + self.misses.total() + self.uncached
    }
}

impl Stats {
    pub(crate) fn new(
        mut functions: Vec<FunctionStats>,
        entries: usize,
        held_bytes: usize,
        backend: Option<BackendStats>,
    ) -> Self {
        functions.sort_by(|a, b| b.calls().cmp(&a.calls()).then_with(|| a.name.cmp(&b.name)));
        Self { functions, held_bytes: held_bytes as u64, entries: entries as u64, backend }
    }

    /// The function with that name: `module.function` as in its keys, or its last segments.
    #[must_use]
    pub fn function(&self, name: &str) -> Option<&FunctionStats> {
        self.functions.iter().find(|function| function.is_named(name))
    }

    /// Calls answered from the cache, of all functions.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.functions.iter().map(|function| function.hits).sum()
    }

    /// Calls that found nothing, of all functions.
    #[must_use]
    pub fn misses(&self) -> u64 {
        self.functions.iter().map(|function| function.misses.total()).sum()
    }

    /// Bodies run, of all functions.
    #[must_use]
    pub fn bodies(&self) -> u64 {
        self.functions.iter().map(|function| function.bodies).sum()
    }

    /// Faults, of all functions.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.functions.iter().map(|function| function.faults.total()).sum()
    }
}
